"""A session's files, opened for reading."""

from __future__ import annotations

import os

from agentq_cli.base.context import closing, contextmanager
from agentq_cli.base.errors import NotFound
from agentq_cli.engines.local import connection, opening, rehearsal
from agentq_cli.engines.local.state_dir import StateDir

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator


@contextmanager
def inbound(state: StateDir, session: str, *, busy_ms: int = connection.BUSY_MS) -> Iterator[sqlite3.Connection]:
    """A session's file, for reading. Raises NotFound, Busy, Unreadable."""
    opening.check_stored(state, session)
    path = state.inbound(session)
    database = opening.connect(path, "inbound", create=False, busy_ms=busy_ms)
    try:
        with connection.named_trouble(path):
            yield database
    finally:
        database.close()


@contextmanager
def outbound(state: StateDir, session: str) -> Iterator[sqlite3.Connection]:
    """A session's outbound.db, for reading, on a separate connection. Raises NotFound, Busy, Unreadable."""
    state.check_session(session)
    path = state.outbound(session)
    if not os.path.lexists(path) and not rehearsal.rehearsed(path):
        raise NotFound(f"session '{session}': no outbound.db")
    with opened_outbound(state, session, 1000) as database, connection.named_trouble(path):
        yield database


@contextmanager
def opened_outbound(state: StateDir, session: str, busy_ms: int) -> Iterator[sqlite3.Connection]:
    """A session's outbound.db, which is checked at every use because it belongs to the agent. Raises Busy,
    Unreadable."""
    with unchecked_outbound(state, session, busy_ms) as database:
        path = state.outbound(session)
        with connection.named_trouble(path):
            opening.check_foreign(database, path)
        yield database


@contextmanager
def unchecked_outbound(state: StateDir, session: str, busy_ms: int) -> Iterator[sqlite3.Connection]:
    """The same for a caller who checks it. Raises Busy, Unreadable."""
    path = state.outbound(session)

    def connect() -> sqlite3.Connection:
        return opening.connect(path, "outbound", create=False, busy_ms=busy_ms)

    def connect_to_keep() -> sqlite3.Connection:
        database = connect()
        # A turn writes to it, and syncs the directory before its own commit, which relies on what was written.
        database.execute("PRAGMA synchronous = FULL")
        return database

    if state.kept is None:
        with closing(connect()) as database:
            yield database
        return
    with state.kept.lend((path,), busy_ms, connect_to_keep) as database:
        yield database
