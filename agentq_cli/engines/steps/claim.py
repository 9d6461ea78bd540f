"""The life of a run until its end (`finish`): claimed, undone, adopted, told to stop."""

from __future__ import annotations

from collections.abc import Callable

from agentq_cli.base.dataclass import replace
from agentq_cli.base.errors import NotFound
from agentq_cli.base.identity import Identity
from agentq_cli.base.json_text import dumps
from agentq_cli.engines.nouns import Candidate, Claim, Past, Plan
from agentq_cli.engines.steps import dependencies, environments, finish, lines, rows, series
from agentq_cli.engines.steps.heads import startable
from agentq_cli.model.actions import Trigger
from agentq_cli.model.addresses import RunId
from agentq_cli.model.statuses import FailureClass, Status
from agentq_cli.model.workers import LastStart, Worker
from agentq_cli.policy import admission, placement, retry
from agentq_cli.policy.directories import Directories
from agentq_cli.policy.landed import lands_alone
from agentq_cli.policy.pool import ONE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.engines.transaction import Reading, Transaction
    from agentq_cli.model.runs import Check
    from agentq_cli.model.tasks import Task
    from agentq_cli.model.trees import Landing
    from agentq_cli.policy import order
    from agentq_cli.policy.pool import Known, Pool


def claim(
    write: Transaction,
    candidate: Candidate,
    plan: Plan,
    *,
    supervisor: Identity,
    jobs: int,
    parallel: Callable[[str], int | None],
    host: str,
    again: order.Snapshot,
    known: Task | None,
    fleet_jobs: int | None = None,
    newest: LastStart | None = None,
    monotonic: int = 0,
) -> Claim | None:
    """Take a task to run it by a plan; None if it may no longer be taken, or is not what the plan was made from.

    Everything that allowed the pick is checked again under the lock: due, expiry, pauses, holds, the lane, the
    conversation, the directory, the host that its session is bound to, and the caps; with `newest` also that this is
    still the newest start. `again` is what is `around` in this transaction, and `known` the task if it was read for the
    candidate here. `monotonic` is the time of this start, stored for the next one. The audit log shows what the plan
    says.
    """
    if newest is not None and rows.last_start(write.ask("read.meta", {"name": "last_start"})) != newest:
        return None
    if admission.caps(again.workers, jobs, again.everywhere, fleet_jobs).holding:
        return None
    task = _claimable(write, candidate, plan, again, known, parallel=parallel)
    if task is None or not _bind(write, candidate, plan):
        return None
    taken = _take(write, task, plan, candidate.past, supervisor=supervisor, host=host, monotonic=monotonic)
    return replace(taken, environment=candidate.environment)


def _claimable(
    write: Transaction,
    candidate: Candidate,
    plan: Plan,
    again: order.Snapshot,
    known: Task | None,
    *,
    parallel: Callable[[str], int | None],
) -> Task | None:
    head = candidate.head
    try:
        task = known or write.task(head.seq)
    except NotFound:
        return None  # the next check of its session forgets it
    fresh = replace(
        head,
        agent=task.work.agent or "",
        due_at=task.due_at,
        expires_at=None if task.begun else task.work.expires_at,
        retry=task.begun,
        shares=task.work.in_line,
        directory=task.work.directory,
        conversation_key=task.conversation_key or "",
    )
    if task.status is Status.QUEUED and startable(write, fresh, again, now=write.now, width=parallel(fresh.session)):
        if known is None and (task != candidate.task or past(write, task, candidate.pool, write.now) != candidate.past):
            return None
        if task.work.in_line and candidate.past.conversation_key is None:
            return None
        if plan.directory is not None and Directories(again.directories).overlap(plan.directory):
            if fresh.directory != head.directory:
                write.mirror(head.seq)  # else the next pick would not see it either
            return None
        if task.arriving:
            return series.arrive(write, task)
        return None if not task.begun and series.refuse(write, task) else task
    # The index was wrong about this task: unless it is repaired, the same pick would come again for ever.
    write.mirror(head.seq)
    return None


def _bind(write: Transaction, candidate: Candidate, plan: Plan) -> bool:
    """Note the start of the session, and bind it to this host if the plan says so. False: meanwhile another start has
    bound it to another host than the pick found."""
    bound = placement.bound(candidate.head.bound)
    values = {"session": candidate.task.session, "at": write.now}
    values |= {"binds": int(plan.binds), "bound": None if bound is None else bound.key}
    return write.change("dispatch.session_started", values) == 1


def _take(
    write: Transaction,
    task: Task,
    plan: Plan,
    past: Past,
    *,
    supervisor: Identity,
    host: str,
    monotonic: int,
) -> Claim:
    run = RunId(task.session, task.seq, task.runs + 1)
    taken = replace(
        task,
        status=Status.RUNNING,
        reason=None,
        attempts=task.attempts + 1,
        tries=task.tries + 1,
        runs=run.attempt,
        last_run=run.attempt,
        cancel_requested=False,
        resumes=plan.resumes,
        conversation_key=past.conversation_key,
    )
    lines.end(write, task.work.agent or "", past.ends)
    write.save(task, taken, event="start", run=run)
    write.tell(
        "dispatch.insert_run",
        run._asdict()
        | {
            "series": task.series,
            "trigger": Trigger.RETRY if task.tries else task.trigger,
            "agent": task.work.agent,
            "argv": dumps(plan.argv),
            "cwd": plan.cwd or task.work.cwd,
            "scheduled_for": task.scheduled_for,
            "started_at": write.now,
            "host": host,
            "conversation": plan.conversation if plan.begun else None,
        },
    )
    write.tell(
        "dispatch.insert_worker",
        run._asdict()
        | {
            "agent": task.work.agent or "",
            "shares": task.work.in_line,
            "at": write.now,
            "directory": plan.directory,
            "conversation_key": taken.conversation_key,
        }
        | rows.identity_columns(supervisor),
    )
    if plan.moved is not None:
        write.record("moved", task.seq, run=run, reason=plan.moved)
    started = LastStart(monotonic, supervisor.boot_id, str(run))
    write.tell("dispatch.set_meta", {"name": "last_start", "value": dumps(started)})
    return Claim(taken, run, plan)


def candidate(reading: Reading, head: order.Head, task: Task, pool: Pool | None, now: int) -> Candidate:
    """What a plan for a task is made from."""
    pool = pool or ONE
    return Candidate(head, task, past(reading, task, pool, now), pool, environments.find(reading, task.work))


def past(reading: Reading, task: Task, pool: Pool, now: int) -> Past:
    """What is known before a run of a task of a session that keeps a `pool`."""
    unfit, unfit_ms = _unfit(reading, task)
    landing = _landing(reading, task)
    own_runs = task.work.agent is not None and task.runs > task.work.launch.earlier_runs
    own = _interrupted(reading, task) if own_runs else None
    choice = lines.choose(reading, task, pool, now, goes_on=own and own[0])
    key, ends = (choice.key, choice.ends) if choice else (None, ())
    if task.work.agent is None:
        return Past(unfit=unfit, unfit_ms=unfit_ms, landing=landing, conversation_key=key, ends=ends)
    paid = finish.spent(reading, task) if own_runs else 0.0
    if own is not None and not task.work.in_line and lines.of_conversation(reading, task.work.agent, own[0]):
        own = None  # the task has left that line of work, and another may run in it
    conversation, interrupted = _conversation(task, own, choice and choice.known)
    directory = None if conversation is None else _directory(reading, task.session, conversation)
    return Past(conversation, interrupted, paid, directory, unfit, unfit_ms, landing, key, ends)


def _unfit(reading: Reading, task: Task) -> tuple[Check | None, int]:
    """The failed check of the task's previous run, and how long its runs took that failed so."""
    launch = task.work.launch
    if (launch.check is None and launch.land is None) or not task.tries:
        return None, 0
    values = task.address._asdict() | {"earlier": launch.earlier_runs, "tries": task.tries}
    found = reading.ask("dispatch.last_checks", values)
    last = rows.check(found[0][2]) if found and found[0][0] == FailureClass.CHECK and found[0][2] else None
    return last, finish.took(found)


def _landing(reading: Reading, task: Task) -> Landing | None:
    """The landing by which the task's previous run failed; None if it did not, or was asked something else."""
    launch = task.work.launch
    if launch.land is None or not task.runs:
        return None
    values = task.address._asdict() | {"earlier": max(launch.earlier_runs, launch.other_words)}
    for failure, landing in reading.ask("dispatch.last_landing", values):
        if failure in retry.OF_WORK:
            return rows.landing(landing)
    return None


def claimed(reading: Reading, task: Task, run: RunId) -> Claim | None:
    """The claim of a live run, for a shim that takes it over; None if it has ended."""
    if task.status is not Status.RUNNING or task.runs != run.attempt:
        return None
    left = retry.time_left_ms(task.work.launch, _unfit(reading, task)[1])
    plan = Plan(task.work.argv or (), timeout_ms=left, lands=lands_alone(_landing(reading, task)))
    return Claim(task, run, plan, environments.find(reading, task.work))


def _conversation(
    task: Task, own: tuple[str, FailureClass] | None, known: Known | None
) -> tuple[str | None, FailureClass | None]:
    """The conversation to continue, and how this task was interrupted in it (`own`). `known` is that of its line."""
    if task.work.launch.continues is not None:
        return own if own and task.tries else (task.work.launch.continues, None)
    if task.work.shares_conversation and (known is None or own is None or known.id != own[0]):
        return (None, None) if known is None else (known.id, None)
    return own or (None, None)


def _interrupted(reading: Reading, task: Task) -> tuple[str, FailureClass] | None:
    """The conversation in which the task's last run was interrupted, and how; None if it was not."""
    for agent, conversation, failure in reading.ask("dispatch.last_attempt", task.address._asdict()):
        if agent == task.work.agent and conversation is not None and retry.goes_on(failure):
            return conversation, FailureClass(failure)
    return None


def _directory(reading: Reading, session: str, conversation: str) -> str | None:
    """Where a conversation was last used; None if no run knows."""
    values = {"session": session, "conversation": conversation}
    found = reading.ask("dispatch.conversation_directory", values)
    return str(found[0][0]) if found else None


def undo(write: Transaction, run: RunId, *, reason: str) -> bool:
    """Put back a claimed task that was never started, without using an attempt. False: it was no longer this claim."""
    task = write.task(run.seq)
    if task.status is not Status.RUNNING or task.runs != run.attempt:
        return False
    ended, before = Status.CANCELLED if task.cancel_requested else Status.QUEUED, _run_before(write, run)
    back = replace(
        task,
        status=ended,
        attempts=task.attempts - 1,
        tries=task.tries - 1,
        resumes=False,
        last_run=before,
        ended_at=write.now if ended is Status.CANCELLED else None,
        # What has never run has its line from this claim.
        conversation_key=lines.bound(task, dependencies.known(write, task))
        if before is None
        else task.conversation_key,
    )
    write.save(task, back, event="undo", run=run, reason=reason)
    write.tell("dispatch.delete_run", run._asdict())
    write.tell("dispatch.delete_worker", run._asdict())
    return True


def _run_before(write: Transaction, run: RunId) -> int | None:
    ((before,),) = write.ask("dispatch.run_before", run._asdict())
    return None if before is None else int(before)


def seen_conversation(write: Transaction, run: RunId, agent: str, conversation: str) -> None:
    """Store a conversation's id as soon as the agent names it, so that a crash does not lose it."""
    task = write.task(run.seq)
    if task.status is not Status.RUNNING or task.runs != run.attempt:
        return
    write.tell("dispatch.run_conversation", run._asdict() | {"id": conversation})
    if finish.keeps_conversation(write, task, run):
        values = run._asdict() | {"agent": agent, "key": task.conversation_key, "id": conversation, "at": write.now}
        write.tell("dispatch.keep_conversation", values)


def adopt(write: Transaction, worker: Worker, supervisor: Identity) -> bool:
    """Take over watching a run whose supervisor is gone. False: another supervisor was faster, or the run has ended."""
    key = worker.id._asdict()
    taken = key | rows.identity_columns(supervisor) | rows.identity_columns(worker.supervisor, "old_")
    if not write.change("dispatch.adopt", taken):
        return False
    write.tell("dispatch.adopt_run", key)
    write.record("adopt", worker.seq, run=worker.id, before=Status.RUNNING, after=Status.RUNNING)
    return True


def request_stop(write: Transaction, run: RunId, *, reason: str, cancel: bool, run_only: bool = False) -> bool:
    """Record, once, that a run is to end; the caller then tells its shim. False: the run has ended."""
    task = write.task(run.seq)
    if task.status is not Status.RUNNING or task.runs != run.attempt:
        return False
    values = run._asdict() | {"reason": reason, "actor": write.actor}
    first = write.change("dispatch.request_stop", values)
    if cancel and not task.cancel_requested:
        stopping = replace(task, cancel_requested=True, goes_on=run_only and task.rearms)
        write.save(task, stopping, event="stop", run=run, reason=reason)
    elif first:
        write.record("stop", run.seq, run=run, before=task.status, after=task.status, reason=reason)
    return True
