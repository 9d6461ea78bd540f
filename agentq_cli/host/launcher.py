"""The process that forks the shims: small, single-threaded and without a database, so that forking is safe and cheap.

A fresh interpreter would cost each run 6 to 16 ms and 9 MB; a fork of this process costs 2 ms and the pages it changes.
The launcher ends when the supervisor closes the socket or dies; the shims live on.
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

from agentq_cli.host import kernel, process, shim
from agentq_cli.host.launch import ANSWER, HELD_SIGNALS, LENGTH

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


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
    """Fork one shim per request and reap those that ended, until end of file."""
    shims: dict[int, int] = {}
    poll = select.poll()
    poll.register(requests, select.POLLIN)
    while True:
        for descriptor, _ in poll.poll():
            if descriptor in shims:
                poll.unregister(descriptor)
                os.waitpid(shims.pop(descriptor), 0)
                os.close(descriptor)
            elif (data := _receive(requests)) is None:
                return
            else:
                _launch(requests, data, shims, poll)


def _launch(requests: socket.socket, data: bytes, shims: dict[int, int], poll: select.poll) -> None:
    try:
        # A pidfd of the shim is needed right after the fork: check beforehand that a descriptor is free.
        os.close(os.dup(requests.fileno()))
        pid = os.fork()
    except OSError as error:
        requests.sendall(ANSWER.pack(0, error.errno or errno.EAGAIN))
        return
    if pid == 0:
        shim.main(data, [requests.fileno(), *shims])
    pidfd = os.pidfd_open(pid)
    shims[pidfd] = pid
    poll.register(pidfd, select.POLLIN)
    socket.send_fds(requests, [ANSWER.pack(pid, 0)], [pidfd])


def _receive(requests: socket.socket) -> bytes | None:
    header = _exactly(requests, LENGTH.size)
    return None if header is None else _exactly(requests, LENGTH.unpack(header)[0])


def _exactly(requests: socket.socket, size: int) -> bytes | None:
    parts = bytearray()
    while len(parts) < size:
        part = requests.recv(size - len(parts))
        if not part:
            return None
        parts += part
    return bytes(parts)
