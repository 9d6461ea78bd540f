"""The state directory: where its files lie, and what makes it unfit to be used."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator

from agentq_cli.dataclass import dataclass
from agentq_cli.errors import NotFound, Refused, Usage
from agentq_cli.model import RunId
from agentq_cli.names import is_name
from agentq_cli.path import Path

# POSIX locks are unreliable or absent on these, and SQLite's rollback needs them.
NETWORK_FILE_SYSTEMS = (
    *("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "virtiofs", "afs", "ceph", "glusterfs", "fuse", "fuseblk"),
)


@dataclass(frozen=True, slots=True)
class StateDir:
    """The paths below one state directory."""

    path: Path

    @property
    def index(self) -> Path:
        """`agentq.db`."""
        return self.path / "agentq.db"

    @property
    def bells(self) -> Path:
        """The directory of the doorbells, one FIFO a waiting process."""
        return self.path / "bells"

    @property
    def wake_lock(self) -> Path:
        """The lock file around looking for a supervisor and starting one; never unlinked."""
        return self.path / "wake.lock"

    def session(self, name: str) -> Path:
        """The directory of a session; the name is checked, for it becomes a path. Raises Usage."""
        if not is_name(name):
            raise Usage(f"session '{name}': a name is 1 to 64 of A-Z a-z 0-9 . _ - and begins with a letter or digit")
        return self.path / "sessions" / name

    def inbound(self, name: str) -> Path:
        """A session's `inbound.db`."""
        return self.session(name) / "inbound.db"

    def outbound(self, name: str) -> Path:
        """A session's `outbound.db`."""
        return self.session(name) / "outbound.db"

    def run(self, run: RunId) -> Path:
        """The directory of one attempt."""
        return self.session(run.session) / "runs" / f"{run.seq}.{run.attempt}"

    def session_names(self) -> Iterator[str]:
        """The sessions that have a directory, whatever the index says."""
        try:
            entries = sorted(os.listdir(self.path / "sessions"))
        except FileNotFoundError:
            return
        yield from (name for name in entries if is_name(name))

    def create(self) -> None:
        """Make the directory and its fixed parts, private to this user. Raises Refused."""
        with _refusals(self.path):
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            for part in ("sessions", "bells"):
                (self.path / part).mkdir(mode=0o700, exist_ok=True)

    def create_session(self, name: str) -> None:
        """Make a session's directory, on disk before anything in it is. Raises Usage, Refused."""
        directory = self.session(name)
        with _refusals(directory):
            try:
                directory.mkdir(mode=0o700)
            except FileExistsError:
                self.check_session(name)
                return
            sync_directory(directory.parent)
            sync_directory(self.path)

    def check_session(self, name: str) -> None:
        """Refuse a session directory that leads elsewhere. Raises Usage, or NotFound where there is none."""
        directory = self.session(name)
        try:
            mode = directory.lstat().st_mode
        except FileNotFoundError:
            raise NotFound(f"session '{name}': there is none of that name") from None
        if not stat.S_ISDIR(mode):
            raise Usage(f"session '{name}': '{directory}' is not a directory of its own but a link or a file")

    def check(self, *, allow_network_fs: bool = False) -> None:
        """Refuse a directory that somebody else owns, or that lies, or would lie, on a network file system.

        Raises Usage.
        """
        with contextlib.suppress(FileNotFoundError):
            status = self.path.stat()
            if not stat.S_ISDIR(status.st_mode):
                raise Usage(f"state dir '{self.path}': not a directory")
            if status.st_uid != os.geteuid():
                raise Usage(f"state dir '{self.path}': it belongs to user {status.st_uid}, not to you ({os.geteuid()})")
        if not allow_network_fs:
            mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape")
            kind = file_system(os.path.realpath(self.path), mounts)
            if kind in NETWORK_FILE_SYSTEMS or kind.startswith("fuse."):
                raise Usage(
                    f"state dir '{self.path}': it lies on {kind}, where file locks cannot be relied on;"
                    " use a local directory (--allow-network-fs overrides)"
                )


@contextlib.contextmanager
def _refusals(path: Path) -> Iterator[None]:
    """What the operating system refuses, as the contract's error."""
    try:
        yield
    except OSError as error:
        raise Refused(f"'{path}': {error.strerror}") from error


def file_system(path: str, mountinfo: str) -> str:
    """The type of the file system that holds `path`, from the text of `/proc/self/mountinfo` (proc(5))."""
    best, kind = "", ""
    for line in mountinfo.splitlines():
        left, _, right = line.partition(" - ")
        fields = left.split(" ")
        if len(fields) < 5 or not right:
            continue
        point = fields[4].replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")
        inside = point == "/" or path == point or path.startswith(point + "/")
        # Of several mounts on one point the last is the one that is seen.
        if inside and len(point) >= len(best):
            best, kind = point, right.split(" ", 1)[0]
    return kind


def sync_directory(path: Path) -> None:
    """Bring the names in a directory to disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
