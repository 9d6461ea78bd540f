"""The door of the fleet's engine."""

from __future__ import annotations

from agentq_cli.base.context import contextmanager
from agentq_cli.engines.fleet.hosts import Hosts
from agentq_cli.engines.fleet.logs import Logs
from agentq_cli.engines.fleet.opened import Opened
from agentq_cli.engines.shared.readings import Readings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from agentq_cli.engines.fleet.hooks import Hooks
    from agentq_cli.engines.fleet.moving import Moving
    from agentq_cli.engines.fleet.placing import Placing
    from agentq_cli.engines.fleet.turn import Turn
    from agentq_cli.engines.fleet.upkeep import Upkeep
    from agentq_cli.engines.fleet.voice import Voice
    from agentq_cli.model.actions import Actor
    from agentq_cli.model.addresses import RunId
    from agentq_cli.model.runs import Outcome
    from agentq_cli.model.tasks import Task

NO_OUTCOMES: Mapping[RunId, Outcome] = {}


class FleetQueue(Opened, Hosts, Logs, Readings):
    """An open fleet, with all verbs. What only few commands need is loaded on first use."""

    def __init__(self, *args: Any, **options: Any) -> None:
        Hosts.__init__(self)
        Logs.__init__(self)
        self._voice: Voice | None = None
        Opened.__init__(self, *args, **options)

    # Runs

    @contextmanager
    def turn(
        self, session: str, outcomes: Mapping[RunId, Outcome] = NO_OUTCOMES, *, actor: Actor, background: bool = False
    ) -> Iterator[Turn]:
        from agentq_cli.engines.fleet.turn import Turn

        whole = self.in_session(session, actor=actor, background=background)
        with self.beginning(*Turn.first(self, session, outcomes)), whole as write:
            turn = Turn(self, write, outcomes)
            yield turn
        if turn.claimed:
            self._claimed.update(turn.claims)
            self.make_files(session)

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
    def placing(self) -> Placing:
        """Which host runs what."""
        from agentq_cli.engines.fleet.placing import Placing

        return Placing(self)
