"""The state directory: where its files lie, and what makes it unfit to be used."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterable, Iterator

from agentq_cli.base.dataclass import dataclass, field
from agentq_cli.base.errors import NotFound, Refused, Unreadable, Usage
from agentq_cli.base.names import is_name
from agentq_cli.engines.local import file_systems
from agentq_cli.engines.local.kept import Kept
from agentq_cli.host.place import below, refuse_link

INDEX = "agentq.db"
REBUILD = "`agentq sweep --reindex` rebuilds it from the sessions"


@dataclass(frozen=True, slots=True)
class StateDir:
    """The paths below one state directory; and the connections to it where they are `kept`."""

    path: str
    kept: Kept | None = field(default=None, compare=False)

    @property
    def index(self) -> str:
        """`agentq.db`."""
        return os.path.join(self.path, INDEX)

    @property
    def holds(self) -> str:
        """The copy of the index's holds, from which a lost index gets them back."""
        return os.path.join(self.path, "holds.json")

    def session(self, name: str) -> str:
        """The directory of a session; the name is checked, for it becomes a path. Raises Usage."""
        return os.path.join(self.path, below(name))

    def inbound(self, name: str) -> str:
        """A session's `inbound.db`."""
        return f"{self.session(name)}/inbound.db"

    def outbound(self, name: str) -> str:
        """A session's `outbound.db`."""
        return f"{self.session(name)}/outbound.db"

    @property
    def sessions(self) -> str:
        """The directory of the sessions' directories."""
        return os.path.join(self.path, "sessions")

    def session_names(self) -> Iterator[str]:
        """The sessions that have a directory, whatever the index says."""
        try:
            entries = sorted(os.listdir(self.sessions))
        except FileNotFoundError:
            return
        yield from (name for name in entries if is_name(name))

    def refuse_lost_index(self) -> None:
        """Refuse to begin an index beside sessions that hold something: theirs is lost. Raises Unreadable.

        A new one in its place would say that nothing is to be done.
        """
        for name in self.session_names():
            if holds_something(self.inbound(name)):
                what = "it has no tables" if holds_something(self.index) else "it is gone or empty"
                raise Unreadable(
                    f"'{self.index}': {what}, and sessions lie in '{self.sessions}'; put it back, or {REBUILD}"
                )

    def create(self) -> None:
        """Make the directory and its fixed parts, private to this user. Raises Refused."""
        with _refusals(self.path):
            os.makedirs(self.path, 0o700, exist_ok=True)
            for part in (self.sessions, os.path.join(self.path, "bells")):
                os.makedirs(part, 0o700, exist_ok=True)

    def create_sessions(self, names: Iterable[str]) -> None:
        """Make sessions' directories, on disk before anything in them is. Raises Usage, Refused."""
        made = False
        for name in names:
            directory = self.session(name)
            with _refusals(directory):
                try:
                    os.mkdir(directory, 0o700)
                    made = True
                except FileExistsError:
                    self.check_session(name)
        if made:
            with _refusals(self.path):
                sync_directory(self.sessions)
                sync_directory(self.path)

    def check_session(self, name: str) -> None:
        """Refuse a session directory that leads elsewhere. Raises Usage, or NotFound where there is none."""
        directory = self.session(name)
        try:
            mode = os.lstat(directory).st_mode
        except FileNotFoundError:
            raise NotFound(f"session '{name}': there is none of that name") from None
        if not stat.S_ISDIR(mode):
            raise Usage(f"session '{name}': '{directory}' is not a directory of its own but a link or a file")

    def check(self, *, allow_network_fs: bool = False) -> None:
        """Refuse a directory that somebody else owns, or that lies, or would lie, on a network file system.

        So are links in place of its parts, through which would be written elsewhere. Raises Usage.
        """
        for part in (INDEX, f"{INDEX}-journal", "bells"):
            refuse_link(os.path.join(self.path, part))
        with contextlib.suppress(FileNotFoundError):
            status = os.stat(self.path)
            if not stat.S_ISDIR(status.st_mode):
                raise Usage(f"state dir '{self.path}': not a directory")
            if status.st_uid != os.geteuid():
                raise Usage(f"state dir '{self.path}': it belongs to user {status.st_uid}, not to you ({os.geteuid()})")
        if not allow_network_fs:
            kind = file_systems.kind_of(self.path)
            if file_systems.is_network(kind):
                raise Usage(
                    f"state dir '{self.path}': it lies on {kind}, where file locks cannot be relied on;"
                    " use a local directory (--allow-network-fs overrides)"
                )


def holds_something(path: str) -> bool:
    """Whether a file is there and has at least one byte."""
    try:
        return os.lstat(path).st_size > 0
    except (FileNotFoundError, NotADirectoryError):
        return False


@contextlib.contextmanager
def _refusals(path: str) -> Iterator[None]:
    """What the operating system refuses, as the contract's error."""
    try:
        yield
    except OSError as error:
        raise Refused(f"'{path}': {error.strerror}") from error


def sync_directory(path: str) -> None:
    """Bring the names in a directory to disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
