"""What pruned tasks have left on this machine: the directories of their runs."""

from __future__ import annotations

import contextlib
import os
import shutil

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from agentq_cli.host.place import Place
    from agentq_cli.model.tasks import Task


def remove(here: Place, tasks: Iterable[Task]) -> None:
    """Remove the directories of their runs; what cannot be removed now is removed by a later sweep."""
    from agentq_cli.model.addresses import RunId

    for task in tasks:
        for attempt in range(1, task.runs + 1):
            path = here.run_path(RunId(*task.address, attempt))
            if os.path.isdir(path):
                shutil.rmtree(path, ignore_errors=True)
        with contextlib.suppress(OSError):
            os.rmdir(os.path.dirname(here.run_path(RunId(*task.address, 1))))
