"""`agentq restore`: bring back a tree that was removed or has vanished."""

from __future__ import annotations

from agentq_cli.commands import tree_target
from agentq_cli.model.actions import TargetResult
from agentq_cli.model.addresses import RunId
from agentq_cli.show import notices
from agentq_cli.show.results import Result, Results
from agentq_cli.trees import removal
from agentq_cli.trees.lines import line_of
from agentq_cli.trees.place import trees_directory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.cli.context import Context
    from agentq_cli.options.table import Given

EXAMPLES = (
    ("agentq restore docs/7", "Bring back the tree of a task, as it was when it was removed."),
    ("agentq restore docs/7.1", "Bring it back as its first run left it."),
    ("agentq restore -s docs", "Bring back that of a session."),
)


def restore(given: Given, at: Context) -> Result:
    """Bring back a tree that 'agentq discard' or 'agentq prune' removed, or that has vanished.

    It comes from its branch, if that is still there, and from a snapshot: what was uncommitted is uncommitted again.
    """
    target, key, attempt = tree_target.target("restore", given)
    queue = at.open_queue()
    line = line_of(queue, trees_directory(at.config, queue.here.path), target, key, also_gone=True)
    run = None if attempt is None or isinstance(target, str) else RunId(*target, attempt)
    record, notes = removal.restore(line, at.environ, now=queue.now, run=run)
    for each in notes:
        notices.note(f"{record.line}: {each}")
    said = f"{record.line}: its tree {record.number} is back in '{record.path}', on the branch '{record.branch}'"
    return Results([TargetResult(record.line, True, 0, said, None)])
