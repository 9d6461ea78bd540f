"""A network that ends at this machine, for programs that are to talk to nobody else."""

from __future__ import annotations

import ctypes
import fcntl
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

# <sched.h>, <linux/if.h>, <linux/sockios.h>
CLONE_NEWNET = 0x40000000
IFF_UP = 0x1
SIOCSIFFLAGS = 0x8914


@contextmanager
def loopback_only() -> Iterator[bool]:
    """This thread, and the threads and processes that it starts, have loopback alone meanwhile.

    False, and nothing is changed, where it may not be (without root): the programs' own settings must do.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    with open("/proc/thread-self/ns/net", encoding="ascii") as before:
        if libc.unshare(CLONE_NEWNET) != 0:
            yield False
            return
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
                fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))
            yield True
        finally:
            if libc.setns(before.fileno(), CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "the network could not be had back")
