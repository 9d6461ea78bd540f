"""What one process knows of the requests in its sessions' outbound files: that all were answered at some moment.

The stamp of a file tells whether it has changed since, unless it was taken too soon after the last change (`seen`).
Then, and if this process itself has written to the file, SQLite tells whether anybody else has: the `data_version` of a
connection that was kept open since.
"""

from __future__ import annotations

from agentq_cli.base.errors import AgentqError
from agentq_cli.engines.local import asked, seen

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3

    from agentq_cli.engines.local.opened import Opened


class Answered:
    """By session; use it from one thread. `stamps` are those of the files whose requests were all answered."""

    def __init__(self, queue: Opened) -> None:
        self.stamps: dict[str, str | None] = {}
        self._queue = queue
        self._versions: dict[str, tuple[sqlite3.Connection, int]] = {}

    def holds(self, session: str) -> bool:
        """Whether there can be no request that is not answered."""
        state = self._queue.state
        stamp = asked.stamp(state, session)
        if self.stamps.get(session) == stamp:
            return True
        known = self._versions.get(session)
        if (
            stamp is None
            or known is None
            or state.kept is None
            or not state.kept.has(state.outbound(session), known[0])
        ):
            return False
        try:
            if version(known[0]) != known[1]:
                return False
        except AgentqError:
            return False
        if seen.comparable(stamp):
            self.stamps[session] = stamp
        return True

    def note(self, session: str, stamp: str | None) -> None:
        """Note that all requests are answered in a file that had this stamp before they were read."""
        self.stamps[session] = stamp

    def note_version(self, session: str, database: sqlite3.Connection, number: int) -> None:
        """Note the same of what a kept connection had this `version` of."""
        self._versions[session] = (database, number)

    def is_version(self, session: str, database: sqlite3.Connection, number: int) -> bool:
        """Whether that was noted."""
        return self._versions.get(session) == (database, number)

    def clear(self) -> None:
        """Forget it."""
        self.stamps.clear()
        self._versions.clear()


def version(database: sqlite3.Connection) -> int:
    """A number that changes when another connection than this one commits."""
    ((number,),) = database.execute("PRAGMA data_version").fetchall()
    return int(number)
