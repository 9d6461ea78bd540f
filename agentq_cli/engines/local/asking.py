"""A connection that is asked and told by the names of statements: what `transaction` calls Reading and Writing."""

from __future__ import annotations

from agentq_cli.base.json_text import dumps
from agentq_cli.engines.local import connection
from agentq_cli.engines.local.queries import statement
from agentq_cli.engines.steps import rows

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager

    from agentq_cli.engines.local.state_dir import StateDir
    from agentq_cli.engines.transaction import Row, Values
    from agentq_cli.model.actions import Actor
    from agentq_cli.model.addresses import RunId
    from agentq_cli.model.statuses import Status

NOTHING: Mapping[str, object] = {}

_columns = ", ".join(f'"{name}"' for name in rows.COLUMNS)
TASK = statement("read.task").format(columns=_columns)
TASKS = statement("read.tasks_of_page").format(columns=_columns)


class Asking:
    """A connection, asked."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self.database = database

    def ask(self, name: str, values: Values = NOTHING, /) -> list[Row]:
        return self.database.execute(statement(name), values).fetchall()

    def snapshot(self) -> AbstractContextManager[None]:
        return connection.snapshot(self.database)

    def environment(self, number: int) -> str | None:
        """See `transaction.OfSession`; for the file of a session."""
        found = self.ask("write.environment", {"id": number})
        return found[0][0] if found else "{}"


class Writing(Asking):
    """A transaction, asked and told. `state` is where the holds have their copy."""

    session: str | None = None

    def __init__(self, database: sqlite3.Connection, state: StateDir, now: int, actor: Actor) -> None:
        super().__init__(database)
        self.state = state
        self.now = now
        self.actor = actor

    def tell(self, name: str, values: Values = NOTHING, /) -> int:
        return self.database.execute(statement(name), values).rowcount

    def keep_environment(self, text: str) -> int:
        """See `transaction.Transaction`; for the file of a session."""
        self.tell("write.keep_environment", {"variables": text})
        ((found,),) = self.ask("write.environment_of", {"variables": text})
        return int(found)

    def record(
        self,
        event: str,
        seq: int | None = None,
        *,
        run: RunId | None = None,
        before: Status | None = None,
        after: Status | None = None,
        reason: str | None = None,
        hook: str | None = None,
        agent: str | None = None,
    ) -> None:
        from agentq_cli.model.sessions import Event

        attempt = None if run is None else run.attempt
        told = Event(0, self.now, self.session, seq, attempt, before, after, event, self.actor, reason)
        self.tell("write.event", rows.event_columns(told, hook=hook, agent=agent))

    def holds_changed(self) -> None:
        from agentq_cli.engines.local import holds

        holds.copy(self.database, self.state)


def stored(database: sqlite3.Connection, seq: int) -> rows.Columns | None:
    """The row of a task that is or was in the queue, or None."""
    row = database.execute(TASK, {"seq": seq}).fetchone()
    return None if row is None else rows.named(row)


def stored_of(database: sqlite3.Connection, seqs: Sequence[int]) -> list[rows.Columns]:
    """The rows of several tasks, without those that do not exist."""
    return [rows.named(row) for row in database.execute(TASKS, {"seqs": dumps(seqs)}).fetchall()]
