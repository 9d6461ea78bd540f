"""What is happening and what happened, at a glance: bounded reads, without results or prompts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from agentq_cli.engines.shared.read import NEWEST
from agentq_cli.engines.steps import rows
from agentq_cli.model.addresses import Address
from agentq_cli.model.runs import PastRun
from agentq_cli.model.statuses import Status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from agentq_cli.engines.shared.given import Given
    from agentq_cli.engines.transaction import Reading
    from agentq_cli.model.tasks import Task


WAITING = ("overview.due", "overview.coming", "overview.kept")


def live_counts(reading: Reading, *, now: int) -> dict[str, dict[Status, int]]:
    """The live tasks of each session that has any, by shown status."""
    found: dict[str, dict[Status, int]] = {}
    for session, status, count in reading.ask("overview.live_counts", {"now": now}):
        found.setdefault(session, {})[Status(status)] = count
    return found


def glance(queue: Given, *, limit: int) -> list[Task]:
    """Waiting tasks, up to `limit` of each kind: due, due later, held back. Tasks that cannot be read at once are left
    out."""
    values = {"now": queue.now, "limit": limit}
    found = [row for name in WAITING for row in queue.reading.ask(name, values)]
    return queue.load([Address(*row) for row in found], [], background=True)


def series(queue: Given, *, limit: int) -> list[tuple[Task, PastRun | None]]:
    """The live occurrences of series, soonest first, each with the last run of its series."""
    listed = {Address(*row[:2]): row[2] for row in queue.reading.ask("overview.series", {"limit": limit})}
    pairs: list[tuple[Task, PastRun | None]] = []
    for task in queue.load(listed, [], background=True):
        if task.rearms:
            values = {"session": task.session, "series": listed[task.address]}
            ended = queue.reading.ask("overview.series_end", values)
            pairs.append((task, _past_run(ended[0]) if ended else None))
    return pairs


def recent_ends(reading: Reading, *, limit: int) -> list[PastRun]:
    """The runs that ended last, newest first."""
    return [_past_run(row) for row in reading.ask("overview.recent_ends", {"limit": limit})]


def _past_run(row: Sequence[Any]) -> PastRun:
    return PastRun(**rows.of_run(PastRun.__slots__, row))


def ended_counts(reading: Reading, *, since: int) -> dict[Status, int]:
    """The tasks that have ended since `since`, by status."""
    found = reading.ask("overview.ended_counts", {"since": since})
    return {Status(status): count for status, count in found}


def last_failed(reading: Reading, *, since: int) -> Address | None:
    """The task that failed last since `since`, or None."""
    found = reading.ask("overview.last_failed", {"since": since})
    return Address(*found[0]) if found else None


def anything(reading: Reading) -> bool:
    """Whether there is any task."""
    ((found,),) = reading.ask("overview.any_task")
    return bool(found)


def history(reading: Reading, where: Mapping[str, object]) -> Iterator[PastRun]:
    """Every run that these filters (`read.which`) select, newest first."""
    values = {**where, "before": NEWEST}
    while found := reading.ask("overview.history", values):
        yield from (_past_run(row[:-1]) for row in found)
        values["before"] = found[-1][-1]
