"""Whether a process lives, as `/proc` tells (proc(5)). Loaded by processes that must start at once."""

from __future__ import annotations

import os

GONE = (FileNotFoundError, NotADirectoryError, PermissionError, ProcessLookupError)

FIRST_NAMESPACE = "pid:[4026531836]"
"""What the PID namespace that the machine booted with is called everywhere (PROC_PID_INIT_INO in the kernel)."""

_boot_id: str | None = None
_realm: str | None = None


def boot_id() -> str:
    """The kernel's random name for this boot."""
    global _boot_id
    if _boot_id is None:
        _boot_id = (read_file("/proc/sys/kernel/random/boot_id") or b"").decode().strip()
    return _boot_id


def realm() -> str:
    """Where the pids that this process sees count: the boot, and the PID namespace unless it is the machine's first.

    Where `/proc` shows the processes of another namespace than this one's (`unshare -pf` without `--mount-proc`), it
    ends with a `?` and is nobody's: no pid can be looked up then.
    """
    global _realm
    if _realm is None:
        try:
            namespace = os.readlink("/proc/self/ns/pid")
            foreign = os.readlink("/proc/self") != str(os.getpid())
        except OSError:
            namespace, foreign = FIRST_NAMESPACE, False
        inode = "" if namespace == FIRST_NAMESPACE else "/" + namespace.removeprefix("pid:[").removesuffix("]")
        _realm = f"{boot_id()}{inode}{'?' if foreign else ''}"
    return _realm


def boot_of(place: str) -> str:
    """The boot that a realm is of: the monotonic clock counts within it, in all its PID namespaces."""
    return place.partition("/")[0]


def read_file(path: str) -> bytes | None:
    """The bytes of a file under `/proc`, or None where it is gone or not ours to read.

    Any other failure is raised: a process must not look dead because we are out of descriptors.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except GONE:
        return None
    parts = []
    try:
        while part := os.read(descriptor, 65536):
            parts.append(part)
    except GONE:
        return None
    finally:
        os.close(descriptor)
    return b"".join(parts)


def stat_fields(pid: int) -> list[bytes] | None:
    """The fields of `/proc/PID/stat` from the third on, or None where there is no such process."""
    text = read_file(f"/proc/{pid}/stat")
    # The second field is the program's name in brackets and may hold blanks and brackets of its own.
    return text[text.rindex(b")") + 2 :].split() if text else None


def name_of(pid: int) -> str | None:
    """What the kernel calls a process (its `comm`), or None where there is no such process."""
    text = read_file(f"/proc/{pid}/comm")
    return None if text is None else text.decode(errors="replace").rstrip("\n")


def alive(pid: int, start_time: int, boot: str) -> bool:
    """Whether this very process still runs; a zombie does not, a stopped one and another user's do.

    `boot` is its realm; of another realm than this process's nothing can be told here, and it counts as gone.
    """
    if pid <= 0 or boot != realm():
        return False
    fields = stat_fields(pid)
    if fields is None:
        return _hidden(pid)
    if int(fields[19]) != start_time:
        return False
    return fields[0] not in (b"Z", b"X") or _has_threads(pid)


def _hidden(pid: int) -> bool:
    """Whether a process of another user holds this pid where `/proc` is mounted with hidepid.

    It cannot be told from a recycled one then; believing it alive starts nothing twice.
    """
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except ProcessLookupError:
        pass
    return False


def _has_threads(pid: int) -> bool:
    """Whether threads outlive the main one: the kernel shows such a process as a zombie, and it is not dead."""
    try:
        return len(os.listdir(f"/proc/{pid}/task")) > 1
    except GONE:
        return False
