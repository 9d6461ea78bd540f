"""`agentq retry`: run ended tasks again under their addresses."""

from __future__ import annotations

from agentq_cli import documents, output
from agentq_cli.commands import targets
from agentq_cli.context import context
from agentq_cli.defaults import NOBODY_THERE
from agentq_cli.errors import Usage
from agentq_cli.output import Items, Result
from agentq_cli.supervise import wake
from agentq_cli.supervise.ring import ring
from agentq_cli.why import Why

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.commands import options

EXAMPLES = (
    ("agentq retry 3", "One more attempt."),
    ("agentq retry docs/7 docs/8", "Several at once."),
)


def retry(ids: options.Ids = None) -> Result:
    """Run ended tasks again.

    Each under its own address, as a new attempt with a fresh retry budget. What was cancelled because of it reopens.
    """
    at = context()
    if not ids:
        raise Usage("retry: name the tasks to run again")
    queue = at.open_queue()
    if len(ids) == 1:
        tasks = [queue.retry(targets.address(ids[0]))]
    else:
        results = targets.each_task(ids, queue.retry, lambda task: f"{task.address} is {task.shown_status(queue.now)}")
        tasks = [queue.task(targets.address(item.id)) for item in results.items if item.ok]
        if results.code:
            targets.settle_dependents(queue)
            ring(queue.state.bells)
            return results
    targets.settle_dependents(queue)
    ring(queue.state.bells)
    if wake.unattended(queue, [task.session for task in tasks]):
        output.hint(NOBODY_THERE)
    why = Why(queue, at.config)
    found = [documents.task(task, now=queue.now, waiting_for=why.of(task)) for task in tasks]
    return Items("tasks", found, line=lambda item: str(item["id"]))
