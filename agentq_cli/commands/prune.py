"""`agentq prune`: remove ended tasks with their runs and files."""

from __future__ import annotations

from agentq_cli import values
from agentq_cli.commands import targets
from agentq_cli.context import context
from agentq_cli.errors import NotFound, Usage, WrongState
from agentq_cli.model import Status, TargetResult
from agentq_cli.output import Result, Results
from agentq_cli.queue import Queue
from agentq_cli.supervise import removal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.commands import options

EXAMPLES = (
    ("agentq prune --older-than 90d --dry-run", "What would go."),
    ("agentq prune --older-than 90d --yes", "What ended three months ago, from a script."),
    ("agentq prune docs/7 docs/8", "Two tasks."),
)


def prune(
    ids: options.Ids = None,
    older_than: options.OlderThan = None,
    session: options.Session = None,
    dry_run: options.DryRun = False,
    yes: options.Yes = False,
) -> Result:
    """Remove ended tasks, their runs and their output, for good.

    Their addresses are not used again. A task that a live one depends on stays.
    """
    at = context()
    if bool(ids) == (older_than is not None):
        raise Usage("prune: name tasks, or an age with --older-than" + ("; not both" if ids else ""))
    if ids and session is not None:
        raise Usage(f"--session '{session}': only together with --older-than")
    queue = at.open_queue()
    if older_than is None:
        names = [targets.named(each) for each in ids or ()]
    else:
        age = values.parse_duration(older_than, "--older-than")
        only = None if session is None else values.parse_session(session)
        names = [str(address) for address in queue.ended_before(queue.now - age, session=only)]
    if dry_run:
        return Results([_would(queue, name) for name in names])
    if names:
        targets.confirm(yes, f"prune {len(names)} {'task' if len(names) == 1 else 'tasks'} for good")

    def one(target: str) -> tuple[str, Status]:
        task = removal.remove(queue, values.parse_address(target))
        return f"{task.address} is pruned", task.status

    return Results(targets.each(names, one))


def _would(queue: Queue, target: str) -> TargetResult:
    try:
        task = queue.task(values.parse_address(target))
    except (NotFound, Usage) as error:
        return TargetResult(target, False, error.code, error.message)
    if not task.status.ended:
        message = f"task '{target}': it is {task.shown_status(queue.now)}; only ended tasks are pruned"
        return TargetResult(target, False, WrongState.code, message, task.status)
    waiting = queue.depended_on(task.address)
    if waiting is not None:
        return TargetResult(target, False, WrongState.code, f"task '{target}': {waiting} depends on it", task.status)
    return TargetResult(target, True, 0, f"{target} would be pruned", task.status)
