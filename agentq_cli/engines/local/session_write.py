"""A writing transaction over one session and the index: the only place where a task's row changes.

Each change is the row in messages_in, its mirror in the index and the event, in one commit (ARCHITECTURE, storage).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from agentq_cli.base.cached import cache
from agentq_cli.base.dataclass import replace
from agentq_cli.engines.local import aside, rehearsal
from agentq_cli.engines.local.queries import insert_rows, statement
from agentq_cli.engines.local.state_dir import StateDir
from agentq_cli.engines.local.writing import Writing
from agentq_cli.engines.shared import read
from agentq_cli.engines.steps import entering, rows, saving
from agentq_cli.model.addresses import Address, RunId
from agentq_cli.model.statuses import Status

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from contextlib import AbstractContextManager

    from agentq_cli.engines.steps.entering import Entering
    from agentq_cli.model.actions import Actor
    from agentq_cli.model.runs import Run
    from agentq_cli.model.tasks import Task

NEWEST = 1 << 62


class SessionWrite(Writing):
    """One open transaction (`transaction.Transaction`); made by `sessions.session_write`."""

    session: str

    def __init__(self, database: sqlite3.Connection, state: StateDir, session: str, now: int, actor: Actor) -> None:
        super().__init__(database, state, now, actor)
        self.session = session
        self.home = state.session(session)
        """The session's directory."""
        self.moved = False
        """Whether directories of runs were moved aside (`aside`); that is undone if the transaction fails."""
        self.staged: list[Entering] = []
        """What this transaction has stored for a batch that is not committed yet."""
        self.unsettled: list[int] = []
        self.dependents = 0

    def snapshot(self) -> AbstractContextManager[None]:
        return contextlib.nullcontext()  # nobody else writes meanwhile

    def marks(self) -> tuple[int, object]:
        (found,) = self.ask("dispatch.marks_attached")
        return found

    def task(self, seq: int) -> Task:
        """The task as it is now, locked. Raises NotFound.

        A task whose times cannot be read is first paused with that reason: it would never become due, or never expire.
        """
        row = read.stored(self, seq)
        if row is None and self.release_committed():
            row = read.stored(self, seq)
        if row is None:
            raise read.unknown_task(self, Address(self.session, seq))
        unreadable = rows.unreadable_time(row)
        return rows.task(self.session, row) if unreadable is None else self._pause_unreadable(row, unreadable)

    def _pause_unreadable(self, row: rows.Columns, why: str) -> Task:
        task = rows.task(self.session, rows.with_times(row, self.now))
        self.tell("write.mend_times", {"seq": task.seq, "due_at": task.due_at, "expires_at": task.work.expires_at})
        if task.status is not Status.QUEUED:
            self.mirror(task.seq)
            return task
        paused = replace(task, status=Status.PAUSED, reason=why)
        self.save(task, paused, event="pause")
        return paused

    def run(self, run: RunId) -> Run:
        return read.run(self, run)

    @contextlib.contextmanager
    def step(self) -> Iterator[None]:
        self.database.execute("SAVEPOINT step")
        try:
            yield
        except BaseException:
            if not self.lost:
                self.database.execute("ROLLBACK TO step")
                self.database.execute("RELEASE step")
            self.unsettled.clear()
            raise
        self.database.execute("RELEASE step")

    @property
    def lost(self) -> bool:
        # A full disk or an I/O error has rolled everything back already.
        return not self.database.in_transaction

    def release_committed(self) -> bool:
        """Release into the queue what committed batches have staged here; returns whether there was any.

        The process that stores a batch does so right after its commit, or sweep in its place; this is for a process
        that comes between.
        """
        return bool(self.tell("write.release_committed"))

    def move_aside(self, task: Task) -> None:
        if not rehearsal.rehearsing():
            self.moved = aside.move(self.home, task.seq, task.runs) or self.moved

    def has(self, seq: int) -> bool:
        """Whether the task is there."""
        return read.stored(self, seq) is not None

    def next_seq(self) -> int:
        ((seq,),) = self.ask("write.next_seq")
        return int(seq)

    def insert(self, new: Sequence[Entering], batch: str | None = None) -> None:
        if not new:
            return
        found = entering.columns(new)
        if batch is not None:
            self.staged += new
            found |= {"status": ["staged"] * len(new), "batch": [batch] * len(new)}
        self.database.executemany(insert_rows("messages_in", found), zip(*found.values(), strict=True))

    def publish(self, first: int, batch: str | None = None) -> None:
        values = {"session": self.session, "first": first, "batch": batch, "at": self.now, "actor": self.actor}
        self.tell("write.mirror", values | {"last": NEWEST})
        self.tell("write.events_of_new", values)

    def put(self, before: Task, after: Task) -> bool:
        columns = dict.fromkeys(rows.STATE) | rows.state_columns(after)
        if after.work is not before.work:
            columns |= dict.fromkeys(rows.WORK) | rows.work_columns(after.work)
        fence = {"before_status": before.status, "before_runs": before.runs}
        if not self.database.execute(_save(tuple(columns)), columns | fence).rowcount:
            return False
        self.mirror(after.seq)
        return True

    save = saving.save

    def keep_environment(self, text: str) -> int:
        self.tell("write.keep_environment", {"variables": text})
        ((found,),) = self.ask("write.environment_of", {"variables": text})
        return int(found)

    def remove(self, seq: int) -> None:
        values = {"session": self.session, "seq": seq}
        self.tell("write.delete_task", values)
        self.tell("write.delete_index_row", values)

    def settle_elsewhere(self, session: str, seq: int) -> None:
        # In a commit of its own session, by the next process that comes to it.
        self.tell("dependencies.note_unsettled", {"session": session, "seq": seq})

    def mirror(self, seq: int) -> None:
        """Bring the index row of a task in line with the session's file."""
        self._mirror(seq, seq)

    def mirror_all(self) -> None:
        """The same for all tasks of the session."""
        self._mirror(0, NEWEST)

    def _mirror(self, first: int, last: int) -> None:
        self.tell("write.mirror", {"session": self.session, "first": first, "last": last, "batch": None})


@cache
def _save(columns: tuple[str, ...]) -> str:
    return statement("write.save").format(columns=", ".join(f'"{name}" = :{name}' for name in columns))
