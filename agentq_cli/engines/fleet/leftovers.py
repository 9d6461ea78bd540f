"""What pruned tasks have left on this machine: the directories of their runs."""

from __future__ import annotations

import os
from itertools import islice

from agentq_cli.base.clock import file_time_ns
from agentq_cli.base.context import suppress
from agentq_cli.base.names import is_name
from agentq_cli.model.addresses import Address, RunId

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from agentq_cli.host.place import Place
    from agentq_cli.model.tasks import Task

DAY_NS = 86_400_000_000_000
"""How often to look for what other machines have pruned, and how old a directory is that is asked about."""

PAGE = 500


def remove(here: Place, tasks: Iterable[Task]) -> None:
    """Remove the directories of their runs; what cannot be removed now, `forget` removes later."""
    for task in tasks:
        for attempt in range(1, task.runs + 1):
            _remove(here.run_path(RunId(*task.address, attempt)))
        with suppress(OSError):
            os.rmdir(os.path.dirname(here.run_path(RunId(*task.address, 1))))


def forget(here: Place, known: Callable[[Sequence[Address]], Collection[Address]]) -> None:
    """Remove the directories of runs whose task some machine has pruned, and those that were set aside, once a day.
    `known` finds which of some tasks there are. Raises OSError."""
    mark, now = f"{here.path}/runs.looked", file_time_ns()
    with suppress(FileNotFoundError):
        if 0 <= now - os.stat(mark).st_mtime_ns < DAY_NS:
            return
    old = _old(here, now)
    while page := list(islice(old, PAGE)):
        there = known([address for address, _ in page if address is not None])
        for address, path in page:
            if address not in there:
                _remove(path)
    with suppress(FileNotFoundError):  # this machine has run nothing
        os.close(os.open(mark, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
        os.utime(mark)


def _old(here: Place, now: int) -> Iterator[tuple[Address | None, str]]:
    """The directories of runs, each with its task; None if it was set aside."""
    for session in filter(is_name, _names(f"{here.path}/sessions")):
        runs = f"{here.path}/sessions/{session}/runs"
        for name in _names(runs):
            path, (seq, _, attempt) = f"{runs}/{name}", name.partition(".")
            with suppress(FileNotFoundError):
                if seq.isdecimal() and now - os.lstat(path).st_mtime_ns >= DAY_NS:
                    yield Address(session, int(seq)) if attempt.isdecimal() else None, path


def _names(path: str) -> list[str]:
    try:
        return os.listdir(path)
    except FileNotFoundError:
        return []


def _remove(path: str) -> None:
    from agentq_cli.host import tmpdir

    tmpdir.remove_below(*os.path.split(path))
