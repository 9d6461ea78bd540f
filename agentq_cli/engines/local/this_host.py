"""The one machine of a queue without a fleet."""

from __future__ import annotations

from agentq_cli import __version__
from agentq_cli.base import procfs
from agentq_cli.model.fleet import machine_name
from agentq_cli.model.hosts import Host, HostState

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.engines.local.queue import LocalQueue


def described(queue: LocalQueue) -> Host:
    """It is up while a supervisor is on duty, and left when none is."""
    living = queue.living()
    return Host(
        id=0,
        name=machine_name(),
        state=HostState.UP if living else HostState.LEFT,
        labels=(),
        agents=(),
        running=len(queue.workers()),
        jobs=max((supervisor.jobs for supervisor in living), default=0),
        beat_at=None,
        version=__version__,
        boot_id=procfs.boot_id(),
        here=True,
    )
