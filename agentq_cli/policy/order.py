"""Which task starts next. Pure: takes a snapshot of the index and `now`, returns a head.

The order is: priority (a task that has been due for longer than the ageing time counts as 101), then the session whose
last start is longest ago, then due time, then seq. Filters are applied before limits: a head that may not start hides
no other head, unless it waits for its directory (`Places`).
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Mapping, Sequence, Set

from agentq_cli.base.dataclass import dataclass, field
from agentq_cli.policy import pool
from agentq_cli.policy.directories import Directories

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    from agentq_cli.policy.pool import Line

AGED_PRIORITY = 101


@dataclass(frozen=True, slots=True)
class Head:
    """The earliest queued task of one combination (session, agent, priority, shares, retry, directory, key);
    `agent` is '' for a command, and `directory` (`Work.directory`) if its agent may edit beside others. `shares`: it is
    in a line of work of its session, and `conversation_key` says in which one; '' if any will do.

    With several hosts, what the task needs of its host (`placement.Needs.text`) is part of the combination, and `bound`
    is the host that its session is bound to (`placement.Bound.text`). None: any host will do.
    """

    session: str
    seq: int
    agent: str
    priority: int
    due_at: int
    expires_at: int | None
    retry: bool
    shares: bool
    last_start_at: int
    directory: str = ""
    conversation_key: str = ""
    needs: str | None = None
    bound: str | None = None


@dataclass(frozen=True, slots=True)
class Lane:
    """What is happening in a session: live runs, waiting retries with their lines of work (key '': in none), and the
    lines that are in use."""

    running: int = 0
    retrying: Mapping[int, Line] = field(default_factory=dict)
    lines: Set[Line] = frozenset()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A snapshot of the index: the heads, and everything that may hold them back. `workers` are the live runs of this
    host, `everywhere` those of all hosts, `directories` the real paths in which agents edit on this host."""

    heads: tuple[Head, ...]
    lanes: Mapping[str, Lane] = field(default_factory=dict)
    paused_sessions: Set[str] = frozenset()
    held_agents: Set[str] = frozenset()
    queue_paused: bool = False
    workers: int = 0
    everywhere: int = 0
    directories: Sequence[str] = ()

    def holds_back(self, session: str, agent: str) -> bool:
        """Whether a pause or a hold keeps this session's tasks of this agent from starting, whatever else is free."""
        return self.queue_paused or session in self.paused_sessions or agent in self.held_agents


def lane_open(head: Head, lane: Lane, parallel: int | None) -> bool:
    """Whether the session has room for this task: its width, its line of work, and retries that come first.

    `parallel` is None for the `default` session, whose tasks are independent and only limited by the cap.
    """
    # A retry does not wait for other retries: two waiting retries would wait for each other.
    first = {} if head.retry or parallel is None else lane.retrying
    if parallel is not None and lane.running + len(first) >= parallel:
        return False
    if not head.shares:
        return True
    taken = lane.lines | {line for line in first.values() if line[1]} if first else lane.lines
    return not taken or pool.has_room(head.agent, head.conversation_key, taken, pool.size(parallel))


def startable(head: Head, snapshot: Snapshot, *, now: int, parallel: Callable[[str], int | None]) -> bool:
    """Whether a head may start at `now`."""
    if head.due_at > now or (head.expires_at is not None and head.expires_at <= now):
        return False
    if snapshot.holds_back(head.session, head.agent):
        return False
    return lane_open(head, snapshot.lanes.get(head.session, Lane()), parallel(head.session))


Place: TypeAlias = "Callable[[Head], str | None]"
"""Finds the real path in which a head's agent would edit; None if it edits nothing, or may edit beside others."""


Fits: TypeAlias = "Callable[[Head], bool]"
"""Whether what a head needs is on this host. Only asked of a head that says what it needs."""


def anywhere(head: Head) -> bool:
    """What fits a host that has everything."""
    return True


def nowhere(head: Head) -> str | None:
    """The place of every head if no agent edits."""
    return None


class Places:
    """What fits this host, and the directories that agents edit there, as one pick finds them: those of live runs and
    of heads that go first.

    A head that waits for its directory keeps its turn: what comes later in the order does not take that directory
    before it, or else a directory around many others would never be free. In a session that runs one task at a time
    nothing else starts before it either, since later tasks may build on it. The same holds in such a session for a head
    that does not fit here and may run on another host, except for retries, which come first. Heads are to be asked for
    in their order.
    """

    def __init__(
        self, edited: Sequence[str], place: Place, parallel: Callable[[str], int | None], fits: Fits = anywhere
    ) -> None:
        self._taken = Directories(edited)
        self._place = place
        self._parallel = parallel
        self._real: dict[tuple[str, str], str | None] = {}
        self._waiting: set[str] = set()
        self._fits = fits
        self._passed_over: set[str] = set()

    def fit(self, head: Head) -> bool:
        """Whether a head that could start otherwise may start on this host, whatever is edited there."""
        if head.needs and not self._fits(head):
            if self._parallel(head.session) == 1:
                self._passed_over.add(head.session)
            return False
        return head.retry or head.session not in self._passed_over

    def free(self, head: Head) -> bool:
        """Whether a head that could start otherwise may start as far as directories are concerned."""
        if head.session in self._waiting:
            return False
        directory = self._real_path(head)
        if directory is None or not self._taken.overlap(directory):
            return True
        self._taken.add(directory)
        if self._parallel(head.session) == 1:
            self._waiting.add(head.session)
        return False

    def _real_path(self, head: Head) -> str | None:
        if not head.directory:
            return None
        if not head.directory.startswith("/"):  # A tree, which may be another one for each task.
            return self._place(head)
        key = (head.agent, head.directory)
        if key not in self._real:
            self._real[key] = self._place(head)
        return self._real[key]


def pick(
    snapshot: Snapshot,
    *,
    now: int,
    ageing_ms: int | None,
    parallel: Callable[[str], int | None],
    place: Place = nowhere,
    fits: Fits = anywhere,
) -> Head | None:
    """The task to start next, or None if none may start."""
    places = Places(snapshot.directories, place, parallel, fits)
    ready = Ready()
    for session in dict.fromkeys(head.session for head in snapshot.heads):
        ready.replace(session, [head for head in snapshot.heads if head.session == session])
    return ready.pick(
        lambda head: startable(head, snapshot, now=now, parallel=parallel) and places.fit(head) and places.free(head),
        now=now,
        ageing_ms=ageing_ms,
    )


class Ready:
    """The heads of all sessions, in the order in which they will start.

    It is kept from one start to the next, so the cost of a change in a session, a due time or an ageing task does not
    grow with the number of waiting tasks.
    """

    def __init__(self) -> None:
        self._sessions: dict[str, list[Head]] = {}
        self._now = 0
        self._ageing_ms: int | None = None
        self._due: list[tuple[int, int, int, int, str, Head]] = []
        self._aged: set[Head] = set()
        # Both by due time: heads that are not due yet, and due heads that have not aged.
        self._future: list[tuple[int, str, int, Head]] = []
        self._young: list[tuple[int, str, int, Head]] = []

    def clear(self) -> None:
        """Remove all heads."""
        self._sessions.clear()
        self._sort()

    @property
    def sessions(self) -> Set[str]:
        """The sessions that have heads."""
        return self._sessions.keys()

    def replace(self, session: str, heads: Sequence[Head]) -> None:
        """Replace the heads of a session."""
        for head in self._sessions.pop(session, ()):
            self._remove(head)
        if heads:
            self._sessions[session] = list(heads)
            for head in heads:
                self._add(head)

    def pick(self, may_start: Callable[[Head], bool], *, now: int, ageing_ms: int | None) -> Head | None:
        """The first head that is due at `now` and accepted by `may_start`."""
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
