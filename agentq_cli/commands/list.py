"""`agentq list`: the tasks that are waiting and running."""

from __future__ import annotations

from collections.abc import Iterator

from agentq_cli.commands import filters, of_line
from agentq_cli.diagnose.why import Why
from agentq_cli.model.statuses import Status
from agentq_cli.options import values
from agentq_cli.show import documents, tables
from agentq_cli.show.results import Items, Result, Told
from agentq_cli.show.tables import Column

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.cli.context import Context
    from agentq_cli.options.table import Given


def _when(item: documents.Item) -> object:
    """When it is due; to a person, for a live occurrence of a schedule, how that repeats, and nothing once it has
    ended."""
    if not item["live"]:
        return Told(item["due_at"], tables.NOTHING)
    return Told(item["due_at"], documents.recurs(item["schedule"])) if item["schedule"] else item["due_at"]


COLUMNS = (
    Column("ID", "id", keep=True),
    Column("STATUS", "status", kind="status", keep=True),
    Column("WHEN", _when, kind="time", spare=3, sparse=True),
    Column("PRI", "priority", kind="number", spare=True),
    Column("AGENT", "agent", spare=True),
    Column("CONVERSATION", "line", spare=2, sparse=2),
    Column("ENDED", "ended_at", kind="time", spare=3, sparse=True),
    Column("REASON", lambda item: None if item["live"] else item["reason"], kind="waiting", spare=3, sparse=True),
    Column("WAITING", "waiting", kind="waiting", spare=2, sparse=True),
    Column("TASK", documents.work),
)
HOST = Column("HOST", "host", spare=2, sparse=2)
"""Shown in a fleet, before the last column."""

EXAMPLES = (
    ("agentq list", "List what is waiting and running."),
    ("agentq list --status failed --label nightly", "List the failed tasks with one label."),
    ("agentq list --all -s docs --json", "List all tasks of a session, for a script."),
)


def list_(given: Given, at: Context) -> Result:
    """List the live tasks, soonest first.

    With --all, or if --status names one of an ended task, the ended tasks follow, newest first. --since and --until are
    about when a task is due, or when it ended.
    """
    session = given["session"]
    address = None if given["task"] is None else values.parse_address(given["task"])
    queue = at.open_queue()
    chosen = filters.statuses(given["status"], Status)
    series = filters.of_series(queue, given["series"])
    where = {name: given[name] for name in ("agent", "label", "limit")} | filters.when(at, given)
    there = filters.place(at, queue, session, address, series)
    if series is not None:
        session, where["series"] = series
    if address is not None:
        session, where["seq"] = address

    def items() -> Iterator[documents.Item]:
        if not there:
            return
        why = Why(queue, at.config)
        ended = bool(given["all"]) or address is not None
        for task in queue.tasks(session=session, statuses=chosen, ended=ended, **where):
            reason = why.of(task)
            item = documents.task(task, now=queue.now, waiting_for=reason, host=why.host(task))
            ended_at = documents.moment(task.ended_at)
            shown = {"waiting": reason, "ended_at": ended_at, "live": not task.status.ended}
            shown["line"] = of_line.key(at.config, task)
            yield item if at.as_json else {**item, **shown}

    columns = COLUMNS if at.url is None else (*COLUMNS[:-1], HOST, COLUMNS[-1])
    return Items("tasks", items(), columns, empty="no tasks; 'agentq list --all' also shows ended ones")
