"""`agentq runs`: the audit log, one row per attempt."""

from __future__ import annotations

from collections.abc import Iterator

from agentq_cli.commands import filters
from agentq_cli.model.statuses import RunStatus
from agentq_cli.options import values
from agentq_cli.show import documents
from agentq_cli.show.results import Items, Result
from agentq_cli.show.tables import Column

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.cli.context import Context
    from agentq_cli.options.table import Given

COLUMNS = (
    Column("RUN", "id", keep=True),
    Column("STATUS", "status", kind="status", keep=True),
    Column("STARTED", "started_at", kind="time", spare=3),
    Column("TOOK", "duration_ms", kind="duration", spare=True),
    Column("EXIT", "exit_code", kind="number", spare=1),
    Column("AGENT", "agent", spare=True),
    Column("ERROR", "error", sparse=True),
    Column("COMMAND", lambda run: documents.work(run) if run["agent"] is None else "", spare=2, sparse=True),
)

EXAMPLES = (
    ("agentq runs", "List the newest 100 runs."),
    ("agentq runs docs/7", "List every attempt at one task."),
    ("agentq runs --status error --since 1d", "List the errors of the last day."),
)


def runs(given: Given, at: Context) -> Result:
    """List what ran, newest first, and how it ended.

    Without --limit it shows the newest 100.
    """
    session = given["session"]
    address = None if given["task"] is None else values.parse_address(given["task"])
    queue = at.open_queue()
    chosen = filters.statuses(given["status"], RunStatus)
    begin = filters.since(at, given["since"])
    there = session is None or filters.has_session(at, queue, session)
    if address is not None:
        queue.task(address)
        there = there and session in (None, address.session)

    def items() -> Iterator[documents.Item]:
        if not there:
            return
        count = given["limit"] or filters.NEWEST
        for run in queue.runs(address=address, session=session, statuses=chosen, since=begin, limit=count):
            directory = queue.here.run(run.id)
            agent = directory.agent()
            yield documents.run(run, directory=directory.path, pid=None if agent is None else agent.pid)

    return Items("runs", items(), COLUMNS, empty="no runs")
