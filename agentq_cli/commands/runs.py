"""`agentq runs`: the audit log, one row per attempt."""

from __future__ import annotations

from collections.abc import Iterator

from agentq_cli.commands import filters, run_document
from agentq_cli.engines.door import Queue
from agentq_cli.model.runs import Run
from agentq_cli.options import values
from agentq_cli.show import changes, costs, documents
from agentq_cli.show.results import Items, Result
from agentq_cli.show.tables import Column

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.cli.context import Context
    from agentq_cli.options.table import Given


def _cost(run: documents.Item) -> str | None:
    """What it cost; `?` if its agent did not say, nothing for a command."""
    if run["cost_usd"] is None and (run["agent"] is None or run["finished_at"] is None):
        return None
    return costs.money(run["cost_usd"])


COLUMNS = (
    Column("RUN", "id", kind="address"),
    Column("STATUS", "status", kind="status", keep=True),
    Column("STARTED", "started_at", kind="time", spare=3),
    Column("TOOK", "duration_ms", kind="duration", keep=True),
    Column("COST", _cost, kind="number", spare=2, sparse=True),
    Column("CHANGES", changes.of_item, kind="number", spare=1, sparse=2),
    Column("TASK", "title", under="error"),
)
HOST = Column("HOST", "host", spare=1)
"""Shown in a fleet, before the last column."""

EXAMPLES = (
    ("agentq runs", "List the newest 100 runs."),
    ("agentq runs docs/7", "List every attempt at one task."),
    ("agentq runs --status failed --since 1d", "List what failed within a day."),
    ("agentq runs --series 1", "List every run of a schedule."),
)


def runs(given: Given, at: Context) -> Result:
    """List what ran, newest first, and how it ended.

    Of a run that failed the last column is the error. --since and --until are about when a run started. --status also
    takes 'completed' and 'failed', as for a task; 'failed' is every unsuccessful end but a cancel. Without --limit it
    shows the newest 100.
    """
    address = None if given["task"] is None else values.parse_address(given["task"])
    queue = at.open_queue()
    which = filters.which_runs(at, queue, given, address)
    limit = given["limit"] or filters.NEWEST

    def items() -> Iterator[documents.Item]:
        if which is not None:
            yield from _documents(queue, queue.runs(address=address, limit=limit, **which))

    columns = COLUMNS if at.url is None else (*COLUMNS[:-1], HOST, COLUMNS[-1])
    return Items("runs", items(), columns, empty="no runs")


def _documents(queue: Queue, runs: Iterator[Run]) -> Iterator[documents.Item]:
    for run, task in filters.with_tasks(queue, runs, lambda run: run.id.address):
        yield run_document.of(queue, run, task)
