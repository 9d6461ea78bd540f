"""A machine that runs tasks of the queue."""

from __future__ import annotations

from agentq_cli.base.dataclass import dataclass
from agentq_cli.base.enumeration import StrEnum

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    HostId: TypeAlias = int
    """The identity of a host in the database; it is given once, so that it tells a lost host from its successor."""


class HostState(StrEnum):
    """What is known of a host by its last sign. `LATE`: it missed one; `LOST`: it has given none for as long as its
    lease, so that others will take its runs over; `LEFT`: its last supervisor has gone off duty."""

    UP = "up"
    LATE = "late"
    LOST = "lost"
    LEFT = "left"


@dataclass(frozen=True, slots=True)
class Host:
    """One machine. `beat_at` is its last sign in milliseconds UTC of the queue's clock, None if it gives none; `jobs`
    is how many tasks it lets run at once, `running` how many do. `lease_ms` is None if nobody would take its runs over.
    `here`: it is the machine of this process.
    """

    id: HostId
    name: str
    state: HostState
    labels: tuple[str, ...]
    agents: tuple[str, ...]
    running: int
    jobs: int
    beat_at: int | None
    version: str
    boot_id: str
    lease_ms: int | None = None
    left_at: int | None = None
    here: bool = False
