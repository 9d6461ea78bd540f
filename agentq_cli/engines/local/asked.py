"""What agents request: the unanswered rows of the sessions' outbound.db, and whether there can be new ones."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping

from agentq_cli.base.errors import AgentqError
from agentq_cli.engines.local import connection, files, seen
from agentq_cli.engines.local.queries import statements
from agentq_cli.engines.local.state_dir import StateDir
from agentq_cli.options.requests import LONGEST

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3

REQUESTS = statements("requests")


def stamp(state: StateDir, session: str) -> str | None:
    """A stamp that changes when the session's outbound.db does; None if there is no such file."""
    return seen.outbound(os.path.join(state.path, "sessions"), session)


def unanswered(state: StateDir, session: str, database: sqlite3.Connection, most: int) -> list[tuple[str, int]]:
    """Up to `most` unanswered requests of an open outbound.db: id and position."""
    found: list[tuple[str, int]] = []
    after = -(1 << 63)
    with contextlib.ExitStack() as opened:
        inbound: sqlite3.Connection | None = None
        while page := database.execute(REQUESTS["asked"], {"after": after}).fetchall():
            # Most sessions never request anything: their inbound.db is not opened.
            inbound = inbound or opened.enter_context(files.inbound(state, session))
            ids = json.dumps([row[0] for row in page], ensure_ascii=False)
            found += [page[key] for (key,) in inbound.execute(REQUESTS["unanswered"], {"ids": ids}).fetchall()]
            if len(found) >= most:
                return found[:most]
            after = page[-1][1]
    return found


def check(state: StateDir, session: str) -> None:
    """Raises NotFound, Unreadable, Refused or Usage if the session's requests cannot be read, and Busy."""
    _unanswered(state, session, 1)
    with files.outbound(state, session) as database:
        database.execute(REQUESTS["count"]).fetchone()


def asked(state: StateDir, session: str, most: int) -> Iterator[tuple[str, object]]:
    """Up to `most` unanswered requests of a session: id and content, in the order in which they were written.

    Only one content is in memory at a time; it is None if it is too long to be a request.
    """
    for message, position in _unanswered(state, session, most):
        with files.outbound(state, session) as database:
            values = {"position": position, "longest": LONGEST}
            row = database.execute(REQUESTS["content"], values).fetchone()
        if row is not None:
            yield message, row[0]


def _unanswered(state: StateDir, session: str, most: int) -> list[tuple[str, int]]:
    with files.outbound(state, session) as database:
        return unanswered(state, session, database, most)


def record(index: sqlite3.Connection, state: StateDir, answered: Mapping[str, str | None]) -> None:
    """Record the stamp of each outbound.db from when its requests were read."""
    values = [{"session": session, "stamp": stamp} for session, stamp in answered.items()]
    if values:
        with contextlib.suppress(AgentqError), connection.transaction(index, state.index):
            index.executemany(REQUESTS["set_stamp"], values)
