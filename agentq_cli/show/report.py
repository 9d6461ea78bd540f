"""The numbers of a report, counted from a stream of runs in bounded memory. Pure."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterable

from agentq_cli.base.dataclass import dataclass, field
from agentq_cli.model.statuses import FailureClass, RunStatus

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.model.addresses import Address
    from agentq_cli.model.runs import PastRun

DRAWN = 2000
"""How many of the newest runs the timeline shows."""

LISTED = 100
"""How many failures, and how many runs, are listed one by one; the newest ones."""

SLOWEST = 15
COMMAND = "commands"
"""The name in place of the agent for runs without one."""

GOOD = frozenset({RunStatus.SUCCESS})
NEUTRAL = frozenset({RunStatus.RUNNING, RunStatus.SKIPPED, RunStatus.CANCELLED, RunStatus.RATE_LIMITED})
"""Neither good nor bad: nothing went wrong."""


def verdict(status: RunStatus) -> str:
    """`good`, `bad`, `running`, or `other` for the rest."""
    if status is RunStatus.RUNNING:
        return "running"
    return "good" if status in GOOD else "other" if status in NEUTRAL else "bad"


@dataclass(slots=True)
class Durations:
    """How long runs took, to three significant digits, so that a million runs need no more memory than a thousand."""

    counts: Counter[int] = field(default_factory=Counter)
    total_ms: int = 0

    def add(self, milliseconds: int) -> None:
        """Count one."""
        self.total_ms += milliseconds
        scale = 10 ** max(0, len(str(milliseconds)) - 3)
        self.counts[milliseconds // scale * scale] += 1

    def percentile(self, percent: int) -> int | None:
        """The smallest duration that this percentage of the runs did not exceed (nearest rank); None without runs."""
        rank = -(-self.counts.total() * percent // 100)
        for milliseconds in sorted(self.counts):
            rank -= self.counts[milliseconds]
            if rank <= 0:
                return milliseconds
        return None


@dataclass(slots=True)
class Group:
    """The runs of a session, or of an agent on a day."""

    runs: int = 0
    good: int = 0
    bad: int = 0
    durations: Durations = field(default_factory=Durations)
    tokens_in: int = 0
    tokens_out: int = 0
    cost_usd: float = 0.0
    priced: int = 0
    unpriced: int = 0
    listed: int = 0
    landings: Counter[str] = field(default_factory=Counter)
    unfit: int = 0

    def add(self, run: PastRun) -> None:
        """Count one; `priced` are the runs whose agent said what they cost, `unpriced` those whose agent did not, and
        `listed` those that a subscription paid. `landings` are counted by what came of them, and `unfit` are the runs
        whose check failed."""
        self.runs += 1
        self.good += verdict(run.status) == "good"
        self.bad += verdict(run.status) == "bad"
        if run.duration_ms is not None:
            self.durations.add(run.duration_ms)
        self.tokens_in += run.tokens_in or 0
        self.tokens_out += run.tokens_out or 0
        if run.cost_usd is not None:
            self.cost_usd += run.cost_usd
            self.priced += 1
            self.listed += run.list_price
        elif run.agent is not None and run.status.may_cost:
            self.unpriced += 1
        if run.landing is not None:
            self.landings[run.landing.came] += 1
        self.unfit += run.failure_class == FailureClass.CHECK


@dataclass(slots=True)
class Failures:
    """The runs that failed for one reason, with the newest of them."""

    count: int
    newest: PastRun


@dataclass(slots=True)
class Numbers:
    """What a report says; `first_at` and `last_at` are milliseconds UTC, of the first start and the last end or start.

    `drawn` are the newest runs, newest first, for the timeline, `failed` the newest failures; `days` are by day as
    `day_of` names it, and agent. `changed` is the newest run of each task that ran in a tree, for the newest tasks.
    """

    total: Group = field(default_factory=Group)
    sessions: dict[str, Group] = field(default_factory=dict)
    days: dict[tuple[str, str], Group] = field(default_factory=dict)
    failures: dict[str, Failures] = field(default_factory=dict)
    slowest: list[PastRun] = field(default_factory=list)
    drawn: list[PastRun] = field(default_factory=list)
    failed: list[PastRun] = field(default_factory=list)
    changed: dict[Address, PastRun] = field(default_factory=dict)
    first_at: int | None = None
    last_at: int | None = None

    @property
    def left_out(self) -> int:
        """Runs that the timeline does not show."""
        return self.total.runs - len(self.drawn)


def count(runs: Iterable[PastRun], day_of: Callable[[int], str]) -> Numbers:
    """The numbers of runs that come newest first."""
    numbers = Numbers()
    slowest: list[tuple[int, int, PastRun]] = []
    for position, run in enumerate(runs):
        numbers.total.add(run)
        numbers.sessions.setdefault(run.session, Group()).add(run)
        numbers.days.setdefault((day_of(run.started_at), run.agent or COMMAND), Group()).add(run)
        if verdict(run.status) == "bad":
            reason = run.failure_class or run.status.value
            known = numbers.failures.setdefault(reason, Failures(0, run))
            known.count += 1
            if len(numbers.failed) < LISTED:
                numbers.failed.append(run)
        if run.duration_ms is not None:
            entry = (run.duration_ms, -position, run)
            (heapq.heappush if len(slowest) < SLOWEST else heapq.heappushpop)(slowest, entry)
        if run.left is not None and len(numbers.changed) < LISTED:
            numbers.changed.setdefault(run.id.address, run)
        if len(numbers.drawn) < DRAWN:
            numbers.drawn.append(run)
        end = run.started_at if run.finished_at is None else run.finished_at
        numbers.first_at = run.started_at if numbers.first_at is None else min(numbers.first_at, run.started_at)
        numbers.last_at = end if numbers.last_at is None else max(numbers.last_at, end)
    numbers.slowest = [run for _, _, run in sorted(slowest, reverse=True)]
    return numbers


@dataclass(frozen=True, slots=True)
class Lane:
    """A line of the timeline: runs of one session that do not overlap, except for runs beyond MOST_LANES at once.

    `first` is whether it is the session's first line.
    """

    session: str
    first: bool
    runs: tuple[PastRun, ...]


MOST_LANES = 6
"""The most lines of a session; if more runs overlap, they are drawn over one another on the last."""


def lanes(runs: Iterable[PastRun], now: int) -> list[Lane]:
    """The runs laid side by side, session by session in the order of their names."""
    by_session: dict[str, list[PastRun]] = {}
    for run in runs:
        by_session.setdefault(run.session, []).append(run)
    found: list[Lane] = []
    for session in sorted(by_session):
        rows: list[list[PastRun]] = []
        ends: list[int] = []
        for run in sorted(by_session[session], key=lambda run: run.started_at):
            at = next((n for n, end in enumerate(ends) if end <= run.started_at), len(rows))
            if at == len(rows) and at < MOST_LANES:
                rows.append([])
                ends.append(0)
            at = min(at, len(rows) - 1)
            rows[at].append(run)
            ends[at] = max(ends[at], now if run.finished_at is None else run.finished_at)
        found += [Lane(session, not n, tuple(row)) for n, row in enumerate(rows)]
    return found
