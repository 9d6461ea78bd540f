"""Removing ended tasks for good: their runs' directories, then their rows."""

from __future__ import annotations

from collections.abc import Sequence

from agentq_cli.model import Address, RunId, Task, Undone
from agentq_cli.queue import Queue


def remove_each(queue: Queue, addresses: Sequence[Address]) -> list[Task | Undone]:
    """Remove tasks with their runs, events and files; each as it was, or why it could not be, for it has not ended.

    The files go first: a crash in between leaves tasks without files, to be pruned again, never files without a task.
    """
    import shutil

    for task in queue.task_each(addresses):
        if isinstance(task, Task) and task.status.ended:
            for attempt in range(1, task.runs + 1):
                shutil.rmtree(queue.run_directory(RunId(*task.address, attempt)), ignore_errors=True)
    return queue.prune_each(addresses)
