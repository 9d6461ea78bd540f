"""A snapshot of the whole queue, in bounded reads: what `top` shows and prints."""

from __future__ import annotations

from collections.abc import Sequence

from agentq_cli.base.dataclass import dataclass
from agentq_cli.base.errors import AgentqError
from agentq_cli.commands import run_document
from agentq_cli.commands.following import last_said
from agentq_cli.commands.workers import gate_items, running, supervisor_item
from agentq_cli.diagnose.why import Why
from agentq_cli.engines.door import Queue
from agentq_cli.model.addresses import Address
from agentq_cli.model.runs import PastRun
from agentq_cli.model.statuses import Status
from agentq_cli.model.tasks import Task
from agentq_cli.model.workers import Worker
from agentq_cli.options import values
from agentq_cli.policy import figures
from agentq_cli.show import changes, documents

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from agentq_cli.cli.context import Context
    from agentq_cli.policy.schedule import Schedule

FEW = 20
"""How many tasks of each kind (due, coming, kept back), series and ended runs a document has."""

RUNNING = 100
LONGEST = 300
"""The most characters of a run's last line."""

INTERNAL = ("why", "labels", "priority", "changes")
"""Keys of items that are not in the document."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of the queue at `at`; the fields are the keys of `agentq.top/1`. Their items are as in other documents,
    or as described here.

    `counts` are all live tasks by status. `running` are workers with `age_ms`, `series`, `work` and `last_line`.
    `waiting` has the first tasks that are due, come next, or are kept back, with `id, session, series, status, due_at,
    agent, waiting_for, work`, and outside the JSON `why`, a WaitingFor. `sessions` has `name, paused, counts` of the
    sessions with live tasks. `schedules` are the live series, soonest first: `id` and its live occurrence, `task`, its
    `times`, and how its newest run ended. `ended` are the last runs that ended.
    """

    at: str
    counts: documents.Item
    supervisors: Sequence[documents.Item]
    running: Sequence[documents.Item]
    waiting: Sequence[documents.Item]
    sessions: Sequence[documents.Item]
    gates: Sequence[documents.Item]
    schedules: Sequence[documents.Item]
    ended: Sequence[documents.Item]

    def document(self) -> dict[str, Any]:
        """The keys and values of the JSON document."""
        found: dict[str, Any] = {name: getattr(self, name) for name in self.__match_args__}
        for name in ("running", "waiting", "schedules", "ended"):
            found[name] = [{key: item[key] for key in item if key not in INTERNAL} for item in found[name]]
        return found


def take(at: Context, queue: Queue, *, limit: int = FEW) -> Snapshot:
    """A new snapshot with up to `limit` items of each kind. Raises Busy, Unreadable."""
    counts = queue.figures.live_counts()
    total = figures.total(counts)
    workers = queue.workers()
    supervisors = queue.living()
    paused = queue.snapshot().paused_sessions
    return Snapshot(
        at=documents.moment(queue.now) or "",
        counts={status.value: total[status] for status in Status if not status.ended},
        supervisors=[supervisor_item(at, supervisor) for supervisor in supervisors],
        running=_running(queue, workers[:RUNNING]),
        waiting=_waiting(at, queue, limit),
        sessions=[
            {"name": name, "paused": name in paused, "counts": {status.value: n for status, n in by_status.items()}}
            for name, by_status in counts.items()
        ],
        gates=gate_items(at, queue, len(workers), supervisors),
        schedules=[_series(task, last, queue.now) for task, last in queue.figures.series(limit)],
        ended=_ended(queue, limit),
    )


def _running(queue: Queue, workers: Sequence[Worker]) -> list[documents.Item]:
    items: list[documents.Item] = []
    for worker, item in zip(workers, running(queue, workers), strict=True):
        more = {"age_ms": max(0, queue.now - worker.claimed_at), **_task_of(queue, worker)}
        items.append({**item, **more, "last_line": last_said(queue, worker.id)[:LONGEST]})
    return items


def _task_of(queue: Queue, worker: Worker) -> documents.Item:
    """What a run does, and its series; empty if its session cannot be read now."""
    try:
        task = queue.task(worker.id.address, background=True)
    except AgentqError:
        return {"series": None, "work": "", "labels": ()}
    return {"series": _series_of(task), "work": _work(task), "labels": task.work.labels}


def _series_of(task: Task) -> str | None:
    return None if task.series is None else f"{task.session}/{task.series}"


def _work(task: Task) -> str:
    return documents.brief_work(task.work.argv, task.work.prompt)


def _waiting(at: Context, queue: Queue, limit: int) -> list[documents.Item]:
    why = Why(queue, at.config)
    items: list[documents.Item] = []
    for task in queue.figures.glance(limit):
        reason = why.of(task)
        items.append(
            {
                "id": str(task.address),
                "session": task.session,
                "series": _series_of(task),
                "status": task.shown_status(queue.now).value,
                "due_at": documents.moment(task.due_at),
                "agent": task.work.agent,
                "waiting_for": None if reason is None else documents.waiting(reason),
                "why": reason,
                "labels": task.work.labels,
                "priority": task.work.priority,
                "work": _work(task),
            }
        )
    return items


def _series(task: Task, last: PastRun | None, now: int) -> documents.Item:
    assert task.recurrence is not None
    paused = task.status is Status.PAUSED
    coming = documents.coming(task, now)[:1] if task.status is Status.RUNNING else [task.due_at]
    return {
        "id": _series_of(task),
        "task": str(task.address),
        "session": task.session,
        "agent": task.work.agent,
        "status": task.shown_status(now).value,
        "times": times(task.recurrence.schedule),
        "next_at": documents.moment(coming[0]) if coming and not paused else None,
        "last_run": None if last is None else str(last.id),
        "last_status": None if last is None else last.status.value,
        "runs": task.recurrence.runs,
        "failures": task.recurrence.streak,
        "labels": task.work.labels,
        "priority": task.work.priority,
        "work": _work(task),
    }


def times(schedule: Schedule) -> str:
    """When a series runs, in a few words: `every 30m`, `0 9 * * 1-5 Berlin`, `once`."""
    if schedule.every_ms is not None:
        return f"every {values.format_duration(schedule.every_ms)}"
    if schedule.expr is not None:
        return f"{schedule.expr} {schedule.tz.rpartition('/')[2]}"
    return "once"


def _ended(queue: Queue, limit: int) -> list[documents.Item]:
    runs = sorted(queue.figures.recent_ends(limit), key=lambda run: -(run.finished_at or 0))
    addresses = list(dict.fromkeys(run.id.address for run in runs))
    tasks = dict(zip(addresses, queue.task_each(addresses), strict=True))
    return [_ended_run(queue, run, task if isinstance(task := tasks[run.id.address], Task) else None) for run in runs]


def _ended_run(queue: Queue, run: PastRun, task: Task | None) -> documents.Item:
    if task is not None and run.attempt <= task.work.launch.earlier_runs:
        task = None  # it was replaced since, and what it did is forgotten
    asked = None if task is None else run_document.asked(run, task, queue.files(run.id))
    return {
        "id": str(run.id),
        "task": str(Address(run.session, run.seq)),
        "session": run.session,
        "agent": run.agent,
        "status": run.status.value,
        "finished_at": documents.moment(run.finished_at),
        "duration_ms": run.duration_ms,
        "exit_code": run.exit_code,
        "failure_class": run.failure_class,
        "error": run.error,
        "cost_usd": run.cost_usd,
        "files_changed": None if run.left is None else run.left.files_changed,
        "insertions": None if run.left is None else run.left.insertions,
        "deletions": None if run.left is None else run.left.deletions,
        "landed": None if run.landing is None else run.landing.shown,
        "changes": changes.of_run(run.left),
        "labels": () if task is None else task.work.labels,
        "work": "" if task is None else documents.brief_work(task.work.argv, asked),
    }
