"""`agentq trigger`: an extra occurrence of a schedule, now."""

from __future__ import annotations

from agentq_cli.commands import nobody_there, targets
from agentq_cli.diagnose.why import Why
from agentq_cli.show import documents
from agentq_cli.show.results import Items, Result

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.cli.context import Context
    from agentq_cli.options.table import Given

EXAMPLES = (
    ("agentq trigger 12", "Run it once more, even if it is paused."),
    ("agentq trigger docs/4 --json", "Print the task as a JSON document."),
)


def trigger(given: Given, at: Context) -> Result:
    """Run a schedule's work once now, without changing the schedule.

    Prints the address of the extra occurrence.
    """
    queue = at.open_queue()
    task = queue.trigger(targets.address(given["id"]))
    nobody_there.check(at, queue, [task])
    why = Why(queue, at.config)
    document = documents.task(task, now=queue.now, waiting_for=why.exactly(task), host=why.host(task))
    return Items("tasks", [document], line=lambda item: str(item["id"]))
