"""Ending runs that are on this machine and not this machine's: others have taken them over, or nobody knows of them."""

from __future__ import annotations

import os

from agentq_cli.base.clock import monotonic_ms
from agentq_cli.engines.door import Queue
from agentq_cli.host import keeper, tree
from agentq_cli.host.place import Place
from agentq_cli.host.records import Start
from agentq_cli.host.run_directory import RunDirectory
from agentq_cli.supervise import recovery

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentq_cli.base.identity import Identity
    from agentq_cli.model.addresses import RunId

WHY = "it is not on record as a run of this host"


def end(here: Place, run: RunId) -> bool:
    """Kill the keeper of a run and everything that it left, at once. False if something cannot be ended."""
    directory = here.run(run)
    if directory.start() is None:
        directory.write_void(os.getpid())  # a keeper that comes later starts nothing
    return tree.kill_orphans(str(run), here.path, grace_ms=0, known=_known(directory))


def _known(directory: RunDirectory) -> list[Identity]:
    """What is known of the run's processes; its keeper only if it is stopped and so keeps this run to its end."""
    start = directory.start()
    held = [start.identity] if isinstance(start, Start) and keeper.hold(directory, start) else []
    return [*held, *recovery.left_behind(directory)]


def make_way(here: Place, run: RunId) -> None:
    """Set aside what has the name of a run that was claimed just now: it is of a claim that the database has lost, and
    its records would be taken for those of the run. Raises OSError."""
    path = here.run_path(run)
    if here.leased and os.path.lexists(path):
        end(here, run)
        os.rename(path, f"{path}.lost-{monotonic_ms()}")


def end_unknown(queue: Queue) -> Iterator[RunId]:
    """End what runs on this machine for a run that is not on record as this host's; yields those runs."""
    # The processes first: a run that is claimed after the other look is on record by then.
    found = tree.runs_here(queue.here.path)
    if not found:
        return
    known = {worker.id for worker in queue.workers() if not worker.elsewhere}
    for run in sorted(found - known):
        end(queue.here, run)
        yield run
