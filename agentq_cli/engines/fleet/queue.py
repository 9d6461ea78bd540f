"""The door of the fleet's engine."""

from __future__ import annotations

from agentq_cli.engines.fleet.opened import Opened

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.engines.fleet.placing import Placing


class FleetQueue(Opened):
    """An open fleet."""

    @property
    def placing(self) -> Placing:
        """Which host runs what."""
        from agentq_cli.engines.fleet.placing import Placing

        return Placing(self)
