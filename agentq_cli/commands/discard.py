"""`agentq discard`: remove a tree and its branch, whatever became of the work in it."""

from __future__ import annotations

from agentq_cli.base.errors import WrongState
from agentq_cli.commands import targets, tree_target
from agentq_cli.git.holds import LEFT
from agentq_cli.git.tree_state import is_away
from agentq_cli.model.actions import TargetResult
from agentq_cli.show import notices
from agentq_cli.show.results import Result, Results
from agentq_cli.trees import removal
from agentq_cli.trees.lines import line_of
from agentq_cli.trees.listing import find_uses
from agentq_cli.trees.place import trees_directory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.cli.context import Context
    from agentq_cli.engines.door import Queue
    from agentq_cli.options.table import Given
    from agentq_cli.trees.lines import Line
    from agentq_cli.trees.removal import Lost

SHOWN = 20
"""How many of the things that will be lost are named."""

EXAMPLES = (
    ("agentq discard 3", "Remove the tree of a task and its branch, after a snapshot."),
    ("agentq discard -s docs --yes", "Remove that of a session, from a script."),
)


def discard(given: Given, at: Context) -> Result:
    """Remove a tree and its branch, whatever became of the work in it.

    A snapshot is taken before, so that 'agentq restore' brings it back; what no snapshot can hold is named, and lost.
    Of a tree whose repository does not exist any more, the rest goes for good. The task itself stays.
    """
    target = tree_target.target("discard", given)
    queue = at.open_queue()
    trees = trees_directory(at.config, queue.here.path)
    line = line_of(queue, trees, target.line, target.key)
    record = line.record
    if line.removed is not None:
        raise WrongState(f"'{record.line}': its tree is gone already; `agentq restore {record.words}` brings it back")
    _refuse_used(queue, trees, line)
    lost = removal.find_lost(record, at.environ, at.config.caches)
    _tell(lost)

    def still() -> bool:
        return _refuse_used(queue, trees, line)

    if is_away(record.repository):
        targets.confirm(bool(given["yes"]), f"discard for good what is left of the tree of {record.line}")
        removal.remove_rest(record, at.environ, tell=notices.warn, still=still)
        said = f"{record.line}: what was left of its tree is discarded for good"
        return Results([TargetResult(record.line, True, 0, said, None)])
    gone = [each for each in lost if each.what != LEFT]
    count = "1 path" if len(gone) == 1 else f"{len(gone)} paths"
    what = f" and {count} in it for good" if gone else ""
    targets.confirm(bool(given["yes"]), f"discard the tree of {record.line}, its branch '{record.branch}'{what}")
    removal.remove(
        record,
        at.environ,
        now=queue.now,
        tell=notices.warn,
        still=still,
        at_any_price=True,
    )
    what = f"{record.line}: its tree and the branch '{record.branch}' are discarded"
    said = f"{what}; `agentq restore {record.words}` brings it back"
    return Results([TargetResult(record.line, True, 0, said, None)])


def _tell(lost: list[Lost]) -> None:
    for each in lost[:SHOWN]:
        if each.what == LEFT:
            notices.note(f"HEAD left its branch for {each.path}; the snapshot keeps its commits")
        else:
            notices.note(f"will be lost: {each.path or each.what}{f' ({each.what})' if each.path else ''}")
    if len(lost) > SHOWN:
        notices.note(f"and {len(lost) - SHOWN} more")


def _refuse_used(queue: Queue, trees: str, line: Line) -> bool:
    if line.record.path in find_uses(queue, trees).running:
        raise WrongState(f"'{line.record.line}': a run works in its tree; cancel it first")
    return True
