"""The turn of a session in the fleet: only the host of a run ends it, and no claim is made before what claims of a lost
database may have started has ended."""

from __future__ import annotations

from agentq_cli.engines.fleet import ending
from agentq_cli.engines.shared import turn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from agentq_cli.engines.fleet.queue import FleetQueue
    from agentq_cli.engines.fleet.transaction import SessionWrite
    from agentq_cli.engines.nouns import Candidate, Claim, Plan
    from agentq_cli.model.addresses import RunId
    from agentq_cli.model.runs import Outcome
    from agentq_cli.model.tasks import Task


class Turn(turn.Turn):
    """A turn; see `subdoors.Turn`."""

    _write: SessionWrite

    def __init__(self, queue: FleetQueue, write: SessionWrite, outcomes: Mapping[RunId, Outcome]) -> None:
        super().__init__(write, outcomes)
        self._queue = queue

    def _end(self, run: RunId, outcome: Outcome) -> Task | None:
        for (host,) in self._write.ask("hosts.of_another", run._asdict()):
            why = f"it is a run of host '{host}'; {outcome.status} was not recorded"
            self._write.record("late", run.seq, run=run, reason=why)
            return None
        return ending.ended(self._write, run, outcome)

    def claim(self, candidate: Candidate, plan: Plan, **options: Any) -> Claim | None:
        if not self.claimed:
            self._queue.await_timeline(self._write)
        return super().claim(candidate, plan, **options)
