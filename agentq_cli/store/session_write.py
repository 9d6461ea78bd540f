"""A writing transaction over one session and the index: the only place where a task's row changes.

Each change is the row in messages_in, its mirror in the index and the event, in one commit (ARCHITECTURE, storage).
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence

from agentq_cli.dataclass import replace
from agentq_cli.errors import AgentqError, NotFound, Unreadable
from agentq_cli.model import Actor, Address, Launch, NewTask, RunId, Status, Task, Trigger
from agentq_cli.path import Path
from agentq_cli.policy import states
from agentq_cli.store import aside, connection, dependencies, rows
from agentq_cli.store.queries import statements
from agentq_cli.store.state_dir import StateDir, holds_something

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from agentq_cli.policy.series import Recurrence

WRITE = statements("write")
READ = statements("read")
TASK = READ["task"].format(task_columns=READ["task_columns"])


class SessionWrite:
    """One open transaction; made by `session_write`. `now` is the time that its events carry."""

    def __init__(
        self, database: sqlite3.Connection, session: str, now: int, actor: Actor, home: Path | None = None
    ) -> None:
        self.home = home or Path(session)
        """The session's directory; of one that is laid as a whole not yet its own."""
        self.moved = False
        """Whether directories of runs were moved aside (`aside`), which is undone where the transaction fails."""
        self.database = database
        self.session = session
        self.now = now
        self.actor = actor
        self.unsettled: list[int] = []
        """Tasks whose end, or new beginning, is still to be told to those that wait for them."""
        self._launch: tuple[Launch, str] | None = None

    def task(self, seq: int) -> Task:
        """The task as it is now, locked. Raises NotFound.

        One whose times cannot be read is paused first, saying so: it would never be found due, or never expire.
        """
        row = self.database.execute(TASK, {"seq": seq}).fetchone()
        if row is None and self.release_committed():
            row = self.database.execute(TASK, {"seq": seq}).fetchone()
        if row is None:
            from agentq_cli.store.read import unknown_task

            raise unknown_task(self.database, Address(self.session, seq))
        unreadable = rows.unreadable_time(row)
        return rows.task(self.session, row) if unreadable is None else self._pause_unreadable(row, unreadable)

    def _pause_unreadable(self, row: rows.Row, why: str) -> Task:
        task = rows.task(self.session, rows.with_times(row, self.now))
        self.database.execute(
            WRITE["mend_times"], {"seq": task.seq, "due_at": task.due_at, "expires_at": task.expires_at}
        )
        if task.status is not Status.QUEUED:
            self.mirror(task.seq)
            return task
        paused = replace(task, status=Status.PAUSED, reason=why)
        self.save(task, paused, event="pause")
        return paused

    @contextlib.contextmanager
    def step(self) -> Iterator[None]:
        """What is done within is undone where it raises; what was done before in this transaction stays."""
        self.database.execute("SAVEPOINT step")
        try:
            yield
        except BaseException:
            # A full disk or an I/O error has rolled all of it back already.
            if self.database.in_transaction:
                self.database.execute("ROLLBACK TO step")
                self.database.execute("RELEASE step")
            self.unsettled.clear()
            raise
        self.database.execute("RELEASE step")

    def release_committed(self) -> bool:
        """Let into the queue what batches have staged here that are committed; whether there was any.

        Whoever stores a batch does so itself right after its commit, or sweep in its place; this is for who comes
        between.
        """
        return bool(self.database.execute(WRITE["release_committed"]).rowcount)

    def move_aside(self, task: Task) -> None:
        """Have the directories of a task's runs go with the commit that forgets it. Raises Refused."""
        if not connection.rehearsing():
            self.moved = aside.move(self.home, task.seq, task.runs) or self.moved

    def has(self, seq: int) -> bool:
        """Whether the task is there."""
        return self.database.execute(TASK, {"seq": seq}).fetchone() is not None

    def next_seq(self) -> int:
        """The N of the next new task."""
        (seq,) = self.database.execute(WRITE["next_seq"]).fetchone()
        return int(seq)

    def insert(self, task: NewTask, **state: Any) -> int:
        """A new row in a state as `row` takes it; the caller mirrors and records it. Returns its seq."""
        seq = self.next_seq()
        self.insert_all([self.row(task, seq, **state)])
        return seq

    def insert_all(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """New rows, made by `row`, in one statement."""
        self.database.executemany(WRITE["insert_task"], rows)

    def row(
        self,
        task: NewTask,
        seq: int,
        *,
        status: str,
        batch: str | None = None,
        reason: str | None = None,
        series: int | None = None,
        trigger: Trigger = Trigger.SUBMIT,
        recurrence: Recurrence | None = None,
        arriving: bool = False,
        extra: bool = False,
    ) -> dict[str, Any]:
        """The columns of a new task, to be inserted as `seq`; the first of a series names it by its own."""
        # Plain texts and numbers: for a value of a type of its own, and for None, sqlite3 looks for an adapter, which
        # takes longer than the row.
        values = rows.content(task, self._launch_text(task.launch))
        for name in ("agent", "argv", "key"):
            if values[name] is None:
                values[name] = ""
        return values | {
            "seq": seq,
            "status": str(status),
            "created_at": self.now,
            "due_at": self.now if task.due_at is None else task.due_at,
            "expires_at": "" if task.expires_at is None else task.expires_at,
            "batch": batch or "",
            "reason": reason or "",
            "series": series or ("" if recurrence is None else seq),
            "trigger": str(trigger),
            "recurrence": "" if recurrence is None else recurrence.to_json(),
            "arriving": int(arriving),
            "extra": int(extra),
        }

    def _launch_text(self, launch: Launch) -> str:
        # The tasks of a batch share theirs.
        if self._launch is None or self._launch[0] is not launch:
            self._launch = (launch, rows.launch_text(launch))
        return self._launch[1]

    def publish(self, first: int, batch: str | None = None) -> None:
        """Mirror the new rows from `first` on (of `batch` alone, where given) and record the submit of each."""
        values = {"session": self.session, "first": first, "batch": batch, "at": self.now, "actor": self.actor}
        self.database.execute(WRITE["mirror_since"], values)
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
        """Take a task from one state to the next, with its event. False: it was not as `before`; nothing changed.

        The end of an occurrence makes the next one in the same commit, unless `rearm` is false; `finished` is when it
        ended where that was before now.
        """
        if before.status is not after.status:
            assert states.allowed(before.status, after.status, self.actor), (before.status, after.status, self.actor)
        changed = self.database.execute(
            WRITE["save_state"],
            {
                "seq": after.seq,
                "status": after.status,
                "reason": after.reason,
                "due_at": after.due_at,
                "expires_at": after.expires_at,
                "ended_at": after.ended_at,
                "attempts": after.attempts,
                "runs": after.runs,
                "last_run": after.last_run,
                "exit_code": after.exit_code,
                "cancel_requested": rows.RUN_ONLY if after.goes_on else after.cancel_requested,
                "trigger": after.trigger,
                "recurrence": None if after.recurrence is None else after.recurrence.to_json(),
                "successor": None if after.successor is None else rows.successor_text(after.successor),
                "arriving": after.arriving,
                "extra": after.extra,
                "series": after.series,
                "dep_failed": None if after.dep_failed is None else str(after.dep_failed),
                "tries": after.tries,
                "fresh": rows.FRESH * after.fresh + rows.RESUMES * after.resumes,
                "before_status": before.status,
                "before_runs": before.runs,
            },
        ).rowcount
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
            from agentq_cli.store import series

            series.rearm(self, before, after, self.now if finished is None else finished)
        if before.status.ended is not after.status.ended:
            dependencies.changed(self, after.seq)
        return True

    def save_content(self, task: Task) -> None:
        """Write what is to be done; the caller records why."""
        self.database.execute(WRITE["save_content"], rows.content(task) | {"seq": task.seq})

    def mirror(self, seq: int) -> None:
        """Bring the index row of a task in line with the session's file."""
        self.database.execute(WRITE["mirror"], {"session": self.session, "seq": seq})

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
        """An event in the same commit. `hook` is the one that it calls where its statuses do not say so, of `agent`."""
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
    """Begin a transaction over a session and the index; `alone` over the session only, where the index has no part in
    it. Raises NotFound, Busy, Unreadable."""
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
    """Put back the directories of runs that lie aside and whose task is still there; these, and those to be removed.

    Raises Busy, Unreadable.
    """
    if not os.path.isdir(aside.place(state.session(session))):
        return [], []
    with session_write(state, session, now=0, actor=Actor.SWEEP, alone=True, busy_ms=busy_ms) as write:
        return aside.settle(write, dry=connection.rehearsing())


@contextlib.contextmanager
def opened(state: StateDir, session: str, *, create: bool, alone: bool, busy_ms: int) -> Iterator[sqlite3.Connection]:
    """A connection to a session's file, and unless `alone` to the index, for one transaction: kept where they are."""
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
    """Make what sessions need before anything is stored in them. Raises Usage, Busy, Unreadable, Refused."""
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
    """Raises NotFound where nothing was ever stored for a session, Usage and Unreadable where it is unfit."""
    state.check_session(session)
    if connection.rehearsed(state.inbound(session)):
        return
    refuse_emptied(state, session)
    if not os.path.lexists(state.inbound(session)):
        raise NotFound(f"session '{session}': there is none of that name")


def refuse_emptied(state: StateDir, session: str) -> None:
    """Refuse a session that the index knows and whose file is gone or has not one byte. Raises Unreadable.

    A new file in its place would count from 1 again. One that the index does not know is what a submit leaves that
    was killed before it stored anything.
    """
    path = state.inbound(session)
    if holds_something(path) or not state.index.exists():
        return
    with contextlib.closing(connection.connect(state.index, "index", create=False)) as index:
        known = index.execute(READ["session"], {"name": session}).fetchone()
    # Looked at once more: somebody else's first submit may have come between.
    if known is not None and not holds_something(path):
        what = "it is empty" if path.exists() else "it is gone"
        raise Unreadable(f"'{path}': {what}, while the index knows its tasks; put it back from a copy")
