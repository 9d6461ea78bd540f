"""What runs of this machine show of themselves: their agent's pid, the memory of their processes, their last sign."""

from __future__ import annotations

import os
from collections.abc import Iterable

from agentq_cli.host import keeper, resources, tree
from agentq_cli.host.place import Place
from agentq_cli.host.records import Start
from agentq_cli.host.run_directory import RunDirectory
from agentq_cli.model.addresses import RunId
from agentq_cli.model.workers import Sign

FILES = ("stdout", "stderr", "heartbeat", "start")
"""The files of a run whose changes show that it is alive."""


def of(here: Place, runs: Iterable[RunId]) -> dict[RunId, Sign]:
    """The signs of these runs; their processes are found in one pass."""
    directories = {run: here.run(run) for run in runs}
    starts = {run: start for run, directory in directories.items() if isinstance(start := directory.start(), Start)}
    keepers = {run: start.identity for run, start in starts.items() if _is_visible(directories[run], start)}
    trees = tree.below_each(keepers.values()) if keepers else {}
    found = {}
    for run, directory in directories.items():
        agent, processes = directory.agent(), trees.get(keepers[run]) if run in keepers else None
        found[run] = Sign(
            None if agent is None else agent.pid,
            # Without the keeper; pages that several processes share count for each of them.
            None if processes is None else resources.resident(processes),
            _last(directory),
        )
    return found


def _last(directory: RunDirectory) -> int | None:
    """When a file of the run last changed: milliseconds UTC."""
    signs = []
    for name in FILES:
        try:
            signs.append(os.stat(directory.file(name)).st_mtime_ns // 1_000_000)
        except OSError:
            continue
    return max(signs, default=None)


def _is_visible(directory: RunDirectory, start: Start) -> bool:
    """Whether the keeper is alive and its processes can be seen from here."""
    return not keeper.is_foreign(start) and keeper.keeps(directory, start)
