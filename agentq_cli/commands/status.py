"""`agentq status`: what supervisors do, beside what `agentq` alone shows."""

from __future__ import annotations

from agentq_cli.commands import overview, workers
from agentq_cli.model.fleet import machine_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentq_cli.cli.context import Context
    from agentq_cli.commands.overview import Cells, Line
    from agentq_cli.engines.door import Queue
    from agentq_cli.model.workers import Supervisor
    from agentq_cli.options.table import Given
    from agentq_cli.show.results import Result

EXAMPLES = (
    ("agentq status", "Show what supervisors do, what runs, what waits and why, and what failed."),
    ("agentq status --json", "Show the same for a script, with the last supervisors that have ended."),
)


def status(given: Given, at: Context) -> Result:
    """Show what supervisors do now, how their last period of running ended, and the state of the queue at a glance.

    A supervisor is idle, running, paused (the queue is, or each of its sessions), draining (it was told to stop, and
    waits for what it runs) or ended.
    """
    queue = at.open_queue()
    living, ended = queue.living(), queue.ended_supervisors()
    items = [*(workers.supervisor_item(at, each) for each in living), *map(workers.ended_item, ended)]
    return overview.glance("status", at, queue, list(_lines(queue, living or ended[:1])), supervisors=items)


def _lines(queue: Queue, supervisors: list[Supervisor]) -> Iterator[Line]:
    def cells(of: Supervisor, now: int | None) -> Cells:
        name = str(of.identity.pid) if of.host in (None, machine_name()) else f"{of.identity.pid} on {of.host}"
        since = "" if of.since is None else f"since {overview.moment(of.since, now)}"
        last = "" if of.last_result is None else f"last result: {of.last_result}"
        return name, of.state, since, of.reason or f"{of.jobs} at once", last

    return overview.told("Supervisors", supervisors, cells, queue.now, none=overview.same("none"))
