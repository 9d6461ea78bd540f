"""Who is there: hosts, supervisors and runs of all machines.

Of what is on this machine its own processes tell, as without a fleet. What is elsewhere is known by its host's row
alone: nobody looks a process of another machine up by its pid.
"""

from __future__ import annotations

from agentq_cli.base import procfs
from agentq_cli.base.clock import monotonic_ms
from agentq_cli.base.dataclass import replace
from agentq_cli.base.json_text import loads
from agentq_cli.engines.shared.runs import Attendance
from agentq_cli.engines.steps import rows, supervisors
from agentq_cli.host import attendance
from agentq_cli.model.hosts import Host, HostState
from agentq_cli.model.workers import Sign

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agentq_cli.base.identity import Identity
    from agentq_cli.engines.transaction import Row
    from agentq_cli.model.workers import Supervisor, Worker


def lapse_ms(lease_ms: int) -> int:
    """After how long without a renewal of its row others of its machine take over the runs of a supervisor."""
    return lease_ms // 2


def state(now: int, beat_at: int, lease_ms: int, left_at: int | None) -> HostState:
    """What people are told of a host by its last sign, as the database's clock counts. No decision follows from it."""
    if left_at is not None:
        return HostState.LEFT
    age = now - beat_at
    return HostState.UP if age <= lease_ms // 3 else HostState.LATE if age <= lease_ms else HostState.LOST


class Presence(Attendance):
    """Readings of what is alive."""

    boottime: Callable[[], int] = staticmethod(monotonic_ms)
    """The clock of this machine: milliseconds since boot, sleep included."""

    _leases: Mapping[str | None, int]
    """Of the hosts of the supervisors that were read last, in milliseconds."""

    def hosts(self) -> list[Host]:
        return [self._host(*row) for row in self.reading.ask("hosts.all")]

    def _host(
        self,
        id: int,
        name: str,
        boot_id: str,
        version: str,
        beat_at: int,
        lease_ms: int,
        jobs: int,
        agents: str,
        labels: str,
        left_at: int | None,
        running: int,
        here: int,
    ) -> Host:
        return Host(
            id=id,
            name=name,
            state=state(self.now, beat_at, lease_ms, left_at),
            labels=_strings(labels),
            agents=_strings(agents),
            running=running,
            jobs=jobs,
            beat_at=beat_at,
            version=version,
            boot_id=boot_id,
            lease_ms=lease_ms,
            left_at=left_at,
            here=bool(here),
        )

    def _worker(self, row: Row) -> Worker:
        host, elsewhere, pid, rss, seen = row[12:17]
        sign = None if pid is None and seen is None else Sign(pid, rss, seen)
        return replace(rows.worker(row), host=host, elsewhere=bool(elsewhere), sign=sign)

    def supervisors(self) -> list[Supervisor]:
        found = self.reading.ask("read.supervisors")
        self._leases = {row[13]: row[16] for row in found}
        return [self._supervisor(row) for row in found]

    def _supervisor(self, row: Row) -> Supervisor:
        found = supervisors.read(row)
        host, elsewhere, *signs = row[13:]
        if not elsewhere or not signs:
            return replace(found, host=host, elsewhere=bool(elsewhere))
        beat_at = signs[0]
        # Its own row counts by the clock of another machine.
        return replace(found, host=host, elsewhere=True, renewed_at=self.boottime() - (self.now - beat_at))

    def _is_there(self, supervisor: Supervisor) -> bool:
        """Whether it is alive, as far as that can be told from here: elsewhere by the last sign of its host."""
        if supervisor.elsewhere:
            return self.boottime() - supervisor.renewed_at <= self._leases[supervisor.host]
        return attendance.lives(supervisor.identity, self.here.bells)

    def _lapsed(self, supervisor: Supervisor) -> bool:
        lapse = lapse_ms(self._leases[supervisor.host])
        return not supervisor.elsewhere and self.boottime() - supervisor.renewed_at > lapse

    def lives(self, owner: Identity) -> bool:
        if owner.boot_id == procfs.realm():
            return procfs.alive(*owner)
        if attendance.lives(owner, self.here.bells):
            return True  # in a container of this machine
        return bool(self.reading.ask("hosts.standing", {"boot": procfs.boot_of(owner.boot_id)}))


def _strings(text: str) -> tuple[str, ...]:
    """A list of strings as a host has stored it; of anything else that is there, none."""
    try:
        found = loads(text)
    except (ValueError, RecursionError):
        return ()
    return tuple(each for each in found if isinstance(each, str)) if isinstance(found, list) else ()
