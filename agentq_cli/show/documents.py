"""The model's values as the JSON objects of the contract: its keys, times as RFC 3339, no environment values."""

from __future__ import annotations

from agentq_cli.base.clock import rfc3339
from agentq_cli.base.context import suppress
from agentq_cli.base.errors import AgentqError
from agentq_cli.model.addresses import Address, RunId
from agentq_cli.model.fleet import machine_name
from agentq_cli.model.statuses import Status
from agentq_cli.model.trees import OF_RUN
from agentq_cli.options.values import format_duration
from agentq_cli.show.results import Told

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any, TypeAlias

    from agentq_cli.model.actions import SweepAction, TargetResult
    from agentq_cli.model.runs import Check, Run
    from agentq_cli.model.sessions import Conversation, Event, Message, SessionInfo
    from agentq_cli.model.tasks import Task, WaitingFor
    from agentq_cli.model.trees import Landing, Left
    from agentq_cli.model.workers import Worker
    from agentq_cli.policy.hooks import Call as HookCall
    from agentq_cli.policy.schedule import Schedule
    from agentq_cli.policy.series import Recurrence

Item: TypeAlias = "Mapping[str, Any]"

COUNTED = tuple(status.value for status in Status)
"""The keys of a session's `counts`, including those at 0."""


COMING = 3
"""How many coming times of a schedule are shown."""

PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_@%+=:,./-")
"""What a shell takes as it is."""

LONGEST_TITLE = 120

LONGEST_WORK = 300
"""How many characters of a prompt or a command are enough for a line of a screen."""

LAST_MOMENT = 253_402_300_799_999
"""The last millisecond of the year 9999; an agent may write later times."""


def moment(at_ms: int | None) -> str | None:
    """A time; None if there is none or if it is out of range."""
    return rfc3339(at_ms) if isinstance(at_ms, int) and 0 <= at_ms <= LAST_MOMENT else None


def task(task: Task, *, now: int, waiting_for: WaitingFor | None, host: str | None = None) -> Item:
    """`agentq.task/1`, and an item of `agentq.tasks/1`. `host` is where it runs."""
    return {
        "id": str(task.address),
        "session": task.session,
        "seq": task.seq,
        "series": None if task.series is None else str(Address(task.session, task.series)),
        "kind": task.work.kind,
        "status": task.shown_status(now).value,
        "reason": task.reason,
        "waiting_for": None if waiting_for is None else waiting(waiting_for),
        "agent": task.work.agent,
        "title": title(task.work.argv, task.work.prompt),
        "prompt": task.work.prompt,
        "argv": None if task.work.argv is None else list(task.work.argv),
        "cwd": task.work.cwd,
        "on": list(task.work.launch.on),
        "host": host,
        "env_keys": sorted(task.work.launch.env),
        "priority": task.work.priority,
        "labels": list(task.work.labels),
        "key": task.work.key,
        "context": task.work.context,
        "conversation_key": task.conversation_key,
        "created_at": moment(task.created_at),
        "due_at": moment(task.due_at),
        "expires_at": moment(task.work.expires_at),
        "schedule": None if task.recurrence is None else schedule(task, task.recurrence, now),
        "after": [{"id": str(each.address), "on": each.on.value} for each in task.work.after],
        "attempts": task.attempts,
        "max_retries": task.work.launch.max_retries,
        "check": task.work.launch.check,
        **_tree(task),
        "last_run": None if task.last_run is None else str(RunId(task.session, task.seq, task.last_run)),
        "exit_code": task.exit_code,
    }


def _tree(task: Task) -> Item:
    """The keys of a task about its tree; null without one."""
    launch = task.work.launch
    if launch.repository is None:
        return dict.fromkeys(("worktree", "branch", "base", "land"))
    from agentq_cli.model.branches import branch_of

    branch = branch_of(task.work, task.address, task.conversation_key)
    return {"worktree": True, "branch": branch, "base": launch.base, "land": launch.land}


def schedule(task: Task, recurrence: Recurrence, now: int) -> Item:
    """A task's `schedule`; `next` are its coming times, which an ended occurrence does not have."""
    return schedule_of(recurrence.schedule, coming(task, now))


def coming(task: Task, now: int) -> list[int]:
    """The next times of a live occurrence."""
    from agentq_cli.policy.schedule import fires

    recurrence = task.recurrence
    if recurrence is None or task.status.ended:
        return []
    slot = recurrence.occurrence.slot
    begun = task.status is Status.RUNNING or slot <= now
    after = max(slot, now) if begun else slot - 1
    with suppress(AgentqError):  # an expression that a newer version rejects has no times
        return fires(recurrence.schedule, after, COMING, runs=recurrence.runs + int(begun))
    return []


def schedule_of(of: Schedule, times: Sequence[int]) -> Item:
    """A `schedule` with its next times."""
    return {
        "type": of.type.value,
        "expr": of.expr,
        "every_ms": of.every_ms,
        "tz": of.tz,
        "missed": of.missed.value,
        "overlap": of.overlap.value,
        "next": [rfc3339(at) for at in times],
    }


def coming_time(at: int, zone: str, now: int) -> Told:
    """A time to come: without blanks within it on the wall clock of a zone, with its offset, and in UTC."""
    from agentq_cli.options import moments  # a document alone draws no time

    return Told(f"{moments.there(at, zone)}  {zone}  {rfc3339(at)}", moments.both(at, now))


def recurs(schedule: Item) -> str:
    """How a `schedule` repeats, in a few words: `every 30m`, `0 9 * * 1-5 Berlin`, `once`."""
    if schedule["type"] == "cron":
        return f"{schedule['expr']} {schedule['tz'].rpartition('/')[2].replace('_', ' ')}"
    return f"every {format_duration(schedule['every_ms'])}" if schedule["type"] == "every" else "once"


def waiting(why: WaitingFor) -> Item:
    """A task's `waiting_for`."""
    return {"kind": why.kind, "until": moment(why.until), "ids": list(why.ids), "detail": why.detail}


def run(run: Run, *, prompt: str | None, directory: str | None, pid: int | None) -> Item:
    """`agentq.run/1`; `prompt` is what its agent was asked, None for a command or if that is no longer known. `pid` is
    the agent's own process, `directory` that of the run's files, None if another machine has them."""
    return {
        "id": str(run.id),
        "task": str(run.id.address),
        "session": run.session,
        "series": None if run.series is None else str(Address(run.session, run.series)),
        "attempt": run.attempt,
        "trigger": run.trigger.value,
        "agent": run.agent,
        "title": title(run.argv if run.agent is None else None, prompt),
        "prompt": prompt,
        "argv": list(run.argv),
        "cwd": run.cwd,
        "scheduled_for": moment(run.scheduled_for),
        "started_at": moment(run.started_at),
        "finished_at": moment(run.finished_at),
        "duration_ms": run.duration_ms,
        "status": run.status.value,
        "exit_code": run.exit_code,
        "signal": None if run.signal is None else signal_name(run.signal),
        "failure_class": None if run.failure_class is None else run.failure_class.value,
        "error": run.error,
        "result": run.result,
        "script_outcome": run.script_outcome,
        "check": None if run.checked is None else check(run.checked, directory),
        **in_tree(run.left, run.landing),
        "conversation": run.conversation,
        "tokens_in": run.tokens_in,
        "tokens_out": run.tokens_out,
        "cost_usd": run.cost_usd,
        "list_price": run.list_price,
        "turns": run.turns,
        "peak_rss_bytes": run.peak_rss_bytes,
        "stdout_path": _in(directory, "stdout"),
        "stderr_path": _in(directory, "stderr"),
        "stdout_bytes": run.stdout_bytes,
        "stderr_bytes": run.stderr_bytes,
        "pid": pid,
        "host": run.host,
        "adopted": run.adopted,
    }


def in_tree(left: Left | None, landing: Landing | None) -> dict[str, Any]:
    """The keys of a run about the tree of its task; null without one."""
    found: dict[str, Any] = {name: getattr(left, name) for name in OF_RUN} if left else dict.fromkeys(OF_RUN)
    told = {"landed": None if landing is None else landing.shown, "note": None if left is None else left.why}
    return found | told


def check(check: Check, directory: str | None) -> Item:
    """The `check` of a run: how it ended, and the file of its output."""
    return {
        "command": check.command,
        "passed": check.passed,
        "exit_code": check.exit_code,
        "signal": None if check.signal is None else signal_name(check.signal),
        "stopped": check.stopped,
        "error": check.error,
        "duration_ms": check.duration_ms,
        "tree": check.tree,
        "output_path": _in(directory, "check"),
        "output_bytes": check.output_bytes,
    }


def _in(directory: str | None, name: str) -> str | None:
    return None if directory is None else f"{directory}/{name}"


def signal_name(number: int) -> str:
    """A signal's name as in the shell's `kill -l`, with SIG: `SIGKILL`."""
    import signal

    try:
        return signal.Signals(number).name
    except ValueError:
        return f"SIG{number}"  # a realtime signal


def session(info: SessionInfo, *, parallel: int | None, host: str | None) -> Item:
    """`agentq.session/1`; `parallel` null means up to the global limit, `host` null that it may run anywhere."""
    return {
        "name": info.name,
        "counts": {status: info.counts.get(status, 0) for status in COUNTED},
        "next_due_at": moment(info.next_due_at),
        "paused": info.paused,
        "conversation": info.conversation,
        "conversations": dict(info.conversations),
        "parallel": parallel,
        "host": host,
        "path": info.path,
    }


def conversation(conversation: Conversation) -> Item:
    """An item of a session's `pool`."""
    return {
        "key": conversation.key,
        "agent": conversation.agent,
        "conversation": conversation.conversation,
        "tasks": conversation.tasks,
        "tokens_in": conversation.tokens_in,
        "tokens_out": conversation.tokens_out,
        "used_at": moment(conversation.used_at),
        "running": None if conversation.running is None else str(conversation.running),
    }


def worker(
    worker: Worker,
    *,
    pid: int | None,
    last_seen_at: int | None,
    rss_bytes: int | None,
    state: str,
    note: str | None,
) -> Item:
    """`agentq.worker/1`; `pid` is the agent's own process, null before it starts; `note` is what is special."""
    return {
        "id": str(worker.id),
        "task": str(worker.id.address),
        "run": str(worker.id),
        "session": worker.session,
        "agent": worker.agent,
        "pid": pid,
        "supervisor_pid": None if worker.supervisor is None else worker.supervisor.pid,
        "started_at": moment(worker.claimed_at),
        "last_seen_at": moment(last_seen_at),
        "rss_bytes": rss_bytes,
        "state": state,
        "note": note,
        "host": worker.host or machine_name(),
    }


def event(event: Event) -> Item:
    """`agentq.event/1`."""
    named = event.session is not None and event.seq is not None
    address = Address(event.session, event.seq) if named else None  # type: ignore[arg-type]
    return {
        "at": moment(event.at),
        "task": None if address is None else str(address),
        "run": None if address is None or event.attempt is None else str(RunId(*address, event.attempt)),
        "from": event.from_status,
        "to": event.to_status,
        "event": event.event,
        "actor": event.actor,
        "reason": event.reason,
    }


def message(message: Message) -> Item:
    """`agentq.message/1`."""
    return {
        "id": message.id,
        "session": message.session,
        "kind": message.kind,
        "content": message.content,
        "created_at": moment(message.created_at),
    }


def sweep_action(action: SweepAction) -> Item:
    """An item of `agentq.sweep/1`."""
    return {
        "action": action.action,
        "session": action.session,
        "task": action.task,
        "run": action.run,
        "detail": action.detail,
    }


def hook(call: HookCall, *, task: Item | None, run: Item | None) -> Item:
    """`agentq.hook/1`, which a hook reads on stdin: `status` is the task's status after the event, not now."""
    return {
        "schema": "agentq.hook/1",
        "event": call.hook,
        "at": moment(call.at),
        "session": call.session,
        "agent": call.agent or (None if task is None else task["agent"]),
        "status": call.status,
        "reason": call.reason,
        "task": task,
        "run": run,
    }


def work(item: Item) -> str:
    """What a task or run does, for a table: the command line as a shell would take it, or the prompt."""
    if item.get("argv") and item.get("kind") != "prompt":
        return " ".join(map(shell_word, item["argv"]))
    return str(item.get("prompt") or "")


def title(argv: Sequence[str] | None, prompt: str | None) -> str:
    """What a task or run is called: the first line of its prompt, or its command; at most `LONGEST_TITLE` characters,
    the last of which shows if it was cut. A run of a command without a command line only lands what an earlier one
    did."""
    if argv is not None and not argv and prompt is None:
        return "landing"
    text = " ".join(map(shell_word, argv)) if argv and prompt is None else (prompt or "").strip()
    line = text[: LONGEST_TITLE + 1].partition("\n")[0].rstrip()
    return line if len(line) <= LONGEST_TITLE else f"{line[: LONGEST_TITLE - 1]}…"


def brief_work(argv: Sequence[str] | None, prompt: str | None) -> str:
    """The beginning of what a task does, for one line of a screen."""
    text = work({"argv": argv, "prompt": (prompt or "")[:LONGEST_WORK]})
    return text[:LONGEST_WORK]


def target(result: TargetResult) -> Item:
    """An item of `agentq.results/1`."""
    return {
        "id": result.id,
        "ok": result.ok,
        "code": result.code,
        "message": result.message,
        "status": result.status,
    }


def failure(error: AgentqError) -> Item:
    """`agentq.error/1`; an error of several parts has them under `errors`, and how many others there are."""
    document: Item = {"code": error.code, "kind": error.kind, "message": error.message}
    if not error.parts:
        return document
    return {**document, "errors": [failure(part) for part in error.parts], "more": error.more}


def shell_word(word: str) -> str:
    """A word as a shell reads it back: what `shlex.quote` makes of it, which takes long to load."""
    return word if word and PLAIN.issuperset(word) else "'" + word.replace("'", "'\"'\"'") + "'"
