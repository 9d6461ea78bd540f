"""What a repository knows of its working trees: the directory `worktrees/ID` of each in its git directory
(gitrepository-layout(5)), read without a process.

agentq keeps two files of its own there. They go with the registration.
"""

from __future__ import annotations

import os

from agentq_cli.base.dataclass import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MADE = "agentq-made"
COPIED = "agentq-copied"


@dataclass(frozen=True, slots=True)
class Registration:
    """A working tree that a repository knows: its directory below `worktrees/`, and the path of the tree, or None if
    git was killed before it wrote that down."""

    directory: str
    path: str | None

    @property
    def reason(self) -> str | None:
        """Why it is locked; None if it is not."""
        found = _read(f"{self.directory}/locked")
        return None if found is None else os.fsdecode(found.rstrip(b"\n"))

    @property
    def made(self) -> bool:
        """Whether agentq finished making the tree."""
        return os.path.exists(f"{self.directory}/{MADE}")

    def mark_made(self) -> None:
        """Say so. Raises OSError."""
        _write(f"{self.directory}/{MADE}", b"")

    def copied(self) -> list[bytes]:
        """The files of the tree that agentq copied into it, or was about to: paths below the tree."""
        return (_read(f"{self.directory}/{COPIED}") or b"").split(b"\0")[:-1]

    def untouched(self) -> list[bytes]:
        """Those of the copied files that nobody has changed since the tree was made: the time of a change of a file's
        status, which no program can set, is not later. Raises OSError."""
        made = os.stat(f"{self.directory}/{MADE}").st_mtime_ns
        return [name for name in self.copied() if _changed_at(os.path.join(os.fsencode(self.path or ""), name)) <= made]

    def mark_copied(self, names: Iterable[bytes]) -> None:
        """Say which they are, before the first is copied. Raises OSError."""
        _write(f"{self.directory}/{COPIED}", b"".join(name + b"\0" for name in names))


def registrations(common: str) -> Iterator[Registration]:
    """All working trees of a repository but the first, by its git directory."""
    try:
        names = sorted(os.listdir(f"{common}/worktrees"))
    except FileNotFoundError:
        return
    for name in names:
        directory = f"{common}/worktrees/{name}"
        content = _read(f"{directory}/gitdir")
        # Relative to its own directory if git was told so (`worktree.useRelativePaths`).
        file = os.path.join(directory, os.fsdecode((content or b"").rstrip(b"\n")))
        yield Registration(directory, os.path.dirname(os.path.normpath(file)) if content else None)


def repository_of(tree: str) -> str:
    """The git directory of the repository that a working tree belongs to. Raises OSError."""
    own = os.path.join(tree, ".git")
    if os.path.isdir(own):
        return own
    with open(own, "rb") as link:
        own = os.path.join(tree, os.fsdecode(link.read().removeprefix(b"gitdir: ").rstrip(b"\n")))
    common = _read(os.path.join(own, "commondir"))
    return own if common is None else os.path.normpath(os.path.join(own, os.fsdecode(common.rstrip(b"\n"))))


def registration(common: str, path: str) -> Registration | None:
    """How the repository knows the tree at `path`; None if it does not."""
    return next((each for each in registrations(common) if each.path == path), None)


def is_made(common: str, path: str) -> bool:
    """Whether agentq had finished making a tree at `path`, be it there or not."""
    known = registration(common, path)
    return known is not None and known.made


def _changed_at(file: bytes) -> int:
    """When a file was changed last (nanoseconds); one that is gone was not."""
    try:
        return os.lstat(file).st_ctime_ns
    except (FileNotFoundError, NotADirectoryError):
        return 0


def _read(file: str) -> bytes | None:
    try:
        with open(file, "rb") as opened:
            return opened.read()
    except (FileNotFoundError, NotADirectoryError):
        return None


def _write(file: str, content: bytes) -> None:
    with open(f"{file}.new", "wb") as opened:
        opened.write(content)
        opened.flush()
        os.fsync(opened.fileno())
    os.replace(f"{file}.new", file)
