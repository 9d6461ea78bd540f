"""What steps work with in the fleet (`engines.transaction`): a connection asked and told by the names of statements.

Every statement may use what its owner is: `session` (of a transaction or a reading of one), and `host_id`, `host_key`
and `place` (of this machine's host). What is told is sent with the next question, or with the commit.
"""

from __future__ import annotations

from agentq_cli.base.context import contextmanager
from agentq_cli.engines.fleet import queries
from agentq_cli.engines.shared import read
from agentq_cli.engines.steps import entering, rows, saving
from agentq_cli.host.place import Place
from agentq_cli.model.addresses import Address
from agentq_cli.policy import placement

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from typing import Any

    from agentq_cli.engines.fleet.connection import Connection
    from agentq_cli.engines.steps.entering import Entering
    from agentq_cli.engines.transaction import Row, Values
    from agentq_cli.model.actions import Actor
    from agentq_cli.model.addresses import RunId
    from agentq_cli.model.runs import Run
    from agentq_cli.model.tasks import Task
    from agentq_cli.model.work import Work

NOTHING: Mapping[str, object] = {}

QUIET = ("start", "adopt")
"""The events that concern nobody who waits."""

MOST_ROWS = 200
"""How many new tasks are sent at once, so that the server never waits for long in mid-transaction."""


class Asking:
    """A connection, asked. `own` are the values that every statement may use."""

    def __init__(self, database: Connection, own: Mapping[str, Any]) -> None:
        self.database = database
        self.own = own

    def ask(self, name: str, values: Values = NOTHING, /) -> list[Row]:
        return self.database.ask(name, {**self.own, **values})

    def ask_each(self, *asked: tuple[str, Values]) -> list[list[Row]]:
        # As one row of JSON: of several statements in one message the driver keeps what the last one answers.
        each = [self.database.written(name, {**self.own, **values}) for name, values in asked]
        columns = b", ".join(b"(SELECT json_agg(one) FROM (" + statement + b") AS one)" for statement in each)
        (found,) = self._send(b"SELECT " + columns)
        return [[tuple(row.values()) for row in rows or ()] for rows in found]

    def _send(self, message: bytes) -> list[Row]:
        return self.database.send(message)

    def of_session(self, session: str) -> Asking:
        """The same about what belongs to a session."""
        return Asking(self.database, {**self.own, "session": session})

    def heads(self, now: int, sessions: Collection[str] | None = None) -> list[Row]:
        if sessions is None:
            return self.ask("dispatch.heads", {"now": now})
        return self.ask("dispatch.heads_of", {"now": now, "sessions": ",".join(sessions)})

    def marks(self) -> tuple[int, object]:
        (found,) = self.ask("dispatch.marks")
        return found

    def environment(self, number: int) -> str | None:
        """See `transaction.Reading`; in a file of the host that captured it."""
        from agentq_cli.host import environments

        return environments.find(Place(str(self.own["place"])), number)

    def snapshot(self) -> AbstractContextManager[None]:
        return self.database.snapshot()


class Commit:
    """What is sent and told in one transaction, over however many sessions."""

    def __init__(self) -> None:
        self.later: list[bytes] = []
        self.waking: set[str] = set()
        self.unsettled: list[tuple[str, int]] = []


class Writing(Asking):
    """A transaction, asked and told."""

    session: str | None = None

    def __init__(self, database: Connection, own: Mapping[str, Any], now: int, actor: Actor, commit: Commit) -> None:
        super().__init__(database, own)
        self.now = now
        self.actor = actor
        self.commit = commit

    def ask(self, name: str, values: Values = NOTHING, /) -> list[Row]:
        return self._send(self.database.written(name, {**self.own, **values}))

    def _send(self, message: bytes) -> list[Row]:
        self.commit.later.append(message)
        return self.database.send(self.flushed())

    def tell(self, name: str, values: Values = NOTHING, /) -> None:
        self.commit.later.append(self.database.written(name, {**self.own, **values}))

    def change(self, name: str, values: Values = NOTHING, /) -> int:
        self.tell(name, values)
        return self.database.change(self.flushed())

    def flushed(self) -> bytes:
        """What is still to be sent."""
        message = b";".join(self.commit.later)
        self.commit.later.clear()
        return message

    def record(self, event: str, *rest: Any, **more: Any) -> None:
        saving.record(self, event, *rest, **more)
        if event not in QUIET:
            self.wake()

    def notify(self, session: str) -> None:
        """Have the commit ring for a session; "" is the whole queue."""
        self.tell("open.notify", {"channel": self.database.schema, "session": session})

    def wake(self) -> None:
        """Have the commit wake whoever waits for something of this session."""
        self.commit.waking.add(self.session or "")

    def holds_changed(self) -> None:
        self.wake()

    def part(self, session: str) -> SessionWrite:
        """The part of a session in this transaction."""
        return SessionWrite(self.database, self.own, session, self.now, self.actor, self.commit)


class SessionWrite(Writing):
    """A transaction over one session, or that session's part of one over several."""

    session: str

    def __init__(
        self, database: Connection, own: Mapping[str, Any], session: str, now: int, actor: Actor, commit: Commit
    ) -> None:
        super().__init__(database, {**own, "session": session}, now, actor, commit)
        self.session = session
        self.unsettled: list[int] = []
        self.dependents = 0

    def task(self, seq: int) -> Task:
        found = self.ask("read.task", {"seq": seq})
        if not found:
            raise read.unknown_task(self, Address(self.session, seq))
        return rows.task(self.session, rows.named(found[0]))

    def run(self, run: RunId) -> Run:
        return read.run(self, run)

    def keep_environment(self, text: str) -> int:
        """See `transaction.Transaction`."""
        from agentq_cli.host import environments

        return environments.keep(Place(str(self.own["place"])), str(self.own["host_key"]), text)

    def next_seq(self) -> int:
        ((seq,),) = self.ask("write.next_seq")
        return int(seq)

    def insert(self, new: Sequence[Entering], batch: str | None = None) -> None:
        for first in range(0, len(new), MOST_ROWS):
            columns = _columns(new[first : first + MOST_ROWS])
            one = queries.row_of(columns)
            each = (dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True))
            begin = queries.insert_into("tasks", columns, self.database.schema)
            self.commit.later.append(begin.encode() + b", ".join([self.database.filled(one, row) for row in each]))
            if len(new) > MOST_ROWS:
                self.database.send(self.flushed())
        if new:
            self.tell("write.took_seqs", {"next": new[-1].seq + 1})

    def publish(self, first: int, batch: str | None = None) -> None:
        self.tell("write.events_of_new", {"first": first, "at": self.now, "actor": self.actor})
        self.wake()

    def mirror(self, seq: int) -> None:
        """Nothing: what is known of a task is its row."""

    def put(self, before: Task, after: Task) -> bool:
        columns = dict.fromkeys(rows.STATE) | rows.state_columns(after)
        if after.work is not before.work:
            columns |= dict.fromkeys(rows.WORK) | _work(after)
        fence = {"before_status": before.status, "before_runs": before.runs}
        text = queries.save(tuple(columns), self.database.schema)
        self.commit.later.append(self.database.filled(text, {**self.own, **columns, **fence}))
        # It still is as `before`: that was read in this transaction, and nobody else writes meanwhile.
        return True

    save = saving.save

    def remove(self, seq: int) -> None:
        self.tell("write.delete_task", {"seq": seq})

    def settle_elsewhere(self, session: str, seq: int) -> None:
        """Settle the dependencies of a task of another session before the commit."""
        self.commit.unsettled.append((session, seq))

    @contextmanager
    def step(self) -> Iterator[None]:
        waking, unsettled = set(self.commit.waking), len(self.commit.unsettled)
        self.commit.later.append(b"SAVEPOINT step")
        try:
            yield
        except BaseException:
            if not self.lost:
                self.commit.later.append(b"ROLLBACK TO step; RELEASE step")
                self.database.send(self.flushed())
            self.unsettled.clear()
            self.commit.waking = waking
            del self.commit.unsettled[unsettled:]
            raise
        self.commit.later.append(b"RELEASE step")

    @property
    def lost(self) -> bool:
        return self.database.lost

    def move_aside(self, task: Task) -> None:
        """Nothing: each host removes the directories of what was pruned by itself."""


def settle(write: Writing) -> None:
    """Settle what waits in other sessions for what this transaction has ended or reopened, and so on."""
    from agentq_cli.engines.steps import dependencies

    while write.commit.unsettled:
        session, seq = write.commit.unsettled.pop(0)
        dependencies.settle(write.part(session), seq)


def _columns(new: Sequence[Entering]) -> Mapping[str, Sequence[Any]]:
    """The rows of new tasks, column by column."""
    derived = {name: [made(task.work) for task in new] for name, made in DERIVED.items()}
    return {"session": [task.session for task in new], **entering.columns(new), **derived}


DERIVED: Mapping[str, Callable[[Work], str]] = {
    "directory": lambda work: work.directory,
    "needs": lambda work: placement.needs(work).text,
}
"""The columns that follow from what is to be done."""


def _work(task: Task) -> rows.Columns:
    """The columns of what is to be done, and what is derived from it."""
    return rows.work_columns(task.work) | {name: made(task.work) for name, made in DERIVED.items()}
