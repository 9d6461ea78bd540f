"""Whether a process is alive, according to `/proc` (proc(5)). Loaded by processes that must start fast."""

from __future__ import annotations

import os

GONE = (FileNotFoundError, NotADirectoryError, PermissionError, ProcessLookupError)

FIRST_NAMESPACE = "pid:[4026531836]"
"""The name of the machine's first PID namespace, the same everywhere (PROC_PID_INIT_INO in the kernel)."""

_boot_id: str | None = None
_realm: str | None = None


def boot_id() -> str:
    """The random id that the kernel gave this boot."""
    global _boot_id
    if _boot_id is None:
        _boot_id = (read_file("/proc/sys/kernel/random/boot_id") or b"").decode().strip()
    return _boot_id


def realm() -> str:
    """Where the pids that this process sees are valid: the boot, and the PID namespace unless it is the machine's
    first.

    If `/proc` shows the processes of another namespace than this process's (`unshare -pf` without `--mount-proc`), the
    realm ends with `?` and matches no other: then no pid can be looked up.
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
    """The boot of a realm. The monotonic clock is comparable within a boot, in all its PID namespaces."""
    return place.partition("/")[0]


def read_file(path: str) -> bytes | None:
    """The bytes of a file under `/proc`, or None if it is gone or not readable for us.

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
    """The fields of `/proc/PID/stat` from the third on, or None if there is no such process."""
    text = read_file(f"/proc/{pid}/stat")
    # The second field is the program's name in parentheses, which may itself contain blanks and parentheses.
    return text[text.rindex(b")") + 2 :].split() if text else None


def name_of(pid: int) -> str | None:
    """The kernel's name of a process (its `comm`), or None if there is no such process."""
    text = read_file(f"/proc/{pid}/comm")
    return None if text is None else text.decode(errors="replace").rstrip("\n")


def alive(pid: int, start_time: int, boot: str) -> bool:
    """Whether this exact process is still running. A zombie is not; a stopped process and another user's are.

    `boot` is its realm. Processes of another realm than this process's cannot be checked here and count as gone.
    """
    if pid <= 0 or boot != realm():
        return False
    fields = stat_fields(pid)
    if fields is None:
        return _is_hidden(pid)
    if int(fields[19]) != start_time:
        return False
    return fields[0] not in (b"Z", b"X") or _has_threads(pid)


def _is_hidden(pid: int) -> bool:
    """Whether another user's process holds this pid while `/proc` is mounted with hidepid.

    It cannot be told from a process that reused the pid. If it is taken to be alive, at least nothing is started twice.
    """
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except ProcessLookupError:
        pass
    return False


def _has_threads(pid: int) -> bool:
    """Whether threads outlive the main one: the kernel shows such a process as a zombie although it is not dead."""
    try:
        return len(os.listdir(f"/proc/{pid}/task")) > 1
    except GONE:
        return False
