"""The steps to this version's schema, `NNN_NAME.sql`. A step adds; what it makes needless goes one release later."""

from __future__ import annotations

import os

DIRECTORY = os.path.dirname(__file__)


def steps(directory: str | os.PathLike[str] = DIRECTORY) -> list[tuple[int, str]]:
    """The number and the SQL of every step, in their order."""
    names = sorted(name for name in os.listdir(directory) if name.endswith(".sql"))
    found = []
    for name in names:
        with open(os.path.join(directory, name), encoding="utf-8") as file:
            found.append((int(name[:3]), file.read()))
    return found


def latest(directory: str | os.PathLike[str] = DIRECTORY) -> int:
    """The version of the schema that this program knows: the number of the last step."""
    return max(int(name[:3]) for name in os.listdir(directory) if name.endswith(".sql"))
