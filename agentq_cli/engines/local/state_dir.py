"""The state directory: where its files are, and what makes it unfit for use."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterable, Iterator
from functools import lru_cache

from agentq_cli.base.dataclass import dataclass, field
from agentq_cli.base.errors import NotFound, Refused, Unreadable, Usage
from agentq_cli.base.names import is_name
from agentq_cli.base.path import Path
from agentq_cli.engines.local import file_systems
from agentq_cli.engines.local.kept import Kept
from agentq_cli.host.place import below, refuse_link

INDEX = "agentq.db"
REBUILD = "`agentq sweep --reindex` rebuilds it from the sessions"


@dataclass(frozen=True, slots=True)
class StateDir:
    """The paths below one state directory; and the connections to it, if they are `kept`."""

    path: Path
    kept: Kept | None = field(default=None, compare=False)

    @property
    def index(self) -> Path:
        """`agentq.db`."""
        return _below(self.path, INDEX)

    @property
    def holds(self) -> Path:
        """The copy of the index's holds, from which a lost index restores them."""
        return self.path / "holds.json"

    def session(self, name: str) -> Path:
        """The directory of a session; the name is checked because it becomes a path. Raises Usage."""
        return _below(self.path, below(name))

    def inbound(self, name: str) -> Path:
        """A session's `inbound.db`."""
        return _below(self.session(name), "inbound.db")

    def outbound(self, name: str) -> Path:
        """A session's `outbound.db`."""
        return _below(self.session(name), "outbound.db")

    def session_names(self) -> Iterator[str]:
        """The sessions that have a directory, whatever the index says."""
        try:
            entries = sorted(os.listdir(self.path / "sessions"))
        except FileNotFoundError:
            return
        yield from (name for name in entries if is_name(name))

    def refuse_lost_index(self) -> None:
        """Refuse to create an index beside sessions that have contents: their index is lost. Raises Unreadable.

        A new one in its place would say that there is nothing to do.
        """
        for name in self.session_names():
            if holds_something(self.inbound(name)):
                what = "no tables" if holds_something(self.index) else "missing or empty"
                sessions = f"'{self.path / 'sessions'}'"
                raise Unreadable(
                    f"'{self.index}': {what}, but there are sessions in {sessions}; restore it, or {REBUILD}"
                )

    def create(self) -> None:
        """Create the directory and its fixed parts, private to this user. Raises Refused."""
        with _refusals(self.path):
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            for part in ("sessions", "bells"):
                (self.path / part).mkdir(mode=0o700, exist_ok=True)

    def create_sessions(self, names: Iterable[str]) -> None:
        """Create sessions' directories, on disk before anything in them is. Raises Usage, Refused."""
        made = False
        for name in names:
            directory = self.session(name)
            with _refusals(directory):
                try:
                    directory.mkdir(mode=0o700)
                    made = True
                except FileExistsError:
                    self.check_session(name)
        if made:
            with _refusals(self.path):
                sync_directory(self.path / "sessions")
                sync_directory(self.path)

    def check_session(self, name: str) -> None:
        """Refuse a session directory that is a link. Raises Usage, or NotFound if there is no such session."""
        directory = self.session(name)
        try:
            mode = directory.lstat().st_mode
        except FileNotFoundError:
            raise NotFound(f"session '{name}': no such session") from None
        if not stat.S_ISDIR(mode):
            raise Usage(f"session '{name}': '{directory}' is a link or a file, not a directory")

    def check(self, *, allow_network_fs: bool = False) -> None:
        """Refuse a directory that another user owns, or that is, or would be, on a network file system.

        Links in place of its parts are refused too: writes would go elsewhere. Raises Usage.
        """
        for part in (INDEX, f"{INDEX}-journal", "bells"):
            refuse_link(self.path / part)
        with contextlib.suppress(FileNotFoundError):
            status = self.path.stat()
            if not stat.S_ISDIR(status.st_mode):
                raise Usage(f"state dir '{self.path}': not a directory")
            if status.st_uid != os.geteuid():
                raise Usage(f"state dir '{self.path}': belongs to user {status.st_uid}, not to you ({os.geteuid()})")
        if not allow_network_fs:
            kind = file_systems.kind_of(str(self.path))
            if file_systems.is_network(kind):
                raise Usage(
                    f"state dir '{self.path}': it is on {kind}, where file locks are unreliable;"
                    " use a local directory (--allow-network-fs overrides)"
                )


def holds_something(path: Path) -> bool:
    """Whether a file exists and has at least one byte."""
    try:
        return path.lstat().st_size > 0
    except (FileNotFoundError, NotADirectoryError):
        return False


@lru_cache(512)
def _below(directory: Path, name: str) -> Path:
    """The same path object for the same names: creating one costs as much as a small query."""
    return directory / name


@contextlib.contextmanager
def _refusals(path: Path) -> Iterator[None]:
    """Translate errors of the operating system into the contract's."""
    try:
        yield
    except OSError as error:
        raise Refused(f"'{path}': {error.strerror}") from error


def sync_directory(path: Path) -> None:
    """Sync the names in a directory to disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
