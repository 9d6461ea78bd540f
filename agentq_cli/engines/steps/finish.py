"""The end of a run: its row in the audit log, what becomes of its task, its agent and its conversation."""

from __future__ import annotations

from agentq_cli.base.dataclass import replace
from agentq_cli.base.json_text import dumps
from agentq_cli.engines.steps import rows
from agentq_cli.model.statuses import FailureClass, RunStatus, Status
from agentq_cli.model.trees import Came
from agentq_cli.options.values import format_cost, format_duration
from agentq_cli.policy import hooks, landed, retry, states

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentq_cli.engines.transaction import Reading, Row, Transaction
    from agentq_cli.model.addresses import RunId
    from agentq_cli.model.runs import Check, Outcome
    from agentq_cli.model.tasks import Task
    from agentq_cli.model.trees import Landing, Left

MOST_WAITS = 10
"""How many runs are looked at for how long a branch has failed its check; after so many the wait grows no more."""


def finish(write: Transaction, run: RunId, outcome: Outcome, *, posted: bool, jitter: float) -> Task | None:
    """Record how a run ended and what becomes of its task; None if another process did so before (the fence).

    `posted` is whether outbound.db has its result row; `jitter` moves the time of a retry.
    """
    task = write.task(run.seq)
    if task.status is not Status.RUNNING or task.runs != run.attempt:
        write.record("late", run.seq, run=run, reason=f"it had ended already; {outcome.status} was not recorded")
        return None
    # Counted from when the run ended, however late it is settled.
    ended_at = min(outcome.finished_at, write.now)
    hold = _hold(write, task.work.agent, outcome, ended_at)
    stopped = task.cancel_requested or outcome.status is RunStatus.CANCELLED
    waits = _waits(write, run, outcome)
    again = None if stopped else retry.again(task, outcome, now=ended_at, hold=hold, jitter=jitter, waits=waits)
    if outcome.tokens_of_conversation:
        outcome = _own_tokens(write, run, outcome, shared=task.work.shares_conversation)
    lost = retry.unusable(task, outcome)
    _close_run(write, run, outcome, lost=lost, posted=posted)
    asks = again is not None and not landed.lands_alone(outcome.landing)
    if asks and task.work.launch.max_cost_usd is not None:
        paid = spent(write, task)
        if retry.exhausted(task.work.launch, paid):
            again = None
            outcome = replace(outcome, error=f"{outcome.error or outcome.status}; {cost(task, paid)}")
    if asks and outcome.failure_class in retry.OF_WORK and (late := _late(write, task)) is not None:
        again = None
        outcome = replace(outcome, error=f"{outcome.error}; {late}")
    after = _ended(task, outcome, write.now) if again is None else _queued_again(task, outcome, again)
    write.save(task, after, event="finish", run=run, reason=after.reason, finished=outcome.finished_at)
    if outcome.landing is not None and (hook := hooks.OF_LANDING.get(outcome.landing.came)) is not None:
        event, name = hook
        write.record(event, run.seq, run=run, reason=landed.shown(outcome.landing), hook=name)
    if task.work.agent and keeps_conversation(write, task, run):
        _keep_conversation(write, run, task, outcome, forget=lost or outcome.conversation_full)
    write.tell("dispatch.delete_worker", run._asdict())
    return after


def _waits(write: Transaction, run: RunId, outcome: Outcome) -> int:
    """How many runs just before this one found that the branch to land on fails its check, if this one did."""
    if outcome.landing is None or outcome.landing.came != Came.FAILING:
        return 0
    found = write.ask("dispatch.landings_before", run._asdict() | {"limit": MOST_WAITS})
    before = [rows.landing(row[0]) for row in found]
    waited = [each is not None and each.came == Came.FAILING for each in before]
    return [*waited, False].index(False)


def took(found: Sequence[Row]) -> int:
    """How many milliseconds those of some runs took in which the agent's work was not fit to land or to pass."""
    unfit = [row for row in found if row[0] in retry.OF_WORK]
    return sum(row[1] or 0 for row in unfit if not landed.lands_alone(rows.landing(row[3])))


def _late(write: Transaction, task: Task) -> str | None:
    """That the runs whose work was unfit have used up the task's time, in words; None if they have not."""
    limit = task.work.launch.timeout_ms
    if limit is None:
        return None
    values = task.address._asdict() | {"earlier": task.work.launch.earlier_runs, "tries": task.tries}
    found = write.ask("dispatch.last_checks", values)
    spent_ms = took(found)
    return f"its runs took {format_duration(spent_ms)} of {format_duration(limit)}" if spent_ms >= limit else None


def cost(task: Task, spent_usd: float) -> str:
    """The cost of a task against its limit, in words."""
    return f"its runs cost {format_cost(spent_usd)} of {format_cost(task.work.launch.max_cost_usd or 0.0)}"


def _ended(task: Task, outcome: Outcome, now: int) -> Task:
    return replace(
        task,
        status=states.ended_status(outcome, cancel_requested=task.cancel_requested),
        reason=outcome.error,
        ended_at=now,
        exit_code=outcome.exit_code,
        resumes=False,
    )


def _queued_again(task: Task, outcome: Outcome, again: retry.Again) -> Task:
    why = outcome.error or outcome.status
    if again.counted:
        why = f"{why}; retry {task.attempts} of {retry.most(outcome.failure_class, task.work.launch)}"
    waiting = replace(
        task,
        status=Status.QUEUED,
        reason=why,
        due_at=again.due_at,
        attempts=task.attempts if again.counted else task.attempts - 1,
        # Two in a row are a failure, and so is anything else that happens before any work was done.
        fresh=again.fresh or (task.fresh and (outcome.nothing_done or not again.counted)),
        resumes=False,
    )
    if task.successor is None or not task.successor.paused:
        return waiting
    # It was paused while it ran: nothing of it starts, and that includes its next attempt.
    left = replace(task.successor, paused=False, reason=None)
    return replace(waiting, status=Status.PAUSED, reason=task.successor.reason, successor=left)


def _hold(write: Transaction, agent: str | None, outcome: Outcome, now: int) -> retry.AgentHold | None:
    """Set the hold on an agent that a run of it requires, or record its success."""
    if agent is None:
        return None
    if outcome.status is RunStatus.SUCCESS:
        forgotten = write.change("dispatch.forget_limit", {"name": agent, "now": write.now})
        if forgotten + write.change("dispatch.count_limits_anew", {"name": agent}):
            write.holds_changed()
        return None
    known = write.ask("dispatch.agent_hold", {"name": agent, "kind": outcome.failure_class})
    before = retry.AgentHold(FailureClass(str(outcome.failure_class)), *known[0]) if known else None
    hold = retry.hold(outcome, before, now)
    if hold is None:
        return None
    values = {"scope": "agent", "name": agent, "kind": hold.kind, "since": now, "until": hold.until}
    write.tell("dispatch.set_hold", values | {"reason": outcome.error, "count": hold.count})
    write.holds_changed()
    if before is None or before.until != hold.until:
        why = retry.explain(hold, agent, outcome.error)
        write.record("hold", None, reason=why, hook="agent.held", agent=agent)
    return hold


def run_columns(run: RunId, outcome: Outcome, *, posted: bool) -> dict[str, object]:
    """The columns of the audit log about the end of a run."""
    return run._asdict() | {
        "status": outcome.status,
        "finished_at": outcome.finished_at,
        "duration_ms": outcome.duration_ms,
        "exit_code": outcome.exit_code,
        "signal": outcome.signal,
        "failure_class": outcome.failure_class,
        "script_outcome": outcome.script_outcome,
        "error": outcome.error,
        "result": None if outcome.result is None else dumps(outcome.result),
        "conversation": outcome.conversation,
        "tokens_in": outcome.tokens_in,
        "tokens_out": outcome.tokens_out,
        "cost_usd": outcome.cost_usd,
        "list_price": outcome.list_price,
        "turns": outcome.turns,
        "peak_rss_bytes": outcome.peak_rss_bytes,
        "stdout_bytes": outcome.stdout_bytes,
        "stderr_bytes": outcome.stderr_bytes,
        "posted": posted,
        "checked": _record(outcome.check),
        "left": _record(outcome.left),
        "landing": _record(outcome.landing),
    }


def _record(found: Check | Left | Landing | None) -> str | None:
    return None if found is None else dumps(found._asdict())


def _close_run(write: Transaction, run: RunId, outcome: Outcome, *, lost: bool, posted: bool) -> None:
    values = run_columns(run, outcome, posted=posted) | {"lost": lost}
    write.tell("dispatch.finish_run", values)


def _own_tokens(write: Transaction, run: RunId, outcome: Outcome, *, shared: bool) -> Outcome:
    """What this run used, for an agent that reports what its whole conversation has used so far.

    If the conversation is not `shared` with other tasks, only earlier runs of this task were in it.
    """
    values = run._asdict() | {"conversation": outcome.conversation}
    (before,) = write.ask(f"dispatch.{'' if shared else 'own_'}conversation_tokens", values)
    own = []
    for total, earlier in zip((outcome.tokens_in, outcome.tokens_out), before, strict=True):
        # Less than before: the agent has restarted its count.
        own.append(total if total is None or total < earlier else total - earlier)
    return replace(outcome, tokens_in=own[0], tokens_out=own[1])


def keeps_conversation(write: Transaction, task: Task, run: RunId) -> bool:
    """Whether the conversation of this run is its session's. A reply may go on in an older one, which stays that."""
    if not task.work.shares_conversation or task.work.launch.continues is None:
        return task.work.shares_conversation
    key = task.conversation_key
    own = [row[0] for row in write.ask("dispatch.conversation_of_run", run._asdict())]
    current = [row[0] for row in write.ask("dispatch.conversation", {"agent": task.work.agent, "key": key})]
    return bool(current) and current[0] in (task.work.launch.continues, *own)


def _keep_conversation(write: Transaction, run: RunId, task: Task, outcome: Outcome, *, forget: bool) -> None:
    conversation, line = outcome.conversation, {"agent": task.work.agent, "key": task.conversation_key}
    if conversation is None and outcome.status is RunStatus.SUCCESS:
        ((conversation,),) = write.ask("dispatch.conversation_of_run", run._asdict())
    if forget:
        write.tell("dispatch.forget_conversation", line)
    elif conversation:
        write.tell("dispatch.keep_conversation", run._asdict() | line | {"id": conversation, "at": write.now})


def spent(reading: Reading, task: Task) -> float:
    """What the runs of a task have cost so far in dollars, as far as they reported it."""
    values = task.address._asdict() | {"earlier": task.work.launch.earlier_runs}
    ((found,),) = reading.ask("dispatch.spent", values)
    return float(found)
