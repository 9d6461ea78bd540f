"""Whether the keeper of a run is alive, in whichever PID namespace.

A process in another PID namespace (a container's, or the host's as seen from a container) cannot be found by its pid,
but must not be taken for dead. For these, locks give the answer: the kernel releases a lock when the last process that
holds it ends, in any namespace. See `records.Start`.
"""

from __future__ import annotations

import select

from agentq_cli.base import procfs
from agentq_cli.base.clock import monotonic_ms
from agentq_cli.base.identity import Identity
from agentq_cli.host.process import alive, open_pidfd
from agentq_cli.host.records import Start
from agentq_cli.host.run_directory import RunDirectory
from agentq_cli.host.tree import wait_gone

NAME = "agentq-shim"
"""The process name of a keeper (`kernel.name_process`). A record that names a process with another name was not
written by a keeper."""

POLL_MS = 50
"""How often to check a keeper in another PID namespace, whose end causes no event here."""

ELSEWHERE = "its keeper is in another PID namespace"


def is_foreign(start: Start) -> bool:
    """Whether the keeper, alive or not, is in another PID namespace, so that its pid means nothing here."""
    return start.identity.boot_id != procfs.realm()


def run_is_foreign(directory: RunDirectory) -> bool:
    """The same for a run, by its current record."""
    start = directory.start()
    return isinstance(start, Start) and is_foreign(start)


def lives(directory: RunDirectory, start: Start) -> bool:
    """Whether the keeper that wrote this record still keeps the run. Raises OSError if out of descriptors."""
    if not is_foreign(start):
        return _is_keeper(start.identity) and alive(start.identity)
    if start.locked:
        return directory.keeper_holds_lock()
    # There is no lock to check: a keeper of this boot counts as alive until its exit record exists.
    return procfs.boot_of(start.identity.boot_id) == procfs.boot_id()


def may_leave_processes(directory: RunDirectory, start: Start | None) -> bool:
    """Whether the run, whose keeper is gone, may have processes left that are not visible from here."""
    return isinstance(start, Start) and is_foreign(start) and directory.output_is_open()


def pidfd(start: Start) -> int | None:
    """A pidfd of the keeper, which the caller closes; None if it is gone or in another PID namespace."""
    return open_pidfd(start.identity) if _is_keeper(start.identity) else None


def wait(directory: RunDirectory, start: Start, timeout_ms: int) -> bool:
    """Wait for the keeper's end; False if it is still alive after the time-out."""
    deadline = monotonic_ms() + timeout_ms
    while lives(directory, start):
        left = deadline - monotonic_ms()
        if left <= 0:
            return False
        if is_foreign(start):
            select.poll().poll(min(left, POLL_MS))
        else:
            wait_gone([start.identity], left)
    return True


def _is_keeper(identity: Identity) -> bool:
    return procfs.name_of(identity.pid) == NAME
