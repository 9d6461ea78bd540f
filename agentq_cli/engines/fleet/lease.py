"""The lease of this machine's host, as its place has it: who that is, what was renewed last, what a new one may be."""

from __future__ import annotations

from agentq_cli.base import procfs
from agentq_cli.base.dataclass import NamedTuple
from agentq_cli.host import lease_file
from agentq_cli.host.lease_file import Lease
from agentq_cli.host.record_files import put_bytes
from agentq_cli.policy import leases

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.host.place import Place


class Row(NamedTuple):
    """What the database has of the host with this machine's key."""

    id: int
    boot_id: str
    beat: int
    lease_ms: int


class Asked(NamedTuple):
    """A lease that is asked for: when, how long the others are to wait for this host, and until when it will be its
    own if the answer comes. Times are milliseconds since boot."""

    at: int
    lease_ms: int
    deadline: int


def asked(place: Place, host: int | None, wanted_ms: int, now: int) -> Asked:
    """A lease as wanted. One that was lowered lets nobody take over before what was promised last has passed."""
    deadline, held = leases.deadline(now, wanted_ms), lease_file.read(place.lease)
    if held is None or held.host != host or held.deadline <= deadline:
        return Asked(now, wanted_ms, deadline)
    # The file is the agents' to write too: it never asks for more than the config could.
    longest = leases.deadline(now, leases.LONGEST_MS)
    return Asked(now, max(wanted_ms, min(held.lease_ms, leases.LONGEST_MS)), min(held.deadline, longest))


def keep(place: Place, host: int, beat: int, asked: Asked) -> None:
    """Put a renewal that was answered in place. Raises OSError."""
    lease_file.write(place.lease, Lease(host, procfs.boot_id(), asked.deadline, asked.lease_ms, beat))


LOST_ANSWERS = 2
"""How many renewals of this boot may have been written of which this place was not told: whoever sent them was killed,
or the answer was lost."""


def is_proven(place: Place, row: Row) -> bool:
    """Whether nobody but this place has renewed the host: the last renewal is the one that it knows of."""
    held = lease_file.of_any_boot(place.lease)
    untold = LOST_ANSWERS if held is not None and held.boot == procfs.boot_id() == row.boot_id else 0
    return held is not None and held.host == row.id and held.beat + untold >= row.beat


def renew_key(place: Place) -> str:
    """Give this place another key: of the one that it has nobody knows whose it is."""
    import uuid

    key = str(uuid.uuid4())
    put_bytes(f"{place.path}/key", key.encode(), synced=True)
    return key
