"""What is known of a tree that was removed, until its snapshot goes: a file beside its place, as its record was."""

from __future__ import annotations

import contextlib
import os

from agentq_cli.base.dataclass import dataclass
from agentq_cli.git.branches import removal_ref
from agentq_cli.git.tree_lock import beside
from agentq_cli.trees import register
from agentq_cli.trees.records import TreeRecord

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MARK = ".removed-"
"""Between the name of the tree and the time of its removal, in milliseconds UTC."""


@dataclass(frozen=True, slots=True)
class Removed:
    """A tree that was removed at `at`; `record.head` is the commit that its branch had then."""

    record: TreeRecord
    at: int

    @property
    def ref(self) -> str:
        """The ref of the snapshot that was taken before."""
        return removal_ref(self.record.session, os.path.basename(self.record.path), self.at)

    @property
    def branch_ref(self) -> str:
        """The ref of the branch's commit, if the snapshot does not have that."""
        return f"{self.ref}.branch"

    @property
    def file(self) -> str:
        """Where that is written."""
        return beside(self.record.path, f"{MARK.lstrip('.')}{self.at}")


def forget(removed: Removed) -> None:
    """Remove what was written down of it. Raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(removed.file)


def all_removed(trees: str) -> Iterator[Removed]:
    """What is known of removed trees, the newest removal first; what is damaged is passed over. Raises OSError."""
    found = []
    for name in os.listdir(trees) if os.path.isdir(trees) else ():
        tree, mark, at = name.removeprefix(".").partition(MARK)
        if mark and name.startswith(".") and at.isdecimal():
            with contextlib.suppress(register.BadRecord):
                record = register.read_file(os.path.join(trees, tree), os.path.join(trees, name))
                if record is not None:
                    found.append(Removed(record, int(at)))
    yield from sorted(found, key=lambda each: each.at, reverse=True)


def removed_of(trees: str, matches: Callable[[TreeRecord], bool]) -> Removed | None:
    """The newest removal of a tree whose record matches; None if there is none. Raises OSError."""
    return next((each for each in all_removed(trees) if matches(each.record)), None)
