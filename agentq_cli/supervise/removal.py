"""Removing ended tasks for good: their rows, then the files of their runs."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence

from agentq_cli.model import Address, Task, Undone
from agentq_cli.queue import Queue
from agentq_cli.supervise import tmpdir


def remove_each(queue: Queue, addresses: Sequence[Address], *, dry: bool = False) -> list[Task | Undone]:
    """Remove tasks with their runs, events and files; each as it was, or why it could not be: nothing of it is gone.

    With `dry` the files stay, and the queue is a rehearsal's.
    """
    found = queue.prune_each(addresses)
    if dry:
        return found
    gone: dict[str, set[str]] = {}
    for task in found:
        if isinstance(task, Task):
            gone.setdefault(task.session, set()).add(str(task.seq))
    for session, seqs in gone.items() if not dry else ():
        place, names = queue.aside(session)
        _remove(str(place), [name for name in names if name.partition(".")[0] in seqs])
    return found


def settle(queue: Queue, session: str, *, dry: bool = False) -> tuple[int, int]:
    """Finish, or take back, what a prune that was killed has left; how many runs' files were removed, and put back.

    Raises Busy, Unreadable.
    """
    back, gone = queue.settle_aside(session)
    if not dry:
        _remove(str(queue.aside(session)[0]), gone)
    return len(gone), len(back)


def _remove(place: str, names: list[str]) -> None:
    for name in names:
        tmpdir.remove_below(place, name)
    if names:
        with contextlib.suppress(OSError):
            os.rmdir(place)
