"""Which directories get in each other's way: one that is another, is inside it or around it. Pure: compares paths.

The paths are real ones: absolute, without symbolic links, `.`, `..` and a slash at the end. They differ if their bytes
do, since that is how Linux tells files apart.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


class Directories:
    """A set of directories. The cost of a question depends on how deep a path is, not on how many there are."""

    def __init__(self, paths: Iterable[str] = ()) -> None:
        self._paths: set[str] = set()
        self._around: set[str] = set()
        for path in paths:
            self.add(path)

    def add(self, path: str) -> None:
        """Add a directory."""
        self._paths.add(path)
        self._around |= _around(path)

    def overlap(self, path: str) -> bool:
        """Whether a directory is one of these, inside one of them or around one."""
        return path in self._paths or path in self._around or not self._paths.isdisjoint(_around(path))


def _around(path: str) -> set[str]:
    """All directories that a directory is inside of."""
    found = set()
    while path != "/":
        path = path[: path.rindex("/")] or "/"
        found.add(path)
    return found
