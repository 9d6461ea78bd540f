"""A snapshot of the whole queue, in bounded reads: what `top` shows and what bare `agentq` answers from."""

from __future__ import annotations

from collections.abc import Sequence

from agentq_cli.base.dataclass import dataclass
from agentq_cli.base.errors import AgentqError
from agentq_cli.commands.following import last_said
from agentq_cli.commands.workers import gate_items, running, supervisor_item
from agentq_cli.diagnose.why import Why
from agentq_cli.engines.door import Queue
from agentq_cli.model.addresses import RunId
from agentq_cli.model.runs import PastRun
from agentq_cli.model.statuses import Status
from agentq_cli.model.tasks import Task
from agentq_cli.model.workers import Worker
from agentq_cli.options import values
from agentq_cli.policy import figures
from agentq_cli.show import documents

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from agentq_cli.cli.context import Context

WAITING = 20
"""How many tasks of each kind (due, coming, paused or blocked) are read."""

RUNNING = 100
ENDED = 20
LONGEST = 300
"""The most characters of a run's last line."""

LOG_BYTES = 64 * 1024
"""How many bytes at the end of a log are read to show its last lines."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of the queue at `at`; the fields are the keys of `agentq.top/1`. Their items are as in other documents,
    or as described here.

    `counts` are all live tasks by status. `running` are workers with `age_ms`, `series`, `work` and `last_line`.
    `waiting` has the first tasks that are due, come next, or are kept back, with `id, session, series, status, due_at,
    agent, waiting_for, work`, and outside the JSON `why`, a WaitingFor. `sessions` has `name, paused, counts` of the
    sessions with live tasks; `ended` the last runs that ended.
    """

    at: str
    counts: documents.Item
    supervisors: Sequence[documents.Item]
    running: Sequence[documents.Item]
    waiting: Sequence[documents.Item]
    sessions: Sequence[documents.Item]
    gates: Sequence[documents.Item]
    ended: Sequence[documents.Item]

    def document(self) -> dict[str, Any]:
        """The keys and values of the JSON document."""
        found = {name: getattr(self, name) for name in self.__match_args__}
        bare = [{key: value for key, value in item.items() if key != "why"} for item in self.waiting]
        return found | {"waiting": bare}


def snapshot(at: Context, queue: Queue) -> Snapshot:
    """A new snapshot. Raises Busy, Unreadable."""
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
        waiting=_waiting(at, queue),
        sessions=[
            {"name": name, "paused": name in paused, "counts": {status.value: n for status, n in by_status.items()}}
            for name, by_status in counts.items()
        ],
        gates=gate_items(at, queue, len(workers), supervisors),
        ended=[
            _ended(run) for run in sorted(queue.figures.recent_ends(ENDED), key=lambda run: -(run.finished_at or 0))
        ],
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
        return {"series": None, "work": ""}
    return {"series": _series(task), "work": documents.brief_work(task.work.argv, task.work.prompt)}


def _series(task: Task) -> str | None:
    return None if task.series is None else f"{task.session}/{task.series}"


def _waiting(at: Context, queue: Queue) -> list[documents.Item]:
    why = Why(queue, at.config)
    items: list[documents.Item] = []
    for task in queue.figures.glance(WAITING):
        reason = why.of(task)
        items.append(
            {
                "id": str(task.address),
                "session": task.session,
                "series": _series(task),
                "status": task.shown_status(queue.now).value,
                "due_at": documents.moment(task.due_at),
                "agent": task.work.agent,
                "waiting_for": None if reason is None else documents.waiting(reason),
                "why": reason,
                "work": documents.brief_work(task.work.argv, task.work.prompt),
            }
        )
    return items


def _ended(run: PastRun) -> documents.Item:
    return {
        "id": str(run.id),
        "task": str(run.id.address),
        "agent": run.agent,
        "status": run.status.value,
        "finished_at": documents.moment(run.finished_at),
        "duration_ms": run.duration_ms,
        "exit_code": run.exit_code,
        "failure_class": run.failure_class,
        "error": run.error,
    }


def log_tail(queue: Queue, task: str, stream: str, lines: int) -> tuple[str, list[str]]:
    """The name of a run, or of a task's last run, and the last lines that it wrote. Raises NotFound, Busy, Unreadable,
    OSError."""
    address, attempt = values.parse_run(task)
    if attempt is None:
        attempt = queue.task(address, background=True).last_run
        if attempt is None:
            return task, []
    run = RunId(*address, attempt)
    with queue.output(run, stream) as output:
        text = output.last(LOG_BYTES)
    return str(run), text.splitlines()[-lines:]
