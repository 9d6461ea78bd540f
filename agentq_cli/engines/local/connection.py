"""A connection: its errors are the contract's and name its file, and its writing transactions lock at BEGIN.

Nothing else translates SQLite's errors.
"""

from __future__ import annotations

import os

from agentq_cli.base.context import contextmanager
from agentq_cli.base.defaults import BUSY_MS as BUSY_MS
from agentq_cli.base.errors import AgentqError, Busy, Refused, Unreadable, WrongState
from agentq_cli.engines.local.state_dir import INDEX, REBUILD

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from typing import Any, Self
else:
    from agentq_cli.engines.sqlite_driver import sqlite3

BACKGROUND_BUSY_MS = 100
"""How long a supervisor or a sweep waits for one session's file before it continues with the others."""

WATCHING_BUSY_MS = 1_000
"""How long a supervisor waits for the index before it checks its signals and its runs again."""

SESSION_TABLES = ("messages_in", "session_state", "conversations", "delivered", "messages_out")
"""The tables of a session's files; every other table is in the index, which is attached to them."""


@contextmanager
def transaction(connection: sqlite3.Connection, path: str) -> Iterator[sqlite3.Connection]:
    """One writing transaction over every attached file; rolled back on any exception."""
    with named_trouble(path):
        connection.execute("BEGIN EXCLUSIVE")
        try:
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            # A full disk or an I/O error may have rolled back already.
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


@contextmanager
def snapshot(connection: sqlite3.Connection) -> Iterator[None]:
    """Several queries of one state of the file: its lock is taken once, which is half the cost of a short query.

    Writers wait for as long as this lasts, so it must do nothing slow.
    """
    connection.execute("BEGIN")
    try:
        yield
    finally:
        if connection.in_transaction:
            connection.execute("COMMIT")


@contextmanager
def named_trouble(path: str) -> Iterator[None]:
    """Translate SQLite's errors into the contract's, naming the file."""
    try:
        yield
    except sqlite3.Error as error:
        raise translate(error, path) from error


def translate(error: sqlite3.Error, path: str) -> AgentqError:
    """The contract's error for one of SQLite's."""
    name = getattr(error, "sqlite_errorname", "") or ""
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return Busy(f"'{path}': another process held its lock for too long; try again")
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return Unreadable(f"'{path}': {error}; it was left unchanged")
    if name == "SQLITE_CONSTRAINT_TRIGGER":
        return WrongState(str(error))  # `moving` has closed the session
    if name.startswith("SQLITE_FULL"):
        return Refused(f"'{path}': no space left on the device; nothing was stored")
    if name.startswith("SQLITE_READONLY"):
        return Refused(f"'{path}': cannot be written ({error})")
    if name.startswith(("SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_AUTH")):
        return Refused(f"'{path}': cannot be opened ({error})")
    if name.startswith("SQLITE_IOERR"):
        return Refused(f"'{path}': disk error ({error}, {name})")
    if isinstance(error, sqlite3.OperationalError) and "no such" in str(error):
        name = os.path.basename(path)
        if name == INDEX or str(error).rpartition(" ")[2] not in SESSION_TABLES:
            return Unreadable(f"'{path if name == INDEX else INDEX}': {error}; {REBUILD}")
        return Unreadable(f"'{path}': {error}; not an agentq file")
    return AgentqError(f"'{path}': {error} ({name or type(error).__name__})")


class NamedCursor(sqlite3.Cursor):
    """A cursor whose errors are the contract's and name the file, even if they occur at a later row."""

    def execute(self, sql: str, parameters: Any = (), /) -> Self:
        """As sqlite3's."""
        try:
            return super().execute(sql, parameters)
        except sqlite3.Error as error:
            raise self._translated(error) from error

    def fetchone(self) -> Any:
        """As sqlite3's."""
        try:
            return super().fetchone()
        except sqlite3.Error as error:
            raise self._translated(error) from error

    def fetchall(self) -> list[Any]:
        """As sqlite3's."""
        try:
            return super().fetchall()
        except sqlite3.Error as error:
            raise self._translated(error) from error

    def _translated(self, error: sqlite3.Error) -> AgentqError:
        assert isinstance(self.connection, NamedConnection)
        return translate(error, self.connection.path)


class NamedConnection(sqlite3.Connection):
    """A connection that knows the path of its file."""

    path = ":memory:"

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        """As sqlite3's."""
        return self.cursor(NamedCursor).execute(sql, parameters)
