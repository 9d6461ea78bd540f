"""Who a process is. Apart from the other nouns, as the small processes that know nothing else of agentq carry it."""

from __future__ import annotations

from agentq_cli.base.dataclass import NamedTuple


class Identity(NamedTuple):
    """A process beyond doubt: pid, start time (`/proc/PID/stat` field 22, clock ticks) and where these count.

    `boot_id` is that of the boot; for a process in a PID namespace other than the machine's first one, `/` and the
    namespace's inode number follow (`procfs.realm`). Whoever lives in another realm cannot look it up by its pid.
    """

    pid: int
    start_time: int
    boot_id: str

    @property
    def name(self) -> str:
        """Of its doorbell, the same for nobody else that lives at the same time."""
        namespace = self.boot_id.partition("/")[2]
        return f"{self.pid}-{self.start_time}-{namespace}" if namespace else f"{self.pid}-{self.start_time}"
