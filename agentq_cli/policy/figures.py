"""Totals of the runs and tasks of a session or an agent. Pure."""

from __future__ import annotations

from collections import Counter

from agentq_cli.base.dataclass import dataclass, field
from agentq_cli.model.statuses import RunStatus

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agentq_cli.model.statuses import Status

FiguresKey = tuple[str, str]
"""Session and agent. Either is '' for all of them; the agent of a command is '' too."""


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Milliseconds that 50, 90 and 99 of a hundred do not exceed, and the longest; None if there are no runs."""

    p50: int | None = None
    p90: int | None = None
    p99: int | None = None
    longest: int | None = None


def percentiles(ordered: Sequence[int]) -> Percentiles:
    """Those of values in ascending order, by the nearest rank."""
    if not ordered:
        return Percentiles()
    p50, p90, p99 = (ordered[-(-len(ordered) * percent // 100) - 1] for percent in (50, 90, 99))
    return Percentiles(p50, p90, p99, ordered[-1])


@dataclass(slots=True)
class Figures:
    """Totals of the runs of a session, of an agent, or of all. Times are milliseconds. `priced` runs said what they
    cost, `unpriced` ones of an agent did not; a subscription paid `listed` ones."""

    statuses: dict[str, int] = field(default_factory=dict)
    failures: dict[str, int] = field(default_factory=dict)
    retries: int = 0
    tokens_in: float = 0
    tokens_out: float = 0
    cost_usd: float = 0
    priced: int = 0
    unpriced: int = 0
    listed: int = 0
    duration_ms: float = 0
    wait_ms: float = 0
    landed: int = 0
    nothing_to_land: int = 0
    wait: Percentiles = field(default_factory=Percentiles)
    duration: Percentiles = field(default_factory=Percentiles)

    @property
    def runs(self) -> int:
        """How many runs there are, running ones included."""
        return sum(self.statuses.values())

    def add(self, status: str, failure: str, count: int, *sums: float) -> None:
        """Add runs of one status and failure class."""
        self.statuses[status] = self.statuses.get(status, 0) + count
        if failure:
            self.failures[failure] = self.failures.get(failure, 0) + count
        retries, tokens_in, tokens_out, cost, landed, nothing = sums
        self.retries += round(retries)
        self.tokens_in += tokens_in
        self.tokens_out += tokens_out
        self.cost_usd += cost
        self.landed += round(landed)
        self.nothing_to_land += round(nothing)

    def take(self, value: str, ordered: Sequence[int]) -> None:
        """Note all waits (`wait`) or run times (`duration`) of these runs that have ended, in ascending order."""
        setattr(self, value, percentiles(ordered))
        setattr(self, f"{value}_ms", sum(ordered))

    def price(self, agent: str, status: str, count: int, priced: int, listed: int) -> None:
        """Note how many of some runs, already added, said what they cost, and were paid by a subscription. The agent of
        a command is ''."""
        self.priced += priced
        self.listed += listed
        if agent and RunStatus(status).may_cost:
            self.unpriced += count - priced


@dataclass(frozen=True, slots=True)
class SessionTasks:
    """The tasks of a session now: counts by shown status, how many are due, and since when the first of these has been
    due."""

    name: str
    counts: dict[str, int]
    due: int
    due_since: int | None


def total(sessions: Mapping[str, Mapping[Status, int]]) -> Counter[Status]:
    """The tasks of all sessions, by status."""
    found: Counter[Status] = Counter()
    for counts in sessions.values():
        found.update(counts)
    return found
