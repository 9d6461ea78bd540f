"""What people and the clock do to waiting or ended tasks: cancel, pause, resume, edit, retry, expire, prune.

As an argument of `cancel`, `pause`, `resume`, `edit` and `trigger` an address of a series means its live occurrence.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from agentq_cli.base.dataclass import replace
from agentq_cli.base.errors import AgentqError, WrongState
from agentq_cli.engines.steps import dependencies, edits, finish, keys, lines, pruned, series
from agentq_cli.model.actions import Trigger, Undone
from agentq_cli.model.addresses import Address, RunId
from agentq_cli.model.branches import FIRST
from agentq_cli.model.statuses import Status
from agentq_cli.model.tasks import Successor, Task
from agentq_cli.policy import retry as policy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

    from agentq_cli.engines.transaction import Reading, Transaction

Edit: TypeAlias = "Callable[[Task], Task]"
"""A change to a waiting task, computed from its state under the lock."""

WORDS = ("kind", "prompt", "argv", "agent")
"""The parts of its work that say what a task asks for, and of whom."""

Act: TypeAlias = "Callable[[Transaction, Any], Task]"
"""An action on one task within an open transaction. Raises NotFound, WrongState."""


def each(write: Transaction, targets: Sequence[Address | RunId], act: Act, *, named: bool) -> list[Task | Undone]:
    """Do the same to these tasks of a session, in their order and in one commit.

    If the action fails on one of them, that task is unchanged and the others are unaffected. `named`: for this action
    the address of a series means that one occurrence, not its live one.
    """
    return [_one(write, target, act, named=named) for target in targets]


def _one(write: Transaction, target: Address | RunId, act: Act, *, named: bool) -> Task | Undone:
    try:
        with write.step():
            return act(write, target)
    except AgentqError as error:
        if write.lost:
            raise
        return Undone(error, _status(write, target, named))


def _status(write: Transaction, target: Address | RunId, named: bool) -> Status | None:
    try:
        task = write.task(target.seq) if named else series.live(write, target.seq)
        return task.shown_status(write.now)
    except AgentqError:
        return known_status(write, target, write.now)


def known_status(reading: Reading, target: Address | RunId, now: int) -> Status | None:
    """The shown status of a task as it is known outside its session; None if it is not."""
    found = reading.ask("read.known_status", {"session": target.session, "seq": target.seq, "now": now})
    return Status(found[0][0]) if found else None


def cancel(write: Transaction, address: Address) -> Task:
    """Cancel a waiting task; a running one is returned as it is, to be stopped. Raises NotFound, WrongState."""
    task = series.live(write, address.seq)
    if task.status.ended:
        raise WrongState(f"task '{task.address}': already {task.status}")
    if task.status is Status.RUNNING:
        return task
    cancelled = replace(task, status=Status.CANCELLED, ended_at=write.now, reason="cancelled", cancel_requested=True)
    write.save(task, cancelled, event="cancel")
    return cancelled


def cancel_of(targets: Collection[Address | RunId]) -> Act:
    """`cancel` for one of these targets. A task that was cancelled because another of them, which it waits for, was
    cancelled counts as done.

    A run is cancelled only while it is the live one: once it has ended, the task has another run or none.
    """
    named = set(targets)

    def act(write: Transaction, target: Address | RunId) -> Task:
        if isinstance(target, RunId):
            return _still(write, target)
        try:
            return cancel(write, target)
        except WrongState:
            task = write.task(target.seq)
            if task.status is Status.CANCELLED and task.dep_failed in named:
                return task
            raise

    return act


def _still(write: Transaction, run: RunId) -> Task:
    """The task, if this is its live run. Raises NotFound, WrongState."""
    found = write.run(run)
    task = write.task(run.seq)
    if found.finished_at is not None or task.status is not Status.RUNNING or task.runs != run.attempt:
        raise WrongState(f"run '{run}': already ended ({found.status})")
    return task


def pause(write: Transaction, address: Address, reason: str | None) -> Task:
    """Pause a waiting task. Raises NotFound, and WrongState for one that is running or has ended."""
    task = series.live(write, address.seq)
    if task.status is Status.PAUSED:
        return task
    if task.status is Status.RUNNING and task.rearms:
        successor = replace(task.successor or Successor(), paused=True, reason=reason)
        after = replace(task, successor=successor)
        write.save(task, after, event="pause", reason=reason)
        return after
    if task.status.ended or task.status is Status.RUNNING:
        raise WrongState(f"task '{task.address}': it is {task.status} and cannot be paused")
    paused = replace(task, status=Status.PAUSED, reason=reason)
    write.save(task, paused, event="pause")
    return paused


def resume(write: Transaction, address: Address) -> Task:
    """Let a paused task wait for its turn again. Raises NotFound, WrongState."""
    task = series.live(write, address.seq)
    if task.successor is not None and task.successor.paused:
        after = replace(task, successor=replace(task.successor, paused=False, reason=None))
        write.save(task, after, event="resume")
        return after
    if task.status is not Status.PAUSED:
        raise WrongState(f"task '{task.address}': it is {task.shown_status(write.now)}, not paused")
    # A person's resume overrides a failed dependency.
    blocked = task.dep_failed is None and dependencies.waits(write, task)
    resumed = replace(
        task,
        status=Status.BLOCKED if blocked else Status.QUEUED,
        reason=None,
        dep_failed=None,
        arriving=task.rearms and not task.begun,
    )
    resumed = resumed if blocked else lines.follow(resumed, dependencies.known(write, resumed))
    write.save(task, resumed, event="resume")
    return resumed


def pause_session(write: Transaction, *, reason: str | None, paused: bool) -> bool:
    """Pause or resume a whole session; its tasks keep their status. Returns whether that changed anything."""
    before = write.ask("dispatch.session_state", {"name": "paused"})
    if paused:
        write.tell("dispatch.set_session_state", {"name": "paused", "value": reason})
    else:
        write.tell("dispatch.delete_session_state", {"name": "paused"})
    write.tell("write.create_session", {"name": write.session, "at": write.now})
    values = {"session": write.session, "at": write.now if paused else None, "reason": reason if paused else None}
    write.tell("dispatch.pause_session", values)
    changed = bool(before) is not paused
    if changed:
        write.record("pause_session" if paused else "resume_session", None, reason=reason)
    return changed


def reset(write: Transaction, agent: str | None, key: str | None) -> list[str]:
    """Make the next task of a session, or of one of its lines of work, begin a new conversation, with one agent or
    (None) with all; the ids of the dropped conversations are in the events. A run that continues one is left alone, and
    the conversation that it began is not continued either.

    Returns the agents that had a conversation to drop.
    """

    def is_meant(name: str, line: str) -> bool:
        return agent in (None, name) and key in (None, line)

    known = {(name, line): id for name, line, id in write.ask("dispatch.conversations") if is_meant(name, line)}
    running = [row for row in write.ask("dispatch.in_conversation", {"session": write.session}) if is_meant(*row[:2])]
    for name, line, seq, attempt in running:
        values = {"name": f"given up by {name} {line}", "value": f"{seq}.{attempt}"}
        write.tell("dispatch.set_session_state", values)
    given_up = dict.fromkeys((*known, *((name, line) for name, line, *_ in running)))
    for name, line in given_up:
        write.tell("dispatch.forget_conversation", {"agent": name, "key": line})
        which = f"conversation '{known[name, line]}'" if (name, line) in known else "the conversation that runs"
        where = "" if line == FIRST else f" in line '{line}'"
        reason = f"{which} of agent '{name}'{where} is not continued"
        write.record("reset_conversation", None, reason=reason, agent=name)
    return list(dict.fromkeys(name for name, _ in given_up))


def edit(write: Transaction, address: Address, change: Edit) -> Task:
    """Change a task that has not started. Raises NotFound, and WrongState for one that is running or has ended."""
    task = series.live(write, address.seq)
    if task.rearms and (task.status is Status.RUNNING or task.attempts):
        return _edit_next(write, task, change)
    if task.status.ended or task.status is Status.RUNNING:
        raise WrongState(f"task '{task.address}': it is {task.status} and cannot be edited")
    changed = _asked(task, change(task))
    if task.rearms and changed.recurrence is not None and changed.due_at != task.due_at:
        raise WrongState(f"task '{task.address}': its schedule decides when it runs next")
    if task.attempts and changed.work.expires_at not in (None, task.work.expires_at):
        raise WrongState(f"task '{task.address}': already started, and a started task does not expire")
    changed = series.rescheduled(write, task, changed)
    keys.refuse_held(write, changed.work.key, task.work.key)
    if changed.work.after != task.work.after:
        dependencies.enter(write, task.seq, changed.work.after)
        if task.status is not Status.PAUSED:
            changed = replace(changed, status=Status.BLOCKED if changed.work.after else Status.QUEUED)
    write.save(task, changed, event="edit", reason=edits.told(task, changed))
    return dependencies.settle(write, task.seq) or changed


def _edit_next(write: Transaction, task: Task, change: Edit) -> Task:
    """Change what a begun occurrence passes on to the next one; the occurrence itself stays as it is."""
    known = series.next_work(task)
    changed = change(known)
    if changed.due_at != known.due_at:
        raise WrongState(f"task '{task.address}': already started; its schedule decides when it runs next")
    keys.refuse_held(write, changed.work.key, known.work.key, task.work.key)
    if changed.work.after != known.work.after:
        dependencies.keep(write, task.seq, changed.work.after)
    after = replace(task, successor=series.hand_on(write, task, known, changed))
    what = edits.told(known, changed)
    reason = "it holds from the next occurrence on" + (f": {what}" if what else "")
    write.save(task, after, event="edit", reason=reason)
    return after


def retry(write: Transaction, address: Address, change: Edit | None = None) -> Task:
    """Queue an ended task again under its address, with a fresh retry budget and, if given, as `change` makes it.
    Raises NotFound, WrongState."""
    task = write.task(address.seq)
    if not task.status.ended:
        raise WrongState(f"task '{address}': it is {task.shown_status(write.now)}; only an ended task can be retried")
    if change is None:
        return _again(write, task, task, Trigger.RETRY, due_at=write.now)
    # The time at which it was due is not the time at which it is due again.
    changed = change(replace(task, due_at=write.now))
    if changed.work.agent != task.work.agent and changed.work.launch.continues is not None:
        # The conversation in which somebody replied is the other agent's.
        changed = replace(changed, work=replace(changed.work, launch=replace(changed.work.launch, continues=None)))
    return _again(write, task, _asked(task, changed), Trigger.RETRY, due_at=changed.due_at)


def reply(write: Transaction, address: Address, prompt: str) -> Task:
    """Queue an ended task again: its next run goes on in the conversation of its last one, with `prompt`. Raises
    NotFound, and WrongState if there is no such conversation."""
    task = write.task(address.seq)
    if task.work.agent is None:
        raise WrongState(f"task '{address}': it is a command, which has no conversation")
    if not task.status.ended:
        raise WrongState(f"task '{address}': it is {task.shown_status(write.now)}; only an ended task takes a reply")
    launch = task.work.launch
    values = address._asdict() | {"earlier": launch.earlier_runs, "agent": task.work.agent}
    found = write.ask("dispatch.own_conversation", values)
    if not found:
        raise WrongState(
            f"task '{address}': its runs had no conversation that could go on;"
            f" `agentq retry {address} --prompt TEXT` begins one"
        )
    conversation = str(found[0][0])
    work = replace(task.work, prompt=prompt, launch=replace(launch, continues=conversation))
    reason = f"goes on in conversation {conversation}"
    key = lines.of_conversation(write, task.work.agent, conversation)
    if key is not None and not task.work.in_line:
        raise WrongState(
            f"task '{address}': its conversation is that of line '{key}', and the task is isolated by now;"
            f" `agentq retry {address} --context session --conversation {key} --prompt TEXT` goes on in it"
        )
    key = key or task.conversation_key
    replied = _asked(task, replace(task, work=work, conversation_key=key))
    return _again(write, task, replied, Trigger.REPLY, due_at=write.now, reason=reason)


def _asked(before: Task, after: Task) -> Task:
    """The changed task, of which the runs so far were asked something else if its words are other ones, or its agent:
    then it does not go on with what they left to land."""
    after = lines.moved(before, after)
    if all(getattr(before.work, name) == getattr(after.work, name) for name in WORDS):
        return after
    return replace(after, work=replace(after.work, launch=replace(after.work.launch, other_words=before.runs)))


def _again(
    write: Transaction, task: Task, changed: Task, trigger: Trigger, *, due_at: int, reason: str | None = None
) -> Task:
    """Queue an ended task again at that time, with the work of `changed`."""
    address, work = task.address, changed.work
    cost = finish.spent(write, task) if work.launch.max_cost_usd is not None else 0.0
    if policy.exhausted(work.launch, cost):
        raise WrongState(
            f"task '{address}': {finish.cost(changed, cost)}; submit it again, or allow more with --max-cost"
        )
    keys.refuse_held(write, work.key)
    if work.after != task.work.after:
        dependencies.enter(write, task.seq, work.after)
    expired = work.expires_at is not None and work.expires_at <= write.now
    blocked = dependencies.waits(write, changed)
    again = task.unbegun(
        work=replace(work, expires_at=None) if expired else work,
        status=Status.BLOCKED if blocked else Status.QUEUED,
        due_at=due_at,
        trigger=trigger,
        # Its series has continued without it: from now on it is separate, and makes no next occurrence.
        extra=task.series is not None,
        arriving=False,
        conversation_key=changed.conversation_key,
    )
    again = again if blocked else lines.follow(again, dependencies.known(write, again))
    write.save(task, again, event=trigger.value, reason=reason)
    return again


def trigger(write: Transaction, address: Address) -> Task:
    """An extra occurrence of a series, due now; its schedule is unchanged. Raises NotFound, WrongState."""
    task = series.live(write, address.seq)
    if task.series is None or task.recurrence is None:
        raise WrongState(f"task '{task.address}': it has no schedule; `agentq retry` runs an ended task again")
    if task.status.ended:
        raise WrongState(f"task '{task.address}': its series has ended")
    return series.trigger(write, task)


def arrive(write: Transaction, address: Address) -> None:
    """Apply the missed policy to an occurrence that is due, once."""
    task = write.task(address.seq)
    if _arrives(task, write.now):
        series.arrive(write, task)
    else:
        write.mirror(address.seq)


def _arrives(task: Task, now: int) -> bool:
    return task.arriving and task.status is Status.QUEUED and task.due_at <= now


def expire(write: Transaction, address: Address) -> Task | None:
    """End a task whose time to start has passed; None if it has started or ended meanwhile.

    If the missed policy has not been applied to an occurrence, it is applied first: the newest slot may still be in
    time.
    """
    task = write.task(address.seq)
    if task.work.expires_at is not None and task.work.expires_at <= write.now and _arrives(task, write.now):
        arrived = series.arrive(write, task)
        if arrived is None:
            return None
        task = arrived
    waiting = not (task.status.ended or task.status is Status.RUNNING or task.begun)
    if not waiting or task.work.expires_at is None or task.work.expires_at > write.now:
        write.mirror(address.seq)
        return None
    expired = replace(task, status=Status.EXPIRED, ended_at=write.now, reason="it was not started in time")
    write.save(task, expired, event="expire", finished=task.work.expires_at)  # later slots were missed
    return expired


def prune(write: Transaction, address: Address) -> Task:
    """Remove an ended task with its runs and events; its address is not used again. Raises NotFound, WrongState.

    The directories of its runs are moved aside in the same transaction, for the caller to remove.
    """
    task = write.task(address.seq)
    if not task.status.ended:
        raise WrongState(f"task '{address}': it is {task.shown_status(write.now)}; only an ended task can be pruned")
    waiting = dependencies.live_dependent(write, address)
    if waiting is not None:
        raise WrongState(f"task '{address}': {waiting} depends on it")
    pruned.remember(write, task)
    dependencies.forget(write, address)
    key = {"session": address.session, "seq": address.seq}
    write.tell("stats.remember_pruned", key)
    for statement in ("write.delete_runs", "write.delete_events"):
        write.tell(statement, key)
    write.remove(task.seq)
    write.move_aside(task)
    return task
