"""Which task starts next. Pure: the values of one look at the index and `now` in, a head out.

Order: priority (a task due for longer than the ageing time counts as 101), then the session whose last start is
longest ago, then due time, then seq. Filters come before limits: a head that may not start hides nobody.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Mapping, Sequence, Set

from agentq_cli.dataclass import dataclass, field
from agentq_cli.model import DEFAULT_SESSION

AGED_PRIORITY = 101


@dataclass(frozen=True, slots=True)
class Head:
    """The earliest queued task of one (session, agent, priority, shares, retry); `agent` is '' for a command."""

    session: str
    seq: int
    agent: str
    priority: int
    due_at: int
    expires_at: int | None
    retry: bool
    shares: bool
    last_start_at: int


@dataclass(frozen=True, slots=True)
class Lane:
    """What a session has going on: live runs, retries that wait, and agents whose conversation is taken."""

    running: int = 0
    retrying: Set[int] = frozenset()
    conversations: Set[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Look:
    """What the index said at one moment: the heads, and everything that may hold one of them back."""

    heads: tuple[Head, ...]
    lanes: Mapping[str, Lane] = field(default_factory=dict)
    paused_sessions: Set[str] = frozenset()
    held_agents: Set[str] = frozenset()
    queue_paused: bool = False
    workers: int = 0

    def holds_back(self, session: str, agent: str) -> bool:
        """Whether a pause or a hold keeps a session's tasks of an agent from starting, whatever else is free."""
        return self.queue_paused or session in self.paused_sessions or agent in self.held_agents


def lane_open(head: Head, lane: Lane, parallel: int | None) -> bool:
    """Whether the session has room for this task: its width, its conversation, and a retry that comes first.

    `parallel` None is the `default` session: its tasks are independent and bounded by the cap alone.
    """
    if head.shares and head.agent in lane.conversations:
        return False
    if parallel is None:
        return True
    # A retry waits for no other one: two that came to wait together would wait for each other.
    first = 0 if head.retry else len(lane.retrying)
    return lane.running + first < parallel


def startable(head: Head, look: Look, *, now: int, parallel: Callable[[str], int | None]) -> bool:
    """Whether a head may start at `now`."""
    if head.due_at > now or (head.expires_at is not None and head.expires_at <= now):
        return False
    if look.holds_back(head.session, head.agent):
        return False
    return lane_open(head, look.lanes.get(head.session, Lane()), parallel(head.session))


def pick(look: Look, *, now: int, ageing_ms: int | None, parallel: Callable[[str], int | None]) -> Head | None:
    """The task to start next, or None where none may."""
    ready = Ready()
    for session in dict.fromkeys(head.session for head in look.heads):
        ready.replace(session, [head for head in look.heads if head.session == session])
    return ready.pick(lambda head: startable(head, look, now=now, parallel=parallel), now=now, ageing_ms=ageing_ms)


class Ready:
    """The heads of all sessions in the order in which they are to start.

    Kept from one start to the next: what a session's change, a due time or an age costs does not grow with the number
    of those that wait.
    """

    def __init__(self) -> None:
        self._sessions: dict[str, list[Head]] = {}
        self._now = 0
        self._ageing_ms: int | None = None
        self._due: list[tuple[int, int, int, int, str, Head]] = []
        self._aged: set[Head] = set()
        # By due time: what is not due yet, and what is and has not aged.
        self._future: list[tuple[int, str, int, Head]] = []
        self._young: list[tuple[int, str, int, Head]] = []

    def clear(self) -> None:
        """Forget them all."""
        self._sessions.clear()
        self._sort()

    def replace(self, session: str, heads: Sequence[Head]) -> None:
        """Have these heads of a session in place of those before."""
        for head in self._sessions.pop(session, ()):
            self._remove(head)
        if heads:
            self._sessions[session] = list(heads)
            for head in heads:
                self._add(head)

    def pick(self, may_start: Callable[[Head], bool], *, now: int, ageing_ms: int | None) -> Head | None:
        """The first head that is due at `now` and that `may_start` lets through."""
        if now < self._now or ageing_ms != self._ageing_ms:
            self._now, self._ageing_ms = now, ageing_ms
            self._sort()
        self._now = now
        while self._future and self._future[0][0] <= now:
            self._add(self._future.pop(0)[-1])
        while self._young and self._is_aged(self._young[0][-1]):
            head = self._young.pop(0)[-1]
            del self._due[bisect_left(self._due, self._rank(head))]
            self._aged.add(head)
            insort(self._due, self._rank(head))
        return next((entry[-1] for entry in self._due if may_start(entry[-1])), None)

    def _sort(self) -> None:
        for entries in (self._due, self._aged, self._future, self._young):
            entries.clear()
        for heads in self._sessions.values():
            for head in heads:
                self._add(head)

    def _add(self, head: Head) -> None:
        if head.due_at > self._now:
            insort(self._future, _by_due(head))
            return
        if self._is_aged(head):
            self._aged.add(head)
        else:
            insort(self._young, _by_due(head))
        insort(self._due, self._rank(head))

    def _remove(self, head: Head) -> None:
        if head.due_at > self._now:
            del self._future[bisect_left(self._future, _by_due(head))]
            return
        del self._due[bisect_left(self._due, self._rank(head))]
        if head in self._aged:
            self._aged.remove(head)
        else:
            del self._young[bisect_left(self._young, _by_due(head))]

    def _is_aged(self, head: Head) -> bool:
        return self._ageing_ms is not None and self._now - head.due_at >= self._ageing_ms

    def _rank(self, head: Head) -> tuple[int, int, int, int, str, Head]:
        priority = AGED_PRIORITY if head in self._aged else head.priority
        return (-priority, head.last_start_at, head.due_at, head.seq, head.session, head)


def _by_due(head: Head) -> tuple[int, str, int, Head]:
    return (head.due_at, head.session, head.seq, head)


def width(session: str, configured: int | None) -> int | None:
    """How many tasks of a session may run at once; None is as many as the cap allows."""
    if configured is not None:
        return configured
    return None if session == DEFAULT_SESSION else 1
