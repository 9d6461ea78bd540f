"""Connections that a supervisor keeps open from one transaction to the next: opening one costs more than a transaction.

A kept connection has its statements prepared and its schema read. It is valid for the file that had the name when it
was opened: if another file has the name now (moved away, restored from a copy), it is opened again.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator

from agentq_cli.base.dataclass import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3

MOST = 128
"""The most connections that are kept; the one that was used longest ago is closed first."""

DESCRIPTORS = 4
"""How many descriptors one connection takes while it commits."""

OTHERS = 40
"""How many descriptors a process needs for other things at least."""

PAGES = 32
"""How many pages of each file a connection keeps in memory: somewhat more than one transaction changes."""


class Opened(NamedTuple):
    """A connection, and which files its names referred to when it was opened."""

    connection: sqlite3.Connection
    files: tuple[tuple[int, int] | None, ...]
    busy_ms: int


class Kept:
    """The connections of one process; use it from one thread."""

    def __init__(self, most: int = MOST) -> None:
        self._free: dict[str, Opened] = {}
        self._most = most

    @contextlib.contextmanager
    def lend(
        self, paths: tuple[str, ...], busy_ms: int, connect: Callable[[], sqlite3.Connection]
    ) -> Iterator[sqlite3.Connection]:
        """The connection to these files, a kept one or what `connect` opens.

        Lent only once at a time: a second caller meanwhile gets another one. After any exception it is closed.
        """
        files = tuple(_file(path) for path in paths)
        found = self._free.pop(paths[0], None)
        if found is not None and (found.files != files or None in files):
            found.connection.close()
            found = None
        if found is None:
            connection = connect()
            for schema in ("main", "idx")[: len(paths)]:
                connection.execute(f"PRAGMA {schema}.cache_size = {PAGES}")
            # The files from before it was opened: if one is replaced in between, the next use notices.
            found = Opened(connection, files, busy_ms)
        elif found.busy_ms != busy_ms:
            found.connection.execute(f"PRAGMA busy_timeout = {busy_ms}")
            found = found._replace(busy_ms=busy_ms)
        try:
            yield found.connection
        except BaseException:
            found.connection.close()
            raise
        before = self._free.pop(paths[0], None)
        if before is not None:
            before.connection.close()
        self._free[paths[0]] = found
        if len(self._free) > self._most:
            self._free.pop(next(iter(self._free))).connection.close()

    def has(self, path: str, connection: sqlite3.Connection) -> bool:
        """Whether a connection to this file is kept and not lent."""
        found = self._free.get(path)
        return found is not None and found.connection is connection

    def close(self) -> None:
        """Close them all; the next use opens a new one."""
        while self._free:
            self._free.popitem()[1].connection.close()


def most_kept() -> int:
    """How many connections a process may keep with the descriptor limit of this one."""
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return min(MOST, max(1, (limit - OTHERS) // DESCRIPTORS))


def _file(path: str) -> tuple[int, int] | None:
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino
