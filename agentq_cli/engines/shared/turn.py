"""A turn of a session: its runs that have ended, and its next claims, in one commit (`subdoors.Turn`)."""

from __future__ import annotations

from agentq_cli.base.errors import NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager
    from typing import Any

    from agentq_cli.base.identity import Identity
    from agentq_cli.engines.nouns import Calls, Candidate, Claim, Plan
    from agentq_cli.engines.transaction import Snapshots, Transaction
    from agentq_cli.model.addresses import RunId
    from agentq_cli.model.runs import Outcome
    from agentq_cli.model.tasks import Task
    from agentq_cli.policy import order
    from agentq_cli.policy.pool import Pool


class Turn:
    """Over a transaction; how a run ends is each engine's own (`_end`). `ended` counts the runs that it has ended, and
    `claimed` those that it has claimed."""

    def __init__(self, write: Transaction, outcomes: Mapping[RunId, Outcome]) -> None:
        self.reading: Snapshots = write
        self.awaited: set[RunId] = set()
        self.ended = self.claimed = 0
        self._write = write
        self._outcomes = outcomes
        self._around: order.Snapshot | None = None
        self._candidate: Candidate | None = None

    def step(self) -> AbstractContextManager[None]:
        return self._write.step()

    @property
    def lost(self) -> bool:
        return self._write.lost

    @property
    def now(self) -> int:
        return self._write.now

    def calls(self, supervisor: Identity) -> Calls:
        from agentq_cli.engines.shared import read

        return read.calls(self._write, supervisor, self.now)

    def around(self) -> order.Snapshot:
        if self._around is None:
            from agentq_cli.engines.steps import heads

            self._around = heads.around(self._write, self.now)
        return self._around

    def finish(self, run: RunId) -> Task | None:
        self._changes()
        before = self._write.dependents
        task = self._end(run, self._outcomes[run])
        if self._write.dependents > before:
            self.awaited.add(run)
        self.ended += 1
        return task

    def _end(self, run: RunId, outcome: Outcome) -> Task | None:
        raise NotImplementedError

    def _changes(self) -> None:
        """What was read before no longer counts."""
        self._around = self._candidate = None

    def candidate(self, head: order.Head, pool: Pool | None = None) -> Candidate | None:
        from agentq_cli.engines.steps import claim

        try:
            task = self._write.task(head.seq)
        except NotFound:
            self._write.remove(head.seq)
            return None
        self._candidate = claim.candidate(self._write, head, task, pool, self.now)
        return self._candidate

    def claim(self, candidate: Candidate, plan: Plan, **options: Any) -> Claim | None:
        from agentq_cli.engines.steps import claim

        known = candidate.task if candidate is self._candidate else None
        claimed = claim.claim(self._write, candidate, plan, again=self.around(), known=known, **options)
        self._changes()
        self.claimed += claimed is not None
        return claimed
