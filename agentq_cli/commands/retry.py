"""`agentq retry`: run ended tasks again under their addresses."""

from __future__ import annotations

from agentq_cli.base.defaults import NOBODY_THERE
from agentq_cli.base.errors import Usage
from agentq_cli.commands import targets
from agentq_cli.diagnose.why import Why
from agentq_cli.engines.door import done
from agentq_cli.model.actions import Undone
from agentq_cli.show import documents, notices
from agentq_cli.show.results import Items, Result
from agentq_cli.supervise import attended

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.cli.context import Context
    from agentq_cli.options.table import Given

EXAMPLES = (
    ("agentq retry 3", "Run a task again."),
    ("agentq retry docs/7 docs/8", "Run several again."),
)


def retry(given: Given, at: Context) -> Result:
    """Run ended tasks again.

    Each runs under its own address, as a new attempt with a fresh retry budget. Tasks that its failure had cancelled
    are reopened.
    """
    ids = given["ids"]
    if not ids:
        raise Usage("retry: name the tasks to run again")
    queue = at.open_queue()
    found = targets.each(ids, queue.retry_each)
    targets.settle_dependents(queue)
    if any(isinstance(task, Undone) for _, task in found):
        now = queue.now
        return targets.results(found, lambda _, task: f"{task.address} is {task.shown_status(now)}", now)
    tasks = [done(task) for _, task in found]
    if attended.unattended(queue, [task.session for task in tasks]):
        notices.hint(NOBODY_THERE)
    why = Why(queue, at.config)
    items = (documents.task(task, now=queue.now, waiting_for=why.of(task)) for task in tasks)
    return Items("tasks", items, line=lambda item: str(item["id"]))
