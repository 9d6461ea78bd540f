"""The files of a session on this machine, through which its agents are heard and answered, as without a fleet: what
they write in outbound.db, and in inbound.db only the answers to that."""

from __future__ import annotations

import os

from agentq_cli.base.context import closing
from agentq_cli.engines.local import connection, files, opening, seen
from agentq_cli.engines.local.queries import statements
from agentq_cli.engines.local.state_dir import StateDir
from agentq_cli.options.requests import LONGEST

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from agentq_cli.host.place import Place

    Row = tuple[Any, ...]

BEGIN = -(1 << 63)
"""The position before the first row."""

PAGE = 50
"""How many messages are read at once."""

REQUESTS = statements("requests")
READ = statements("read")


class AgentsFiles:
    """Of one session. Any method may raise Busy, Unreadable, Refused and Usage."""

    def __init__(self, here: Place, session: str) -> None:
        self._state = StateDir(here.path)
        self._session = session
        self._inbound = here.inbound(session)
        self._outbound = here.outbound(session)

    def create(self) -> None:
        """Create what is missing, before an agent runs here."""
        if not os.path.lexists(self._outbound) or not os.path.lexists(self._inbound):
            self._state.create_sessions([self._session])
            for path, kind in ((self._inbound, "inbound"), (self._outbound, "outbound")):
                opening.connect(path, kind, create=True).close()

    def stamp(self) -> str | None:
        """A stamp that changes when an agent writes; None if there is no file."""
        return seen.outbound(self._state.sessions, self._session)

    def requests_after(self, position: int) -> list[tuple[str, int]]:
        """Id and position of some requests, in the order in which they were written."""
        with files.outbound(self._state, self._session) as database:
            found: list[tuple[str, int]] = database.execute(REQUESTS["asked"], {"after": position}).fetchall()
            return found

    def content(self, position: int) -> Row | None:
        """The content of a request, None in the row if it is too long; no row if it is gone."""
        with files.outbound(self._state, self._session) as database:
            values = {"position": position, "longest": LONGEST}
            row: Row | None = database.execute(REQUESTS["content"], values).fetchone()
            return row

    def messages_after(self, position: int) -> list[Row]:
        """Id, kind, content, time and position of some messages, in the order in which they were written."""
        with files.outbound(self._state, self._session) as database:
            return database.execute(READ["messages_after"], {"after": position, "limit": PAGE}).fetchall()

    def answer(self, answers: Iterable[Row]) -> None:
        """Tell its agents the answers that they have not been told: id of the request, status, task, detail, time."""
        with (
            closing(opening.connect(self._inbound, "inbound", create=True)) as database,
            connection.transaction(database, self._inbound),
        ):
            for message, status, task, detail, at in answers:
                if not database.execute(REQUESTS["is_delivered"], {"id": message}).fetchone():
                    values = {"id": message, "status": status, "task": task, "detail": detail, "at": at}
                    database.execute(REQUESTS["deliver"], values)
