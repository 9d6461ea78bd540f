"""The turn of a session in the fleet: only the host of a run ends it, and no claim is made before what claims of a lost
database may have started has ended."""

from __future__ import annotations

from agentq_cli.engines.fleet import ending
from agentq_cli.engines.fleet.opened import First
from agentq_cli.engines.fleet.transaction import AROUND
from agentq_cli.engines.shared import turn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from agentq_cli.base.identity import Identity
    from agentq_cli.engines.fleet.queue import FleetQueue
    from agentq_cli.engines.fleet.transaction import SessionWrite
    from agentq_cli.engines.nouns import Calls, Candidate, Claim, Plan
    from agentq_cli.model.addresses import RunId
    from agentq_cli.model.runs import Outcome
    from agentq_cli.model.tasks import Task


class Turn(turn.Turn):
    """A turn; see `subdoors.Turn`."""

    _write: SessionWrite

    def __init__(self, queue: FleetQueue, write: SessionWrite, outcomes: Mapping[RunId, Outcome]) -> None:
        super().__init__(write, outcomes)
        self._queue = queue
        self.claims: list[RunId] = []
        """The runs that it has claimed."""

    @staticmethod
    def first(queue: FleetQueue, session: str, outcomes: Mapping[RunId, Outcome]) -> Iterator[First]:
        """What is asked as it begins: what its steps ask before they change it."""
        for run in outcomes:
            yield First("read.task", {"seq": run.seq})
            yield First("dependencies.dependents", run.address._asdict())
            yield First("hosts.of_another", run._asdict())
        if not outcomes:
            for name in (*dict(AROUND), "read.holds", "read.session_retrying", queue.timeline):
                if name:
                    yield First(name, {})

    def calls(self, supervisor: Identity) -> Calls:
        if self._queue.timeline:
            self._write.expect((self._queue.timeline, {}))
        return super().calls(supervisor)

    def _end(self, run: RunId, outcome: Outcome) -> Task | None:
        for (host,) in self._write.ask("hosts.of_another", run._asdict()):
            why = f"it is a run of host '{host}'; {outcome.status} was not recorded"
            self._write.record("late", run.seq, run=run, reason=why)
            return None
        return ending.ended(self._write, run, outcome)

    def claim(self, candidate: Candidate, plan: Plan, **options: Any) -> Claim | None:
        if not self.claimed:
            self._queue.await_timeline(self._write)
        claim = super().claim(candidate, plan, **options)
        if claim is not None:
            self.claims.append(claim.run)
        return claim
