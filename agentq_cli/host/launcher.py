"""The process that forks the shims: small, single-threaded and without a database, so that forking is safe and cheap.

A fresh interpreter would cost each run 6 to 16 ms and 9 MB; a fork of this process costs 2 ms and the pages it changes.
The launcher ends when the supervisor closes the socket or dies; the shims live on. Where their runs have a lease it
stays until they have ended, and kills what a shim left behind that was killed itself.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import os
import resource  # noqa: F401  (os.wait4 would load it in every shim anew)
import select
import signal
import socket

from agentq_cli.base.dataclass import NamedTuple
from agentq_cli.base.identity import Identity
from agentq_cli.host import kernel, process, shim, tree
from agentq_cli.host.launch import ANSWER, HEADER, HELD_SIGNALS, LaunchRequest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import NoReturn

SELDOM_MS = 1_000
"""How often at least to look for what a killed shim has left behind and cannot be ended."""


class _Asked(NamedTuple):
    """A request as it came."""

    data: bytes
    leased: bool


class _Shim(NamedTuple):
    """A shim that was forked. `request` is empty for a run without a lease."""

    pid: int
    request: bytes

    @property
    def leased(self) -> bool:
        return bool(self.request)


def main(descriptor: int) -> NoReturn:
    """Serve the socket `descriptor` until its other end is closed."""
    signal.pthread_sigmask(signal.SIG_SETMASK, HELD_SIGNALS)
    # Python ignores some signals, and those that a caller ignores (as nohup does) are inherited. Agents get the
    # defaults, and an ignored SIGCHLD would lose their exit status.
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_DFL)
    kernel.default_library_signals()
    os.setsid()
    os.umask(0o077)
    os.chdir("/")
    # Anything else that the supervisor's caller left open (a lock, a pipe) must not stay open during a run.
    _close_all_but(0, 1, 2, descriptor)
    kernel.name_process("agentq-launcher")
    process.boot_id()  # Read once for all shims.
    # Without garbage collection the pages from before the fork are never written to and stay shared with all shims.
    gc.disable()
    gc.freeze()
    serve(socket.socket(fileno=descriptor))
    os._exit(0)


def _close_all_but(*keep: int) -> None:
    """Close the descriptors that `/proc` lists, because the limit on their number may be a million."""
    for name in os.listdir("/proc/self/fd"):
        if int(name) not in keep:
            with contextlib.suppress(OSError):  # The descriptor of the listing itself is already closed.
                os.close(int(name))


def serve(requests: socket.socket) -> None:
    """Fork one shim per request and reap those that ended, until end of file, and then until none with a lease is
    left."""
    shims: dict[int, _Shim] = {}
    left: list[tree.Orphans] = []
    wait_ms = tree.SETTLE_MS
    poll = select.poll()
    poll.register(requests, select.POLLIN)
    asked = True
    while asked or left or any(each.leased for each in shims.values()):
        for descriptor, _ in poll.poll(wait_ms if left else None):
            if descriptor in shims:
                poll.unregister(descriptor)
                left += _reap(shims.pop(descriptor))
                os.close(descriptor)
                wait_ms = tree.SETTLE_MS
            elif (data := _receive(requests)) is None:
                poll.unregister(requests)
                asked = False
            else:
                _launch(requests, data, shims, poll)
        if left:
            # At each step: what a dying agent leaves behind comes here only once it is dead.
            strays = _strays(shims)
            for each in left:
                each.remember(strays)
        with contextlib.suppress(OSError):  # Out of descriptors: the next look finds them.
            left = [each for each in left if not each.step()]
        wait_ms = min(2 * wait_ms, SELDOM_MS)


def _launch(requests: socket.socket, request: _Asked, shims: dict[int, _Shim], poll: select.poll) -> None:
    try:
        # A pidfd of the shim is needed right after the fork: check beforehand that a descriptor is free.
        os.close(os.dup(requests.fileno()))
        if request.leased:
            from agentq_cli.host import fuse  # noqa: F401  (each shim would load it anew)

            kernel.become_subreaper()
        pid = os.fork()
    except OSError as error:
        requests.sendall(ANSWER.pack(0, error.errno or errno.EAGAIN))
        return
    if pid == 0:
        shim.main(request.data, [requests.fileno(), *shims])
    pidfd = os.pidfd_open(pid)
    shims[pidfd] = _Shim(pid, request.data if request.leased else b"")
    poll.register(pidfd, select.POLLIN)
    socket.send_fds(requests, [ANSWER.pack(pid, 0)], [pidfd])


def _reap(ended: _Shim) -> list[tree.Orphans]:
    """What is to be killed after the end of a shim: everything of a run whose lease was over before its shim could do
    that."""
    _, status = os.waitpid(ended.pid, 0)
    if not (ended.leased and os.WIFSIGNALED(status)):
        return []
    env = LaunchRequest.decode(ended.request).env
    return [tree.Orphans(env.get("AGENTQ_RUN", ""), env.get("AGENTQ_STATE_DIR", ""), grace_ms=0)]


def _strays(shims: Mapping[int, _Shim]) -> set[Identity]:
    """What dead shims have left behind: it becomes a child of this process, whatever it did to its session and
    environment."""
    others = {each.pid for each in shims.values()}
    return {
        Identity(stat.pid, stat.start_time, process.realm())
        for stat in process.processes()
        if stat.parent == os.getpid() and stat.pid not in others
    }


def _receive(requests: socket.socket) -> _Asked | None:
    header = _exactly(requests, HEADER.size)
    if header is None:
        return None
    size, leased = HEADER.unpack(header)
    data = _exactly(requests, size)
    return None if data is None else _Asked(data, leased)


def _exactly(requests: socket.socket, size: int) -> bytes | None:
    parts = bytearray()
    while len(parts) < size:
        part = requests.recv(size - len(parts))
        if not part:
            return None
        parts += part
    return bytes(parts)
