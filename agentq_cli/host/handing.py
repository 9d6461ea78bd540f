"""How the request for a run is handed on: by a supervisor to its launcher, and by that to one of its keepers.

With each goes the run's line: the writing end of a pipe, which stays open for as long as somebody keeps the run or is
about to. Whoever has the other end sees its end of file once nobody does, by the run's end or by its keeper's death.
"""

from __future__ import annotations

import errno
import os
import struct

from agentq_cli.base.dataclass import NamedTuple
from agentq_cli.base.lean import socket

HEADER = struct.Struct("!I?")
"""Precedes each request, which is JSON: its length, and whether the run has a lease."""

LINE = struct.Struct("i")


class Asked(NamedTuple):
    """A request as it is handed on, and its line."""

    data: bytes
    leased: bool
    line: int


def send(to: socket.socket, asked: Asked) -> None:
    """Hand a request on; the line stays open here too. Raises OSError if the other end is closed or does not read."""
    message = HEADER.pack(len(asked.data), asked.leased) + asked.data
    line = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, LINE.pack(asked.line))]
    sent = to.sendmsg([message], line, socket.MSG_NOSIGNAL)
    if sent < len(message):
        to.sendall(message[sent:], socket.MSG_NOSIGNAL)


def receive(come: socket.socket) -> Asked | None:
    """Wait for the next request; None at the end of file. Raises OSError if its line cannot be had: out of
    descriptors."""
    header, ancillary, _, _ = come.recvmsg(HEADER.size, socket.CMSG_SPACE(LINE.size), socket.MSG_CMSG_CLOEXEC)
    lines = [LINE.unpack_from(data)[0] for _, _, data in ancillary if len(data) >= LINE.size]
    if not header or (rest := _exactly(come, HEADER.size - len(header))) is None:
        return None
    size, leased = HEADER.unpack(header + rest)
    if (data := _exactly(come, size)) is None:
        return None
    if not lines:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
    return Asked(data, leased, lines[0])


def _exactly(come: socket.socket, size: int) -> bytes | None:
    parts = bytearray()
    while len(parts) < size:
        part = come.recv(size - len(parts))
        if not part:
            return None
        parts += part
    return bytes(parts)


def close_all_but(*keep: int) -> None:
    """Close the descriptors that `/proc` lists, because the limit on their number may be a million."""
    for name in os.listdir("/proc/self/fd"):
        if int(name) not in keep:
            try:
                os.close(int(name))
            except OSError:  # that of the listing itself is already closed
                continue
