"""The turn of a session, and the result rows of the runs that it ends."""

from __future__ import annotations

import random

from agentq_cli.base.json_text import dumps
from agentq_cli.engines.shared import turn
from agentq_cli.engines.steps import finish

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from agentq_cli.engines.transaction import Transaction, Values
    from agentq_cli.model.addresses import RunId
    from agentq_cli.model.runs import Outcome
    from agentq_cli.model.tasks import Task


class Turn(turn.Turn):
    """`posted` are the runs whose result row is in outbound.db."""

    def __init__(self, write: Transaction, outcomes: Mapping[RunId, Outcome], posted: Collection[RunId]) -> None:
        super().__init__(write, outcomes)
        self._posted = posted

    def _end(self, run: RunId, outcome: Outcome) -> Task | None:
        return finish.finish(self._write, run, outcome, posted=run in self._posted, jitter=random.random())


def result_row(run: RunId, status: str, result: object, at: int) -> tuple[RunId, Values]:
    """The row that says in outbound.db how a run ended."""
    content = dumps({"run": str(run), "task": str(run.address), "status": str(status), "result": result})
    return run, {"id": str(run), "content": content, "at": at}
