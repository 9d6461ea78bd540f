"""The schema of the files: migrated to this version's, mended, refused if it is newer."""

from __future__ import annotations

import os

from agentq_cli.base.cached import cache
from agentq_cli.base.context import closing
from agentq_cli.base.errors import Unreadable
from agentq_cli.engines.local import schema
from agentq_cli.engines.local.connection import transaction
from agentq_cli.engines.local.state_dir import StateDir

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
else:
    from agentq_cli.engines.sqlite_driver import sqlite3

SCHEMA = schema.DIRECTORY


@cache
def latest(kind: str) -> int:
    """The schema version that this program writes: the number of the last migration."""
    return schema.latest(kind, SCHEMA)


def migrate(connection: sqlite3.Connection, path: str, kind: str, *, rebuild: bool = False) -> None:
    """Migrate a file to this version's schema, each step in one transaction with its `user_version`."""
    target = latest(kind)
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    _refuse_newer(path, version, target)
    if version == target:
        return
    if version == 0 and kind == "index" and not rebuild and path != ":memory:":
        StateDir(os.path.dirname(path)).refuse_lost_index()
    with transaction(connection, path):
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        if version == 0 and tables:
            raise Unreadable(f"'{path}': a database of another program")
        for name in sorted(name for name in os.listdir(f"{SCHEMA}/{kind}") if name.endswith(".sql")):
            number = int(name[:3])
            if number > version:
                for statement in _script(f"{SCHEMA}/{kind}/{name}"):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {number}")


def mend_schema(connection: sqlite3.Connection, path: str, kind: str) -> list[str]:
    """Create the tables and indexes that a file of this version has lost; returns their names."""
    with closing(new_in_memory(kind)) as whole:
        wanted = whole.execute("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY rowid").fetchall()
    with transaction(connection, path):
        there = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema").fetchall()}
        missing = [(name, sql) for name, sql in wanted if name not in there and not name.startswith("sqlite_")]
        for _, sql in missing:
            connection.execute(sql)
    return [name for name, _ in missing]


def new_in_memory(kind: str, *, any_thread: bool = False) -> sqlite3.Connection:
    """An empty database of a kind, in memory; with `any_thread` for several threads that take turns."""
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=not any_thread)
    migrate(connection, ":memory:", kind)
    return connection


def new_file(kind: str) -> bytes:
    """The content of an empty database of a kind."""
    return _new(kind, SCHEMA, latest(kind))


@cache
def _new(kind: str, schema: str, version: int) -> bytes:
    # Made once for each schema.
    with closing(new_in_memory(kind)) as connection:
        return connection.serialize()


def refuse_newer(connection: sqlite3.Connection, inbound: str, index: str) -> None:
    """Raises Unreadable if a newer agentq has migrated one of the files since this connection to both was opened."""
    for path, name, kind in ((inbound, "main", "inbound"), (index, "idx", "index")):
        (version,) = connection.execute(f"PRAGMA {name}.user_version").fetchone()
        _refuse_newer(path, version, latest(kind))


def _refuse_newer(path: str, version: int, target: int) -> None:
    if version > target:
        raise Unreadable(f"'{path}': written by a newer agentq (schema {version}, this one knows {target})")


@cache
def _script(file: str) -> list[str]:
    """A migration's statements; cached because a batch creates many sessions."""
    with open(file, encoding="utf-8") as script:
        return list(_statements(script.read()))


def _statements(script: str) -> Iterator[str]:
    """The statements of a script; `executescript` would commit the transaction around them."""
    text = ""
    for line in script.splitlines(keepends=True):
        text += line
        if sqlite3.complete_statement(text):
            yield text
            text = ""
