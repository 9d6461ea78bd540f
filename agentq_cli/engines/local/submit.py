"""Storing new tasks: one session in one transaction, several sessions as a batch that is committed once."""

from __future__ import annotations

import contextlib
import functools
import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import groupby

from agentq_cli.base import errors
from agentq_cli.base.dataclass import replace
from agentq_cli.base.errors import AgentqError, Busy, LimitReached, Usage, WrongState
from agentq_cli.base.identity import Identity
from agentq_cli.base.json_text import dumps
from agentq_cli.engines.local import connection, dependencies, rows
from agentq_cli.engines.local.queries import statements
from agentq_cli.engines.local.session_write import (
    NEWEST,
    WRITE,
    SessionWrite,
    create_sessions,
    entered,
    row,
    session_write,
)
from agentq_cli.engines.local.state_dir import StateDir, sync_directory
from agentq_cli.host.place import is_there
from agentq_cli.model.actions import Actor, Trigger
from agentq_cli.model.addresses import Address
from agentq_cli.model.statuses import Status

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3

    from agentq_cli.model.tasks import NewTask, Task
    from agentq_cli.policy.schedule import Schedule
    from agentq_cli.policy.series import Recurrence

BATCH = statements("batch")
HOLDER = WRITE["holder_of_key"].format(columns=rows.SELECTED)

CONTENT = ("kind", "prompt", "argv", "agent", "cwd")
"""The columns that make two tasks with a key the same."""


def submit(
    state: StateDir, tasks: Sequence[NewTask], *, now: int, actor: Actor, max_queued: int, owner: Identity | None
) -> list[tuple[Address, bool]]:
    """Store tasks, all or none, and return each with whether it is new (False: a live task with its key was found).

    `owner` is this process, also if None: a batch that it leaves unfinished is finished or dropped once it is dead.
    Raises LimitReached, WrongState (a key that another task holds), Busy, Unreadable.
    """
    sessions = list(dict.fromkeys(task.session for task in tasks))
    for session in sessions:
        state.session(session)  # one invalid name is rejected before any session is created
    if not sessions:
        return []
    if len(sessions) == 1:
        with session_write(state, sessions[0], now=now, actor=actor, create=True) as write:
            _room(write.database, tasks, max_queued)
            return _store(write, tasks)
    if owner is None:
        from agentq_cli.host import process

        owner = process.current()
    return _batch(state, tasks, sessions, now=now, actor=actor, max_queued=max_queued, owner=owner)


def _store(write: SessionWrite, tasks: Sequence[NewTask]) -> list[tuple[Address, bool]]:
    write.database.execute(WRITE["create_session"], {"name": write.session, "at": write.now})
    stored = _insert(write, tasks)
    addresses = dict(enumerate(stored))
    waiting = _enter(write, tasks, addresses) + _replace(write, tasks, addresses)
    first = next((address.seq for address, is_new in stored if is_new), None)
    if first is not None:
        write.publish(first)
    for seq in waiting:
        dependencies.settle(write, seq)
    return stored


def _insert(write: SessionWrite, tasks: Iterable[NewTask], batch: str | None = None) -> list[tuple[Address, bool]]:
    """Add the tasks' rows, staged if they belong to a batch; each with whether it is new."""
    stored: list[tuple[Address, bool]] = []
    new: list[rows.Columns] = []
    seq = write.next_seq()
    keys: set[str] = set()
    for task in tasks:
        key = task.work.key
        if key is not None:
            if key in keys:
                # A row of this batch has it: that row must be stored to be found.
                write.insert_all(new)
                new.clear()
                keys.clear()
            with of_line(task):
                found = _of_key(write, task, batch)
            if found is not None:
                stored.append((found, False))
                continue
            keys.add(key)
        new.append(_row(write, task, seq, batch))
        stored.append((Address(write.session, seq), True))
        seq += 1
    write.insert_all(new)
    return stored


def _row(write: SessionWrite, task: NewTask, seq: int, batch: str | None) -> rows.Columns:
    made = entered(task, seq, write.now, status=_status(task))
    if task.schedule is not None:
        recurrence = _begin(task.schedule, write.now)
        made = replace(made, trigger=Trigger.SCHEDULE, recurrence=recurrence, series=seq, arriving=True)
    return row(made, batch)


def _status(task: NewTask) -> Status:
    return Status.BLOCKED if task.work.after else Status.QUEUED


def _enter(write: SessionWrite, tasks: Sequence[NewTask], stored: Mapping[int, tuple[Address, bool]]) -> list[int]:
    """Store what the tasks of this session wait for, now that every line has its address. Returns the tasks whose wait
    may be over already: no new task has ended."""
    if not any(task.work.after for task in tasks):
        return []
    addresses = {position: address for position, (address, _) in stored.items()}
    new = {address for address, is_new in stored.values() if is_new}
    waiting = []
    for position, task in enumerate(tasks):
        address = addresses.get(position)
        # A task that was found by a key waits for what it did before, unless it is replaced.
        if task.work.after and task.session == write.session and address is not None and stored[position][1]:
            after = dependencies.resolve(task.work.after, addresses)
            with of_line(task):
                dependencies.enter(write, address.seq, after, known=new)
            if any(each.address not in new for each in after):
                waiting.append(address.seq)
    return waiting


def _replace(write: SessionWrite, tasks: Sequence[NewTask], stored: Mapping[int, tuple[Address, bool]]) -> list[int]:
    """Change the live tasks that were found by a key. Returns those whose wait may be over already."""
    found = [position for position, task in enumerate(tasks) if task.replace and not stored[position][1]]
    if not found:
        return []
    from agentq_cli.engines.local import replacing

    addresses = {position: address for position, (address, _) in stored.items()}
    new = {address for address, is_new in stored.values() if is_new}
    waiting = []
    for position in found:
        task, seq = tasks[position], addresses[position].seq
        after = dependencies.resolve(task.work.after, addresses)
        with of_line(task):
            if replacing.apply(write, seq, task, after, known=new):
                waiting.append(seq)
    return waiting


def _begin(schedule: Schedule, now: int) -> Recurrence:
    from agentq_cli.engines.local import series

    return series.begin(schedule, now)


def _of_key(write: SessionWrite, task: NewTask, batch: str | None = None) -> Address | None:
    """The live task with the same key. Raises WrongState if it is another task and `--replace` does not change it, and
    Busy if it belongs to a batch that may still be undone."""
    key = task.work.key
    found = write.database.execute(HOLDER, {"key": key}).fetchone()
    if found is None:
        return None
    staged_by, *holder = found
    if staged_by not in (None, batch):
        raise Busy(f"key '{key}': a batch that holds it is being stored; try again")
    known, wanted = rows.named(holder), rows.work_columns(task.work)
    address = Address(write.session, known["seq"])
    if task.replace:
        return address
    if any(known[name] != wanted.get(name) for name in CONTENT):
        raise WrongState(f"key '{key}': {address} holds it with different content; --replace changes it")
    if task.schedule is not None and not _same_recurrence(task, write.task(address.seq)):
        raise WrongState(f"key '{key}': {address} holds it with another schedule; --replace changes it")
    return address


def _same_recurrence(task: NewTask, known: Task) -> bool:
    from agentq_cli.engines.local import replacing

    return replacing.same_recurrence(task, known)


@contextlib.contextmanager
def of_line(task: NewTask) -> Iterator[None]:
    """Report what is wrong with a task of a batch with its line number."""
    try:
        yield
    except AgentqError as error:
        if task.line is None:
            raise
        raise errors.of_line(error, task.line) from None


def _room(database: sqlite3.Connection, coming: Sequence[NewTask], max_queued: int) -> None:
    (live,) = database.execute(WRITE["live_count"]).fetchone()
    if live + len(coming) > max_queued:
        more = f"{len(coming)} more {'was' if len(coming) == 1 else 'were'} submitted"
        with of_line(coming[max(0, max_queued - live)]):
            raise LimitReached(f"max_queued {max_queued}: {live} tasks are already live, {more}")


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
    for task in tasks:
        if task.replace:
            with of_line(task):
                raise Usage("--replace: not in a batch over several sessions, where it could not be undone")
    batch = f"{owner.boot_id}-{owner.pid}-{owner.start_time}-{time.monotonic_ns()}"
    index = connection.connect(state.index, "index", create=False)
    try:
        with connection.transaction(index, state.index):
            _room(index, tasks, max_queued)
            values = {"id": batch, "sessions": dumps(sessions), "pid": owner.pid}
            values |= {"start_time": owner.start_time, "boot_id": owner.boot_id}
            index.execute(BATCH["begin"], values)
        stored: dict[int, tuple[Address, bool]] = {}
        staged: list[str] = []
        waiting = list(dict.fromkeys(task.session for task in tasks if task.work.after))
        try:
            create_sessions(state, sessions)
            for session, own in _by_session(tasks).items():
                stored |= _stage(state, session, own, batch=batch, now=now, actor=actor)
                staged.append(session)
            for session in waiting:
                with session_write(state, session, now=now, actor=actor) as write:
                    _enter(write, tasks, stored)
            with connection.transaction(index, state.index):
                if index.execute(BATCH["commit"], {"id": batch}).rowcount:
                    _publish(index, tasks, stored, now=now, actor=actor)
        except BaseException as error:
            # The session that refused has nothing of the batch, but an interrupt may have come after its commit.
            left = staged if isinstance(error, AgentqError) else sessions
            # What cannot be undone now, sweep undoes; the first error is the one to report.
            with contextlib.suppress(AgentqError):
                drop(state, batch, left, now=now, actor=actor)
            raise
    finally:
        index.close()
    # Committed means stored: what cannot be released now, sweep releases.
    with contextlib.suppress(AgentqError):
        release(state, batch, sessions, now=now, actor=actor, alone=set(sessions).difference(waiting))
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
    """Store a session's tasks as staged, invisible to others; returns the address for each position."""
    found = _laid(state, session, tasks, batch=batch, now=now, actor=actor)
    if found is None:
        with session_write(state, session, now=now, actor=actor, create=True, alone=True) as write:
            found = _insert(write, tasks.values(), batch)
    return dict(zip(tasks, found, strict=True))


def _laid(
    state: StateDir, session: str, tasks: Mapping[int, NewTask], *, batch: str, now: int, actor: Actor
) -> list[tuple[Address, bool]] | None:
    """Write a new session's file with the tasks in it, which takes two syncs instead of seven; None if the file exists.

    Its directory must exist.
    """
    path = state.inbound(session)
    if is_there(path):
        return None
    with contextlib.closing(connection.new_in_memory("inbound")) as database:
        database.execute("BEGIN")
        found = _insert(SessionWrite(database, session, now, actor), tasks.values(), batch)
        database.execute("COMMIT")
        if not connection.lay(path, database.serialize()):
            return None
    sync_directory(os.path.dirname(path))
    return found


def _publish(
    index: sqlite3.Connection,
    tasks: Sequence[NewTask],
    stored: Mapping[int, tuple[Address, bool]],
    *,
    now: int,
    actor: Actor,
) -> None:
    """Add everything that is staged to the index, in the commit of the batch: no session has to be opened again for
    it."""
    # In the order of the index, so that no page of it is written twice.
    new = sorted(
        ((stored[position][0], task) for position, task in enumerate(tasks) if stored[position][1]),
        key=lambda each: each[0],
    )
    given_rows = _given()
    for session, own in groupby(new, lambda each: each[0].session):
        index.execute(WRITE["create_session"], {"name": session, "at": now})
        given = dumps([_told(task, address.seq, now) for address, task in own])
        values = {"rows": given, "session": session, "first": 0, "last": NEWEST, "batch": None}
        index.execute(given_rows + WRITE["mirror"], values)
        index.execute(given_rows + WRITE["events_of_new"], values | {"at": now, "actor": actor})


@functools.cache
def _told_of() -> list[str]:
    """The columns that are passed on to the index."""
    import re

    return [name for name in rows.COLUMNS if re.search(rf"(?<!')\b{name}\b", WRITE["mirror"] + WRITE["events_of_new"])]


def _given() -> str:
    columns = ", ".join(f"json_extract(value, '$.{name}') AS \"{name}\"" for name in (*_told_of(), "batch"))
    return BATCH["given"].format(columns=columns)


def _told(task: NewTask, seq: int, now: int) -> rows.Columns:
    """What the index is told of a new task's row, as its session's file has it once it is released."""
    stored = row(entered(task, seq, now, status=_status(task)))
    return {name: stored[name] for name in _told_of() if name in stored}


def release(
    state: StateDir, batch: str, sessions: Sequence[str], *, now: int, actor: Actor, alone: Collection[str] = ()
) -> None:
    """Release a committed batch into the queue; repeating this after a crash changes nothing.

    In sessions in which no task waits for others, `alone`, the index is not involved. Raises the first Busy or
    Unreadable, after all other sessions are done.
    """

    def one(session: str) -> None:
        only = session in alone
        with session_write(state, session, now=now, actor=actor, create=True, alone=only) as write:
            write.database.execute(BATCH["release"], {"id": batch})
            if only:
                return
            (first,) = write.database.execute(BATCH["first_staged"], {"id": batch}).fetchone()
            if first is not None and not dependencies.exists(write.database, Address(session, first)):
                # An older version committed the batch; it updated the index at this point.
                write.database.execute(WRITE["create_session"], {"name": session, "at": now})
                write.publish(first, batch)
            for (seq,) in write.database.execute(BATCH["blocked"], {"id": batch, "session": session}).fetchall():
                dependencies.settle(write, seq)

    _settle(state, batch, sessions, one)


def drop(state: StateDir, batch: str, sessions: Sequence[str], *, now: int, actor: Actor) -> None:
    """Undo what a batch staged that was never committed. Raises as `release` does."""

    def one(session: str) -> None:
        if is_there(state.inbound(session)):
            with session_write(state, session, now=now, actor=actor) as write:
                write.database.execute(BATCH["drop_dependencies"], {"id": batch, "session": session})
                write.database.execute(BATCH["drop"], {"id": batch})

    _settle(state, batch, sessions, one)


def _settle(state: StateDir, batch: str, sessions: Sequence[str], step: Callable[[str], None]) -> None:
    """Take a step in every session, even if it fails in others, and end the batch once all are done."""
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
