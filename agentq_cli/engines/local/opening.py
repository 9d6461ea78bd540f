"""The only place that opens databases.

Rollback journal, `synchronous` FULL or EXTRA, `busy_timeout` before anything else. A session and the index are one
transaction: the session's file is main and the index is attached last, so that a transaction waits for the session's
file before it locks anything of the index.
"""

from __future__ import annotations

import os

from agentq_cli.base.cached import cache
from agentq_cli.base.context import closing
from agentq_cli.base.errors import NotFound, Unreadable
from agentq_cli.engines.local import migrations, rehearsal
from agentq_cli.engines.local.connection import BUSY_MS, named_trouble
from agentq_cli.engines.local.queries import statement
from agentq_cli.engines.local.state_dir import StateDir, holds_something
from agentq_cli.host.place import is_there, refuse_link

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable
    from typing import Any
else:
    from agentq_cli.engines.sqlite_driver import sqlite3


def connect(path: str, kind: str, *, create: bool, busy_ms: int = BUSY_MS, rebuild: bool = False) -> sqlite3.Connection:
    """Open a database of `kind` (index, inbound, outbound), migrated to this version's schema.

    Raises Unreadable for a corrupt or newer file, which is left unchanged, Busy if a lock was not free, and Usage for a
    symbolic link. An index that is missing or has no tables is created beside existing sessions only to be rebuilt from
    them.
    """
    refuse_links(path)
    with named_trouble(path):
        if create and not rehearsal.rehearsing() and not is_there(path):
            if kind == "index" and not rebuild:
                StateDir(os.path.dirname(path)).refuse_lost_index()
            lay_new(path, kind)
        connection = rehearsal.open_file(path, kind, create=create, busy_ms=busy_ms)
        try:
            # A commit in a single file ends with the unlink of its journal: EXTRA syncs that too.
            connection.execute("PRAGMA synchronous = EXTRA")
            connection.execute("PRAGMA foreign_keys = ON")
            migrations.migrate(connection, path, kind, rebuild=rebuild)
            if kind == "outbound":
                _prepare_foreign(connection, path)
        except BaseException:
            connection.close()
            raise
        return connection


def refuse_links(path: str) -> None:
    """Refuse a database, or a journal beside it, that is a symbolic link; SQLite itself follows the former and not the
    latter.

    Raises Usage.
    """
    refuse_link(path)
    refuse_link(f"{path}-journal")


def lay_new(path: str, kind: str) -> bool:
    """Create an empty database of a kind, as `lay` does."""
    return lay(path, migrations.new_file(kind))


def lay(path: str, content: bytes) -> bool:
    """Create a whole database at a path that has none. It is on disk except for its name, which the next commit beside
    it syncs.

    One sync instead of the five of a first commit. False: there is a database now, or SQLite has to create it, because
    this file system has no unnamed files, or because there is a journal, which SQLite would roll back into the new
    file.
    """
    if os.path.lexists(f"{path}-journal"):
        return False
    try:
        descriptor = os.open(os.path.dirname(path), os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError:
        return False
    try:
        # No other process has it open before it has its name, so closing it here loses no lock.
        with open(descriptor, "wb", closefd=False) as file:
            file.write(content)
        os.fsync(descriptor)
        # If a directory fd is passed, whichever it is, Python calls linkat, which alone follows the link in /proc.
        os.link(f"/proc/self/fd/{descriptor}", path, src_dir_fd=descriptor, follow_symlinks=True)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def connect_session(inbound: str, index: str, *, create: bool, busy_ms: int = BUSY_MS) -> sqlite3.Connection:
    """Open a session's inbound.db with the index attached, for transactions over both."""
    connection = connect(inbound, "inbound", create=create, busy_ms=busy_ms)
    try:
        refuse_links(index)
        with named_trouble(index):
            # A commit over two files ends with the unlink of the super-journal, which SQLite syncs at FULL already.
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("ATTACH DATABASE ? AS idx", (rehearsal.place(index, "index", "rw", busy_ms),))
            connection.execute("PRAGMA idx.synchronous = FULL")
            (version,) = connection.execute("PRAGMA idx.user_version").fetchone()
        if version != migrations.latest("index"):
            connection.execute("DETACH DATABASE idx")
            connect(index, "index", create=False, busy_ms=busy_ms).close()
            connection.execute("ATTACH DATABASE ? AS idx", (rehearsal.place(index, "index", "rw", busy_ms),))
            connection.execute("PRAGMA idx.synchronous = FULL")
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare_foreign(connection: sqlite3.Connection, path: str) -> None:
    """Refuse an outbound.db that would run its writer's code in ours; text that is not UTF-8 is read all the same.

    A view in the table's place, a trigger or an index over an expression can block a reader or a writer for ever.
    """
    connection.text_factory = lambda data: data.decode("utf-8", "replace")
    connection.execute("PRAGMA trusted_schema = OFF")
    check_foreign(connection, path)


def check_foreign(connection: sqlite3.Connection, path: str) -> None:
    """Raises Unreadable if messages_out is no longer the table that agentq created."""
    if connection.execute(MADE_FROM).fetchall() != _messages_out():
        raise Unreadable(f"'{path}': messages_out is not the table that agentq created; it was left unchanged")


MADE_FROM = "SELECT type, name, sql FROM sqlite_schema WHERE lower(tbl_name) = 'messages_out' ORDER BY type, name"


@cache
def _messages_out() -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        migrations.migrate(connection, ":memory:", "outbound")
        return connection.execute(MADE_FROM).fetchall()


def check_stored(state: StateDir, session: str) -> None:
    """Raises NotFound if nothing was ever stored for a session, and Usage or Unreadable if the session is unfit."""
    state.check_session(session)
    if rehearsal.rehearsed(state.inbound(session)):
        return
    refuse_emptied(state, [session])
    if not os.path.lexists(state.inbound(session)):
        raise NotFound(f"session '{session}': no such session")


def refuse_emptied(state: StateDir, sessions: Iterable[str]) -> None:
    """Refuse a session that the index knows and whose file is missing or empty. Raises Unreadable.

    A new file in its place would count from 1 again. A session that the index does not know is what a submit leaves
    behind if it was killed before it stored anything.
    """
    emptied = [session for session in sessions if not holds_something(state.inbound(session))]
    if not emptied or not is_there(state.index):
        return
    with closing(connect(state.index, "index", create=False)) as index:
        for session in emptied:
            known = index.execute(statement("read.session"), {"name": session}).fetchone()
            path = state.inbound(session)
            # Checked again: another process's first submit may have happened in between.
            if known is not None and not holds_something(path):
                what = "empty" if is_there(path) else "missing"
                raise Unreadable(f"'{path}': {what}, but the index has its tasks; restore it from a copy")
