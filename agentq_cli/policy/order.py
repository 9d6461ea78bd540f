"""Which task starts next. Pure: the values of one look at the index and `now` in, a head out.

Order: priority (a task due for longer than the ageing time counts as 101), then the session whose last start is
longest ago, then due time, then seq. Filters come before limits: a head that may not start hides nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Set

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


def startable(look: Look, *, now: int, parallel: Callable[[str], int | None]) -> Iterable[Head]:
    """The heads that may start at `now`, in no order."""
    for head in look.heads:
        if head.due_at > now or (head.expires_at is not None and head.expires_at <= now):
            continue
        if look.holds_back(head.session, head.agent):
            continue
        if lane_open(head, look.lanes.get(head.session, Lane()), parallel(head.session)):
            yield head


def pick(look: Look, *, now: int, ageing_ms: int | None, parallel: Callable[[str], int | None]) -> Head | None:
    """The task to start next, or None where none may."""

    def rank(head: Head) -> tuple[int, int, int, int, str]:
        aged = ageing_ms is not None and now - head.due_at >= ageing_ms
        return (
            -(AGED_PRIORITY if aged else head.priority),
            head.last_start_at,
            head.due_at,
            head.seq,
            head.session,
        )

    return min(startable(look, now=now, parallel=parallel), key=rank, default=None)


def width(session: str, configured: int | None) -> int | None:
    """How many tasks of a session may run at once; None is as many as the cap allows."""
    if configured is not None:
        return configured
    return None if session == DEFAULT_SESSION else 1
