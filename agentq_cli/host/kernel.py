"""Kernel calls that a shim needs and Python lacks. Import this before forking, so that ctypes is loaded only once."""

from __future__ import annotations

import ctypes
import os
import struct
import sys
import time

from agentq_cli.base import procfs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PR_SET_PDEATHSIG = 1
PR_SET_NAME = 15
PR_SET_CHILD_SUBREAPER = 36
FALLOC_FL_KEEP_SIZE = 0x01
FALLOC_FL_PUNCH_HOLE = 0x02
SIGEV_SIGNAL = 0
TIMER_ABSTIME = 1
RT_SIGACTION = {"x86_64": 13, "aarch64": 134, "riscv64": 134}
LIBRARY_SIGNALS = (32, 33)
POSIX_SPAWN_SETSIGDEF = 0x04
POSIX_SPAWN_SETSIGMASK = 0x08
POSIX_SPAWN_SETSID = 0x80
ENOUGH = 1024
"""Bytes, for any of the structures of posix_spawn(3) in any C library; the largest has 336."""

_libc = ctypes.CDLL(None, use_errno=True)
_fallocate = getattr(_libc, "fallocate64", None) or _libc.fallocate
_fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
# Each is looked up once here, and not by every keeper, which would copy the pages for that.
_prctl = _libc.prctl
_posix_spawn = _libc.posix_spawn
_actions_init = _libc.posix_spawn_file_actions_init
_actions_adddup2 = _libc.posix_spawn_file_actions_adddup2
_actions_destroy = _libc.posix_spawn_file_actions_destroy


def become_subreaper() -> None:
    """Make this process the parent of its descendants when their own parents die (prctl(2)). Raises OSError."""
    if _prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        _fail()


def die_with_parent(number: int) -> None:
    """Have the kernel send this process a signal when its parent dies, 0 for none; this survives exec. Raises
    OSError."""
    if _prctl(PR_SET_PDEATHSIG, number, 0, 0, 0) != 0:
        _fail()


def name_process(name: str) -> None:
    """Set the name that ps and top show, at most 15 bytes."""
    _prctl(PR_SET_NAME, name.encode(), 0, 0, 0)


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


def spawn(program: str, argv: Sequence[str], env: Mapping[str, str], stdio: Sequence[int]) -> int:
    """Start a program as the leader of a process session of its own, with `stdio` as its first descriptors, default
    handlers for all signals and none of them blocked. Returns its pid once it runs (posix_spawn(3)).

    Unlike `os.posix_spawn` it also resets the signals that the C library reserves for itself. Raises OSError as
    execve(2) does, and ValueError for what that cannot be given.
    """
    sys.audit("os.posix_spawn", program, argv, env)
    if not argv or not argv[0]:
        raise ValueError("its first word is empty")
    if not all(env) or "=" in "".join(env):
        raise ValueError("illegal environment variable name")
    texts = [program, *argv, *[f"{name}={value}" for name, value in env.items()]]
    words = os.fsencode("\0".join(texts)).split(b"\0")
    if len(words) != len(texts):
        raise ValueError("embedded null byte")
    given = _Words(words)
    pid = ctypes.c_int()
    _actions_init(_actions)
    for number, descriptor in enumerate(stdio):
        _actions_adddup2(_actions, descriptor, number)
    failed = _posix_spawn(
        ctypes.byref(pid), words[0], _actions, _attributes, given.array(1, 1 + len(argv)), given.array(1 + len(argv))
    )
    _actions_destroy(_actions)
    if failed:
        raise OSError(failed, os.strerror(failed), program)
    return pid.value


class _Words:
    """Words in memory, for arrays of pointers as those of execve(2); they live as long as this object.

    The arrays of `ctypes` would make a new type for each length, in pages that every keeper would copy.
    """

    def __init__(self, words: Sequence[bytes]) -> None:
        self._block = bytearray(b"\0".join(words) + b"\0")
        at = ctypes.addressof(ctypes.c_char.from_buffer(self._block))
        self._addresses = []
        for word in words:
            self._addresses.append(at)
            at += len(word) + 1

    def array(self, begin: int, end: int | None = None) -> bytes:
        """The words from one to the other."""
        addresses = self._addresses[begin:end]
        return struct.pack(f"{len(addresses) + 1}P", *addresses, 0)


def _spawn_attributes() -> ctypes.Array[ctypes.c_char]:
    attributes = ctypes.create_string_buffer(ENOUGH)
    _libc.posix_spawnattr_init(attributes)
    flags = POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSID
    _libc.posix_spawnattr_setflags(attributes, ctypes.c_short(flags))
    # Not made by sigaddset(3), which refuses the signals of the library.
    _libc.posix_spawnattr_setsigdefault(attributes, b"\xff" * 8 + bytes(ENOUGH))
    _libc.posix_spawnattr_setsigmask(attributes, bytes(ENOUGH))
    return attributes


_attributes = _spawn_attributes()
_actions = ctypes.create_string_buffer(ENOUGH)


def punch_hole(descriptor: int, begin: int, end: int) -> None:
    """Free the blocks from `begin` to `end`; the file keeps its size (fallocate(2)). Raises OSError."""
    if _fallocate(descriptor, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, begin, end - begin) != 0:
        _fail()


def reserve(descriptor: int, begin: int, end: int) -> None:
    """Reserve the blocks from `begin` to `end`; the file keeps its size (fallocate(2)). Raises OSError."""
    if _fallocate(descriptor, FALLOC_FL_KEEP_SIZE, begin, end - begin) != 0:
        _fail()


class Timer:
    """A timer on the clock that goes on while the machine sleeps (timer_create(2), CLOCK_BOOTTIME). At its time the
    kernel sends this process a signal, whatever state it is in; no child inherits that. Raises OSError."""

    def __init__(self, number: int) -> None:
        # Where the C library is older than 2.34, its timers are in a library of their own.
        self._library = _libc if hasattr(_libc, "timer_create") else ctypes.CDLL("librt.so.1", use_errno=True)
        event = (ctypes.c_int * 16)()  # struct sigevent: a pointer, the signal, how it is sent
        after = ctypes.sizeof(ctypes.c_void_p) // ctypes.sizeof(ctypes.c_int)
        event[after], event[after + 1] = number, SIGEV_SIGNAL
        self._id = ctypes.c_void_p()
        if self._library.timer_create(time.CLOCK_BOOTTIME, event, ctypes.byref(self._id)) != 0:
            _fail()

    def set(self, at_ms: int | None) -> None:
        """Set it to a time, in place of the one before; None: to none."""
        seconds, rest = divmod(at_ms or 0, 1000)
        when = (ctypes.c_long * 4)(0, 0, seconds, rest * 1_000_000)  # struct itimerspec, which does not repeat
        if self._library.timer_settime(self._id, TIMER_ABSTIME, when, None) != 0:
            _fail()

    def delete(self) -> None:
        """Have it end nothing any more. Raises OSError."""
        if self._library.timer_delete(self._id) != 0:
            _fail()


def _fail() -> None:
    number = ctypes.get_errno()
    raise OSError(number, os.strerror(number))
