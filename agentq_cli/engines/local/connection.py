"""The only place that opens, migrates and locks databases and translates their errors.

Rollback journal, `synchronous` FULL or EXTRA, `busy_timeout` before anything else, every writing transaction locked at
BEGIN. A session and the index are one transaction: the session's file is main and the index is attached last, so that a
transaction waits for the session's file before it locks anything of the index.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Iterator

from agentq_cli.base.defaults import BUSY_MS as BUSY_MS
from agentq_cli.base.errors import AgentqError, Busy, Refused, Unreadable
from agentq_cli.base.path import Path
from agentq_cli.engines.local import schema
from agentq_cli.engines.local.state_dir import INDEX, REBUILD, StateDir
from agentq_cli.host.place import refuse_link

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from typing import Any, Self
else:
    import _sqlite3 as sqlite3  # without datetime and the adapters for it, which nothing here needs

BACKGROUND_BUSY_MS = 100
"""How long a supervisor or a sweep waits for one session's file before it continues with the others."""

WATCHING_BUSY_MS = 1_000
"""How long a supervisor waits for the index before it checks its signals and its runs again."""

SCHEMA = Path(schema.DIRECTORY)

SESSION_TABLES = ("messages_in", "session_state", "conversations", "delivered", "messages_out")
"""The tables of a session's files; every other table is in the index, which is attached to them."""


def connect(
    path: Path, kind: str, *, create: bool, busy_ms: int = BUSY_MS, rebuild: bool = False
) -> sqlite3.Connection:
    """Open a database of `kind` (index, inbound, outbound), migrated to this version's schema.

    Raises Unreadable for a corrupt or newer file, which is left unchanged, Busy if a lock was not free, and Usage for a
    symbolic link. An index that is missing or has no tables is created beside existing sessions only to be rebuilt from
    them.
    """
    refuse_links(path)
    with named_trouble(path):
        if create and _rehearsed is None and not path.exists():
            if kind == "index" and not rebuild:
                StateDir(path.parent).refuse_lost_index()
            lay(path, _new(kind, SCHEMA, latest(kind)))
        connection = _open(path, kind, create=create, busy_ms=busy_ms)
        try:
            # A commit in a single file ends with the unlink of its journal: EXTRA syncs that too.
            connection.execute("PRAGMA synchronous = EXTRA")
            connection.execute("PRAGMA foreign_keys = ON")
            migrate(connection, path, kind, rebuild=rebuild)
            if kind == "outbound":
                _prepare_foreign(connection, path)
        except BaseException:
            connection.close()
            raise
        return connection


def refuse_links(path: Path) -> None:
    """Refuse a database, or a journal beside it, that is a symbolic link; SQLite itself follows the former and not the
    latter.

    Raises Usage.
    """
    refuse_link(path)
    refuse_link(path.with_name(f"{path.name}-journal"))


def lay(path: Path, content: bytes) -> bool:
    """Create a whole database at a path that has none. It is on disk except for its name, which the next commit beside
    it syncs.

    One sync instead of the five of a first commit. False: there is a database now, or SQLite has to create it, because
    this file system has no unnamed files, or because there is a journal, which SQLite would roll back into the new
    file.
    """
    if os.path.lexists(f"{path}-journal"):
        return False
    try:
        descriptor = os.open(path.parent, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
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


def new_in_memory(kind: str) -> sqlite3.Connection:
    """An empty database of a kind, to be filled and then written as a whole."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.deserialize(_new(kind, SCHEMA, latest(kind)))
    return connection


@functools.cache
def _new(kind: str, schema: Path, version: int) -> bytes:
    """An empty database of a kind; made once for each schema."""
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        migrate(connection, Path(":memory:"), kind)
        return connection.serialize()


def connect_session(inbound: Path, index: Path, *, create: bool, busy_ms: int = BUSY_MS) -> sqlite3.Connection:
    """Open a session's inbound.db with the index attached, for transactions over both."""
    connection = connect(inbound, "inbound", create=create, busy_ms=busy_ms)
    try:
        refuse_links(index)
        with named_trouble(index):
            # A commit over two files ends with the unlink of the super-journal, which SQLite syncs at FULL already.
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("ATTACH DATABASE ? AS idx", (_place(index, "index", "rw", busy_ms),))
            connection.execute("PRAGMA idx.synchronous = FULL")
            (version,) = connection.execute("PRAGMA idx.user_version").fetchone()
        if version != latest("index"):
            connection.execute("DETACH DATABASE idx")
            connect(index, "index", create=False, busy_ms=busy_ms).close()
            connection.execute("ATTACH DATABASE ? AS idx", (_place(index, "index", "rw", busy_ms),))
            connection.execute("PRAGMA idx.synchronous = FULL")
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare_foreign(connection: sqlite3.Connection, path: Path) -> None:
    """Refuse an outbound.db that would run its writer's code in ours; text that is not UTF-8 is read all the same.

    A view in the table's place, a trigger or an index over an expression can block a reader or a writer for ever.
    """
    connection.text_factory = lambda data: data.decode("utf-8", "replace")
    connection.execute("PRAGMA trusted_schema = OFF")
    check_foreign(connection, path)


def check_foreign(connection: sqlite3.Connection, path: Path) -> None:
    """Raises Unreadable if messages_out is no longer the table that agentq created."""
    if connection.execute(MADE_FROM).fetchall() != _messages_out():
        raise Unreadable(f"'{path}': messages_out is not the table that agentq created; it was left unchanged")


MADE_FROM = "SELECT type, name, sql FROM sqlite_schema WHERE lower(tbl_name) = 'messages_out' ORDER BY type, name"


@functools.cache
def _messages_out() -> list[tuple[Any, ...]]:
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        migrate(connection, Path(":memory:"), "outbound")
        return connection.execute(MADE_FROM).fetchall()


def empty_index() -> sqlite3.Connection:
    """An index without rows, in memory: what a reading command sees if there is no state dir yet."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    migrate(connection, Path(":memory:"), "index")
    return connection


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection, path: Path) -> Iterator[sqlite3.Connection]:
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


@contextlib.contextmanager
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


@contextlib.contextmanager
def named_trouble(path: Path) -> Iterator[None]:
    """Translate SQLite's errors into the contract's, naming the file."""
    try:
        yield
    except sqlite3.Error as error:
        raise translate(error, path) from error


def translate(error: sqlite3.Error, path: Path) -> AgentqError:
    """The contract's error for one of SQLite's."""
    name = getattr(error, "sqlite_errorname", "") or ""
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return Busy(f"'{path}': another process held its lock for too long; try again")
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return Unreadable(f"'{path}': {error}; it was left unchanged")
    if name.startswith("SQLITE_FULL"):
        return Refused(f"'{path}': no space left on the device; nothing was stored")
    if name.startswith("SQLITE_READONLY"):
        return Refused(f"'{path}': cannot be written ({error})")
    if name.startswith(("SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_AUTH")):
        return Refused(f"'{path}': cannot be opened ({error})")
    if name.startswith("SQLITE_IOERR"):
        return Refused(f"'{path}': disk error ({error}, {name})")
    if isinstance(error, sqlite3.OperationalError) and "no such" in str(error):
        if path.name == INDEX or str(error).rpartition(" ")[2] not in SESSION_TABLES:
            return Unreadable(f"'{path if path.name == INDEX else INDEX}': {error}; {REBUILD}")
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

    path = Path(":memory:")

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        """As sqlite3's."""
        return self.cursor(NamedCursor).execute(sql, parameters)


@functools.cache
def latest(kind: str) -> int:
    """The schema version that this program writes: the number of the last migration."""
    return schema.latest(kind, SCHEMA)


def migrate(connection: sqlite3.Connection, path: Path, kind: str, *, rebuild: bool = False) -> None:
    """Migrate a file to this version's schema, each step in one transaction with its `user_version`."""
    target = latest(kind)
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    _refuse_newer(path, version, target)
    if version == target:
        return
    if version == 0 and kind == "index" and not rebuild and str(path) != ":memory:":
        StateDir(path.parent).refuse_lost_index()
    with transaction(connection, path):
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        if version == 0 and tables:
            raise Unreadable(f"'{path}': a database of another program")
        for name in sorted(name for name in os.listdir(SCHEMA / kind) if name.endswith(".sql")):
            number = int(name[:3])
            if number > version:
                for statement in _script(SCHEMA / kind / name):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {number}")


def mend_schema(connection: sqlite3.Connection, path: Path, kind: str) -> list[str]:
    """Create the tables and indexes that a file of this version has lost; returns their names."""
    with contextlib.closing(new_in_memory(kind)) as whole:
        wanted = whole.execute("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY rowid").fetchall()
    with transaction(connection, path):
        there = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema").fetchall()}
        missing = [(name, sql) for name, sql in wanted if name not in there and not name.startswith("sqlite_")]
        for _, sql in missing:
            connection.execute(sql)
    return [name for name, _ in missing]


def refuse_newer(connection: sqlite3.Connection, inbound: Path, index: Path) -> None:
    """Raises Unreadable if a newer agentq has migrated one of the files since this connection to both was opened."""
    for path, name, kind in ((inbound, "main", "inbound"), (index, "idx", "index")):
        (version,) = connection.execute(f"PRAGMA {name}.user_version").fetchone()
        _refuse_newer(path, version, latest(kind))


def _refuse_newer(path: Path, version: int, target: int) -> None:
    if version > target:
        raise Unreadable(f"'{path}': written by a newer agentq (schema {version}, this one knows {target})")


@functools.cache
def _script(file: Path) -> list[str]:
    """A migration's statements; cached because a batch creates many sessions."""
    return list(_statements(file.read_text(encoding="utf-8")))


def _statements(script: str) -> Iterator[str]:
    """The statements of a script; `executescript` would commit the transaction around them."""
    text = ""
    for line in script.splitlines(keepends=True):
        text += line
        if sqlite3.complete_statement(text):
            yield text
            text = ""


_rehearsed: dict[str, sqlite3.Connection] | None = None
"""The copies that a rehearsal works on, by the path of their file; None if there is no rehearsal."""


@contextlib.contextmanager
def rehearsal() -> Iterator[None]:
    """Make this process work on copies in memory, each made when its file is first opened, and write no file meanwhile.

    Outbound files, which may be of any size, are read in place: code that would write to one checks `rehearsing`.
    """
    global _rehearsed
    _rehearsed = {}
    try:
        yield
    finally:
        for copy in _rehearsed.values():
            copy.close()
        _rehearsed = None


def rehearsing() -> bool:
    """Whether this is a rehearsal, in which nothing may be written."""
    return _rehearsed is not None


def rehearsed(path: Path) -> bool:
    """Whether there is a copy of a file, or a file that exists only in the rehearsal."""
    return _rehearsed is not None and str(path) in _rehearsed


def _place(path: Path, kind: str, mode: str, busy_ms: int) -> str:
    """What to open for a file: the file itself, or its copy in a rehearsal."""
    exists = _rehearsed is None or path.exists()
    if _rehearsed is None or (exists and kind == "outbound"):
        return _uri(path, mode)
    if not exists and mode == "rw" and str(path) not in _rehearsed:
        return _uri(path, mode)
    name = f"file:/{os.getpid()}{_uri(path, 'rw').removeprefix('file:').partition('?')[0]}?vfs=memdb"
    if str(path) not in _rehearsed:
        copy = sqlite3.connect(name, uri=True, isolation_level=None)
        _rehearsed[str(path)] = copy
        if exists:
            try:
                with contextlib.closing(_connect(_uri(path, "rw"), path, busy_ms)) as source:
                    source.execute("PRAGMA user_version")  # it waits for a lock, which the backup would not do
                    source.backup(copy)
            except BaseException:
                _rehearsed.pop(str(path)).close()
                raise
    return name


def _open(path: Path, kind: str, *, create: bool, busy_ms: int) -> NamedConnection:
    return _connect(_place(path, kind, "rwc" if create else "rw", busy_ms), path, busy_ms)


def _connect(place: str, path: Path, busy_ms: int) -> NamedConnection:
    # Never read-only: a read-only connection cannot roll back what a dead writer left behind.
    connection = sqlite3.connect(
        place,
        uri=True,
        timeout=busy_ms / 1000,
        isolation_level=None,
        factory=NamedConnection,
    )
    connection.path = path
    return connection


def _uri(path: Path, mode: str) -> str:
    # Only these characters of a path have a meaning in a URI.
    named = str(path).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
    return f"file:{named}?mode={mode}"
