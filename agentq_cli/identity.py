"""Who a process is. Apart from the other nouns, as the small processes that know nothing else of agentq carry it."""

from __future__ import annotations

from agentq_cli.dataclass import NamedTuple


class Identity(NamedTuple):
    """A process beyond doubt: pid, start time (`/proc/PID/stat` field 22, clock ticks) and boot id."""

    pid: int
    start_time: int
    boot_id: str
