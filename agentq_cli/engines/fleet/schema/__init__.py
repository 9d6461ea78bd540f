"""The steps to this version's schema, `NNN_NAME.sql`. A step adds; what it makes needless goes one release later.

One that removes is named `NNN_remove_WHAT.sql`: it waits until no host of an older version is up.
"""

from __future__ import annotations

import os

from agentq_cli.base.dataclass import NamedTuple

DIRECTORY = os.path.dirname(__file__)


class Step(NamedTuple):
    """One step: its number, its name, its SQL."""

    number: int
    name: str
    sql: str

    @property
    def removes(self) -> bool:
        """Whether an older program cannot work any more once it is taken."""
        return self.name.startswith("remove")


def steps(directory: str | os.PathLike[str] = DIRECTORY) -> list[Step]:
    """Every step, in their order."""
    names = sorted(name for name in os.listdir(directory) if name.endswith(".sql"))
    found = []
    for name in names:
        with open(os.path.join(directory, name), encoding="utf-8") as file:
            found.append(Step(int(name[:3]), name[4:-4], file.read()))
    return found


def latest(directory: str | os.PathLike[str] = DIRECTORY) -> int:
    """The version of the schema that this program knows: the number of the last step."""
    return max(int(name[:3]) for name in os.listdir(directory) if name.endswith(".sql"))
