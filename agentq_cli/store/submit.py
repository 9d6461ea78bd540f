"""Storing new tasks: one session in one transaction, several sessions as a batch that is committed once."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from agentq_cli.dataclass import replace
from agentq_cli.errors import AgentqError, Busy, LimitReached, Usage, WrongState
from agentq_cli.model import Actor, Address, Identity, NewTask, Status, Trigger
from agentq_cli.store import connection, dependencies, rows
from agentq_cli.store.queries import statements
from agentq_cli.store.session_write import WRITE, SessionWrite, session_write
from agentq_cli.store.state_dir import StateDir

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from agentq_cli.policy.schedule import Schedule
    from agentq_cli.policy.series import Recurrence

BATCH = statements("batch")


def submit(
    state: StateDir, tasks: Sequence[NewTask], *, now: int, actor: Actor, max_queued: int, owner: Identity
) -> list[tuple[Address, bool]]:
    """Store tasks, all or none, and return each with whether it is new (False: a live task of its key was found).

    `owner` is this process: a batch that it leaves unfinished is finished or dropped once it is dead.
    Raises LimitReached, WrongState (a key that is taken by something else), Busy, Unreadable.
    """
    sessions = list(dict.fromkeys(task.session for task in tasks))
    for session in sessions:
        state.session(session)  # one name that no session can have is refused before any session is made
    if not sessions:
        return []
    if len(sessions) == 1:
        with session_write(state, sessions[0], now=now, actor=actor, create=True) as write:
            _room(write.database, len(tasks), max_queued)
            return _store(write, tasks)
    return _batch(state, tasks, sessions, now=now, actor=actor, max_queued=max_queued, owner=owner)


def _store(write: SessionWrite, tasks: Sequence[NewTask]) -> list[tuple[Address, bool]]:
    write.database.execute(WRITE["create_session"], {"name": write.session, "at": write.now})
    stored = _insert(write, tasks)
    waiting = _enter(write, tasks, dict(enumerate(stored)))
    first = next((address.seq for address, is_new in stored if is_new), None)
    if first is not None:
        write.publish(first)
    for seq in waiting:
        dependencies.settle(write, seq)
    return stored


def _insert(write: SessionWrite, tasks: Iterable[NewTask], batch: str | None = None) -> list[tuple[Address, bool]]:
    """Add the tasks' rows, staged where they are of a batch; each with whether it is new."""
    stored: list[tuple[Address, bool]] = []
    rows: list[dict[str, Any]] = []
    seq = write.next_seq()
    keys: set[str] = set()
    for task in tasks:
        if task.key is not None:
            if task.key in keys:
                # One that stands above has it: it must be there to be found.
                write.insert_all(rows)
                rows.clear()
                keys.clear()
            found = _of_key(write, task, batch)
            if found is not None:
                stored.append((found, False))
                continue
            keys.add(task.key)
        rows.append(_row(write, task, seq, batch))
        stored.append((Address(write.session, seq), True))
        seq += 1
    write.insert_all(rows)
    return stored


def _row(write: SessionWrite, task: NewTask, seq: int, batch: str | None) -> dict[str, Any]:
    if batch is not None:
        return write.row(task, seq, status="staged", batch=batch)
    status = Status.BLOCKED if task.after else Status.QUEUED
    if task.schedule is None:
        return write.row(task, seq, status=status)
    recurrence = _begin(task.schedule, write.now)
    return write.row(task, seq, status=status, trigger=Trigger.SCHEDULE, recurrence=recurrence, arriving=True)


def _enter(write: SessionWrite, tasks: Sequence[NewTask], stored: Mapping[int, tuple[Address, bool]]) -> list[int]:
    """Store what the tasks of this session wait for, now that every line has its address. Returns whose wait may be
    over already: nothing that is new has ended."""
    if not any(task.after for task in tasks):
        return []
    addresses = {position: address for position, (address, _) in stored.items()}
    new = {address for address, is_new in stored.values() if is_new}
    waiting = []
    for position, task in enumerate(tasks):
        address = addresses.get(position)
        # Who was found by a key waits for what it did before, unless it was replaced.
        if task.after and task.session == write.session and address is not None and (address in new or task.replace):
            after = dependencies.resolve(task.after, addresses)
            dependencies.enter(write, address.seq, after, known=new)
            if any(each.address not in new for each in after):
                waiting.append(address.seq)
    return waiting


def _begin(schedule: Schedule, now: int) -> Recurrence:
    from agentq_cli.store import series

    return series.begin(schedule, now)


def _of_key(write: SessionWrite, task: NewTask, batch: str | None = None) -> Address | None:
    """The live task of the same key, changed in place where `--replace` asks for it.

    Raises WrongState where it is another task, and Busy where a batch holds it that may still be taken back.
    """
    if task.key is None:
        return None
    row = write.database.execute(WRITE["holder_of_key"], {"key": task.key}).fetchone()
    if row is None:
        return None
    seq, staged_by, *content = row
    if staged_by not in (None, batch):
        raise Busy(f"key '{task.key}': a batch that holds it is being stored; try again")
    address = Address(write.session, seq)
    if not task.replace:
        wanted = rows.content(task)
        if content == [wanted[name] for name in ("kind", "prompt", "argv", "agent", "cwd")]:
            return address
        raise WrongState(f"key '{task.key}': {address} holds it with different content; --replace changes it")
    live = write.task(seq)
    if live.status is Status.RUNNING:
        raise WrongState(f"key '{task.key}': {address} is running and cannot be replaced")
    due = write.now if task.due_at is None else task.due_at
    changed = replace(
        live,
        kind=task.kind,
        agent=task.agent,
        prompt=task.prompt,
        argv=task.argv,
        cwd=task.cwd,
        priority=task.priority,
        labels=task.labels,
        context=task.context,
        due_at=due,
        expires_at=task.expires_at,
        launch=task.launch,
        recurrence=None if task.schedule is None else _begin(task.schedule, write.now),
        arriving=task.schedule is not None,
        on_dep_failure=task.on_dep_failure,
    )
    if live.status is not Status.PAUSED:
        changed = replace(changed, status=Status.BLOCKED if task.after else Status.QUEUED)
    dependencies.enter(write, seq, ())  # what it waits for now is entered once every line has its address
    write.save_content(changed)
    write.save(live, changed, event="replace")
    return live.address


def _room(database: sqlite3.Connection, coming: int, max_queued: int) -> None:
    (live,) = database.execute(WRITE["live_count"]).fetchone()
    if live + coming > max_queued:
        more = f"{coming} more {'was' if coming == 1 else 'were'} submitted"
        raise LimitReached(f"max_queued {max_queued}: {live} tasks are live already, {more}")


def _batch(
    state: StateDir,
    tasks: Sequence[NewTask],
    sessions: Sequence[str],
    *,
    now: int,
    actor: Actor,
    max_queued: int,
    owner: Identity,
) -> list[tuple[Address, bool]]:
    if any(task.replace for task in tasks):
        raise Usage("--replace: not in a batch over several sessions, where a change in place could not be taken back")
    batch = f"{owner.boot_id}-{owner.pid}-{owner.start_time}-{time.monotonic_ns()}"
    index = connection.connect(state.index, "index", create=False)
    try:
        with connection.transaction(index, state.index):
            _room(index, len(tasks), max_queued)
            values = {"id": batch, "sessions": json.dumps(sessions), "pid": owner.pid}
            values |= {"start_time": owner.start_time, "boot_id": owner.boot_id}
            index.execute(BATCH["begin"], values)
        stored: dict[int, tuple[Address, bool]] = {}
        staged: list[str] = []
        try:
            for session, own in _by_session(tasks).items():
                stored |= _stage(state, session, own, batch=batch, now=now, actor=actor)
                staged.append(session)
            for session in dict.fromkeys(task.session for task in tasks if task.after):
                with session_write(state, session, now=now, actor=actor) as write:
                    _enter(write, tasks, stored)
            with connection.transaction(index, state.index):
                index.execute(BATCH["commit"], {"id": batch})
        except BaseException as error:
            # The session that refused has nothing of it, but an interrupt may have come after its commit.
            left = staged if isinstance(error, AgentqError) else sessions
            # What cannot be taken back now, sweep takes back; the error to tell is the first.
            with contextlib.suppress(AgentqError):
                drop(state, batch, left, now=now, actor=actor)
            raise
    finally:
        index.close()
    # Committed is stored: what cannot be released now, sweep releases.
    with contextlib.suppress(AgentqError):
        release(state, batch, sessions, now=now, actor=actor)
    return [stored[position] for position in range(len(tasks))]


def _by_session(tasks: Sequence[NewTask]) -> dict[str, dict[int, NewTask]]:
    """The tasks of each session, by their positions in the batch."""
    found: dict[str, dict[int, NewTask]] = {}
    for position, task in enumerate(tasks):
        found.setdefault(task.session, {})[position] = task
    return found


def _stage(
    state: StateDir,
    session: str,
    tasks: Mapping[int, NewTask],
    *,
    batch: str,
    now: int,
    actor: Actor,
) -> dict[int, tuple[Address, bool]]:
    """Store a session's tasks, so that nobody sees them yet; of each position the address."""
    with session_write(state, session, now=now, actor=actor, create=True) as write:
        return dict(zip(tasks, _insert(write, tasks.values(), batch), strict=True))


def release(state: StateDir, batch: str, sessions: Sequence[str], *, now: int, actor: Actor) -> None:
    """Let a committed batch into the queue; repeating it after a crash changes nothing.

    Raises the first Busy or Unreadable, once all other sessions are done.
    """

    def one(session: str) -> None:
        with session_write(state, session, now=now, actor=actor, create=True) as write:
            (first,) = write.database.execute(BATCH["first_staged"], {"id": batch}).fetchone()
            if write.database.execute(BATCH["release"], {"id": batch}).rowcount:
                write.database.execute(WRITE["create_session"], {"name": session, "at": now})
                write.publish(first, batch)
                for (seq,) in write.database.execute(BATCH["blocked"], {"id": batch, "session": session}).fetchall():
                    dependencies.settle(write, seq)

    _settle(state, batch, sessions, one)


def drop(state: StateDir, batch: str, sessions: Sequence[str], *, now: int, actor: Actor) -> None:
    """Take back what a batch staged that was never committed. Raises as `release` does."""

    def one(session: str) -> None:
        if state.inbound(session).exists():
            with session_write(state, session, now=now, actor=actor) as write:
                write.database.execute(BATCH["drop_dependencies"], {"id": batch, "session": session})
                write.database.execute(BATCH["drop"], {"id": batch})

    _settle(state, batch, sessions, one)


def _settle(state: StateDir, batch: str, sessions: Sequence[str], step: Callable[[str], None]) -> None:
    """Take a step in every session, whatever stands in the way in others, and end the batch once all are done."""
    trouble: AgentqError | None = None
    for session in sessions:
        try:
            step(session)
        except AgentqError as error:
            trouble = trouble or error
    if trouble is not None:
        raise trouble
    _end(state, batch)


def _end(state: StateDir, batch: str) -> None:
    index = connection.connect(state.index, "index", create=False)
    try:
        with connection.transaction(index, state.index):
            index.execute(BATCH["end"], {"id": batch})
    finally:
        index.close()
