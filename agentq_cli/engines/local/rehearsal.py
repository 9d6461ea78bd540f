"""What is opened for a file: the file itself, or in a rehearsal its copy in memory."""

from __future__ import annotations

import os

from agentq_cli.base.context import closing, contextmanager
from agentq_cli.engines.local.connection import NamedConnection
from agentq_cli.host.place import is_there

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
else:
    from agentq_cli.engines.sqlite_driver import sqlite3

_rehearsed: dict[str, sqlite3.Connection] | None = None
"""The copies that a rehearsal works on, by the path of their file; None if there is no rehearsal."""


@contextmanager
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


def rehearsed(path: str) -> bool:
    """Whether there is a copy of a file, or a file that exists only in the rehearsal."""
    return _rehearsed is not None and path in _rehearsed


def place(path: str, kind: str, mode: str, busy_ms: int) -> str:
    """What to open for a file: the file itself, or its copy in a rehearsal."""
    exists = _rehearsed is None or is_there(path)
    if _rehearsed is None or (exists and kind == "outbound"):
        return _uri(path, mode)
    if not exists and mode == "rw" and path not in _rehearsed:
        return _uri(path, mode)
    name = f"file:/{os.getpid()}{_uri(path, 'rw').removeprefix('file:').partition('?')[0]}?vfs=memdb"
    if path not in _rehearsed:
        copy = sqlite3.connect(name, uri=True, isolation_level=None)
        _rehearsed[path] = copy
        if exists:
            try:
                with closing(_connect(_uri(path, "rw"), path, busy_ms)) as source:
                    source.execute("PRAGMA user_version")  # it waits for a lock, which the backup would not do
                    source.backup(copy)
            except BaseException:
                _rehearsed.pop(path).close()
                raise
    return name


def open_file(path: str, kind: str, *, create: bool, busy_ms: int) -> NamedConnection:
    return _connect(place(path, kind, "rwc" if create else "rw", busy_ms), path, busy_ms)


def _connect(place: str, path: str, busy_ms: int) -> NamedConnection:
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


def _uri(path: str, mode: str) -> str:
    # Only these characters of a path have a meaning in a URI.
    named = path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
    return f"file:{named}?mode={mode}"
