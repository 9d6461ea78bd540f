"""Pauses of agents and of the queue, and holds: rows of the index, with a copy beside it in case the index is lost.

They belong to no session, so no session's file has them. The copy is updated before the commit of each change; changes
are few: a person's, and a usage limit's.
"""

from __future__ import annotations

import os

from agentq_cli.base.errors import Refused
from agentq_cli.base.json_text import dumps, loads
from agentq_cli.engines.local import connection, rehearsal
from agentq_cli.engines.local.queries import statements
from agentq_cli.engines.local.state_dir import StateDir, sync_directory

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3

DISPATCH = statements("dispatch")
COLUMNS = ("scope", "name", "kind", "since", "until", "reason", "count")


def copy(database: sqlite3.Connection, state: StateDir) -> None:
    """Write the holds of an open transaction to their file. Raises Refused."""
    if rehearsal.rehearsing():
        return
    found = [dict(zip(COLUMNS, row, strict=True)) for row in _all(database)]
    temporary = f"{state.holds}.{os.getpid()}"
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(dumps(found))
            file.flush()
            os.fsync(descriptor)
        os.rename(temporary, state.holds)
        sync_directory(state.path)
    except OSError as error:
        raise Refused(f"'{state.holds}': {error.strerror}") from error


def restore(index: sqlite3.Connection, state: StateDir) -> str | None:
    """Restore the holds from their file; returns a message, or None if there was nothing to do."""
    try:
        found = [tuple(hold[name] for name in COLUMNS) for hold in _read(state)]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        return f"'{state.holds}' cannot be read: pauses of agents and of the queue, and holds, may be lost"
    with connection.transaction(index, state.index):
        if sorted(map(str, found)) == sorted(map(str, _all(index))):
            return None
        index.execute(DISPATCH["forget_holds"])
        index.executemany(DISPATCH["set_hold"], [dict(zip(COLUMNS, row, strict=True)) for row in found])
    names = ", ".join(f"{scope} {name}".strip() + f" ({kind})" for scope, name, kind, *_ in found)
    return f"restored the holds: {names or 'none'}"


def _all(database: sqlite3.Connection) -> list[tuple[object, ...]]:
    return database.execute(DISPATCH["all_holds"]).fetchall()


def _read(state: StateDir) -> list[dict[str, object]]:
    with open(state.holds, encoding="utf-8") as file:
        found = loads(file.read())
    if not isinstance(found, list):
        raise TypeError("no list")
    return found
