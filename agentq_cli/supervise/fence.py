"""What lives on this machine and is no run of this host any more: its supervisor and its sweeps kill it.

That is everything once the host was taken for lost, and one run if the database does not know that it was claimed, as
after a failover to a server that had not seen the claim. Nobody needs to ask the database for the killing itself.
"""

from __future__ import annotations

import contextlib
import os
import select
from collections.abc import Container, Iterator

from agentq_cli.base.clock import monotonic_ms
from agentq_cli.base.identity import Identity
from agentq_cli.base.names import is_name
from agentq_cli.host import keeper, tree
from agentq_cli.host.place import Place
from agentq_cli.host.records import Start
from agentq_cli.model.addresses import RunId
from agentq_cli.supervise import recovery

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.engines.door import Queue

PATIENCE_MS = 5_000
WHY = "it is not on record as a run of this host"


def end_unknown(queue: Queue) -> list[RunId]:
    """Kill what lives here and is not on record as this host's; returns those runs."""
    # What lives here is found first: a run that is claimed after that is on record when the others are.
    found = strangers(queue.here, ())
    if not found:
        return []
    known = {worker.id for worker in queue.workers() if not worker.elsewhere}
    unknown = [run for run in found if run not in known]
    kill(queue.here, unknown)
    return unknown


def strangers(here: Place, known: Container[RunId]) -> list[RunId]:
    """The runs that live here and are not among the `known`."""
    named = {run for name in tree.runs_marked(here.path) if (run := _run(*name.rpartition("/")[::2])) is not None}
    kept = {run for run in _begun(here) if run not in named and run not in known and _is_kept(here, run)}
    return sorted(run for run in named | kept if run not in known)


def kill(here: Place, runs: list[RunId]) -> bool:
    """Kill them at once, keepers and all. False if something of them is left after a while."""
    for run in runs:
        directory = here.run(run)
        if directory.start() is None:
            directory.write_void(os.getpid())  # a keeper that comes later starts nothing
    deadline = monotonic_ms() + PATIENCE_MS
    left = [tree.Orphans(str(run), here.path, 0, _known(here, run)) for run in runs]
    while left := [each for each in left if not each.step()]:
        if monotonic_ms() >= deadline:
            return False
        select.poll().poll(tree.SETTLE_MS)
    return True


def _known(here: Place, run: RunId) -> tuple[Identity, ...]:
    """What is known of a run beside its marker: its keeper and its agent."""
    directory = here.run(run)
    start = directory.start()
    own = (start.identity,) if isinstance(start, Start) and keeper.lives(directory, start) else ()
    return (*own, *recovery.left_behind(directory))


def _is_kept(here: Place, run: RunId) -> bool:
    directory = here.run(run)
    start = directory.start()
    return isinstance(start, Start) and not keeper.is_foreign(start) and keeper.lives(directory, start)


def _begun(here: Place) -> Iterator[RunId]:
    """Every run here without a record of its end."""
    for session in _names(f"{here.path}/sessions"):
        runs = f"{here.path}/sessions/{session}/runs"
        for name in _names(runs):
            run = _run(session, name)
            if run is not None and not os.path.lexists(f"{runs}/{name}/exit"):
                yield run


def _names(directory: str) -> list[str]:
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        return os.listdir(directory)
    return []


def _run(session: str, name: str) -> RunId | None:
    """The run `SESSION/N.K`; None if the names are those of no run."""
    seq, _, attempt = name.partition(".")
    if not (is_name(session) and name.isascii() and seq.isdecimal() and attempt.isdecimal()):
        return None
    return RunId(session, int(seq), int(attempt))
