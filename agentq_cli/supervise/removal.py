"""Removing an ended task for good: its runs' directories, then its rows."""

from __future__ import annotations

from agentq_cli.model import Address, RunId, Task
from agentq_cli.queue import Queue


def remove(queue: Queue, address: Address, *, dry: bool = False) -> Task:
    """Remove a task with its runs, events and files. Raises NotFound, and WrongState for one that has not ended. With
    `dry` the files stay, and the queue is a rehearsal's.

    The files go first: a crash in between leaves a task without files, to be pruned again, never files without a task.
    """
    import shutil

    task = queue.task(address)
    if task.status.ended and not dry:
        for attempt in range(1, task.runs + 1):
            shutil.rmtree(queue.run_directory(RunId(*address, attempt)), ignore_errors=True)
    return queue.prune(address)
