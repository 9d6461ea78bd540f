"""What is there of a tree, without a process: for listings, for health, and before a tree is used."""

from __future__ import annotations

import os

from agentq_cli.base.enumeration import StrEnum
from agentq_cli.git.registrations import registration

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

OWN = (".lock", ".json", ".removed-")
"""What the names of the files contain that hold nobody's work: the lock of a tree, and its record."""

BLOCK = 512
"""The unit of `st_blocks`, whatever the file system's own is (stat(2))."""


class Condition(StrEnum):
    """Whether work can go on in a tree.

    READY: made, and there. UNMADE: there is nothing of it, or it was not made whole; nobody works there. VANISHED: the
    repository knows it, and its directory is gone. UNKNOWN: its directory is there, and the repository does not know
    it. AWAY: the repository is not there, moved or not mounted.
    """

    READY = "ready"
    UNMADE = "unmade"
    VANISHED = "vanished"
    UNKNOWN = "unknown"
    AWAY = "away"


def is_away(common: str) -> bool:
    """Whether there is no repository with this git directory."""
    return not os.path.exists(f"{common}/HEAD")


def away(common: str) -> str:
    """What is said of a repository that is away, wherever that is found out."""
    return f"the repository '{common}' is not there: moved, not mounted or deleted"


def find_condition(common: str, path: str) -> Condition:
    """The condition of the tree at `path` of the repository with this git directory. Raises OSError."""
    if is_away(common):
        return Condition.AWAY
    known = registration(common, path)
    there = os.path.isdir(path)
    if known is None:
        return Condition.UNKNOWN if there else Condition.UNMADE
    if not known.made:
        return Condition.UNMADE
    return Condition.READY if there else Condition.VANISHED


def find_strays(trees: str, known: Iterable[str]) -> list[str]:
    """The paths in the directory of the trees that none of the known trees has: those that no task knows, files that
    were set aside, and what a removal that was killed left. Raises OSError."""
    try:
        names = os.listdir(trees)
    except FileNotFoundError:
        return []
    place = os.path.realpath(trees)
    paths = {os.path.join(place, name) for name in names if not (name.startswith(".") and any(map(name.count, OWN)))}
    return sorted(paths.difference(known))


def disk_usage(path: str, most: int | None = None) -> int:
    """How many bytes of disk the files below a directory take. What vanishes or cannot be read meanwhile counts for
    nothing; a file with several names counts once. Beyond `most` nothing more is looked at."""
    total = 0
    seen: set[tuple[int, int]] = set()
    waiting = [path]
    while waiting and (most is None or total <= most):
        try:
            with os.scandir(waiting.pop()) as entries:
                found = list(entries)
        except OSError:
            continue
        for entry in found:
            try:
                status = entry.stat(follow_symlinks=False)
            except OSError:
                continue
            if entry.is_dir(follow_symlinks=False):
                waiting.append(entry.path)
            if status.st_nlink > 1 and not entry.is_dir(follow_symlinks=False):
                if (status.st_dev, status.st_ino) in seen:
                    continue
                seen.add((status.st_dev, status.st_ino))
            total += status.st_blocks * BLOCK
    return total
