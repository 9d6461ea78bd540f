"""What ends a run when the lease of its host is over, whatever has become of the database and of the supervisor.

An alarm in the keeper looks whether the lease was renewed, and if not, has everything of the run killed. Behind it
there is a timer of the kernel that kills the keeper itself, and with it the agent (`spawn`): it comes to its time while
the keeper is stopped too, and a machine that was suspended meets it on waking. Only for use in a keeper, and loaded by
none whose run has no lease.
"""

from __future__ import annotations

import signal
from collections.abc import Callable

from agentq_cli.base.clock import monotonic_ms
from agentq_cli.host import kernel, lease_file
from agentq_cli.policy import leases

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.host.lease_file import Lease


class Fuse:
    """The fuse of one run. From its making on the kernel kills this process after the deadline; `arm` it to be asked
    first."""

    def __init__(self, path: str, lease: Lease) -> None:
        self._path = path
        self._lease = lease
        self._blow: Callable[[], None] | None = None
        self._killer = kernel.Timer(signal.SIGKILL)
        self._alarm = kernel.Timer(signal.SIGALRM)
        self._set()

    @classmethod
    def laid(cls, path: str) -> Fuse | None:
        """The fuse for the lease in this file; None if that is over, so that nothing may be started. Raises OSError."""
        lease = lease_file.read(path)
        return None if lease is None or monotonic_ms() >= lease.deadline else cls(path, lease)

    def arm(self, blow: Callable[[], None]) -> None:
        """Call `blow` at the deadline, wherever this process is then: it ends the run and does not return."""
        self._blow = blow
        signal.signal(signal.SIGALRM, self._look)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGALRM,))

    def disarm(self) -> None:
        """Nothing is left that may live too long. It cannot be used again: another run has a fuse of its own."""
        # An alarm that has come is looked at in this call, and none after it.
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGALRM,))
        self._blow = None
        self._alarm.delete()
        self._killer.delete()

    def _set(self) -> None:
        deadline, lease_ms = self._lease.deadline, self._lease.lease_ms
        self._killer.set(leases.kernel_at(deadline, lease_ms))
        self._alarm.set(leases.look_at(monotonic_ms(), deadline, lease_ms))

    def _look(self, *_: object) -> None:
        try:
            found = lease_file.read(self._path)
        except OSError:  # Out of descriptors: it was not seen to be renewed.
            found = None
        # Another host of this machine is not this one come back: that one's runs are no longer its own.
        if found is not None and found.host == self._lease.host and found.deadline > self._lease.deadline:
            self._lease = found
        if monotonic_ms() < self._lease.deadline:
            self._set()
        elif self._blow is not None:
            self._blow()
