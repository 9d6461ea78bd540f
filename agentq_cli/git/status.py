"""What differs in a tree from its commit: changed, untracked, ignored. The index is read and never written."""

from __future__ import annotations

import os

from agentq_cli.base.dataclass import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agentq_cli.git.runner import Git

STATUS = (
    *("status", "--porcelain=v2", "-z", "--branch", "--no-ahead-behind", "--no-renames"),
    *("--ignore-submodules=none", "--untracked-files=all"),
)
# Colours, columns and the like do not touch this format; these would.
CONFIG = ("status.relativePaths=false", "core.quotePath=false", "status.showStash=false")

ABSENT = "000000"
LINK = "120000"
SUBMODULE = "160000"


@dataclass(frozen=True, slots=True)
class Entry:
    """A tracked path that differs: in the index from HEAD (`staged`), in the files from the index (`changed`).

    Both are git's letters, such as M, A, D, T, U, or `.` for no difference. `mode` is that of the file, ABSENT if there
    is none; `blob` what the index has, empty in a conflict. `commit_moved` and `edited` are about a submodule.
    """

    path: str
    staged: str
    changed: str
    mode: str
    index_mode: str
    blob: str
    commit_moved: bool = False
    edited: bool = False


@dataclass(frozen=True, slots=True)
class Status:
    """`head` is the commit that HEAD names, empty if the branch of HEAD does not exist; `branch` is the short name of
    HEAD's branch, empty if HEAD is detached.

    `untracked` are files, `nested` directories that are repositories of their own, `ignored` files and whole
    directories (with a slash at the end), if they were asked for.
    """

    head: str
    branch: str
    entries: tuple[Entry, ...]
    untracked: tuple[str, ...]
    nested: tuple[str, ...]
    ignored: tuple[str, ...]

    def paths(self) -> tuple[str, ...]:
        """Everything that is uncommitted or untracked, in git's order."""
        return (*(each.path for each in self.entries), *self.untracked, *self.nested)

    def without(self, copied: frozenset[str]) -> Status:
        """The same but for files that agentq copied in, as long as no commit has them."""
        if not copied:
            return self
        return Status(
            self.head,
            self.branch,
            tuple(each for each in self.entries if each.staged != "A" or not self.head or each.path not in copied),
            tuple(each for each in self.untracked if each not in copied),
            self.nested,
            self.ignored,
        )


def find_status(git: Git, *, config: Sequence[str] = (), ignored: bool = False, seconds: float = 60) -> Status:
    """The status of the tree that git runs in. Raises GitFailed and GitTimedOut."""
    more = ("--ignored=matching",) if ignored else ()
    answer = git.run(*STATUS, *more, config=(*CONFIG, *config), seconds=seconds)
    return parse_status(answer.records())


def parse_status(records: Sequence[bytes]) -> Status:
    """The status of the records of `STATUS`."""
    head = branch = ""
    entries: list[Entry] = []
    others: dict[str, list[str]] = {"?": [], "!": []}
    for record in map(os.fsdecode, records):
        kind, _, rest = record.partition(" ")
        if kind == "#":
            name, _, value = rest.partition(" ")
            if name == "branch.oid" and value != "(initial)":
                head = value
            elif name == "branch.head" and value != "(detached)":
                branch = value
        elif kind in others:
            others[kind].append(rest)
        elif kind == "u":
            entries.append(_conflict(rest))
        else:
            entries.append(_entry(rest))
    # A directory among untracked files is never shown as one unless it is a repository.
    nested = tuple(path for path in others["?"] if path.endswith("/"))
    untracked = tuple(path for path in others["?"] if not path.endswith("/"))
    return Status(head, branch, tuple(entries), untracked, nested, tuple(others["!"]))


def _entry(text: str) -> Entry:
    both, submodule, _, index_mode, mode, _, blob, path = text.split(" ", 7)
    moved, edited = _submodule(submodule)
    return Entry(path, both[0], both[1], mode, index_mode, blob, moved, edited)


def _conflict(text: str) -> Entry:
    both, submodule, _, _, _, mode, _, _, _, path = text.split(" ", 9)
    moved, edited = _submodule(submodule)
    return Entry(path, both[0], "U", mode, ABSENT, "", moved, edited)


def _submodule(field: str) -> tuple[bool, bool]:
    return field[1] == "C", field[2:] != ".." and field[0] == "S"


def conflicts(status: Status) -> Iterator[str]:
    """The paths that are not merged yet."""
    return (each.path for each in status.entries if each.changed == "U")
