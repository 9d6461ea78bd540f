"""What a change of a task leaves as it is in the task's tree, in words. Costs nothing for a task without one."""

from __future__ import annotations

import os

from agentq_cli.base.errors import AgentqError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.cli.context import Context
    from agentq_cli.model.tasks import Task
    from agentq_cli.trees.records import TreeRecord


def stays(at: Context, task: Task) -> str:
    """That the own tree of a task that is cancelled stays; empty if it has none."""
    record = _record(at, task)
    if record is None or record.seq is None:
        return ""
    return f"; its tree {record.number} stays, see `agentq diff {task.address}` and `agentq discard {task.address}`"


def left_behind(at: Context, before: Task, after: Task) -> str:
    """That a task which is changed will have another tree, and what of its tree stays; empty if it will not."""
    record = _record(at, before)
    if record is None or record.seq is None or _path(at, after) == record.path:
        return ""
    return f"{before.address}: its tree {record.number} and the branch '{record.branch}' stay as they are"


def begins_anew(at: Context, task: Task) -> str:
    """That a task which runs again begins in a new tree, since its tree was removed; empty if it does not."""
    path = _path(at, task)
    if path is None or _record(at, task) is not None:
        return ""
    from agentq_cli.trees.removed import removed_of

    gone = removed_of(os.path.dirname(path), lambda each: each.path == path)
    if gone is None:
        return ""
    what = f"{task.address}: its tree was removed, so it begins in a new one"
    return f"{what}, unless `agentq restore {gone.record.words}` comes first"


def _path(at: Context, task: Task) -> str | None:
    if task.work.launch.repository is None:
        return None
    from agentq_cli.trees.asking import tree_of_task

    return tree_of_task(at.config, os.path.realpath(at.place()), task)


def _record(at: Context, task: Task) -> TreeRecord | None:
    path = _path(at, task)
    if path is None:
        return None
    from agentq_cli.trees import register

    try:
        return register.read(path)
    except (AgentqError, OSError):
        return None  # `trees` and `health` tell it
