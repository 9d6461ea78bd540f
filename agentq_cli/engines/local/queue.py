"""The door of the local engine: one SQLite file a session, an index beside them, directories of runs.

Times are milliseconds UTC of the clock that it was opened with.
"""

from __future__ import annotations

import os

from agentq_cli.engines.local.attendance import Attendance
from agentq_cli.engines.local.readings import Readings
from agentq_cli.path import Path
from agentq_cli.store import connection
from agentq_cli.store.state_dir import StateDir, holds_something

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

    from agentq_cli.clock import Clock
    from agentq_cli.engines.local.figures import Figures
    from agentq_cli.engines.local.hooks import Hooks
    from agentq_cli.engines.local.voice import Voice


class LocalQueue(Readings, Attendance):
    """An open state dir, all verbs together. What few commands need is loaded once it is asked for."""

    @classmethod
    def open(
        cls, path: Path, clock: Clock, *, create: bool, allow_network_fs: bool = False, rebuild: bool = False
    ) -> Self:
        """Open a state dir, made with `create` where it does not exist.

        Without `create` a missing one reads as empty and nothing is made. Raises Usage where it is unfit: owned by
        somebody else, on a network file system, not a directory; and Unreadable where sessions lie in it and no index,
        unless that is to be rebuilt.
        """
        # One spelling, for it marks the processes of its runs: two names of one directory must not hide them.
        path = Path(os.path.realpath(path))
        state = StateDir(path)
        os.umask(0o077)
        state.check(allow_network_fs=allow_network_fs)
        there = holds_something(state.index)
        if not there and not rebuild:
            state.refuse_lost_index()
        if create:
            missing = not path.exists()
            state.create()
            if missing:
                state.check(allow_network_fs=allow_network_fs)  # somebody else may have been faster
        if there or create:
            index = connection.connect(state.index, "index", create=create, rebuild=rebuild and create)
        else:
            index = connection.empty_index()
        if rebuild and create:
            connection.mend_schema(index, state.index, "index")
        return cls(state, index, clock, allow_network_fs=allow_network_fs)

    @property
    def hooks(self) -> Hooks:
        """The hooks that events call for."""
        from agentq_cli.engines.local.hooks import Hooks

        return Hooks(self)

    @property
    def voice(self) -> Voice:
        """What agents ask for."""
        from agentq_cli.engines.local.voice import Voice

        return Voice(self)

    @property
    def figures(self) -> Figures:
        """What screens and reports show."""
        from agentq_cli.engines.local.figures import Figures

        return Figures(self)
