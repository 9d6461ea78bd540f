"""The state directory: where its files are, and what makes it unfit for use."""

from __future__ import annotations

import os
import stat

from agentq_cli.base.context import contextmanager, suppress
from agentq_cli.base.dataclass import dataclass, field
from agentq_cli.base.errors import NotFound, Refused, Unreadable, Usage
from agentq_cli.base.names import is_name
from agentq_cli.engines.local import file_systems
from agentq_cli.host.place import below, refuse_link

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from agentq_cli.engines.local.kept import Kept

INDEX = "agentq.db"
REBUILD = "`agentq sweep --reindex` rebuilds it from the sessions"


@dataclass(frozen=True, slots=True)
class StateDir:
    """The paths below one state directory; and the connections to it, if they are `kept`."""

    path: str
    kept: Kept | None = field(default=None, compare=False)

    @property
    def index(self) -> str:
        """`agentq.db`."""
        return os.path.join(self.path, INDEX)

    @property
    def holds(self) -> str:
        """The copy of the index's holds, from which a lost index restores them."""
        return os.path.join(self.path, "holds.json")

    def session(self, name: str) -> str:
        """The directory of a session; the name is checked because it becomes a path. Raises Usage."""
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
        """Refuse to create an index beside sessions that have contents: their index is lost. Raises Unreadable.

        A new one in its place would say that there is nothing to do.
        """
        for name in self.session_names():
            if holds_something(self.inbound(name)):
                what = "no tables" if holds_something(self.index) else "missing or empty"
                raise Unreadable(
                    f"'{self.index}': {what}, but there are sessions in '{self.sessions}'; restore it, or {REBUILD}"
                )

    def create(self) -> None:
        """Create the directory and its fixed parts, private to this user. Raises Refused."""
        with _refusals(self.path):
            os.makedirs(self.path, 0o700, exist_ok=True)
            for part in (self.sessions, os.path.join(self.path, "bells")):
                os.makedirs(part, 0o700, exist_ok=True)

    def create_sessions(self, names: Iterable[str]) -> None:
        """Create sessions' directories, on disk before anything in them is. Raises Usage, Refused."""
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
        """Refuse a session directory that is a link. Raises Usage, or NotFound if there is no such session."""
        directory = self.session(name)
        try:
            mode = os.lstat(directory).st_mode
        except FileNotFoundError:
            raise NotFound(f"session '{name}': no such session") from None
        if not stat.S_ISDIR(mode):
            raise Usage(f"session '{name}': '{directory}' is a link or a file, not a directory")

    def check(self, *, allow_network_fs: bool = False) -> None:
        """Refuse a directory that another user owns, or that is, or would be, on a network file system.

        Links in place of its parts are refused too: writes would go elsewhere. Raises Usage.
        """
        for part in (INDEX, f"{INDEX}-journal", "bells"):
            refuse_link(os.path.join(self.path, part))
        with suppress(FileNotFoundError):
            status = os.stat(self.path)
            if not stat.S_ISDIR(status.st_mode):
                raise Usage(f"state dir '{self.path}': not a directory")
            if status.st_uid != os.geteuid():
                raise Usage(f"state dir '{self.path}': belongs to user {status.st_uid}, not to you ({os.geteuid()})")
        if not allow_network_fs:
            kind = file_systems.kind_of(self.path)
            if file_systems.is_network(kind):
                raise Usage(
                    f"state dir '{self.path}': it is on {kind}, where file locks are unreliable;"
                    " use a local directory (--allow-network-fs overrides)"
                )


def holds_something(path: str) -> bool:
    """Whether a file exists and has at least one byte."""
    try:
        return os.lstat(path).st_size > 0
    except (FileNotFoundError, NotADirectoryError):
        return False


@contextmanager
def _refusals(path: str) -> Iterator[None]:
    """Translate errors of the operating system into the contract's."""
    try:
        yield
    except OSError as error:
        raise Refused(f"'{path}': {error.strerror}") from error


def sync_directory(path: str) -> None:
    """Sync the names in a directory to disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
