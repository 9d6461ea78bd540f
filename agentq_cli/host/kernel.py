"""Kernel calls that a shim needs and Python lacks. Import this before forking, so that ctypes is loaded only once."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence

from agentq_cli.base import procfs

PR_SET_PDEATHSIG = 1
PR_SET_NAME = 15
PR_SET_CHILD_SUBREAPER = 36
FALLOC_FL_KEEP_SIZE = 0x01
FALLOC_FL_PUNCH_HOLE = 0x02
RT_SIGACTION = {"x86_64": 13, "aarch64": 134, "riscv64": 134}
LIBRARY_SIGNALS = (32, 33)

_libc = ctypes.CDLL(None, use_errno=True)
_fallocate = getattr(_libc, "fallocate64", None) or _libc.fallocate
_fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)


def become_subreaper() -> None:
    """Make this process the parent of its descendants when their own parents die (prctl(2)). Raises OSError."""
    if _libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        _fail()


def die_with_parent(number: int) -> None:
    """Have the kernel send this process a signal when its parent dies, 0 for none; this survives exec. Raises
    OSError."""
    if _libc.prctl(PR_SET_PDEATHSIG, number, 0, 0, 0) != 0:
        _fail()


def name_process(name: str) -> None:
    """Set the name that ps and top show, at most 15 bytes."""
    _libc.prctl(PR_SET_NAME, name.encode(), 0, 0, 0)


def show_command(words: Sequence[str]) -> None:
    """Set the command line that ps shows, as setproctitle(3bsd) does on other systems: as much of it as fits into the
    memory of the real one (proc(5), `arg_start`)."""
    fields = (procfs.read_file("/proc/self/stat") or b"").rpartition(b")")[2].split()
    begin, end = (int(field) for field in fields[45:47]) if len(fields) > 46 else (0, 0)
    if 0 < begin < end:
        size = end - begin
        ctypes.memmove(begin, b"\0".join(map(os.fsencode, words))[: size - 1].ljust(size, b"\0"), size)


def default_library_signals() -> None:
    """Reset the two signals that the C library reserves for itself; all others can be reset by name.

    The library's posix_spawn leaves them ignored, and an agent would inherit that.
    """
    number = RT_SIGACTION.get(os.uname().machine)
    if number is not None:
        nothing = ctypes.create_string_buffer(64)  # struct sigaction with SIG_DFL and no flags
        for each in LIBRARY_SIGNALS:
            _libc.syscall(ctypes.c_long(number), ctypes.c_long(each), nothing, None, ctypes.c_size_t(8))


def punch_hole(descriptor: int, begin: int, end: int) -> None:
    """Free the blocks from `begin` to `end`; the file keeps its size (fallocate(2)). Raises OSError."""
    if _fallocate(descriptor, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, begin, end - begin) != 0:
        _fail()


def _fail() -> None:
    number = ctypes.get_errno()
    raise OSError(number, os.strerror(number))
