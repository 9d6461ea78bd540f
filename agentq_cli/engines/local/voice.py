"""What agents request: the sub-door over `requests`."""

from __future__ import annotations

from agentq_cli.engines.local import requests as asking
from agentq_cli.engines.local.queries import statements

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from agentq_cli.engines.local.opened import Opened
    from agentq_cli.engines.nouns import Answer
    from agentq_cli.options.requests import Refusal, Request


class Voice:
    """The requests in the sessions' outbound files."""

    def __init__(self, queue: Opened) -> None:
        self._queue = queue

    def changed(self, sessions: Iterable[str] | None = None) -> list[str]:
        """Those of the sessions (all sessions by default) whose outbound.db has changed since its requests were last
        read."""
        if sessions is None:
            known = self._queue.index.execute(statements("requests")["stamps"]).fetchall()
        else:
            each = (
                self._queue.index.execute(statements("requests")["stamp"], {"session": name}).fetchall()
                for name in sessions
            )
            known = [row for found in each for row in found]
        return [session for session, stamp in known if self.stamp(session) != stamp]

    def stamp(self, session: str) -> str | None:
        from agentq_cli.engines.local import requests as asking

        return asking.stamp(self._queue.state, session)

    def may_ask(self, session: str) -> bool:
        from agentq_cli.engines.local import requests as asking

        return self._queue.answered.get(session) != asking.stamp(self._queue.state, session)

    def remember(self, session: str, seen: str | None) -> None:
        self._queue.answered[session] = seen

    def record(self) -> None:
        """Record what `remember` noted, for later sweeps. A supervisor need not: the sessions that it runs change
        anyway."""

        from agentq_cli.engines.local import requests as asking

        asking.record(self._queue.index, self._queue.state, self._queue.answered)
        self._queue.answered.clear()

    def asked(self, session: str, most: int) -> Iterator[tuple[str, object]]:
        from agentq_cli.engines.local import requests as asking

        return asking.asked(self._queue.state, session, most)

    def apply(
        self,
        session: str,
        message: str,
        request: Request | Refusal,
        *,
        template: asking.Template,
        reschedule: asking.Reschedule,
        max_queued: int,
    ) -> Answer | None:
        from agentq_cli.engines.local import requests as asking

        answer = asking.apply(
            self._queue.state,
            session,
            message,
            request,
            template=template,
            reschedule=reschedule,
            max_queued=max_queued,
            now=self._queue.now,
        )
        if answer is not None:
            self._queue.ring()
        return answer
