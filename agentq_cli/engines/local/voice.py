"""What agents request, in the outbound files of their sessions (`asked`)."""

from __future__ import annotations

from agentq_cli.engines.local import asked
from agentq_cli.engines.shared.voice import Applying

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from agentq_cli.engines.local.queue import LocalQueue


class Voice(Applying):
    """The requests in the sessions' outbound files."""

    _queue: LocalQueue

    def changed(self, sessions: Iterable[str] | None = None) -> list[str]:
        """Those of the sessions (all sessions by default) whose outbound.db has changed since its requests were last
        read."""
        if sessions is None:
            known = self._queue.reading.ask("requests.stamps")
        else:
            each = (self._queue.reading.ask("requests.stamp", {"session": name}) for name in sessions)
            known = [row for found in each for row in found]
        return [session for session, stamp in known if self.stamp(session) != stamp]

    def stamp(self, session: str) -> str | None:
        return asked.stamp(self._queue.state, session)

    def may_ask(self, session: str) -> bool:
        return not self._queue.answered.holds(session)

    def remember(self, session: str, seen: str | None) -> None:
        self._queue.answered.note(session, seen)

    def record(self) -> None:
        """Record what `remember` noted, for later sweeps. A supervisor need not: the sessions that it runs change
        anyway."""
        asked.record(self._queue.index, self._queue.state, self._queue.answered.stamps)
        self._queue.answered.clear()

    def asked(self, session: str, most: int) -> Iterator[tuple[str, object]]:
        return asked.asked(self._queue.state, session, most)
