"""Process identity beyond the pid. Pids are reused, so no process is trusted or signalled by its pid alone.

An identity is pid, start time (`/proc/PID/stat` field 22) and realm, the boot and PID namespace. Signals are sent
through a pidfd that was checked against the identity. Everything here reads `/proc`, returns None or False for
processes that are gone, and raises OSError only if the question cannot be answered (out of descriptors or memory).
"""

from __future__ import annotations

import os

from agentq_cli.base import procfs
from agentq_cli.base.dataclass import NamedTuple
from agentq_cli.base.identity import Identity
from agentq_cli.base.lean import signal
from agentq_cli.base.procfs import GONE as GONE
from agentq_cli.base.procfs import boot_id as boot_id
from agentq_cli.base.procfs import boot_of as boot_of
from agentq_cli.base.procfs import read_file as read_file
from agentq_cli.base.procfs import realm as realm
from agentq_cli.base.procfs import stat_fields

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


class Stat(NamedTuple):
    """The fields used of `/proc/PID/stat` (proc(5)); in `state`, Z and X mean dead."""

    pid: int
    state: str
    parent: int
    group: int
    session: int
    start_time: int


def stat_of(pid: int) -> Stat | None:
    """The process as the kernel shows it now, zombies included, or None."""
    fields = stat_fields(pid)
    if fields is None:
        return None
    state, parent, group, session = fields[0].decode(), int(fields[1]), int(fields[2]), int(fields[3])
    return Stat(pid, state, parent, group, session, int(fields[19]))


def processes() -> Iterator[Stat]:
    """Every visible process, zombies included. This is not a snapshot of one instant, so callers repeat it until
    they are sure."""
    for name in os.listdir("/proc"):
        if name.isdigit() and (stat := stat_of(int(name))) is not None:
            yield stat


def identity_of(pid: int) -> Identity | None:
    """The identity of the process that has this pid now, or None."""
    stat = stat_of(pid)
    return None if stat is None else Identity(pid, stat.start_time, realm())


def current() -> Identity:
    """The identity of this process."""
    return Identity(*own_start(), realm())


def own_start() -> tuple[int, int]:
    """Pid and start time of this process, with as little work as possible: it is called between fork and exec."""
    text = read_file("/proc/self/stat")
    if not text:
        raise OSError("/proc is not mounted: agentq cannot tell processes apart")
    return os.getpid(), int(text[text.rindex(b")") + 2 :].split()[19])


def alive(identity: Identity) -> bool:
    """Whether this exact process is still running. A zombie is not; a stopped process and another user's are.

    This can only be known for this process's own realm; for others, see `attendance.lives` and `keeper.keeps`.
    """
    return procfs.alive(*identity)


def open_pidfd(identity: Identity) -> int | None:
    """A pidfd of exactly this process, which the caller closes; None if the process is gone or a zombie."""
    if not alive(identity):
        return None
    try:
        pidfd = os.pidfd_open(identity.pid)
    except GONE:
        return None
    # Checked after opening: the process behind a pidfd cannot change any more.
    if alive(identity):
        return pidfd
    os.close(pidfd)
    return None


def send(identity: Identity, number: int) -> bool:
    """Send a signal to exactly this process; False if it is gone or we may not signal it."""
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
