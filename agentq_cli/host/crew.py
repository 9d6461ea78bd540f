"""The keepers of a launcher: those that wait for a run, and those that have one."""

from __future__ import annotations

import errno
import os
import select
import struct

from agentq_cli.base.dataclass import dataclass
from agentq_cli.base.lean import signal, socket
from agentq_cli.host import handing, serving
from agentq_cli.host.handing import Asked

GIVE_TIMEOUT = struct.pack("ll", 1, 0)
"""How long a keeper may take to read a request that does not fit into the buffer of its socket (struct timeval)."""


@dataclass(slots=True)
class Keeper:
    """A forked keeper. `request` is that of the run with a lease that it has, empty without one."""

    pid: int
    pidfd: int
    socket: socket.socket
    busy: bool = False
    request: bytes = b""

    def is_ready(self) -> bool:
        """Whether it has ended its run, and can be given another. To be asked of one that has a run."""
        try:
            if self.socket.recv(1, socket.MSG_DONTWAIT) != serving.READY:
                return False
        except OSError:
            return False
        self.busy, self.request = False, b""
        return True


class Crew:
    """Gives runs to keepers, to the one used last of those that are idle, and forks more when it takes more.

    The pidfd of each is registered with `ends`; call `reap` for those that are readable."""

    def __init__(self, ends: select.poll) -> None:
        self._ends = ends
        self._all: dict[int, Keeper] = {}
        self._idle: list[Keeper] = []
        self._busy: dict[int, Keeper] = {}
        self._ready = select.poll()

    @property
    def stays(self) -> bool:
        """Whether one of them may have a run with a lease, or has none and is about to end."""
        return any(each.request or not each.busy for each in self._all.values())

    @property
    def pids(self) -> set[int]:
        """All of them that have not been reaped."""
        return {each.pid for each in self._all.values()}

    def __contains__(self, pidfd: int) -> bool:
        return pidfd in self._all

    def give(self, asked: Asked) -> None:
        """Give a keeper this run. Raises OSError if there is none and none can be forked."""
        self._hear()
        while self._idle:
            if self._give(self._idle.pop(), asked):
                return
        if not self._give(self._fork(), asked):
            raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    def reap(self, pidfd: int) -> tuple[bytes, int]:
        """Bury the keeper of that pidfd, which has ended: the request of the run with a lease that it had, empty
        without one, and its wait status."""
        keeper = self._all.pop(pidfd)
        keeper.is_ready()
        if keeper in self._idle:
            self._idle.remove(keeper)
        self._dismiss(keeper)
        self._ends.unregister(pidfd)
        os.close(pidfd)
        return keeper.request, os.waitpid(keeper.pid, 0)[1]

    def dismiss(self) -> None:
        """Have each end, once it has ended its run: nobody will ask for another."""
        for keeper in self._all.values():
            keeper.is_ready()
            self._dismiss(keeper)
        self._idle.clear()

    def _dismiss(self, keeper: Keeper) -> None:
        if self._busy.pop(keeper.socket.fileno(), None) is not None:
            self._ready.unregister(keeper.socket)
        keeper.socket.close()

    def _hear(self) -> None:
        """Find out which keepers have become ready."""
        for descriptor, _ in self._ready.poll(0):
            keeper = self._busy.pop(descriptor)
            self._ready.unregister(descriptor)
            if keeper.is_ready():
                self._idle.append(keeper)

    def _give(self, keeper: Keeper, asked: Asked) -> bool:
        try:
            handing.send(keeper.socket, asked)
        except OSError:  # It is gone, or does not read.
            # One that stands still would hold the line, with a part of the request, for as long as it does.
            signal.pidfd_send_signal(keeper.pidfd, signal.SIGKILL)
            self._dismiss(keeper)
            return False
        keeper.busy, keeper.request = True, asked.data if asked.leased else b""
        self._busy[keeper.socket.fileno()] = keeper
        self._ready.register(keeper.socket, select.POLLIN)
        return True

    def _fork(self) -> Keeper:
        ours, theirs = socket.socketpair()
        try:
            pid = os.fork()
            if pid == 0:
                serving.main(theirs)
            theirs.close()  # It leaves room for the pidfd.
            keeper = Keeper(pid, os.pidfd_open(pid), ours)
        except OSError:
            ours.close()
            theirs.close()
            raise
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, GIVE_TIMEOUT)
        self._all[keeper.pidfd] = keeper
        self._ends.register(keeper.pidfd, select.POLLIN)
        return keeper
