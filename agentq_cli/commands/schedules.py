"""`agentq schedules`: every live series, when it is next due and how it went."""

from __future__ import annotations

from collections.abc import Iterator

from agentq_cli.commands import filters
from agentq_cli.engines.door import Queue
from agentq_cli.model.addresses import Address
from agentq_cli.model.statuses import Status
from agentq_cli.model.tasks import Task
from agentq_cli.policy.series import Recurrence
from agentq_cli.show import documents
from agentq_cli.show.results import Items, Result
from agentq_cli.show.tables import Column

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.cli.context import Context
    from agentq_cli.options.table import Given

COLUMNS = (
    Column("SERIES", "id", keep=True),
    Column("WHEN", lambda series: documents.recurs(series["schedule"])),
    Column("NEXT", "next_due_at", kind="time", spare=3),
    Column("LAST RUN", "last_run", spare=1),
    Column("LAST", "last_status", kind="status", keep=True),
    Column("RUNS", "runs", kind="number", spare=2),
    Column("FAILED", "failures_in_a_row", kind="number", spare=2),
    Column("PAUSED", "paused", spare=1),
    Column("TASK", "title"),
)

EXAMPLES = (
    ("agentq schedules", "List every schedule."),
    ("agentq schedules -s docs --json", "Print those of one session as a JSON document."),
)


def schedules(given: Given, at: Context) -> Result:
    """List the schedules that are live, the soonest first: when each is next due, and how its last run ended.

    FAILED counts the failures in a row. Any address of a schedule names it in 'agentq runs --series ID'.
    """
    session = given["session"]
    queue = at.open_queue()
    series = filters.of_series(queue, given["series"])
    there = filters.place(at, queue, session, None, series)
    where = {"agent": given["agent"], "label": given["label"]}
    if series is not None:
        session, where["series"] = series

    def items() -> Iterator[documents.Item]:
        for task in queue.tasks(session=session, recurring=True, **where) if there else ():
            if task.recurrence is not None and task.rearms:
                yield _series(queue, task, task.recurrence)

    return Items("schedules", items(), COLUMNS, empty="no schedules; 'agentq schedule' makes one")


def _series(queue: Queue, task: Task, recurrence: Recurrence) -> documents.Item:
    last = next(queue.runs(session=task.session, series=task.series, limit=1), None)
    schedule = documents.schedule(task, recurrence, queue.now)
    running = task.status is Status.RUNNING
    coming = schedule["next"][0] if schedule["next"] else None
    paused = task.status is Status.PAUSED or (task.successor is not None and task.successor.paused)
    return {
        "id": str(Address(task.session, task.series or task.seq)),
        "task": str(task.address),
        "session": task.session,
        "status": task.shown_status(queue.now).value,
        "agent": task.work.agent,
        "title": documents.title(task.work.argv, task.work.prompt),
        "schedule": schedule,
        "next_due_at": coming if running else documents.moment(task.due_at),
        "last_run": None if last is None else str(last.id),
        "last_status": None if last is None else last.status.value,
        "last_started_at": None if last is None else documents.moment(last.started_at),
        "runs": recurrence.runs + int(running),
        "failures_in_a_row": recurrence.streak,
        "paused": paused,
        "reason": task.successor.reason if paused and task.successor is not None else task.reason,
    }
