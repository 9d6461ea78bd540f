"""psycopg2, set up for the fleet: truth values are 0 and 1, and nobody waits for ever.

The database is asked in whole messages of the simple protocol, which a pooler in transaction mode passes on: no setting
of the session, and nothing is prepared there (`statements`). Only the C module is loaded, without what its package adds
to it; and without `ssl`, which it loads for OpenSSL before 1.1 (psycopgmodule.c), and `datetime`, of which it wants the
C part alone. That takes a quarter of the time, which is as much as the rest of a submit.
"""

from __future__ import annotations

import _datetime  # type: ignore[import-not-found]
import os
import select
import sys
from _thread import allocate_lock
from importlib.machinery import PathFinder

from agentq_cli.base.context import contextmanager
from agentq_cli.base.errors import Usage
from agentq_cli.base.json_text import loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from psycopg2 import _psycopg
else:

    def _package() -> Any:
        """What Python takes for the package of the C module, without what it does when it is loaded."""
        found = PathFinder.find_spec("psycopg2")
        if found is None:
            raise ImportError("no module named 'psycopg2'")
        package = type(sys)("psycopg2")
        package.__path__ = found.submodule_search_locations
        return package


@contextmanager
def _standing_in(**modules: Any) -> Iterator[None]:
    """Let these modules have these names, if others do not have them already."""
    put = {name: module for name, module in modules.items() if name not in sys.modules}
    sys.modules.update(put)
    try:
        yield
    finally:
        for name in put:
            del sys.modules[name]


if not TYPE_CHECKING:
    try:
        with _standing_in(psycopg2=_package(), ssl=type(sys)("ssl"), datetime=_datetime):
            from psycopg2 import _psycopg
    except ImportError as error:
        raise Usage(f"url: the driver of PostgreSQL is missing ({error}); pip install 'agentq[fleet]'") from error

ANSWER_MS = 7_000
"""How long an answer is waited for: the server gives up before, after 5 s for a lock or a statement."""


SSLMODE = "PGSSLMODE"


_one_at_a_time = allocate_lock()
"""What connecting sets meanwhile is the whole process's, which may have several threads."""


class Unanswered(Exception):
    """The server took longer than that. The connection is of no use any more."""


def connect(dsn: str) -> Any:
    """A connection on which nothing but what is sent begins a transaction.

    If neither `dsn` nor PGSSLMODE says how TLS is used, and no file of services either, the certificate is verified:
    libpq asks the environment last.
    """
    with _one_at_a_time:
        # Connecting is the library's: with several hosts it has a limit for each.
        _psycopg.set_wait_callback(None)
        before = os.environ.get(SSLMODE)
        if not before:
            os.environ[SSLMODE] = "verify-full"
        try:
            connection = _psycopg._connect(dsn)  # type: ignore[no-untyped-call]
        finally:
            _psycopg.set_wait_callback(_wait)
            if before is None:
                del os.environ[SSLMODE]
            else:
                os.environ[SSLMODE] = before
    connection.autocommit = True
    return connection


def cursor(connection: Any) -> Any:
    """A cursor of a connection."""
    with _standing_in(datetime=_datetime):
        return connection.cursor()


POLL_OK, POLL_READ = 0, 1
"""What a connection says of its state (psycopg2.extensions)."""


def copy(cursor: Any, statement: str, rows: Any) -> None:
    """COPY rows, in the format of text, from a file. It takes as long as it takes."""
    _psycopg.set_wait_callback(None)
    try:
        cursor.copy_expert(statement, rows)
    finally:
        _psycopg.set_wait_callback(_wait)


def _wait(connection: Any) -> None:
    poller = None
    while (state := connection.poll()) != POLL_OK:
        if poller is None:
            poller = select.poll()
        poller.register(connection.fileno(), select.POLLIN if state == POLL_READ else select.POLLOUT)
        if not poller.poll(ANSWER_MS):
            raise Unanswered


JSON = 114
"""The type of JSON values (pg_type.dat)."""


def _json(text: str | bytes | None, cursor: object) -> Any:
    return None if text is None else loads(text)


_psycopg.register_type(_psycopg.new_type((JSON,), "JSON", _json))
_psycopg.adapters[(bool, _psycopg.ISQLQuote)] = lambda value: _psycopg.AsIs(int(value))

as_it_is = _psycopg.AsIs
"""A value that is a part of a statement."""

Error = _psycopg.Error
parse_dsn = _psycopg.parse_dsn


def make_dsn(parameters: dict[str, str]) -> str:
    """Parameters of a connection as libpq reads them."""
    quoted = ((name, value.replace("\\", "\\\\").replace("'", "\\'")) for name, value in parameters.items())
    return " ".join([f"{name}='{value}'" for name, value in quoted])
