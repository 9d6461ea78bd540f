"""A turn of a session: its runs that have ended, and its next claims, in one commit (`subdoors.Turn`)."""

from __future__ import annotations

from agentq_cli.base.errors import NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from agentq_cli.base.identity import Identity
    from agentq_cli.engines.nouns import Calls, Candidate, Claim, Plan
    from agentq_cli.engines.transaction import Snapshots, Transaction
    from agentq_cli.model.addresses import RunId
    from agentq_cli.model.runs import Outcome
    from agentq_cli.model.tasks import Task
    from agentq_cli.policy import order


class Turn:
    """Over a transaction; how a run ends is each engine's own (`_end`). `ended` counts the runs that it has ended, and
    `claimed` those that it has claimed."""

    def __init__(self, write: Transaction, outcomes: Mapping[RunId, Outcome]) -> None:
        self.reading: Snapshots = write
        self.ended = self.claimed = 0
        self._write = write
        self._outcomes = outcomes

    @property
    def lost(self) -> bool:
        return self._write.lost

    @property
    def settled(self) -> bool:
        return True

    @property
    def now(self) -> int:
        return self._write.now

    def calls(self, supervisor: Identity) -> Calls:
        from agentq_cli.engines.shared import read

        return read.calls(self._write, supervisor, self._write.now)

    def finish(self, run: RunId) -> Task | None:
        with self._write.step():
            task = self._end(run, self._outcomes[run])
        self.ended += 1
        return task

    def _end(self, run: RunId, outcome: Outcome) -> Task | None:
        raise NotImplementedError

    def candidate(self, head: order.Head) -> Candidate | None:
        from agentq_cli.engines.steps import claim

        with self._write.step():
            try:
                task = self._write.task(head.seq)
            except NotFound:
                self._write.remove(head.seq)
                return None
            return claim.candidate(self._write, head, task)

    def claim(self, candidate: Candidate, plan: Plan, **options: Any) -> Claim | None:
        from agentq_cli.engines.steps import claim

        with self._write.step():
            claimed = claim.claim(self._write, candidate, plan, **options)
        self.claimed += claimed is not None
        return claimed
