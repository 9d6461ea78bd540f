"""Which hooks are to be run in the fleet: by its hosts, each of which takes over those of its own dead processes, and
of hosts that were lost or have left."""

from __future__ import annotations

from agentq_cli.engines.shared.hooks import Hooks as SharedHooks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

    from agentq_cli.base.identity import Identity
    from agentq_cli.engines.fleet.queue import FleetQueue


class Hooks(SharedHooks):
    """The hooks that events call; each call belongs to one process."""

    _queue: FleetQueue

    @property
    def _is_host(self) -> bool:
        """Whether others can tell when this machine is lost: otherwise they would run its hooks beside it."""
        return self._queue.own["host_id"] is not None

    def wait(self, names: Collection[str], *, after: int, configured_at: int) -> bool:
        return self._is_host and super().wait(names, after=after, configured_at=configured_at)

    def collect(self, names: Collection[str], owner: Identity, *, configured_at: int) -> None:
        if self._is_host:
            super().collect(names, owner, configured_at=configured_at)

    def inherit(self, owner: Identity) -> None:
        if self._is_host:
            super().inherit(owner)
