"""`agentq list`: the tasks that are waiting and running."""

from __future__ import annotations

from collections.abc import Iterator

from agentq_cli.base.clock import from_rfc3339
from agentq_cli.commands import filters
from agentq_cli.diagnose.why import Why
from agentq_cli.model.statuses import Status
from agentq_cli.options import values
from agentq_cli.show import documents
from agentq_cli.show.results import Items, Result
from agentq_cli.show.tables import Column, ZoneTime

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.cli.context import Context
    from agentq_cli.options.table import Given


def _due(item: documents.Item) -> object:
    """When it is due; for a coming occurrence also on the wall clock of its schedule's zone."""
    if item["schedule"] and item["status"] == "scheduled":
        local = values.format_local(from_rfc3339(item["due_at"]), item["schedule"]["tz"])
        return ZoneTime(item["due_at"], local)
    return item["due_at"]


COLUMNS = (
    Column("ID", "id", keep=True),
    Column("STATUS", "status", kind="status", keep=True),
    Column("DUE", _due, kind="time", spare=3),
    Column("PRI", "priority", kind="number", spare=True),
    Column("AGENT", "agent", spare=True),
    Column("WAITING", "waiting", kind="waiting", spare=2, sparse=True),
    Column("TASK", documents.work),
)

EXAMPLES = (
    ("agentq list", "List what is waiting and running."),
    ("agentq list --status failed --label nightly", "List the failed tasks with one label."),
    ("agentq list --all -s docs --json", "List all tasks of a session, for a script."),
)


def list_(given: Given, at: Context) -> Result:
    """List the live tasks, soonest first.

    With --all, or if --status names one of an ended task, the ended tasks follow.
    """
    session = given["session"]
    queue = at.open_queue()
    chosen = filters.statuses(given["status"], Status)
    there = session is None or filters.has_session(at, queue, session)

    def items() -> Iterator[documents.Item]:
        if not there:
            return
        why = Why(queue, at.config)
        found = queue.tasks(
            session=session, statuses=chosen, label=given["label"], ended=bool(given["all"]), limit=given["limit"]
        )
        for task in found:
            reason = why.of(task)
            item = documents.task(task, now=queue.now, waiting_for=reason)
            yield item if at.as_json else {**item, "waiting": reason}

    return Items("tasks", items(), COLUMNS, empty="no tasks; 'agentq list --all' also shows ended ones")
