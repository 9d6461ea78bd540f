"""The steps of each kind of database (index, inbound, outbound) to this version's schema, `KIND/NNN_NAME.sql`.

Loaded by processes that must start at once.
"""

from __future__ import annotations

import os

DIRECTORY = os.path.dirname(__file__)


def latest(kind: str, directory: str | os.PathLike[str] = DIRECTORY) -> int:
    """The schema version that this program writes: the number of the last step."""
    return max(int(name[:3]) for name in os.listdir(os.path.join(directory, kind)) if name.endswith(".sql"))
