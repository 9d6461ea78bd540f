"""What is pruned on one machine leaves no files on another one."""

from __future__ import annotations

import os
from pathlib import Path

from fleet_machines import Fleet
from queue_driver import command, finish, start, submit

from agentq_cli.engines.fleet import leftovers
from agentq_cli.model.addresses import RunId

DAYS_AGO = 2 * leftovers.DAY_NS


def ran(path: str, *, old: bool = True) -> Path:
    """The directory of a run, as an agent may leave it: with a directory that cannot be written."""
    (made := Path(path)).mkdir(parents=True)
    (made / "own").mkdir()
    (made / "own/file").touch()
    (made / "own").chmod(0o500)
    if old:
        when = made.stat().st_mtime_ns - DAYS_AGO
        os.utime(made, ns=(when, when))
    return made


def test_a_host_removes_what_another_machine_has_pruned(fleet: Fleet) -> None:
    a, b = fleet.machine("a"), fleet.machine("b")
    a.join()
    pruned, kept, young = submit(a.queue, *(command("s"), command("s"), command("s")))
    for address in (pruned, young):
        finish(a.queue, start(a.queue, address, supervisor=a.identity))
    here = a.queue.here
    gone = ran(here.run_path(RunId(*pruned, 1)))
    aside = ran(f"{here.run_path(RunId(*kept, 1))}.lost-1")
    stay = [ran(here.run_path(RunId(*kept, 1))), ran(here.run_path(RunId(*young, 1)), old=False)]
    b.queue.prune_each([pruned, young])
    list(a.queue.upkeep.end())
    assert not gone.exists()
    assert not aside.exists()
    assert all(each.exists() for each in stay)
    late = ran(here.run_path(RunId(*pruned, 2)))
    list(a.queue.upkeep.end())
    assert late.exists(), "it looks once a day"
    list(b.queue.upkeep.end())
    assert not os.path.exists(f"{b.queue.here.path}/sessions/s/runs")
