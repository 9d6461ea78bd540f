"""The heads of the queue as a supervisor keeps them: updated by what the events say has changed.

Every change of a waiting task records an event in the same commit, so the sessions of the new events are the ones to
check again. Changes without an event (a rebuilt index, a slot that was moved) are found by reading everything again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from agentq_cli.base.clock import monotonic_ms
from agentq_cli.engines.local import connection, dispatch
from agentq_cli.engines.local.dispatch import DISPATCH
from agentq_cli.policy import admission, order

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3

MOST = 500
"""How many new events are followed one by one; if there are more, everything is read again."""

ANEW_MS = 30_000
"""How old the last full read may be at most, whatever the events say."""


class Heads:
    """The heads of some sessions, or of all if none is named."""

    def __init__(self, index: sqlite3.Connection, sessions: Collection[str]) -> None:
        self._index = index
        self._sessions = frozenset(sessions)
        self._ready = order.Ready()
        self._seen: tuple[int, object] | None = None
        self._read_at = 0
        self._doubted: set[str] = set()

    def doubt(self, session: str) -> None:
        self._doubted.add(session)

    def pick(
        self,
        *,
        now: int,
        jobs: int,
        ageing_ms: int | None,
        parallel: Callable[[str], int | None],
        without: Collection[str] = (),
    ) -> order.Head | None:
        with connection.snapshot(self._index):
            around = dispatch.around(self._index, now)
            if admission.cap(around.workers, jobs).holding:
                return None
            self._follow(now)

            def may_start(head: order.Head) -> bool:
                if head.session in without:
                    return False
                if head.expires_at is not None and head.expires_at <= now:
                    self._doubted.add(head.session)  # what is behind it was hidden until now
                    return False
                return dispatch.startable(self._index, head, around, now=now, width=parallel(head.session))

            while True:
                head = self._ready.pick(may_start, now=now, ageing_ms=ageing_ms)
                if head is not None or not self._doubted:
                    return head
                self._reread(now)

    def _follow(self, now: int) -> None:
        last, rebuilt = self._index.execute(DISPATCH["marks"]).fetchone()
        seen, seen_rebuilt = self._seen or (0, None)
        changed = []
        if self._seen is not None and 0 < last - seen <= MOST:
            changed = self._index.execute(DISPATCH["changed"], {"after": seen}).fetchall()
        # If some of the new events are missing, their tasks have been pruned.
        told = self._seen is not None and rebuilt == seen_rebuilt and len(changed) == last - seen
        if not told or monotonic_ms() - self._read_at >= ANEW_MS:
            self._read_all(now)
        self._doubted.update(session for (session,) in changed if session is not None)
        self._seen = (last, rebuilt)
        self._reread(now)

    def _read_all(self, now: int) -> None:
        self._ready.clear()
        self._doubted.clear()
        self._read_at = monotonic_ms()
        heads: dict[str, list[order.Head]] = {}
        for head in dispatch.heads(self._index, now):
            heads.setdefault(head.session, []).append(head)
        for session in heads:
            self._put(session, heads[session])

    def _reread(self, now: int) -> None:
        while self._doubted:
            session = self._doubted.pop()
            self._put(session, dispatch.heads_of(self._index, session, now))

    def _put(self, session: str, heads: list[order.Head]) -> None:
        if not self._sessions or session in self._sessions:
            self._ready.replace(session, heads)
