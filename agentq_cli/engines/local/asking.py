"""A connection that is asked by the names of statements: what `transaction` calls Reading."""

from __future__ import annotations

from agentq_cli.engines.local import connection
from agentq_cli.engines.local.queries import statement

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Mapping
    from contextlib import AbstractContextManager

    from agentq_cli.engines.transaction import Row, Values

NOTHING: Mapping[str, object] = {}


class Asking:
    """A connection, asked."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self.database = database

    def ask(self, name: str, values: Values = NOTHING, /) -> list[Row]:
        return self.database.execute(statement(name), values).fetchall()

    def ask_each(self, *asked: tuple[str, Values]) -> list[list[Row]]:
        return [self.ask(name, values) for name, values in asked]

    def heads(self, now: int, sessions: Collection[str] | None = None) -> list[Row]:
        from agentq_cli.engines.local import heads

        return heads.of_all(self, now) if sessions is None else heads.of_some(self, now, sessions)

    def foresee(self, now: int, *, after: int | None, sessions: Collection[str]) -> None:
        """Nothing: a question takes no time of its own."""

    def marks(self) -> tuple[int, object]:
        (found,) = self.ask("dispatch.marks")
        return found

    def environment(self, number: int) -> str | None:
        """See `transaction.Reading`; for the file of a session."""
        found = self.ask("write.environment", {"id": number})
        return str(found[0][0]) if found else "{}"

    def snapshot(self) -> AbstractContextManager[None]:
        return connection.snapshot(self.database)
