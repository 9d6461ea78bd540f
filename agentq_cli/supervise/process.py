"""Who a process is, beyond its pid: pids are recycled, so nothing is believed or signalled by pid alone.

Identity is pid, start time (`/proc/PID/stat` field 22) and boot id; signals go through a pidfd that was checked
against it. Everything here reads `/proc`, returns None or False for what is gone, and raises OSError only where the
question cannot be answered at all (out of descriptors or memory).
"""

from __future__ import annotations

import functools
import os
import signal
from collections.abc import Iterator

from agentq_cli.dataclass import NamedTuple
from agentq_cli.identity import Identity

GONE = (FileNotFoundError, NotADirectoryError, PermissionError, ProcessLookupError)


class Stat(NamedTuple):
    """What is used of `/proc/PID/stat` (proc(5)); `state` Z and X are dead."""

    pid: int
    state: str
    parent: int
    group: int
    session: int
    start_time: int


@functools.cache
def boot_id() -> str:
    """The kernel's random name for this boot."""
    return (read_file("/proc/sys/kernel/random/boot_id") or b"").decode().strip()


def read_file(path: str) -> bytes | None:
    """The bytes of a file under `/proc`, or None where it is gone or not ours to read.

    Any other failure is raised: a process must not look dead because we are out of descriptors.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except GONE:
        return None
    parts = []
    try:
        while part := os.read(descriptor, 65536):
            parts.append(part)
    except GONE:
        return None
    finally:
        os.close(descriptor)
    return b"".join(parts)


def stat_of(pid: int) -> Stat | None:
    """The process as the kernel shows it now, zombies included, or None."""
    text = read_file(f"/proc/{pid}/stat")
    if not text:
        return None
    # The second field is the program's name in brackets and may hold blanks and brackets of its own.
    fields = text[text.rindex(b")") + 2 :].split()
    state, parent, group, session = fields[0].decode(), int(fields[1]), int(fields[2]), int(fields[3])
    return Stat(pid, state, parent, group, session, int(fields[19]))


def processes() -> Iterator[Stat]:
    """Every process that can be seen, zombies included; not one instant, so a caller looks again until it is sure."""
    for name in os.listdir("/proc"):
        if name.isdigit() and (stat := stat_of(int(name))) is not None:
            yield stat


def identity_of(pid: int) -> Identity | None:
    """The identity of whoever has this pid now."""
    stat = stat_of(pid)
    return None if stat is None else Identity(pid, stat.start_time, boot_id())


def current() -> Identity:
    """The identity of this process."""
    identity = identity_of(os.getpid())
    if identity is None:
        raise OSError("/proc is not mounted: agentq cannot tell processes apart")
    return identity


def alive(identity: Identity) -> bool:
    """Whether this very process still runs; a zombie does not, a stopped one and another user's do."""
    if identity.pid <= 0 or identity.boot_id != boot_id():
        return False
    stat = stat_of(identity.pid)
    if stat is None:
        return _hidden(identity.pid)
    if stat.start_time != identity.start_time:
        return False
    return stat.state not in ("Z", "X") or _has_threads(identity.pid)


def open_pidfd(identity: Identity) -> int | None:
    """A pidfd of exactly this process, which the caller closes, or None where it is gone; a zombie is."""
    if not alive(identity):
        return None
    try:
        pidfd = os.pidfd_open(identity.pid)
    except GONE:
        return None
    # Checked after opening: what the pidfd holds cannot be exchanged any more.
    if alive(identity):
        return pidfd
    os.close(pidfd)
    return None


def send(identity: Identity, number: int) -> bool:
    """Send a signal to exactly this process; False where it is gone or not ours to signal."""
    pidfd = open_pidfd(identity)
    if pidfd is None:
        return False
    try:
        signal.pidfd_send_signal(pidfd, number)
    except (ProcessLookupError, PermissionError):
        return False
    finally:
        os.close(pidfd)
    return True


def _hidden(pid: int) -> bool:
    """Whether a process of another user holds this pid where `/proc` is mounted with hidepid.

    It cannot be told from a recycled one then; believing it alive starts nothing twice.
    """
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except ProcessLookupError:
        pass
    return False


def _has_threads(pid: int) -> bool:
    """Whether threads outlive the main one: the kernel shows such a process as a zombie, and it is not dead."""
    try:
        return len(os.listdir(f"/proc/{pid}/task")) > 1
    except GONE:
        return False
