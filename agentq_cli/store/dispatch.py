"""The life of a run in the store: looked for, claimed, undone or finished, adopted, asked to stop."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from agentq_cli.errors import NotFound
from agentq_cli.model import (
    Actor,
    Address,
    FailureClass,
    Identity,
    LastStart,
    Outcome,
    RunId,
    RunStatus,
    Status,
    Task,
    Trigger,
    Worker,
)
from agentq_cli.policy import admission, order, retry, states
from agentq_cli.store import connection, rows, series
from agentq_cli.store.queries import statements
from agentq_cli.store.session_write import WRITE, SessionWrite, session_write
from agentq_cli.store.state_dir import StateDir
from agentq_cli.values import format_cost

DISPATCH = statements("dispatch")


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be started for a task: its command line, what it reads on stdin, the conversation it works in.

    `resumes` is whether that conversation goes on; one that only begins is the run's own when the agent names it.
    `prompt_word` is where in the command line the prompt stands, if there. `error` says why nothing can be started; the
    run is then closed without a process. `bound_to` is the directory in which alone the conversation can go on: one
    that was last used elsewhere is not continued.
    """

    argv: tuple[str, ...]
    stdin_text: str | None = None
    conversation: str | None = None
    resumes: bool = False
    prompt_word: int | None = None
    error: str | None = None
    bound_to: str | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """A task that is now ours to start: its run exists, and so does its place among the workers."""

    task: Task
    run: RunId
    plan: Plan


@dataclass(frozen=True, slots=True)
class Past:
    """What a run may build on: the `conversation` to go on in, and when that was last used.

    `interrupted` is how this task's run before this one ended in that conversation; None where it is another's, or was
    brought to its end. `spent_usd` is what the runs of the task have cost so far, as far as they said.
    """

    conversation: str | None = None
    used_at: int | None = None
    interrupted: FailureClass | None = None
    spent_usd: float = 0.0


Planner = Callable[[Task, Past], Plan]
"""Makes the plan of a task under the claim's lock."""


def look(index: sqlite3.Connection, sessions: Collection[str] = (), *, now: int) -> order.Look:
    """What the index says now; with `sessions`, heads of those only."""
    with connection.snapshot(index):
        return replace(_around(index, now), heads=tuple(_heads(index, sessions, now)))


def _around(index: sqlite3.Connection, now: int) -> order.Look:
    """Everything of a look but the heads."""
    lanes: dict[str, tuple[int, set[int], set[str]]] = {}
    workers = 0
    for session, agent, shares in index.execute(DISPATCH["running"]).fetchall():
        running, retrying, conversations = lanes.get(session, (0, set(), set()))
        if shares:
            conversations.add(agent)
        lanes[session] = (running + 1, retrying, conversations)
        workers += 1
    holds = index.execute(statements("read")["holds"], {"now": now}).fetchall()
    held_agents = frozenset(hold[1] for hold in holds if hold[0] == "agent")
    for session, seq, agent, _ in index.execute(DISPATCH["retrying"]).fetchall():
        if agent not in held_agents:  # what is held itself holds nobody
            lanes.setdefault(session, (0, set(), set()))[1].add(seq)
    return order.Look(
        heads=(),
        lanes={name: order.Lane(*lane) for name, lane in lanes.items()},
        paused_sessions=frozenset(name for (name,) in index.execute(DISPATCH["paused_sessions"]).fetchall()),
        held_agents=held_agents,
        queue_paused=any(hold[0] == "queue" for hold in holds),
        workers=workers,
    )


def _heads(index: sqlite3.Connection, sessions: Collection[str], now: int) -> list[order.Head]:
    heads: list[order.Head] = []
    group: dict[str, object] = {"session": "", "agent": "", "priority": 0, "shares": 0, "retry": 0}
    while row := index.execute(DISPATCH["next_head"], group | {"now": now}).fetchone():
        head = order.Head(*row)
        group = {name: getattr(head, name) for name in group}
        if not sessions or head.session in sessions:
            heads.append(head)
    return heads


def claim(
    state: StateDir,
    head: order.Head,
    *,
    now: int,
    supervisor: Identity,
    jobs: int,
    parallel: Callable[[str], int | None],
    planner: Planner,
    host: str,
    newest: LastStart | None = None,
    monotonic: int = 0,
) -> Claim | None:
    """Take a task to run it, or None where it may no longer be taken.

    Everything that allowed the pick is tested again under the lock: due, expiry, pauses, holds, the lane, the
    conversation, and the cap over the whole state dir; and with `newest` that this is still the newest start.
    `monotonic` is the time of this one, kept for the next. What the plan says is what the audit log shows.
    """
    with session_write(
        state, head.session, now=now, actor=Actor.SUPERVISOR, busy_ms=connection.BACKGROUND_BUSY_MS
    ) as write:
        if newest is not None and last_start(write.database) != newest:
            return None
        task = _claimable(write, head, jobs=jobs, parallel=parallel)
        if task is None:
            return None
        return _take(write, task, supervisor=supervisor, planner=planner, host=host, monotonic=monotonic)


def _claimable(
    write: SessionWrite, head: order.Head, *, jobs: int, parallel: Callable[[str], int | None]
) -> Task | None:
    (workers,) = write.database.execute(DISPATCH["worker_count"]).fetchone()
    if admission.cap(workers, jobs).holding:
        return None
    try:
        task = write.task(head.seq)
    except NotFound:
        _forget(write, head.seq)
        return None
    fresh = replace(
        head,
        agent=task.agent or "",
        due_at=task.due_at,
        expires_at=None if task.attempts else task.expires_at,
        retry=task.attempts > 0,
        shares=task.shares_conversation,
    )
    again = replace(_around(write.database, write.now), heads=(fresh,))
    if task.status is Status.QUEUED and list(order.startable(again, now=write.now, parallel=parallel)):
        if task.arriving:
            return series.arrive(write, task)
        return None if not task.attempts and series.refuse(write, task) else task
    # The index was wrong about this task: without mending it the same pick would come again for ever.
    write.mirror(head.seq)
    return None


def _forget(write: SessionWrite, seq: int) -> None:
    write.database.execute(WRITE["delete_index_row"], {"session": write.session, "seq": seq})


def _take(
    write: SessionWrite,
    task: Task,
    *,
    supervisor: Identity,
    planner: Planner,
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
    )
    past, directory = _past(write, task)
    plan = planner(taken, past)
    if plan.bound_to is not None and plan.bound_to != (directory or _directory(write, plan.conversation)):
        plan = planner(taken, Past(spent_usd=past.spent_usd))
    write.save(task, taken, event="start", run=run)
    write.database.execute(
        DISPATCH["insert_run"],
        {
            "session": task.session,
            "seq": task.seq,
            "attempt": run.attempt,
            "series": task.series,
            "trigger": Trigger.RETRY if task.tries else task.trigger,
            "agent": task.agent,
            "argv": json.dumps(plan.argv),
            "cwd": task.cwd,
            "scheduled_for": task.scheduled_for,
            "started_at": write.now,
            "host": host,
            "conversation": plan.conversation if plan.resumes else None,
        },
    )
    write.database.execute(
        DISPATCH["insert_worker"],
        {
            "session": task.session,
            "seq": task.seq,
            "attempt": run.attempt,
            "agent": task.agent or "",
            "shares": task.shares_conversation,
            "at": write.now,
            "pid": supervisor.pid,
            "start_time": supervisor.start_time,
            "boot_id": supervisor.boot_id,
        },
    )
    # Fairness asks who started longest ago, so that two starts in one millisecond must differ.
    (last,) = write.database.execute(DISPATCH["last_start"]).fetchone()
    write.database.execute(DISPATCH["session_started"], {"session": task.session, "at": max(write.now, last + 1)})
    started = LastStart(monotonic, supervisor.boot_id, str(run))
    write.database.execute(DISPATCH["set_meta"], {"name": "last_start", "value": json.dumps(started)})
    return Claim(taken, run, plan)


def _past(write: SessionWrite, task: Task) -> tuple[Past, str | None]:
    """What is known before a run of a task, and where the conversation was last used if its own run says so."""
    if task.agent is None:
        return Past(), None
    paid = spent(write.database, task.address)
    last = write.database.execute(DISPATCH["last_attempt"], task.address._asdict()).fetchone()
    interrupted = last is not None and last[0] == task.agent and last[1] is not None and retry.goes_on(last[2])
    if task.shares_conversation:
        known = write.database.execute(DISPATCH["conversation"], {"agent": task.agent}).fetchone()
        if known is None or not interrupted or known[0] != last[1]:
            conversation, used_at = known or (None, None)
            return Past(conversation, used_at, spent_usd=paid), None
    elif not interrupted:
        return Past(spent_usd=paid), None
    return Past(last[1], last[3], FailureClass(last[2]), paid), last[4]


def spent(index: sqlite3.Connection, address: Address) -> float:
    """Dollars that the runs of a task have cost so far, as far as they said."""
    (found,) = index.execute(DISPATCH["spent"], address._asdict()).fetchone()
    return float(found)


def _directory(write: SessionWrite, conversation: str | None) -> str | None:
    """Where a conversation was last used; None where no run knows."""
    values = {"session": write.session, "conversation": conversation}
    row = write.database.execute(DISPATCH["conversation_directory"], values).fetchone()
    return None if row is None else str(row[0])


def last_start(index: sqlite3.Connection) -> LastStart:
    """The newest claim, whoever made it."""
    return rows.last_start(index.execute(statements("read")["meta"], {"name": "last_start"}).fetchone())


def undo(state: StateDir, run: RunId, *, now: int, actor: Actor, reason: str) -> bool:
    """Put a claimed task back that was never started, without using an attempt. False: it was no longer ours."""
    with session_write(state, run.session, now=now, actor=actor) as write:
        task = write.task(run.seq)
        if task.status is not Status.RUNNING or task.runs != run.attempt:
            return False
        ended = Status.CANCELLED if task.cancel_requested else Status.QUEUED
        back = replace(
            task,
            status=ended,
            attempts=task.attempts - 1,
            tries=task.tries - 1,
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


def finish(
    state: StateDir, run: RunId, outcome: Outcome, *, now: int, actor: Actor, posted: bool, busy_ms: int, jitter: float
) -> Task | None:
    """Record how a run ended and what becomes of its task; None where somebody else did so before (the fence)."""
    with session_write(state, run.session, now=now, actor=actor, busy_ms=busy_ms) as write:
        task = write.task(run.seq)
        if task.status is not Status.RUNNING or task.runs != run.attempt:
            write.record("late", run.seq, run=run, reason=f"it had ended already; {outcome.status} was not recorded")
            return None
        # Counted from when it ended, however late somebody came to settle it.
        ended_at = min(outcome.finished_at, now)
        hold = _hold(write, task.agent, outcome, ended_at)
        stopped = task.cancel_requested or outcome.status is RunStatus.CANCELLED
        again = None if stopped else retry.again(task, outcome, now=ended_at, hold=hold, jitter=jitter)
        if outcome.tokens_of_conversation:
            outcome = _own_tokens(write, run, outcome, shared=task.shares_conversation)
        _close_run(write, run, outcome, posted=posted)
        if again is not None and task.launch.max_cost_usd is not None:
            paid = spent(write.database, task.address)
            if retry.exhausted(task.launch, paid):
                again = None
                outcome = replace(outcome, error=f"{outcome.error or outcome.status}; {cost(task, paid)}")
        after = _ended(task, outcome, now) if again is None else _queued_again(task, outcome, again)
        write.save(task, after, event="finish", run=run, reason=after.reason, finished=outcome.finished_at)
        if task.agent and task.shares_conversation:
            _keep_conversation(write, task.agent, outcome)
        write.database.execute(DISPATCH["delete_worker"], run._asdict())
        return after


def cost(task: Task, spent_usd: float) -> str:
    """What a task has cost, against what it may cost, in words."""
    return f"its runs cost {format_cost(spent_usd)} of {format_cost(task.launch.max_cost_usd or 0.0)}"


def _ended(task: Task, outcome: Outcome, now: int) -> Task:
    return replace(
        task,
        status=states.ended_status(outcome, cancel_requested=task.cancel_requested),
        reason=outcome.error,
        ended_at=now,
        exit_code=outcome.exit_code,
    )


def _queued_again(task: Task, outcome: Outcome, again: retry.Again) -> Task:
    why = outcome.error or outcome.status
    if again.counted:
        why = f"{why}; retry {task.attempts} of {retry.max_retries(task.launch)}"
    waiting = replace(
        task,
        status=Status.QUEUED,
        reason=why,
        due_at=again.due_at,
        attempts=task.attempts if again.counted else task.attempts - 1,
        fresh=task.fresh or again.fresh,
    )
    if task.successor is None or not task.successor.paused:
        return waiting
    # Paused while it ran: nothing new of it starts, and its next attempt is that.
    left = replace(task.successor, paused=False, reason=None)
    return replace(waiting, status=Status.PAUSED, reason=task.successor.reason, successor=left)


def _hold(write: SessionWrite, agent: str | None, outcome: Outcome, now: int) -> retry.AgentHold | None:
    """Put the hold on an agent that a run of it asks for, or take note of its success."""
    if agent is None:
        return None
    if outcome.status is RunStatus.SUCCESS:
        for statement in ("forget_limit", "count_limits_anew"):
            write.database.execute(DISPATCH[statement], {"name": agent, "now": write.now})
        return None
    row = write.database.execute(DISPATCH["agent_hold"], {"name": agent, "kind": outcome.failure_class}).fetchone()
    before = None if row is None else retry.AgentHold(FailureClass(str(outcome.failure_class)), *row)
    hold = retry.hold(outcome, before, now)
    if hold is None:
        return None
    values = {"scope": "agent", "name": agent, "kind": hold.kind, "since": now, "until": hold.until}
    write.database.execute(DISPATCH["set_hold"], values | {"reason": outcome.error, "count": hold.count})
    if before is None or before.until != hold.until:
        write.record("hold", None, reason=retry.explain(hold, agent, outcome.error))
    return hold


def _close_run(write: SessionWrite, run: RunId, outcome: Outcome, *, posted: bool) -> None:
    write.database.execute(
        DISPATCH["finish_run"],
        run._asdict()
        | {
            "status": outcome.status,
            "finished_at": outcome.finished_at,
            "duration_ms": outcome.duration_ms,
            "exit_code": outcome.exit_code,
            "signal": outcome.signal,
            "failure_class": outcome.failure_class,
            "script_outcome": outcome.script_outcome,
            "error": outcome.error,
            "result": None if outcome.result is None else json.dumps(outcome.result),
            "conversation": outcome.conversation,
            "lost": outcome.conversation_lost,
            "tokens_in": outcome.tokens_in,
            "tokens_out": outcome.tokens_out,
            "cost_usd": outcome.cost_usd,
            "peak_rss_bytes": outcome.peak_rss_bytes,
            "stdout_bytes": outcome.stdout_bytes,
            "stderr_bytes": outcome.stderr_bytes,
            "posted": posted,
        },
    )


def _own_tokens(write: SessionWrite, run: RunId, outcome: Outcome, *, shared: bool) -> Outcome:
    """What this run used, of an agent that tells what its whole conversation has used so far.

    One that is not `shared` with other tasks had the earlier runs of this one only.
    """
    values = run._asdict() | {"conversation": outcome.conversation}
    statement = "conversation_tokens" if shared else "own_conversation_tokens"
    before = write.database.execute(DISPATCH[statement], values).fetchone()
    own = []
    for total, earlier in zip((outcome.tokens_in, outcome.tokens_out), before, strict=True):
        # Less than before: the agent has begun to count anew.
        own.append(total if total is None or total < earlier else total - earlier)
    return replace(outcome, tokens_in=own[0], tokens_out=own[1])


def _keep_conversation(write: SessionWrite, agent: str, outcome: Outcome) -> None:
    if outcome.conversation_lost:
        write.database.execute(DISPATCH["forget_conversation"], {"agent": agent, "id": None})
    elif outcome.conversation:
        write.database.execute(
            DISPATCH["keep_conversation"], {"agent": agent, "id": outcome.conversation, "at": write.now}
        )


def seen_conversation(state: StateDir, run: RunId, agent: str, conversation: str, *, now: int) -> None:
    """Store a conversation's id as soon as the agent names it, so that a crash does not lose it."""
    with session_write(state, run.session, now=now, actor=Actor.AGENT, busy_ms=connection.BACKGROUND_BUSY_MS) as write:
        task = write.task(run.seq)
        if task.status is not Status.RUNNING or task.runs != run.attempt:
            return
        write.database.execute(DISPATCH["run_conversation"], run._asdict() | {"id": conversation})
        if task.shares_conversation:
            values = {"agent": agent, "id": conversation, "at": now}
            write.database.execute(DISPATCH["keep_conversation"], values)


def adopt(state: StateDir, worker: Worker, supervisor: Identity, *, now: int, busy_ms: int) -> bool:
    """Take over the watch of a run whose supervisor is gone. False: another one was faster, or it has ended."""
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
    """Record, once, that a run is to end; the caller then tells its shim. False: it runs no longer."""
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
