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
    from typing import Any

    from agentq_cli.engines.fleet.along import Answers
    from agentq_cli.engines.fleet.connection import Connection
    from agentq_cli.engines.fleet.queries import Question
    from agentq_cli.engines.steps.entering import Entering
    from agentq_cli.engines.transaction import Row, Values
    from agentq_cli.model.actions import Actor
    from agentq_cli.model.addresses import RunId
    from agentq_cli.model.runs import Run
    from agentq_cli.model.tasks import Task
    from agentq_cli.model.work import Work

NOTHING: Mapping[str, object] = {}

QUIET = ("start", "adopt", "supervisor")
"""The events that concern nobody who waits."""

MOST_INSERTED = 10
"""How many new tasks are sent as a statement; more are copied, which takes a message more and a third of the time."""


AROUND = (("dispatch.running", NOTHING), ("dispatch.paused_sessions", NOTHING))
"""What else prevents starts, and is the same at any time."""


class Asking:
    """A connection, asked. `own` are the values that every statement may use."""

    def __init__(self, database: Connection, own: Mapping[str, Any]) -> None:
        self.database = database
        self.own = own
        self._of_moment: Answers | None = None

    def ask(self, name: str, values: Values = NOTHING, /) -> list[Row]:
        return self._answers([(name, values)])[0]

    def ask_each(self, *asked: tuple[str, Values]) -> list[list[Row]]:
        return self._answers(asked)

    def expect(self, *asked: tuple[str, Values]) -> None:
        """See `transaction.Reading`; of one moment only."""
        if self.answers is not None:
            for each in asked:
                self.answers.expect(self._question(*each))

    @property
    def answers(self) -> Answers | None:
        """What is known at this moment."""
        return self._of_moment

    def _question(self, name: str, values: Values) -> Question:
        return queries.statement(name, self.database.schema), {**self.own, **values}

    def _answers(self, asked: Sequence[tuple[str, Values]]) -> list[list[Row]]:
        questions, answers = [self._question(*each) for each in asked], self.answers
        if answers is None:
            return self._ask_all(questions)
        for each in questions:
            answers.expect(each)
        expected = answers.take_expected()
        if expected:
            answers.learn(expected, self._ask_all(expected))
        return [answers.known(each) for each in questions]

    def _ask_all(self, questions: Sequence[Question]) -> list[list[Row]]:
        if len(questions) == 1:
            return [self._ask(*questions[0])]
        columns, values = queries.together(questions)
        (found,) = self._ask(f"SELECT {columns}", values)
        return queries.apart(found)

    def _ask(self, text: str, values: Values) -> list[Row]:
        return self.database.ask_text(text, values)

    def of_session(self, session: str) -> Asking:
        """The same about what belongs to a session."""
        return Asking(self.database, {**self.own, "session": session})

    def marks(self) -> tuple[int, object]:
        ((newest, rebuilt),) = self.ask("dispatch.marks")
        return newest, rebuilt

    def foresee(self, now: int, *, after: int | None, sessions: Collection[str]) -> None:
        self.expect(*AROUND, ("read.holds", {"now": now}), ("dispatch.marks", {}))
        if after is not None:
            self.expect(("dispatch.changed", {"after": after}))
        if sessions:
            self.expect(_heads_of(now, sessions))
        for session in sessions if len(sessions) == 1 else ():
            self.expect(("read.session_retrying", {"session": session, "now": now}))

    def heads(self, now: int, sessions: Collection[str] | None = None) -> list[Row]:
        if sessions is None:
            return self.ask("dispatch.heads", {"now": now})
        return self.ask(*_heads_of(now, sessions))

    def environment(self, number: int) -> str | None:
        """See `transaction.Reading`; in a file of the host that captured it."""
        from agentq_cli.host import environments

        return environments.find(Place(str(self.own["place"])), number)

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        from agentq_cli.engines.fleet.along import Answers

        before, self._of_moment = self._of_moment, Answers()
        try:
            with self.database.snapshot():
                yield
        finally:
            self._of_moment = before


def _heads_of(now: int, sessions: Collection[str]) -> tuple[str, Values]:
    return "dispatch.heads_of", {"now": now, "sessions": ",".join(sorted(sessions))}


class Commit:
    """What is sent and told in one transaction, over however many sessions."""

    def __init__(self) -> None:
        self.later: list[bytes] = []
        self.answers: Answers | None = None
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

    @property
    def answers(self) -> Answers | None:
        return self.commit.answers

    def expect(self, *asked: tuple[str, Values]) -> None:
        self._knowing()
        super().expect(*asked)

    def learn(self, questions: Sequence[Question], found: Sequence[list[Row]]) -> None:
        """Take note of the answers that came with the beginning of this transaction."""
        self._knowing().learn(questions, found)

    def _knowing(self) -> Answers:
        from agentq_cli.engines.fleet.along import Answers

        self.commit.answers = self.commit.answers or Answers()
        return self.commit.answers

    def _ask(self, text: str, values: Values) -> list[Row]:
        self.commit.later.append(self.database.said(text, values))
        return self.database.send(self.flushed())

    def tell(self, name: str, values: Values = NOTHING, /) -> None:
        self._tell(queries.statement(name, self.database.schema), values)

    def _tell(self, text: str, values: Values) -> None:
        if self.commit.answers is not None:
            self.commit.answers.told(text)
        self.commit.later.append(self.database.said(text, {**self.own, **values}))

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

    def store(self, new: Sequence[Entering]) -> None:
        """Add the rows of new tasks, of whichever sessions."""
        if not new:
            return
        columns = _columns(new)
        each = zip(*columns.values(), strict=True)
        if self.commit.answers is not None:
            self.commit.answers.forget()
        if len(new) > MOST_INSERTED:
            if self.commit.later:
                self.database.send(self.flushed())
            self.database.copy("tasks", columns, each)
        else:
            one, begin = queries.row_of(columns), queries.insert_into("tasks", columns, self.database.schema)
            said = [self.database.filled(one, dict(zip(columns, row, strict=True))) for row in each]
            self.commit.later.append(begin.encode() + b", ".join(said))

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
        self.store(new)
        if new:
            self.tell("write.took_seqs", {"next": new[-1].seq + 1})

    def publish(self, first: int, batch: str | None = None) -> None:
        self.tell("write.events_of_new", {"first": first, "at": self.now, "actor": self.actor})
        self.wake()

    def mirror(self, seq: int) -> None:
        """Nothing: what is known of a task is its row."""

    def put(self, before: Task, after: Task) -> bool:
        none = dict.fromkeys(rows.STATE)
        was, columns = none | rows.state_columns(before), none | rows.state_columns(after)
        # Each column that is written takes along what is derived from it, and each set of them is a statement.
        columns = {name: value for name, value in columns.items() if value != was[name]}
        if after.work is not before.work:
            columns |= dict.fromkeys(rows.WORK) | _work(after)
        if columns:
            fence = {"before_status": before.status, "before_runs": before.runs}
            self._tell(queries.save(tuple(columns), self.database.schema), {"seq": after.seq, **columns, **fence})
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
            if self.commit.answers is not None:
                self.commit.answers.forget()
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
