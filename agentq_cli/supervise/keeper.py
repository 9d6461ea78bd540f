"""Whether the keeper of a run lives, wherever it does.

A process of another PID namespace (a container's, or the host's from within one) cannot be looked up by its pid, and
must not be taken for gone. What tells then are locks: the kernel lets go of them with the last process that holds
them, whichever namespace that is in. See `records.Start`.
"""

from __future__ import annotations

import select

from agentq_cli import procfs
from agentq_cli.clock import monotonic_ms
from agentq_cli.identity import Identity
from agentq_cli.supervise.process import alive, open_pidfd
from agentq_cli.supervise.records import RunDirectory, Start
from agentq_cli.supervise.tree import wait_gone

NAME = "agentq-shim"
"""What a keeper is called (`kernel.name_process`): a record that names another process was not written by one."""

LOOK_MS = 50
"""How often one is looked at that is elsewhere, where nothing tells its end."""

ELSEWHERE = "its keeper is in another PID namespace"


def elsewhere(start: Start) -> bool:
    """Whether the keeper, alive or not, cannot be looked up from here by its pid."""
    return start.identity.boot_id != procfs.realm()


def is_elsewhere(directory: RunDirectory) -> bool:
    """The same of a run as it stands."""
    start = directory.start()
    return isinstance(start, Start) and elsewhere(start)


def lives(directory: RunDirectory, start: Start) -> bool:
    """Whether the keeper that wrote this record still keeps the run. Raises OSError out of descriptors."""
    if not elsewhere(start):
        return _is_keeper(start.identity) and alive(start.identity)
    if start.locked:
        return directory.kept()
    # Nothing tells: one of this boot is taken to live until its exit record is there.
    return procfs.boot_of(start.identity.boot_id) == procfs.boot_id()


def leaves(directory: RunDirectory, start: Start | None) -> bool:
    """Whether the run may have processes left that cannot be seen from here, its keeper being gone."""
    return isinstance(start, Start) and elsewhere(start) and directory.printing()


def pidfd(start: Start) -> int | None:
    """A pidfd of the keeper, which the caller closes; None where it is gone or elsewhere."""
    return open_pidfd(start.identity) if _is_keeper(start.identity) else None


def wait(directory: RunDirectory, start: Start, timeout_ms: int) -> bool:
    """Wait for the keeper's end; False where it still lives after the time."""
    deadline = monotonic_ms() + timeout_ms
    while lives(directory, start):
        left = deadline - monotonic_ms()
        if left <= 0:
            return False
        if elsewhere(start):
            select.poll().poll(min(left, LOOK_MS))
        else:
            wait_gone([start.identity], left)
    return True


def _is_keeper(identity: Identity) -> bool:
    return procfs.name_of(identity.pid) == NAME
