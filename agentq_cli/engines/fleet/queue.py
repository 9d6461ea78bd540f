"""The door of the fleet's engine."""

from __future__ import annotations

from agentq_cli.engines.fleet.opened import Opened


class FleetQueue(Opened):
    """An open fleet."""
