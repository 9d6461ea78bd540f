"""A connection that is also told by the names of statements: what `transaction` calls Writing."""

from __future__ import annotations

from agentq_cli.engines.local.asking import NOTHING, Asking
from agentq_cli.engines.local.queries import statement
from agentq_cli.engines.steps import saving

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3

    from agentq_cli.engines.local.state_dir import StateDir
    from agentq_cli.engines.transaction import Values
    from agentq_cli.model.actions import Actor


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

    change = tell

    record = saving.record

    def holds_changed(self) -> None:
        from agentq_cli.engines.local import holds

        holds.copy(self.database, self.state)
