"""The life of a run in the store: picked, claimed, undone, adopted, told to stop; its end is in `finish`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

from agentq_cli.base.dataclass import replace
from agentq_cli.base.errors import NotFound
from agentq_cli.base.identity import Identity
from agentq_cli.base.json_text import dumps
from agentq_cli.engines.local import connection, rows
from agentq_cli.engines.local.queries import statements
from agentq_cli.engines.local.session_write import WRITE, SessionWrite, check_stored, opened, session_write
from agentq_cli.engines.local.state_dir import StateDir
from agentq_cli.model.actions import Actor, Trigger
from agentq_cli.model.addresses import RunId
from agentq_cli.model.statuses import FailureClass, Status
from agentq_cli.model.workers import LastStart, Worker
from agentq_cli.policy import admission, order, retry

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3

    from agentq_cli.engines.nouns import Candidate, Claim, Past, Plan
    from agentq_cli.model.tasks import Task

DISPATCH = statements("dispatch")
LEAST = -1 << 31
"""Below every priority."""


def snapshot(index: sqlite3.Connection, sessions: Collection[str] = (), *, now: int) -> order.Snapshot:
    """The current contents of the index; with `sessions`, only heads of those."""
    with connection.snapshot(index):
        found = around(index, now)
        lanes = dict(found.lanes)
        for session, seq, agent, _ in index.execute(DISPATCH["retrying"]).fetchall():
            if agent not in found.held_agents:  # a held task does not hold up others
                lane = lanes.get(session, order.Lane())
                lanes[session] = replace(lane, retrying={*lane.retrying, seq})
        chosen = tuple(head for head in heads(index, now) if not sessions or head.session in sessions)
        return replace(found, lanes=lanes, heads=chosen)


def around(index: sqlite3.Connection, now: int) -> order.Snapshot:
    """A snapshot without the heads and the waiting retries: as large as the number of live runs and pauses."""
    lanes: dict[str, tuple[int, set[str]]] = {}
    workers = 0
    for session, agent, shares in index.execute(DISPATCH["running"]).fetchall():
        running, conversations = lanes.get(session, (0, set()))
        if shares:
            conversations.add(agent)
        lanes[session] = (running + 1, conversations)
        workers += 1
    holds = index.execute(statements("read")["holds"], {"now": now}).fetchall()
    return order.Snapshot(
        heads=(),
        lanes={name: order.Lane(running, conversations=taken) for name, (running, taken) in lanes.items()},
        paused_sessions=frozenset(name for (name,) in index.execute(DISPATCH["paused_sessions"]).fetchall()),
        held_agents=frozenset(hold[1] for hold in holds if hold[0] == "agent"),
        queue_paused=any(hold[0] == "queue" for hold in holds),
        workers=workers,
    )


def startable(
    index: sqlite3.Connection, head: order.Head, found: order.Snapshot, *, now: int, width: int | None
) -> bool:
    """Whether a head may start, given a snapshot `around`; the retries of its session are queried only if they
    matter."""
    if not order.startable(head, found, now=now, parallel=lambda session: width):
        return False
    if width is None or head.retry:
        return True
    values = {"session": head.session, "now": now}
    waiting = [seq for (seq,) in index.execute(statements("read")["session_retrying"], values).fetchall()]
    lane = found.lanes.get(head.session, order.Lane())
    return order.lane_open(head, replace(lane, retrying=set(waiting)), width)


def heads(index: sqlite3.Connection, now: int) -> Iterator[order.Head]:
    """The head of every group."""
    group: dict[str, object] = {"session": "", "agent": "", "priority": 0, "shares": 0, "retry": 0}
    while row := index.execute(DISPATCH["next_head"], group | {"now": now}).fetchone():
        head = order.Head(*row)
        group = {name: getattr(head, name) for name in group}
        yield head


def heads_of(index: sqlite3.Connection, session: str, now: int) -> list[order.Head]:
    """The heads of one session."""
    found: list[order.Head] = []
    group: dict[str, object] = {"agent": "", "priority": LEAST, "shares": 0, "retry": 0}
    values = {"session": session, "now": now}
    while row := index.execute(DISPATCH["next_head_of"], values | group).fetchone():
        head = order.Head(*row)
        group = {name: getattr(head, name) for name in group}
        found.append(head)
    return found


def candidate(state: StateDir, head: order.Head, *, now: int) -> Candidate | None:
    """The task of a head, to make a plan from; None if the task has gone. Takes no lock unless the task has to be fixed
    first."""
    from agentq_cli.engines.nouns import Candidate

    session, busy_ms = head.session, connection.BACKGROUND_BUSY_MS
    check_stored(state, session)
    with opened(state, session, create=False, alone=False, busy_ms=busy_ms) as database:
        # No snapshot: the claim checks all of it again.
        row = rows.stored(database, head.seq)
        if row is not None and rows.unreadable_time(row) is None:
            task = rows.task(session, row)
            return Candidate(head, task, _past(database, task))
    with session_write(state, session, now=now, actor=Actor.SUPERVISOR, busy_ms=busy_ms) as write:
        try:
            task = write.task(head.seq)
        except NotFound:
            write.database.execute(WRITE["delete_index_row"], {"session": session, "seq": head.seq})
            return None
        return Candidate(head, task, _past(write.database, task))


def claim(
    state: StateDir,
    candidate: Candidate,
    plan: Plan,
    *,
    now: int,
    supervisor: Identity,
    jobs: int,
    parallel: Callable[[str], int | None],
    host: str,
    newest: LastStart | None = None,
    monotonic: int = 0,
) -> Claim | None:
    """Take a task to run it by a plan; None if it may no longer be taken, or is not what the plan was made from.

    Everything that allowed the pick is checked again under the lock: due, expiry, pauses, holds, the lane, the
    conversation, and the cap over the whole state dir; with `newest` also that this is still the newest start.
    `monotonic` is the time of this start, stored for the next one. The audit log shows what the plan says.
    """
    with session_write(
        state, candidate.head.session, now=now, actor=Actor.SUPERVISOR, busy_ms=connection.BACKGROUND_BUSY_MS
    ) as write:
        if newest is not None and last_start(write.database) != newest:
            return None
        task = _claimable(write, candidate, jobs=jobs, parallel=parallel)
        if task is None:
            return None
        return _take(write, task, plan, supervisor=supervisor, host=host, monotonic=monotonic)


def _claimable(
    write: SessionWrite, candidate: Candidate, *, jobs: int, parallel: Callable[[str], int | None]
) -> Task | None:
    head = candidate.head
    (workers,) = write.database.execute(DISPATCH["worker_count"]).fetchone()
    if admission.cap(workers, jobs).holding:
        return None
    try:
        task = write.task(head.seq)
    except NotFound:
        return None  # the next check of its session forgets it
    fresh = replace(
        head,
        agent=task.work.agent or "",
        due_at=task.due_at,
        expires_at=None if task.begun else task.work.expires_at,
        retry=task.begun,
        shares=task.work.shares_conversation,
    )
    again = around(write.database, write.now)
    if task.status is Status.QUEUED and startable(
        write.database, fresh, again, now=write.now, width=parallel(fresh.session)
    ):
        if task != candidate.task or _past(write.database, task) != candidate.past:
            return None
        from agentq_cli.engines.local import series

        if task.arriving:
            return series.arrive(write, task)
        return None if not task.begun and series.refuse(write, task) else task
    # The index was wrong about this task: unless it is repaired, the same pick would come again for ever.
    write.mirror(head.seq)
    return None


def _take(
    write: SessionWrite,
    task: Task,
    plan: Plan,
    *,
    supervisor: Identity,
    host: str,
    monotonic: int,
) -> Claim:
    from agentq_cli.engines.nouns import Claim

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
    )
    write.save(task, taken, event="start", run=run)
    write.database.execute(
        DISPATCH["insert_run"],
        {
            "session": task.session,
            "seq": task.seq,
            "attempt": run.attempt,
            "series": task.series,
            "trigger": Trigger.RETRY if task.tries else task.trigger,
            "agent": task.work.agent,
            "argv": dumps(plan.argv),
            "cwd": task.work.cwd,
            "scheduled_for": task.scheduled_for,
            "started_at": write.now,
            "host": host,
            "conversation": plan.conversation if plan.begun else None,
        },
    )
    write.database.execute(
        DISPATCH["insert_worker"],
        {
            "session": task.session,
            "seq": task.seq,
            "attempt": run.attempt,
            "agent": task.work.agent or "",
            "shares": task.work.shares_conversation,
            "at": write.now,
            "pid": supervisor.pid,
            "start_time": supervisor.start_time,
            "boot_id": supervisor.boot_id,
        },
    )
    # Fairness compares who started longest ago, so two starts in one millisecond must differ.
    (last,) = write.database.execute(DISPATCH["last_start"]).fetchone()
    write.database.execute(DISPATCH["session_started"], {"session": task.session, "at": max(write.now, last + 1)})
    started = LastStart(monotonic, supervisor.boot_id, str(run))
    write.database.execute(DISPATCH["set_meta"], {"name": "last_start", "value": dumps(started)})
    return Claim(taken, run, plan)


def _past(database: sqlite3.Connection, task: Task) -> Past:
    """What is known before a run of a task."""
    from agentq_cli.engines.local import finish
    from agentq_cli.engines.nouns import Past

    if task.work.agent is None:
        return Past()
    own_runs = task.runs > task.work.launch.earlier_runs
    paid = finish.spent(database, task) if own_runs else 0.0
    conversation, used_at, interrupted = _conversation(
        database, task, _interrupted(database, task) if own_runs else None
    )
    directory = None if conversation is None else _directory(database, task.session, conversation)
    return Past(conversation, used_at, interrupted, paid, directory)


def _conversation(
    database: sqlite3.Connection, task: Task, own: tuple[str, int, FailureClass] | None
) -> tuple[str | None, int | None, FailureClass | None]:
    """The conversation to continue, when it was last used, and how this task was interrupted in it (`own`)."""
    if task.work.shares_conversation:
        known = database.execute(DISPATCH["conversation"], {"agent": task.work.agent}).fetchone()
        if known is None or own is None or known[0] != own[0]:
            return (*(known or (None, None)), None)
    return own or (None, None, None)


def _interrupted(database: sqlite3.Connection, task: Task) -> tuple[str, int, FailureClass] | None:
    """The conversation in which the task's last run was interrupted, when, and how; None if it was not."""
    row = database.execute(DISPATCH["last_attempt"], task.address._asdict()).fetchone()
    if row is None or row[0] != task.work.agent or row[1] is None or not retry.goes_on(row[2]):
        return None
    return row[1], row[3], FailureClass(row[2])


def _directory(database: sqlite3.Connection, session: str, conversation: str) -> str | None:
    """Where a conversation was last used; None if no run knows."""
    values = {"session": session, "conversation": conversation}
    row = database.execute(DISPATCH["conversation_directory"], values).fetchone()
    return None if row is None else str(row[0])


def last_start(index: sqlite3.Connection) -> LastStart:
    """The newest claim, by any supervisor."""
    return rows.last_start(index.execute(statements("read")["meta"], {"name": "last_start"}).fetchone())


def undo(state: StateDir, run: RunId, *, now: int, actor: Actor, reason: str, busy_ms: int) -> bool:
    """Put back a claimed task that was never started, without using an attempt. False: it was no longer this claim."""
    with session_write(state, run.session, now=now, actor=actor, busy_ms=busy_ms) as write:
        task = write.task(run.seq)
        if task.status is not Status.RUNNING or task.runs != run.attempt:
            return False
        ended = Status.CANCELLED if task.cancel_requested else Status.QUEUED
        back = replace(
            task,
            status=ended,
            attempts=task.attempts - 1,
            tries=task.tries - 1,
            resumes=False,
            last_run=_run_before(write, run),
            ended_at=now if ended is Status.CANCELLED else None,
        )
        write.save(task, back, event="undo", run=run, reason=reason)
        write.database.execute(DISPATCH["delete_run"], run._asdict())
        write.database.execute(DISPATCH["delete_worker"], run._asdict())
        return True


def _run_before(write: SessionWrite, run: RunId) -> int | None:
    (before,) = write.database.execute(DISPATCH["run_before"], run._asdict()).fetchone()
    return None if before is None else int(before)


def seen_conversation(state: StateDir, run: RunId, agent: str, conversation: str, *, now: int) -> None:
    """Store a conversation's id as soon as the agent names it, so that a crash does not lose it."""
    with session_write(state, run.session, now=now, actor=Actor.AGENT, busy_ms=connection.BACKGROUND_BUSY_MS) as write:
        task = write.task(run.seq)
        if task.status is not Status.RUNNING or task.runs != run.attempt:
            return
        write.database.execute(DISPATCH["run_conversation"], run._asdict() | {"id": conversation})
        if task.work.shares_conversation:
            values = run._asdict() | {"agent": agent, "id": conversation, "at": now}
            write.database.execute(DISPATCH["keep_conversation"], values)


def adopt(state: StateDir, worker: Worker, supervisor: Identity, *, now: int, busy_ms: int) -> bool:
    """Take over watching a run whose supervisor is gone. False: another supervisor was faster, or the run has ended."""
    old = worker.supervisor
    with session_write(state, worker.session, now=now, actor=Actor.SUPERVISOR, busy_ms=busy_ms) as write:
        key = worker.id._asdict()
        changed = write.database.execute(
            DISPATCH["adopt"],
            key
            | {
                "pid": supervisor.pid,
                "start_time": supervisor.start_time,
                "boot_id": supervisor.boot_id,
                "old_pid": old.pid if old else None,
                "old_start_time": old.start_time if old else None,
                "old_boot_id": old.boot_id if old else None,
            },
        ).rowcount
        if not changed:
            return False
        write.database.execute(DISPATCH["adopt_run"], key)
        write.record("adopt", worker.seq, run=worker.id, before=Status.RUNNING, after=Status.RUNNING)
        return True


def request_stop(
    state: StateDir, run: RunId, *, reason: str, cancel: bool, run_only: bool, now: int, actor: Actor, busy_ms: int
) -> bool:
    """Record, once, that a run is to end; the caller then tells its shim. False: the run has ended."""
    with session_write(state, run.session, now=now, actor=actor, busy_ms=busy_ms) as write:
        return stop_in(write, run, reason=reason, cancel=cancel, run_only=run_only)


def stop_in(write: SessionWrite, run: RunId, *, reason: str, cancel: bool, run_only: bool = False) -> bool:
    """`request_stop` within an open transaction."""
    task = write.task(run.seq)
    if task.status is not Status.RUNNING or task.runs != run.attempt:
        return False
    values = run._asdict() | {"reason": reason, "actor": write.actor}
    first = write.database.execute(DISPATCH["request_stop"], values).rowcount
    if cancel and not task.cancel_requested:
        stopping = replace(task, cancel_requested=True, goes_on=run_only and task.rearms)
        write.save(task, stopping, event="stop", run=run, reason=reason)
    elif first:
        write.record("stop", run.seq, run=run, before=task.status, after=task.status, reason=reason)
    return True
