"""The door of the fleet's engine."""

from __future__ import annotations

from contextlib import contextmanager

from agentq_cli.engines.fleet.hosts import Hosts
from agentq_cli.engines.fleet.logs import Logs
from agentq_cli.engines.fleet.opened import Opened
from agentq_cli.engines.shared.readings import Readings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from agentq_cli.engines.fleet.hooks import Hooks
    from agentq_cli.engines.fleet.moving import Moving
    from agentq_cli.engines.fleet.placing import Placing
    from agentq_cli.engines.fleet.transaction import SessionWrite
    from agentq_cli.engines.fleet.upkeep import Upkeep
    from agentq_cli.engines.fleet.voice import Voice
    from agentq_cli.engines.shared.figures import Figures
    from agentq_cli.model.actions import Actor
    from agentq_cli.model.addresses import RunId
    from agentq_cli.model.runs import Outcome
    from agentq_cli.model.tasks import Task


class FleetQueue(Opened, Hosts, Logs, Readings):
    """An open fleet, with all verbs. What only few commands need is loaded on first use."""

    def __init__(self, *args: Any, **options: Any) -> None:
        Hosts.__init__(self)
        Logs.__init__(self)
        self._voice: Voice | None = None
        Opened.__init__(self, *args, **options)

    # Runs

    def finish(self, run: RunId, outcome: Outcome, *, actor: Actor, background: bool = False) -> Task | None:
        from agentq_cli.engines.fleet import ending

        with self._of_run(run, actor=actor, background=background) as write:
            return None if write is None else ending.ended(write, run, outcome)

    def undo_claim(self, run: RunId, *, actor: Actor, reason: str, background: bool = False) -> bool:
        from agentq_cli.engines.steps import claim

        with self._of_run(run, actor=actor, background=background) as write:
            return write is not None and claim.undo(write, run, reason=reason)

    @contextmanager
    def _of_run(self, run: RunId, *, actor: Actor, background: bool) -> Iterator[SessionWrite | None]:
        """A transaction over the session of a run. None if another host runs it: the database may have lost the claim
        of this one, and then gives the same attempt once more."""
        theirs: list[list[int]] = []
        self.first = ("hosts.of_others", lambda _, found: theirs.extend(found or ()))
        try:
            with self.in_session(run.session, actor=actor, background=background) as write:
                if [run.seq, run.attempt] in theirs:
                    write.record("late", run.seq, run=run, reason="another host runs it; its end here was not recorded")
                    yield None
                else:
                    yield write
        finally:
            self.first = None

    def why_unposted(self, run: RunId | str) -> str | None:
        """Never: the result row is in the commit that ends the run."""
        return None

    # What waits for tasks of other sessions is settled in the commit that ends them

    def settle_dependents_in(self, session: str, *, actor: Actor) -> list[Task]:
        return []

    def unsettled_sessions(self) -> list[str]:
        return []

    # Sub-doors

    @property
    def upkeep(self) -> Upkeep:
        """What this engine needs to stay in order: one pass."""
        from agentq_cli.engines.fleet.upkeep import Upkeep

        return Upkeep(self)

    @property
    def hooks(self) -> Hooks:
        """The hooks that events call."""
        from agentq_cli.engines.fleet.hooks import Hooks

        return Hooks(self)

    @property
    def voice(self) -> Voice:
        """What agents request."""
        from agentq_cli.engines.fleet.voice import Voice

        if self._voice is None:
            self._voice = Voice(self)
        return self._voice

    @property
    def moving(self) -> Moving:
        """Sessions that leave or come."""
        from agentq_cli.engines.fleet.moving import Moving

        return Moving(self)

    @property
    def figures(self) -> Figures:
        """What screens and reports show."""
        from agentq_cli.engines.shared.figures import Figures

        return Figures(self)

    @property
    def placing(self) -> Placing:
        """Which host runs what."""
        from agentq_cli.engines.fleet.placing import Placing

        return Placing(self)
