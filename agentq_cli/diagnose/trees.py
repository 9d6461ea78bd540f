"""The problems of the trees of tasks, each with what to do about it; for `health`."""

from __future__ import annotations

import os

from agentq_cli.base.errors import NotFound
from agentq_cli.git.tree_state import Condition, disk_usage, find_condition, find_strays
from agentq_cli.model.actions import Undone
from agentq_cli.model.addresses import Address
from agentq_cli.options.values import format_size
from agentq_cli.trees import listing, register
from agentq_cli.trees.place import trees_directory
from agentq_cli.trees.stuck import find_stuck

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agentq_cli.config.configuration import Config
    from agentq_cli.engines.door import Queue
    from agentq_cli.model.tasks import Task
    from agentq_cli.trees.records import TreeRecord

Problem = tuple[str, str, str]
"""The affected part, what is wrong, and what to do."""

SHOWN = 3


def problems(queue: Queue, config: Config) -> Iterator[Problem]:
    """All current problems of the trees. They are looked at without a process of git."""
    trees = trees_directory(config, queue.here.path)
    if not os.path.isdir(trees):
        return
    entries = list(register.entries(trees))
    records = [each for each in entries if not isinstance(each, register.BadRecord)]
    for each in entries:
        if isinstance(each, register.BadRecord):
            yield "trees", each.message, "remove the record; `agentq list` and git say which branch it belonged to"
    yield from _vanished(records)
    yield from _unknown(queue, trees, records)
    yield from _waiting(queue, records)
    if config.trees_warn_bytes and disk_usage(trees, config.trees_warn_bytes) > config.trees_warn_bytes:
        what = f"'{trees}': more than {format_size(config.trees_warn_bytes)} on disk (trees_warn)"
        yield "trees", what, "`agentq trees` names the largest; `agentq prune` removes what has landed"


def _vanished(records: Sequence[TreeRecord]) -> Iterator[Problem]:
    for record in records:
        try:
            condition = find_condition(record.repository, record.path)
        except OSError as error:
            yield f"tree {record.number}", f"{record.line}: '{error.filename}': {error.strerror}", "repair it"
            continue
        again = f"`agentq restore {record.words}` brings it back"
        if condition is Condition.AWAY:
            help_ = f"mount it or move it back, or `agentq discard {record.words}` if it was deleted"
            yield f"tree {record.number}", f"{record.line}: {listing.not_there(record, condition)}", help_
        elif condition in (Condition.VANISHED, Condition.UNKNOWN):
            what = f"{record.line}: {listing.not_there(record, condition)}"
            yield f"tree {record.number}", what, f"{again}; its next run does so too"


def _unknown(queue: Queue, trees: str, records: Sequence[TreeRecord]) -> Iterator[Problem]:
    strays = find_strays(trees, [each.path for each in records])
    if strays:
        more = f" and {len(strays) - SHOWN} more" if len(strays) > SHOWN else ""
        what = f"no task knows {', '.join(repr(each) for each in strays[:SHOWN])}{more}"
        yield "trees", what, "look whether somebody needs what is in there, and remove it"
    sessions = set(queue.session_names())
    owned = [each for each in records if each.seq is not None]
    tasks = queue.task_each([Address(each.session, each.seq or 0) for each in owned])
    found = {each.path for each, task in zip(owned, tasks, strict=True) if not _is_gone(task)}
    for record in records:
        gone = record.session not in sessions if record.seq is None else record.path not in found
        if gone:
            what = f"{record.line}: its task was pruned, and its tree is still there"
            help_ = f"`agentq land {record.words}` or `agentq discard {record.words}`"
            yield f"tree {record.number}", what, help_


def _is_gone(task: Task | Undone) -> bool:
    """Whether there is no such task any more; one that cannot be read now is there."""
    return isinstance(task, Undone) and isinstance(task.error, NotFound)


def _waiting(queue: Queue, records: Sequence[TreeRecord]) -> Iterator[Problem]:
    """Landings that wait for a person, or for the branch to pass its own check."""
    for record in records:
        stuck = find_stuck(queue, record)
        if stuck is not None:
            yield f"task {stuck.task}", stuck.what, stuck.then
