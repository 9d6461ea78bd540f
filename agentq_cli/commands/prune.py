"""`agentq prune`: remove ended tasks with their runs and files."""

from __future__ import annotations

from agentq_cli.base.errors import Usage, WrongState
from agentq_cli.commands import targets
from agentq_cli.engines.door import Queue
from agentq_cli.model.actions import Undone
from agentq_cli.model.tasks import Task
from agentq_cli.options import values
from agentq_cli.show.results import Result

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.cli.context import Context
    from agentq_cli.options.table import Given

EXAMPLES = (
    ("agentq prune --older-than 90d --dry-run", "Show what would be removed."),
    ("agentq prune --older-than 90d --yes", "Remove what ended more than 90 days ago, from a script."),
    ("agentq prune docs/7 docs/8", "Remove two tasks."),
)


def prune(given: Given, at: Context) -> Result:
    """Remove ended tasks, their runs and their output, for good.

    Their addresses are not used again. A task on which a live task depends is kept.
    """
    ids, older_than, session = given["ids"], given["older_than"], given["session"]
    if bool(ids) == (older_than is not None):
        raise Usage("prune: name tasks, or an age with --older-than" + ("; not both" if ids else ""))
    if ids and session is not None:
        raise Usage(f"--session '{session}': only together with --older-than")
    queue = at.open_queue()
    if older_than is None:
        names = targets.all_expanded(ids)
    else:
        age = values.parse_duration(older_than, "--older-than")
        only = None if session is None else values.parse_session(session)
        names = [str(address) for address in queue.ended_before(queue.now - age, session=only)]
    if given["dry_run"]:
        found = targets.each(
            queue, names, lambda addresses: [_would(queue, task) for task in queue.task_each(addresses)]
        )
        return targets.results(found, lambda _, task: f"{task.address} would be pruned", queue.now)
    if names:
        targets.confirm(bool(given["yes"]), f"prune {len(names)} {'task' if len(names) == 1 else 'tasks'} for good")
    found = targets.each(queue, names, queue.prune_each)
    return targets.results(found, lambda _, task: f"{task.address} is pruned", queue.now)


def _would(queue: Queue, task: Task | Undone) -> Task | Undone:
    """The same, or why it would not be pruned."""
    if isinstance(task, Undone):
        return task
    if not task.status.ended:
        status = task.shown_status(queue.now)
        return Undone(WrongState(f"task '{task.address}': it is {status}; only an ended task can be pruned"), status)
    waiting = queue.depended_on(task.address)
    if waiting is not None:
        return Undone(WrongState(f"task '{task.address}': {waiting} depends on it"), task.status)
    return task
