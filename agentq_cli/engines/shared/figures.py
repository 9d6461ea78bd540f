"""What screens and reports show: counts, glances and figures."""

from __future__ import annotations

from agentq_cli.engines.shared import overview, read, stats

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Unpack

    from agentq_cli.engines.nouns import WhichRuns
    from agentq_cli.engines.shared.given import Given
    from agentq_cli.model.addresses import Address
    from agentq_cli.model.runs import PastRun
    from agentq_cli.model.statuses import Status
    from agentq_cli.model.tasks import Task
    from agentq_cli.policy import figures


class Figures:
    """Many tasks or runs at once, in numbers."""

    def __init__(self, queue: Given) -> None:
        self._queue = queue

    def live_counts(self) -> dict[str, dict[Status, int]]:
        return overview.live_counts(self._queue.reading, now=self._queue.now)

    def ended_counts(self, since: int = 0) -> dict[Status, int]:
        return overview.ended_counts(self._queue.reading, since=since)

    def last_failed(self, since: int) -> Address | None:
        return overview.last_failed(self._queue.reading, since=since)

    def anything(self) -> bool:
        return overview.anything(self._queue.reading)

    def glance(self, limit: int) -> list[Task]:
        return overview.glance(self._queue, limit=limit)

    def recent_ends(self, limit: int) -> list[PastRun]:
        return overview.recent_ends(self._queue.reading, limit=limit)

    def series(self, limit: int) -> list[tuple[Task, PastRun | None]]:
        return overview.series(self._queue, limit=limit)

    def history(self, **which: Unpack[WhichRuns]) -> Iterator[PastRun]:
        session = which.get("session")
        if session is not None:
            self._queue.known(session)
        return overview.history(self._queue.reading, read.which(**which))

    def session_tasks(self, session: str | None = None) -> Iterator[figures.SessionTasks]:
        return stats.sessions(self._queue.reading, session=session, now=self._queue.now)

    def of_runs(self, *groups: str, **which: Unpack[WhichRuns]) -> list[dict[figures.FiguresKey, figures.Figures]]:
        return stats.of_runs(self._queue.reading, read.which(**which), *groups)

    def run_counters(self, session: str | None = None) -> dict[figures.FiguresKey, figures.Figures]:
        return stats.counters(self._queue.reading, read.which(session=session), session=session)
