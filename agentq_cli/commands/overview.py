"""`agentq` alone: in ten lines what runs, what waits and why, what failed, what it cost, and one next step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from agentq_cli.base.clock import rfc3339
from agentq_cli.diagnose import next_steps
from agentq_cli.diagnose import overview as found
from agentq_cli.model.statuses import Status
from agentq_cli.options import moments
from agentq_cli.show import changes, costs, documents, tables
from agentq_cli.show.harmless import one_line
from agentq_cli.show.results import Document, Result, Told

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias, TypeVar

    from agentq_cli.cli.context import Context
    from agentq_cli.diagnose.overview import Cost, Overview
    from agentq_cli.engines.door import Queue
    from agentq_cli.model.tasks import Task, WaitingFor
    from agentq_cli.model.workers import Worker

    Row = TypeVar("Row")
    Cells: TypeAlias = tuple[str, ...]
    Line: TypeAlias = tuple[str, Told]

LINES = 8
"""How many of the ten lines are for tasks."""

FIRST = (3, 3, 2)
"""How many of them what runs, what waits, and what failed gets at most, before any gets what the others leave."""

LONGEST_CELL = 12
"""Up to this width a cell is as wide as the widest below it."""

WAITING = (Status.QUEUED, Status.RETRYING, Status.SCHEDULED, Status.BLOCKED, Status.PAUSED)


def overview(at: Context) -> Result:
    """The state of the queue at a glance; if nothing is stored, what to type first."""
    return glance("overview", at, at.open_queue())


def glance(kind: str, at: Context, queue: Queue, above: Sequence[Line] = (), **more: object) -> Result:
    """A document of that kind with the state of the queue; `more` of it is told by the lines `above`."""
    if not queue.exists or not queue.figures.anything():
        steps = next_steps.FIRST
        nothing = {"stored": False, "next": [{"command": command, "why": why} for command, why in steps]}
        return Document(kind, {**nothing, **more}, [*above, "Nothing is stored yet.", *next_steps.lines(steps)])
    seen = found.survey(queue, at.config)
    step = next_steps.step(queue, seen)
    if not at.as_json:
        found.remember_look(queue)
    return Document(kind, {**_data(seen, step), **more}, [*above, *_lines(seen, step)])


def _data(seen: Overview, step: tuple[str, str]) -> documents.Item:
    def task(of: Task, why: WaitingFor | None = None) -> documents.Item:
        return documents.task(of, now=seen.at, waiting_for=why)

    return {
        "stored": True,
        "at": rfc3339(seen.at),
        "since": rfc3339(seen.since),
        "counts": {status.value: seen.live.get(status, 0) for status in Status if not status.ended},
        "ended": {status.value: seen.ended.get(status, 0) for status in Status if status.ended},
        "running": [
            {
                "run": str(worker.id),
                "agent": worker.agent,
                "started_at": rfc3339(worker.claimed_at),
                "title": _title(of),
            }
            for worker, of in seen.running
        ],
        "waiting": [task(of, why) for of, why in seen.waiting],
        "failed": [task(of) for of in seen.failed],
        "cost_usd": None if seen.cost.unknown and not seen.cost.known else seen.cost.usd,
        "runs_of_unknown_cost": seen.cost.unknown,
        "next": [{"command": step[0], "why": step[1]}],
    }


def _title(task: Task | None) -> str:
    return "" if task is None else documents.title(task.work.argv, task.work.prompt)


def _lines(seen: Overview, step: tuple[str, str]) -> Iterator[Line]:
    counts = (
        seen.live.get(Status.RUNNING, 0),
        sum(seen.live.get(status, 0) for status in WAITING),
        seen.ended.get(Status.FAILED, 0),
    )
    rooms = shares(counts)
    running = _group(seen.running, counts[0], rooms[0], "agentq workers")
    waits = _group(seen.waiting, counts[1], rooms[1], "agentq list")
    all_failed = f"agentq list --status failed --since {rfc3339(seen.since)}"
    failed = _group(seen.failed, counts[2], rooms[2], all_failed)
    yield from told("Running", running, lambda of, now: _run(*of, now), seen.at)
    yield from told("Waiting", waits, lambda of, now: _waiting(*of, seen.at, now), seen.at)
    yield from told("Failed", failed, lambda of, now: _failed(of, now), seen.at, none=_since(seen))
    ends = changes.summed(seen.landings, seen.unfit)
    yield "Today", same(f"{_cost(seen.cost)}; {ends}" if ends else _cost(seen.cost))
    yield "Next", same(f"{step[0]}  ({step[1]})")


def shares(counts: Sequence[int]) -> list[int]:
    """How many lines each group gets for so many tasks. What failed gets first what others leave. Pure."""
    wanted = [max(count, 1) for count in counts]
    given = [min(each, first) for each, first in zip(wanted, FIRST, strict=True)]
    for group in reversed(range(len(given))):
        given[group] += min(wanted[group] - given[group], LINES - sum(given))
    return given


def _group(rows: Sequence[Row], count: int, room: int, command: str) -> list[Row | str]:
    """The rows that fit; if there are more, the last line says how many, and the command that lists all."""
    if count <= room and count <= len(rows):
        return list(rows[:room])
    kept = list(rows[: room - 1])
    return [*kept, f"and {max(count, len(rows)) - len(kept)} more: {command}"]


def told(
    label: str, rows: Sequence[Row | str], cells: Callable[[Row, int | None], Cells], now: int, none: Told | None = None
) -> Iterator[Line]:
    """Rows below one label, their `cells` as they are piped (None) and as a person reads them now."""
    real = [row for row in rows if not isinstance(row, str)]
    pairs = zip(_aligned([cells(row, None) for row in real]), _aligned([cells(row, now) for row in real]), strict=True)
    lines = [Told(*pair) for pair in pairs] + [same(row) for row in rows if isinstance(row, str)]
    for line in lines or [none or same("nothing")]:
        yield label, line
        label = ""


def _aligned(rows: Sequence[Cells]) -> list[str]:
    """Rows of cells as lines; every cell but the last is as wide as the widest below it, if that is not wide."""
    harmless = [[one_line(cell) for cell in row] for row in rows]
    widths = [min(max(map(tables.cells, column)), LONGEST_CELL) for column in zip(*harmless, strict=True)]
    return [
        "  ".join(cell + " " * (width - tables.cells(cell)) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in harmless
    ]


def same(text: str) -> Told:
    """What is told alike to everybody."""
    return Told(text, text)


def _since(seen: Overview) -> Told:
    if not seen.looked:
        return same("nothing within a day")
    since = moments.clock(seen.since, seen.at)
    return Told(f"nothing since {rfc3339(seen.since)}", f"nothing since you last looked ({since})")


def _cost(cost: Cost) -> str:
    number = cost.known + cost.unknown
    if not number:
        return "no agent ran"
    told = costs.together(cost.usd, cost.known, cost.unknown)
    return f"{told} for {number} run{'' if number == 1 else 's'} of agents"


def moment(at: int, now: int | None) -> str:
    """A time in a cell."""
    return rfc3339(at) if now is None else moments.short(at, now)


def _run(worker: Worker, task: Task | None, now: int | None) -> Cells:
    return str(worker.id.address), moment(worker.claimed_at, now), worker.agent or "-", _title(task)


def _waiting(task: Task, why: WaitingFor | None, at: int, now: int | None) -> Cells:
    status = task.shown_status(at)
    due = moment(task.due_at, now) if status is Status.SCHEDULED else status.value
    words = moments.waiting(why, now) if why is not None else ""
    return str(task.address), words or due, _title(task)


def _failed(task: Task, now: int | None) -> Cells:
    when = "-" if task.ended_at is None else moment(task.ended_at, now)
    return str(task.address), when, task.reason or Status.FAILED, _title(task)
