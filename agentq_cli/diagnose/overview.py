"""What runs, what waits, what failed since somebody last looked, and what today cost: read for `agentq` alone."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from agentq_cli.base.clock import from_rfc3339, rfc3339
from agentq_cli.base.context import suppress
from agentq_cli.base.dataclass import dataclass
from agentq_cli.diagnose.why import Why
from agentq_cli.engines.door import Queue
from agentq_cli.model.statuses import FailureClass, Status
from agentq_cli.options import moments
from agentq_cli.policy import figures

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import IO

    from agentq_cli.config.configuration import Config
    from agentq_cli.model.runs import PastRun
    from agentq_cli.model.tasks import Task, WaitingFor
    from agentq_cli.model.workers import Worker

SHOWN = 8
"""How many tasks of each kind are read: as many as ten lines can show."""

DAY_MS = 24 * 3_600_000
"""Before anybody has looked, what failed within a day is news."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What the agents' runs that began today cost; `unknown` counts those that have ended and did not say."""

    usd: float
    known: int
    unknown: int


@dataclass(frozen=True, slots=True)
class Overview:
    """The state at `at`. `failed` are the tasks that failed since `since`, newest first; `looked` is whether that is
    when somebody last looked. `live` and `ended` count all tasks, the latter those that ended since then. `landings`
    are those of today's runs by what came of them; the check of `unfit` of these runs failed."""

    at: int
    since: int
    looked: bool
    live: Mapping[Status, int]
    ended: Mapping[Status, int]
    running: Sequence[tuple[Worker, Task | None]]
    waiting: Sequence[tuple[Task, WaitingFor | None]]
    failed: Sequence[Task]
    cost: Cost
    landings: Mapping[str, int]
    unfit: int


def survey(queue: Queue, config: Config) -> Overview:
    """The overview of a queue in which something is stored."""
    last = _last_look(queue)
    since = queue.now - DAY_MS if last is None else last
    workers = queue.workers()[:SHOWN]
    tasks = queue.readable([worker.id.address for worker in workers])
    why = Why(queue, config)
    today = list(queue.figures.history(since=moments.midnight(queue.now)))
    return Overview(
        at=queue.now,
        since=since,
        looked=last is not None,
        live=figures.total(queue.figures.live_counts()),
        ended=queue.figures.ended_counts(since),
        running=[(worker, tasks.get(worker.id.address)) for worker in workers],
        waiting=[(task, why.of(task)) for task in queue.figures.glance(SHOWN)][:SHOWN],
        failed=list(queue.tasks(statuses={Status.FAILED}, since=since, limit=SHOWN)),
        cost=_cost(today),
        landings=_landings(today),
        unfit=sum(run.failure_class == FailureClass.CHECK for run in today),
    )


def _cost(runs: Iterable[PastRun]) -> Cost:
    asked = [run for run in runs if run.agent is not None]
    known = [run.cost_usd for run in asked if run.cost_usd is not None]
    ended = sum(1 for run in asked if run.cost_usd is None and run.finished_at is not None)
    return Cost(sum(known), len(known), ended)


def _landings(runs: Iterable[PastRun]) -> Mapping[str, int]:
    found: dict[str, int] = {}
    for run in runs:
        if run.landing is not None:
            found[run.landing.came] = found.get(run.landing.came, 0) + 1
    return found


def _last_look(queue: Queue) -> int | None:
    """When somebody last looked; None if nobody did, or if that was later than it is now."""
    with suppress(OSError, ValueError), _stamp(queue, os.O_RDONLY) as file:
        at = from_rfc3339(file.read(40).strip())
        return at if at <= queue.now else None
    return None


def remember_look(queue: Queue) -> None:
    """Note that somebody looks now. What cannot be noted is news again."""
    with suppress(OSError), _stamp(queue, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, "w") as file:
        file.write(rfc3339(queue.now) + "\n")


def _stamp(queue: Queue, flags: int, mode: str = "r") -> IO[str]:
    """The file with the time of the last look; a link or a pipe that lies in its place is neither followed nor waited
    for."""
    flags |= os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    return open(os.open(queue.here.looked, flags, 0o600), mode, encoding="ascii")
