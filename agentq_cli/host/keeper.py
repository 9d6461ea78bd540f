"""Whether a run is kept, in whichever PID namespace.

A keeper keeps one run after the other. Which of them it keeps, its process name tells, so a run is kept by the process
that its `start` record names for as long as this has the name of its so many-th run.

A process in another PID namespace (a container's, or the host's as seen from a container) cannot be found by its pid,
but must not be taken for dead. For these, locks give the answer: a keeper holds a lock on the record for as long as it
keeps the run, and the kernel releases it when the last process that holds it ends, in any namespace. See
`records.Start`.
"""

from __future__ import annotations

import select

from agentq_cli.base import procfs
from agentq_cli.base.clock import monotonic_ms
from agentq_cli.base.lean import signal
from agentq_cli.host.process import alive, open_pidfd, send, stat_of
from agentq_cli.host.records import Start
from agentq_cli.host.run_directory import RunDirectory
from agentq_cli.host.tree import wait_gone

IDLE = "agentq-idle"
"""The process name of a keeper that has no run (`kernel.name_process`)."""

NAME = "agentq-shim"
"""The process name of a keeper that keeps its first run; the number of a later one follows. A record that names a
process with another name was not written by a keeper, or the run is kept no more."""

POLL_MS = 50
"""How often at least to check a keeper, since nothing tells others that it lets go of a run."""

ENDING_MS = 500
"""How long a process may take to stop that was sent the signal for it."""

ELSEWHERE = "its keeper is in another PID namespace"


def is_foreign(start: Start) -> bool:
    """Whether the keeper, alive or not, is in another PID namespace, so that its pid means nothing here."""
    return start.identity.boot_id != procfs.realm()


def run_is_foreign(directory: RunDirectory) -> bool:
    """The same for a run, by its current record."""
    start = directory.start()
    return isinstance(start, Start) and is_foreign(start)


def name(serves: int) -> str:
    """The process name of a keeper that keeps its so many-th run."""
    return NAME if serves == 1 else f"{NAME}{serves}"


def keeps(directory: RunDirectory, start: Start) -> bool:
    """Whether the keeper that wrote this record still keeps the run. If not, its exit record is there, or there will be
    none. Raises OSError if out of descriptors."""
    if not is_foreign(start):
        # In this order: a process that is found to be this very one had the name.
        return procfs.name_of(start.identity.pid) == name(start.serves) and alive(start.identity)
    if start.locked:
        return directory.keeper_holds_lock()
    # There is no lock to check: a keeper of this boot counts as alive until its exit record exists.
    return procfs.boot_of(start.identity.boot_id) == procfs.boot_id()


def may_leave_processes(directory: RunDirectory, start: Start | None) -> bool:
    """Whether the run, which is kept no more, may have processes left that are not visible from here."""
    return isinstance(start, Start) and is_foreign(start) and directory.output_is_open()


def pidfd(start: Start) -> int | None:
    """A pidfd of the process that wrote this record, which the caller closes; None if it is gone or in another PID
    namespace."""
    return None if is_foreign(start) else open_pidfd(start.identity)


def hold(directory: RunDirectory, start: Start) -> bool:
    """Stop the keeper in order to kill it. False if it does not keep the run, or not any more: then it was not stopped,
    and it must not be killed."""
    if is_foreign(start) or not keeps(directory, start) or not send(start.identity, signal.SIGSTOP):
        return False
    deadline = monotonic_ms() + ENDING_MS
    # Until it has stopped, or is in the kernel and stops there, it might still let go of the run.
    while (stat := stat_of(start.identity.pid)) is not None and stat.state in "RS" and monotonic_ms() < deadline:
        select.poll().poll(1)
    if keeps(directory, start):
        return True
    send(start.identity, signal.SIGCONT)
    return False


def wait(directory: RunDirectory, start: Start, timeout_ms: int) -> bool:
    """Wait until the run is kept no more; False if it still is after the time-out."""
    deadline, patience = monotonic_ms() + timeout_ms, 1
    while keeps(directory, start):
        left = deadline - monotonic_ms()
        if left <= 0:
            return False
        if is_foreign(start):
            select.poll().poll(min(left, patience))
        else:
            wait_gone([start.identity], min(left, patience))
        patience = min(2 * patience, POLL_MS)
    return True
