"""The directory of one run: small JSON records through which processes that never meet agree on what happened.

`start` and `stop` are hard-linked into place when complete, so the first one wins and no reader sees a partial record.
Nobody acts on a torn one, because acting waits for the fsync. `exit` is renamed into place after an fsync: it is either
complete or, if it is empty or torn after a power loss, counts as missing.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
from collections.abc import Callable, Mapping

from agentq_cli.base.dataclass import NamedTuple
from agentq_cli.base.identity import Identity
from agentq_cli.policy.stall import Signs, Silence

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeVar

    Record = TypeVar("Record")


EXIT_SPACE = 4096  # Reserved before the agent starts, so that its exit record can be written even if it fills the disk.
LONGEST_ERROR = 500
LARGEST = 64 * 1024
UNFIT = (errno.ELOOP, errno.EACCES, errno.ENXIO)
NOBODY = Identity(0, 0, "")
FOR_WRITING = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
LOOKS = "looks"
"""The record of a run's silence."""

LINGERS = "lingers"
"""The record of how long a run has kept running after its final event."""


class Start(NamedTuple):
    """A shim took the run: from now on something may be running. `monotonic_ms` counts within the boot of `identity`.

    `locked`: the shim holds a lock on this record for as long as it lives, and the run's processes hold one on the
    files that they print to (`RunDirectory.kept`, `RunDirectory.printing`).
    """

    identity: Identity
    started_at: int
    monotonic_ms: int
    locked: bool = False


class Void(NamedTuple):
    """Recovery came first: nothing was started and nothing will be."""

    by: int


class Stop(NamedTuple):
    """Someone asked for the run to end; the first reason stays."""

    reason: str
    at: int


class Exit(NamedTuple):
    """How the agent's own process ended, written once its whole process tree is gone.

    `exit_code` is null after a `signal`. `stopped` is the reason if agentq itself stopped the run; then neither of the
    two is a verdict, and `stdout_at_stop` is the size of stdout in bytes when the stop began. `spawn_error` says that
    the agent never ran; `error` says why a run failed if its exit code does not. `oom_kills` is how often the kernel
    killed processes in the run's cgroup meanwhile because memory ran out, null if unknown.
    """

    exit_code: int | None
    signal: int | None
    stopped: str | None
    error: str | None
    spawn_error: bool
    finished_at: int
    duration_ms: int
    peak_rss_bytes: int | None
    stdout_bytes: int
    stderr_bytes: int
    script_outcome: str | None = None
    oom_kills: int | None = None
    stdout_at_stop: int | None = None


class Cut(NamedTuple):
    """The part of an output file that was cut to keep it within its bound: logical offsets `begin` to `end`.

    `punched`: the file keeps its offsets and has a hole there. Otherwise the rest of the file was moved up to `begin`.
    """

    begin: int
    end: int
    punched: bool


class RunDirectory:
    """`sessions/NAME/runs/N.K`. Writers raise OSError; readers return None for what does not exist or cannot be
    read."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        self._made: list[str] = []

    def file(self, name: str) -> str:
        """The path of one of the run's files: `stdout`, `stderr`, `prompt`, `heartbeat`, `result`."""
        return f"{self.path}/{name}"

    def create(self) -> None:
        """Create the run's directory with mode 0700, and the `runs` directory above it. The session's directory must
        exist.

        A symbolic link in place of either is not followed: we must not write where it leads.
        """
        for path in (os.path.dirname(self.path), self.path):
            try:
                os.mkdir(path, 0o700)
            except FileExistsError:
                _require_directory(path)
                continue
            self._made.append(path)

    def start(self) -> Start | Void | None:
        """Who took the run. An unreadable record was damaged by a power loss: the run was started, but its keeper is
        unknown."""
        document = self._load("start")
        if document is None:
            return None
        if document.get("void") is True:
            return _read(lambda found: Void(_whole(found["by"])), document) or Void(0)
        return _read(_start, document) or Start(NOBODY, 0, 0)

    def write_start(self, start: Start) -> bool:
        """Take the run for this shim, durably. False if another shim has it or it is void: then start nothing.

        The record stays locked until this process ends, if the file system supports such locks.
        """
        identity = start.identity
        document = {
            "pid": identity.pid,
            "start_time": identity.start_time,
            "boot_id": identity.boot_id,
            "started_at": start.started_at,
            "monotonic_ms": start.monotonic_ms,
            "tmpdir": None,  # Older versions of agentq, which did not compute the path, expect this key.
        }
        return self._link("start", document, keep=True)

    def keeper_holds_lock(self) -> bool:
        """Whether the writer of the `start` record is still alive, in any PID namespace."""
        return self._locked("start")

    def output_is_open(self) -> bool:
        """Whether a process of the run still has its stdout or stderr open, in any PID namespace."""
        return self._locked("stdout") or self._locked("stderr")

    def _locked(self, name: str) -> bool:
        """Whether someone holds a lock on a file. The kernel releases a lock when the last process that has the file
        open ends."""
        import fcntl

        try:
            descriptor = os.open(self.file(name), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            if error.errno in UNFIT:
                return False
            raise
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        finally:
            os.close(descriptor)
        return False

    def write_void(self, by: int, *, dry: bool = False) -> bool:
        """Make sure that a late shim starts nothing. False: a shim was faster, and the run should be adopted.

        With `dry` nothing is written, but problems are raised all the same. Raises OSError that names the directory.
        """
        try:
            if dry:
                self._check_writable()
                return True
            self.create()
            return self._link("start", {"void": True, "by": by})
        except OSError as error:
            raise OSError(error.errno, error.strerror, self.path) from error

    def _check_writable(self) -> None:
        """Raises the OSError that writing a record would raise, as far as can be known without writing."""
        above = os.path.dirname(self.path)
        there = os.path.dirname(above)
        for path in (above, self.path):
            if not os.path.lexists(path):
                break
            _require_directory(path)
            there = path
        if not os.access(there, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    def agent(self) -> Identity | None:
        """The agent's own process, alive or not; None if it is not recorded."""
        document, start = self._load("agent"), self.start()
        if not document or not isinstance(start, Start):
            return None
        boot = start.identity.boot_id
        return _read(lambda found: Identity(_pid(found["pid"]), _whole(found["start_time"]), boot), document)

    def write_agent(self, pid: int, start_time: int) -> None:
        """Record the agent's process. Not synced: the record means nothing after a reboot."""
        temporary = self.file(f"agent.{pid}")
        # Only two numbers, and written between fork and exec: done without the JSON encoder and the pages that it would
        # copy.
        os.close(_write_bytes(temporary, b'{"pid": %d, "start_time": %d}\n' % (pid, start_time)))
        os.rename(temporary, self.file("agent"))

    def stop(self) -> Stop | None:
        """The recorded request to end the run, or None; see `post_stop`."""
        document = self._load("stop")
        if document is None:
            return None
        return _read(lambda found: Stop(_text(found["reason"]), _whole(found["at"])), document) or Stop("unknown", 0)

    def post_stop(self, reason: str, at: int) -> bool:
        """Record, durably, that the run is to be ended. False if that was recorded already; the first reason stays."""
        self.create()
        return self._link("stop", {"reason": reason, "at": at})

    def recorded_silence(self, name: str = LOOKS) -> Silence | None:
        """The silence, or the time since the final event, as last recorded by `record_silence`; see `policy.stall`."""
        document = self._load(name)
        return None if document is None else _read(_silence, document)

    def record_silence(self, silence: Silence, name: str = LOOKS) -> None:
        """Record a check for the next one to compare with. Not synced: the record means nothing after a reboot."""
        temporary = self.file(f"{name}.{os.getpid()}")
        signs = silence.signs._asdict()
        os.close(_write_new(temporary, signs | {"since": silence.since, "boot_id": silence.boot_id}))
        os.rename(temporary, self.file(name))

    def forget_silence(self, name: str) -> None:
        """Remove the record, so that the next check counts as the first."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.file(name))

    def exit(self) -> Exit | None:
        """How the run ended; None if the record is missing, empty or torn."""
        document = self._load("exit")
        return None if document is None else _read(_exit, document)

    def reserve_exit(self) -> ExitSlot:
        """Reserve the space for the exit record while there is some."""
        return ExitSlot(self)

    def cut(self, stream: str) -> Cut | None:
        """What was cut from `stdout` or `stderr`, or None if nothing was."""
        document = self._load(f"{stream}.cut")
        return None if document is None else _read(_cut, document)

    def write_cut(self, stream: str, cut: Cut) -> None:
        """Record what is about to be cut. Written before the cut, so that a reader never takes a hole for output."""
        temporary = self.file(f"{stream}.cut.new")
        descriptor = os.open(temporary, FOR_WRITING, 0o600)
        try:
            _write_all(descriptor, _encode(cut._asdict()))
        finally:
            os.close(descriptor)
        os.rename(temporary, self.file(f"{stream}.cut"))

    def _load(self, name: str) -> dict[str, Any] | None:
        """The record as a dict; {} if it exists but is unreadable, None if it does not exist.

        The agent can write to the directory, so a pipe, a link or a directory in a record's place counts as unreadable.
        Any other failure is raised: a run must not look dead because we are out of descriptors.
        """
        try:
            descriptor = os.open(self.file(name), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            if error.errno in UNFIT:
                return {}
            raise
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return {}
            document = json.loads(os.read(descriptor, LARGEST))
        except (ValueError, RecursionError):
            return {}
        finally:
            os.close(descriptor)
        return document if isinstance(document, dict) else {}

    def _link(self, name: str, document: Mapping[str, Any], *, keep: bool = False) -> bool:
        temporary = self.file(f"{name}.{os.getpid()}")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        placed = False
        try:
            _write_all(descriptor, _encode({**document, "locked": lock(descriptor)} if keep else document))
            os.link(temporary, self.file(name))
            placed = True
            # Synced once everything is in place: one journal commit instead of three, and nobody acts before it.
            os.fsync(descriptor)
        except FileExistsError:
            return False
        finally:
            if not (keep and placed):  # Otherwise it stays open and locked for as long as this process lives.
                os.close(descriptor)
            os.unlink(temporary)
        _sync_directory(self.path)
        while self._made:
            _sync_directory(os.path.dirname(self._made.pop()))
        return True


def _require_directory(path: str) -> None:
    if not stat.S_ISDIR(os.lstat(path).st_mode):
        raise NotADirectoryError(errno.ENOTDIR, "a symbolic link or a file, not a directory", path)


class ExitSlot:
    """The space for an exit record, reserved before there is anything to record."""

    def __init__(self, directory: RunDirectory) -> None:
        self._directory = directory
        self._temporary = directory.file(f"exit.{os.getpid()}")
        self._descriptor = os.open(self._temporary, FOR_WRITING, 0o600)
        try:
            _allocate(self._descriptor, 0)
        except OSError:
            self.release()
            raise

    def disk_full(self) -> bool:
        """Whether the file system has no free block left for the run."""
        try:
            _allocate(self._descriptor, EXIT_SPACE)
        except OSError as error:
            return error.errno in (errno.ENOSPC, errno.EDQUOT)
        return False

    def write(self, record: Exit) -> None:
        """Write the record, durably, to its final place."""
        document = record._asdict()
        if record.error is not None:
            document["error"] = record.error[:LONGEST_ERROR]
        data = _encode(document)
        # Overwrite the reserved blocks: truncating first would return them to a full disk.
        os.pwrite(self._descriptor, data, 0)
        os.ftruncate(self._descriptor, len(data))
        os.fsync(self._descriptor)
        os.close(self._descriptor)
        os.rename(self._temporary, self._directory.file("exit"))
        _sync_directory(self._directory.path)

    def release(self) -> None:
        """Release the space: there will be no record."""
        os.close(self._descriptor)
        os.unlink(self._temporary)


def _start(found: Mapping[str, Any]) -> Start:
    identity = Identity(_pid(found["pid"]), _whole(found["start_time"]), _text(found["boot_id"]))
    return Start(
        identity, _whole(found["started_at"]), _whole(found["monotonic_ms"]), locked=found.get("locked") is True
    )


def _silence(found: Mapping[str, Any]) -> Silence:
    signs = [None if found[name] is None else _sign(found[name]) for name in Signs._fields]
    return Silence(Signs(*signs), _whole(found["since"]), _text(found["boot_id"]))


def _sign(found: object) -> tuple[int, int]:
    # An agent may set any time on its heartbeat file, even one before 1970.
    if not isinstance(found, list) or [type(each) for each in found] != [int, int]:
        raise ValueError("not a pair of numbers")
    return found[0], found[1]


def _exit(found: Mapping[str, Any]) -> Exit:
    # Fields that an older, still running shim did not write get their defaults; unknown keys of a newer shim are
    # ignored.
    kept = {name: found[name] for name in Exit._fields if name in found or name not in Exit._field_defaults}
    for name, value in kept.items():
        if name == "spawn_error":
            if not isinstance(value, bool):
                raise ValueError(f"{name} is neither true nor false")
        elif name in ("stopped", "error", "script_outcome"):
            kept[name] = None if value is None else _text(value)
        elif value is not None:
            _whole(value)
        elif name in ("finished_at", "duration_ms", "stdout_bytes", "stderr_bytes"):
            raise ValueError(f"{name} is missing")
    if kept["signal"] is not None and kept["signal"] > LAST_SIGNAL:
        raise ValueError("no such signal")
    return Exit(**kept)


def _cut(found: Mapping[str, Any]) -> Cut:
    cut = Cut(_whole(found["begin"]), _whole(found["end"]), found["punched"])
    if cut.begin > cut.end or not isinstance(cut.punched, bool):
        raise ValueError("the cut ends before it begins")
    return cut


LAST_SIGNAL = 64
LARGEST_PID = (1 << 31) - 1


def _pid(value: object) -> int:
    if _whole(value) > LARGEST_PID:
        raise ValueError("too large for a pid")
    return _whole(value)


def _whole(value: object) -> int:
    """A non-negative integer that fits into a database column. Raises ValueError for anything else."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 62:
        raise ValueError("not a whole number")
    return value


def _text(value: object) -> str:
    """A string that can be stored. Raises ValueError for anything else."""
    if not isinstance(value, str):
        raise ValueError("not text")
    return value.encode("utf-8", "replace").decode("utf-8")


def _read(parse: Callable[[Mapping[str, Any]], Record], document: Mapping[str, Any]) -> Record | None:
    try:
        return parse(document)
    except (KeyError, TypeError, ValueError):
        return None


def _encode(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document).encode() + b"\n"


def lock(descriptor: int, *, shared: bool = False) -> bool:
    """Lock a file for as long as it stays open, here or in processes that inherit it. False if such locks are not
    supported."""
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
    except OSError:
        return False
    return True


def _allocate(descriptor: int, offset: int) -> None:
    try:
        os.posix_fallocate(descriptor, offset, EXIT_SPACE)
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):
            raise


def _write_new(path: str, document: Mapping[str, Any]) -> int:
    return _write_bytes(path, _encode(document))


def _write_bytes(path: str, data: bytes) -> int:
    descriptor = os.open(path, FOR_WRITING, 0o600)
    try:
        _write_all(descriptor, data)
    except OSError:
        os.close(descriptor)
        os.unlink(path)
        raise
    return descriptor


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def _sync_directory(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
