"""psycopg2, set up for the fleet: truth values are 0 and 1, and nobody waits for ever.

The database is asked in whole messages of the simple protocol, which a pooler in transaction mode passes on: no
prepared statement, no setting of the session.
"""

from __future__ import annotations

import select

from agentq_cli.base.errors import Usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

try:
    import psycopg2
    from psycopg2 import extensions
except ImportError as error:
    raise Usage(f"url: the driver of PostgreSQL is missing ({error}); pip install 'agentq[fleet]'") from error

ANSWER_MS = 7_000
"""How long an answer is waited for: the server gives up before, after 5 s for a lock or a statement."""


class Unanswered(Exception):
    """The server took longer than that. The connection is of no use any more."""


def connect(dsn: str) -> Any:
    """A connection on which nothing but what is sent begins a transaction."""
    # Connecting is the library's: with several hosts it has a limit for each.
    extensions.set_wait_callback(None)
    try:
        connection = psycopg2.connect(dsn)
    finally:
        extensions.set_wait_callback(_wait)
    connection.autocommit = True
    return connection


def copy(cursor: Any, statement: str, rows: Any) -> None:
    """COPY rows, in the format of text, from a file. It takes as long as it takes."""
    extensions.set_wait_callback(None)
    try:
        cursor.copy_expert(statement, rows)
    finally:
        extensions.set_wait_callback(_wait)


def _wait(connection: Any) -> None:
    poller = None
    while (state := connection.poll()) != extensions.POLL_OK:
        if poller is None:
            poller = select.poll()
        poller.register(connection.fileno(), select.POLLIN if state == extensions.POLL_READ else select.POLLOUT)
        if not poller.poll(ANSWER_MS):
            raise Unanswered


extensions.register_adapter(bool, lambda value: extensions.AsIs(int(value)))

Error = psycopg2.Error
InterfaceError = psycopg2.InterfaceError
OperationalError = psycopg2.OperationalError
make_dsn = extensions.make_dsn
parse_dsn = extensions.parse_dsn
