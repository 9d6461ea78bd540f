"""What a line of work changed, and whether a branch already has it. Reads objects alone, so the tree may be gone."""

from __future__ import annotations

import os

from agentq_cli.base.dataclass import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentq_cli.git.runner import Git

COUNTED = ("-r", "-z", "-M", "--numstat", "--no-ext-diff", "--no-textconv", "--ignore-submodules=none")


@dataclass(frozen=True, slots=True)
class ChangedFile:
    """A path with its added and removed lines, both None if it is binary. `was` is its earlier name if it was renamed,
    else empty."""

    path: str
    insertions: int | None
    deletions: int | None
    was: str = ""


@dataclass(frozen=True, slots=True)
class Changes:
    """What was done since a base: `commits` on the head, and files that differ, uncommitted ones included."""

    commits: int
    files: tuple[ChangedFile, ...]
    dirty: bool

    @property
    def insertions(self) -> int:
        """Lines added in all files that are text."""
        return sum(each.insertions or 0 for each in self.files)

    @property
    def deletions(self) -> int:
        """Lines removed in all files that are text."""
        return sum(each.deletions or 0 for each in self.files)


def find_changes(git: Git, base: str, head: str, snapshot: str = "") -> Changes:
    """What lies between the recorded base and a head; with a snapshot over that head, what was uncommitted too.

    Raises GitFailed, for a commit that is gone as well.
    """
    last = snapshot or head
    commits = int(git.line("rev-list", "--count", head, f"^{base}"))
    return Changes(commits, changed_files(git, base, last), last != head)


def changed_files(git: Git, old: str, new: str) -> tuple[ChangedFile, ...]:
    """The files that differ between two commits or trees, in git's order. Raises GitFailed."""
    return _parsed(git.run("diff-tree", *COUNTED, old, new).records())


def files_since(git: Git, base: str) -> tuple[ChangedFile, ...]:
    """The files of git's tree, as its index knows them, that differ from a commit. Raises GitFailed."""
    return _parsed(git.run("diff-index", *COUNTED, base).records())


def _parsed(counted: Sequence[bytes]) -> tuple[ChangedFile, ...]:
    records = iter(map(os.fsdecode, counted))
    found = []
    for record in records:
        insertions, deletions, path = record.split("\t", 2)
        was = ""
        if not path:
            was, path = next(records), next(records)
        found.append(ChangedFile(path, _lines(insertions), _lines(deletions), was))
    return tuple(found)


def _lines(count: str) -> int | None:
    return None if count == "-" else int(count)
