"""Removes ended tasks for good: first their rows, then the files of their runs."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence

from agentq_cli.model import Address, Task, Undone
from agentq_cli.queue import Queue
from agentq_cli.supervise import tmpdir


def remove_each(queue: Queue, addresses: Sequence[Address], *, dry: bool = False) -> list[Task | Undone]:
    """Remove tasks with their runs, events and files. Returns each task as it was, or why it could not be removed, in
    which case nothing of it was.

    With `dry` the files stay, and the queue is only a rehearsal.
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
    """Finish, or undo, what a killed prune left behind. Returns how many runs' files were removed and how many
    restored.

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
