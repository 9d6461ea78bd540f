"""The lease of this machine as a host of a fleet: its supervisors and sweeps write it, the keepers of its runs read it.

One small file, renamed into place. It is not synced: it means nothing after a reboot.
"""

from __future__ import annotations

from agentq_cli.base import procfs
from agentq_cli.base.clock import monotonic_ms
from agentq_cli.base.dataclass import NamedTuple
from agentq_cli.host import record_files as files
from agentq_cli.policy import leases

BIGGEST = 2**63 - 1
"""What a column of the database can hold."""


class Lease(NamedTuple):
    """Until when the runs of this machine are its own. `host` is its id in the database, which no other host ever gets;
    `deadline` is in milliseconds since the boot with the id `boot`, `lease_ms` the whole lease. `beat` is the number of
    the renewal, by which this place proves that it made it."""

    host: int
    boot: str
    deadline: int
    lease_ms: int
    beat: int = 0


def read(path: str) -> Lease | None:
    """The lease; None if there is none of this boot. Raises OSError if that cannot be found out.

    Agents can write there: what promises more than the longest lease is none.
    """
    found = of_any_boot(path)
    if found is None or found.boot != procfs.boot_id():
        return None
    return found if found.deadline <= leases.deadline(monotonic_ms(), leases.LONGEST_MS) else None


def of_any_boot(path: str) -> Lease | None:
    """The same, of whichever boot."""
    document = files.load(path) or {}
    try:
        lease = Lease(*(document[name] for name in Lease._fields))
    except KeyError:
        return None
    numbers = (lease.host, lease.deadline, lease.lease_ms, lease.beat)
    if not all(type(each) is int and 0 <= each <= BIGGEST for each in numbers):
        return None
    return lease if lease.lease_ms <= leases.LONGEST_MS else None


def write(path: str, lease: Lease) -> None:
    """Put it in place, unless a later renewal of the same host is there: whoever asked first may come to write last.

    Raises OSError.
    """
    there = read(path)
    if there is not None and there.host == lease.host and (there.deadline, there.beat) >= (lease.deadline, lease.beat):
        return
    files.put(path, lease._asdict())
