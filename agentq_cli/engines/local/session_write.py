"""A writing transaction over one session and the index: the only place where a task's row changes.

Each change is the row in messages_in, its mirror in the index and the event, in one commit (ARCHITECTURE, storage).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from itertools import groupby

from agentq_cli.base.dataclass import replace
from agentq_cli.base.errors import AgentqError, NotFound, Unreadable
from agentq_cli.engines.local import aside, connection, dependencies, rows
from agentq_cli.engines.local.queries import insert_into, statements
from agentq_cli.engines.local.state_dir import StateDir, holds_something
from agentq_cli.host.place import is_there
from agentq_cli.model.actions import Actor, Trigger
from agentq_cli.model.addresses import Address, RunId
from agentq_cli.model.statuses import Status
from agentq_cli.model.tasks import NewTask, Task
from agentq_cli.policy import states

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from typing import Any

    from agentq_cli.policy.series import Recurrence

WRITE = statements("write")
READ = statements("read")
NEWEST = 1 << 62


class SessionWrite:
    """One open transaction; made by `session_write`. `now` is the time that its events carry."""

    def __init__(
        self, database: sqlite3.Connection, session: str, now: int, actor: Actor, home: str | None = None
    ) -> None:
        self.home = home or session
        """The session's directory; for a session that is written as a whole, its later one."""
        self.moved = False
        """Whether directories of runs were moved aside (`aside`); that is undone if the transaction fails."""
        self.database = database
        self.session = session
        self.now = now
        self.actor = actor
        self.unsettled: list[int] = []
        """Tasks that have ended or been reopened, and whose dependents are still to be settled."""

    def task(self, seq: int) -> Task:
        """The task as it is now, locked. Raises NotFound.

        A task whose times cannot be read is first paused with that reason: it would never become due, or never expire.
        """
        row = rows.stored(self.database, seq)
        if row is None and self.release_committed():
            row = rows.stored(self.database, seq)
        if row is None:
            from agentq_cli.engines.local.read import unknown_task

            raise unknown_task(self.database, Address(self.session, seq))
        unreadable = rows.unreadable_time(row)
        return rows.task(self.session, row) if unreadable is None else self._pause_unreadable(row, unreadable)

    def _pause_unreadable(self, row: rows.Columns, why: str) -> Task:
        task = rows.task(self.session, rows.with_times(row, self.now))
        self.database.execute(
            WRITE["mend_times"], {"seq": task.seq, "due_at": task.due_at, "expires_at": task.work.expires_at}
        )
        if task.status is not Status.QUEUED:
            self.mirror(task.seq)
            return task
        paused = replace(task, status=Status.PAUSED, reason=why)
        self.save(task, paused, event="pause")
        return paused

    @contextlib.contextmanager
    def step(self) -> Iterator[None]:
        """Undo what is done within if it raises; what was done before in this transaction stays."""
        self.database.execute("SAVEPOINT step")
        try:
            yield
        except BaseException:
            # A full disk or an I/O error has rolled everything back already.
            if self.database.in_transaction:
                self.database.execute("ROLLBACK TO step")
                self.database.execute("RELEASE step")
            self.unsettled.clear()
            raise
        self.database.execute("RELEASE step")

    def release_committed(self) -> bool:
        """Release into the queue what committed batches have staged here; returns whether there was any.

        The process that stores a batch does so right after its commit, or sweep in its place; this is for a process
        that comes between.
        """
        return bool(self.database.execute(WRITE["release_committed"]).rowcount)

    def move_aside(self, task: Task) -> None:
        """Move the directories of a task's runs aside, with the commit that forgets the task. Raises Refused."""
        if not connection.rehearsing():
            self.moved = aside.move(self.home, task.seq, task.runs) or self.moved

    def has(self, seq: int) -> bool:
        """Whether the task is there."""
        return rows.stored(self.database, seq) is not None

    def next_seq(self) -> int:
        """The N of the next new task."""
        (seq,) = self.database.execute(WRITE["next_seq"]).fetchone()
        return int(seq)

    def insert(self, new: NewTask, **state: Any) -> int:
        """Insert a new row in a state as `entered` takes it; the caller mirrors and records it. Returns its seq."""
        seq = self.next_seq()
        self.insert_all([row(entered(new, seq, self.now, **state))])
        return seq

    def insert_all(self, new: Sequence[rows.Columns]) -> None:
        """Insert new rows, made by `row`, with one statement for each stretch of rows that have the same columns."""
        for columns, alike in groupby(new, tuple):
            self.database.executemany(insert_into("messages_in", columns), alike)

    def publish(self, first: int, batch: str | None = None) -> None:
        """Mirror the new rows from `first` on (only those of `batch`, if given) and record the submit of each."""
        values = {"session": self.session, "first": first, "batch": batch, "at": self.now, "actor": self.actor}
        self.database.execute(WRITE["mirror"], values | {"last": NEWEST})
        self.database.execute(WRITE["events_of_new"], values)

    def save(
        self,
        before: Task,
        after: Task,
        *,
        event: str | None,
        run: RunId | None = None,
        reason: str | None = None,
        rearm: bool = True,
        finished: int | None = None,
    ) -> bool:
        """Take a task from one state to the next, with its event. False: it was no longer as `before`; nothing changed.

        The end of an occurrence makes the next one in the same commit, unless `rearm` is false; `finished` is when it
        ended, if that was before now.
        """
        if before.status is not after.status:
            assert states.allowed(before.status, after.status, self.actor), (before.status, after.status, self.actor)
        columns = dict.fromkeys(rows.STATE) | rows.state_columns(after)
        if after.work is not before.work:
            columns |= dict.fromkeys(rows.WORK) | rows.work_columns(after.work)
        statement = WRITE["save"].format(columns=", ".join(f'"{name}" = :{name}' for name in columns))
        fence = {"before_status": before.status, "before_runs": before.runs}
        changed = self.database.execute(statement, columns | fence).rowcount
        if not changed:
            return False
        self.mirror(after.seq)
        if event is not None:
            self.record(
                event,
                after.seq,
                run=run,
                before=before.shown_status(self.now),
                after=after.shown_status(self.now),
                reason=reason if reason is not None else after.reason,
            )
        if rearm and before.rearms and after.status.ended and not before.status.ended:
            from agentq_cli.engines.local import series

            series.rearm(self, before, after, self.now if finished is None else finished)
        if before.status.ended is not after.status.ended:
            dependencies.changed(self, after.seq)
        return True

    def mirror(self, seq: int) -> None:
        """Bring the index row of a task in line with the session's file."""
        self._mirror(seq, seq)

    def mirror_all(self) -> None:
        """The same for all tasks of the session."""
        self._mirror(0, NEWEST)

    def _mirror(self, first: int, last: int) -> None:
        self.database.execute(WRITE["mirror"], {"session": self.session, "first": first, "last": last, "batch": None})

    def record(
        self,
        event: str,
        seq: int | None,
        *,
        run: RunId | None = None,
        before: Status | None = None,
        after: Status | None = None,
        reason: str | None = None,
        hook: str | None = None,
        agent: str | None = None,
    ) -> None:
        """Record an event in the same commit. `hook` is the hook that it calls, of `agent`, if its statuses do not
        imply it."""
        values: dict[str, Any] = {
            "at": self.now,
            "session": self.session,
            "seq": seq,
            "attempt": None if run is None else run.attempt,
            "from": before,
            "to": after,
            "event": event,
            "actor": self.actor,
            "reason": reason,
            "hook": hook,
            "agent": agent,
        }
        self.database.execute(WRITE["event"], values)


def entered(
    new: NewTask,
    seq: int,
    now: int,
    *,
    status: Status,
    reason: str | None = None,
    series: int | None = None,
    trigger: Trigger = Trigger.SUBMIT,
    recurrence: Recurrence | None = None,
    arriving: bool = False,
    extra: bool = False,
) -> Task:
    """A new task, to be stored as `seq`; the first of a series has its own seq as the series' number."""
    return Task(
        session=new.session,
        seq=seq,
        work=new.work,
        status=status,
        created_at=now,
        due_at=now if new.due_at is None else new.due_at,
        reason=reason or None,
        series=series or (None if recurrence is None else seq),
        trigger=trigger,
        recurrence=recurrence,
        arriving=arriving,
        extra=extra,
    )


def row(task: Task, batch: str | None = None) -> rows.Columns:
    """The columns of a new task; staged if it belongs to a batch.

    What it waits for is stored by `dependencies.enter`, once all of those tasks have their addresses.
    """
    found = rows.work_columns(task.work) | rows.state_columns(task)
    found.pop("after", None)
    return found if batch is None else found | {"status": "staged", "batch": batch}


@contextlib.contextmanager
def session_write(
    state: StateDir,
    session: str,
    *,
    now: int,
    actor: Actor,
    create: bool = False,
    alone: bool = False,
    busy_ms: int = connection.BUSY_MS,
) -> Iterator[SessionWrite]:
    """Begin a transaction over a session and the index, or with `alone` over the session only, if the index is not
    involved. Raises NotFound, Busy, Unreadable."""
    if create:
        create_sessions(state, [session], busy_ms=busy_ms)
    else:
        check_stored(state, session)
    write: SessionWrite | None = None
    try:
        with (
            opened(state, session, create=create, alone=alone, busy_ms=busy_ms) as database,
            connection.transaction(database, state.inbound(session)),
        ):
            if state.kept is not None and not alone:
                connection.refuse_newer(database, state.inbound(session), state.index)
            write = SessionWrite(database, session, now, actor, state.session(session))
            yield write
            if write.moved:
                aside.sync(write.home)
    except BaseException:
        if write is not None and write.moved:
            with contextlib.suppress(AgentqError):  # what cannot be put back now, sweep puts back
                settle_aside(state, session, busy_ms=busy_ms)
        raise


def settle_aside(state: StateDir, session: str, *, busy_ms: int) -> tuple[list[str], list[str]]:
    """Put back the directories of runs that were moved aside and whose task still exists; returns these, and those to
    be removed.

    Raises Busy, Unreadable.
    """
    if not os.path.isdir(aside.place(state.session(session))):
        return [], []
    with session_write(state, session, now=0, actor=Actor.SWEEP, alone=True, busy_ms=busy_ms) as write:
        return aside.settle(write, dry=connection.rehearsing())


@contextlib.contextmanager
def opened(state: StateDir, session: str, *, create: bool, alone: bool, busy_ms: int) -> Iterator[sqlite3.Connection]:
    """A connection to a session's file, and unless `alone` to the index, for one transaction: a kept one if there are
    any."""
    inbound, index = state.inbound(session), state.index

    def connect() -> sqlite3.Connection:
        if alone:
            return connection.connect(inbound, "inbound", create=create, busy_ms=busy_ms)
        return connection.connect_session(inbound, index, create=create, busy_ms=busy_ms)

    if state.kept is not None and not create and not alone:
        with state.kept.lend((inbound, index), busy_ms, connect) as database:
            yield database
        return
    with contextlib.closing(connect()) as database:
        yield database


def create_sessions(state: StateDir, sessions: Sequence[str], *, busy_ms: int = connection.BUSY_MS) -> None:
    """Create what sessions need before anything is stored in them. Raises Usage, Busy, Unreadable, Refused."""
    for session in sessions:
        refuse_emptied(state, session)
    if connection.rehearsing():
        for session in sessions:
            with contextlib.suppress(NotFound):
                state.check_session(session)
    else:
        state.create_sessions(sessions)
    for session in sessions:
        if not os.path.lexists(state.outbound(session)):
            connection.connect(state.outbound(session), "outbound", create=True, busy_ms=busy_ms).close()


def check_stored(state: StateDir, session: str) -> None:
    """Raises NotFound if nothing was ever stored for a session, and Usage or Unreadable if the session is unfit."""
    state.check_session(session)
    if connection.rehearsed(state.inbound(session)):
        return
    refuse_emptied(state, session)
    if not os.path.lexists(state.inbound(session)):
        raise NotFound(f"session '{session}': no such session")


def refuse_emptied(state: StateDir, session: str) -> None:
    """Refuse a session that the index knows and whose file is missing or empty. Raises Unreadable.

    A new file in its place would count from 1 again. A session that the index does not know is what a submit leaves
    behind if it was killed before it stored anything.
    """
    path = state.inbound(session)
    if holds_something(path) or not is_there(state.index):
        return
    with contextlib.closing(connection.connect(state.index, "index", create=False)) as index:
        known = index.execute(READ["session"], {"name": session}).fetchone()
    # Checked again: another process's first submit may have happened in between.
    if known is not None and not holds_something(path):
        what = "empty" if is_there(path) else "missing"
        raise Unreadable(f"'{path}': {what}, but the index has its tasks; restore it from a copy")
