"""Removing an ended task for good: its rows, then the files of its runs."""

from __future__ import annotations

import contextlib
import os

from agentq_cli.model import Address, Task
from agentq_cli.queue import Queue
from agentq_cli.supervise import tmpdir


def remove(queue: Queue, address: Address) -> Task:
    """Remove a task with its runs, events and files. Raises NotFound, and WrongState for one that is not to be removed:
    then nothing of it is gone.
    """
    task = queue.prune(address)
    place, names = queue.aside(address.session)
    _remove(str(place), [name for name in names if name.startswith(f"{address.seq}.")])
    return task


def settle(queue: Queue, session: str) -> tuple[int, int]:
    """Finish, or take back, what a prune that was killed has left; how many runs' files were removed, and put back.

    Raises Busy, Unreadable.
    """
    back, gone = queue.settle_aside(session)
    _remove(str(queue.aside(session)[0]), gone)
    return len(gone), len(back)


def _remove(place: str, names: list[str]) -> None:
    for name in names:
        tmpdir.remove_below(place, name)
    if names:
        with contextlib.suppress(OSError):
            os.rmdir(place)
