"""Whether supervisors serve the queue."""

from __future__ import annotations

from agentq_cli.host import attendance

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from agentq_cli.engines.door import Queue


def is_served(queue: Queue, sessions: Iterable[str]) -> bool:
    """Whether live supervisors serve all of these sessions."""
    return attendance.all_served((supervisor.sessions for supervisor in queue.living()), sessions)


def unattended(queue: Queue, sessions: Iterable[str]) -> bool:
    """Whether nothing will start these sessions' tasks: no supervisor is alive and no sweep ran in the last 5
    minutes."""
    return not is_served(queue, sessions) and not attendance.swept_lately(queue.last_sweep(), queue.now)
