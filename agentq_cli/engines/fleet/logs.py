"""What runs print, over many machines: the host of a run reads its files, every other machine what is stored of them.

The host stores the growth of the files without the writers' lock, fenced by the run's worker row. How often that is
depends on whether somebody follows: whoever goes on reading a live run marks it.
"""

from __future__ import annotations

import os

from agentq_cli.base.clock import monotonic_ms
from agentq_cli.engines.fleet.chunks import Row
from agentq_cli.engines.fleet.output import StoredOutput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from agentq_cli.engines.fleet.connection import Connection
    from agentq_cli.engines.fleet.stored_files import Files
    from agentq_cli.engines.fleet.storing import Storing
    from agentq_cli.engines.shared.given import Given
    from agentq_cli.host.output import Output
    from agentq_cli.host.run_directory import RunDirectory
    from agentq_cli.model.addresses import RunId
    from agentq_cli.model.fleet import FleetSettings
else:
    Given = object

FIRST_MS = 250
"""Whoever still reads a run this long after the first look follows it."""

MARK_MS = 10_000
"""How often a follower says so."""

ROWS = 16
"""How many chunks are read at once."""


class Logs(Given):
    """The verbs of output."""

    database: Connection
    own: dict[str, Any]
    settings: FleetSettings

    def __init__(self) -> None:
        self._storing: dict[RunId, Storing] = {}
        self._looks: dict[RunId, int] = {}
        self._elsewhere: set[RunId] = set()
        self._claimed: set[RunId] = set()
        """The runs that this process has just claimed."""

    def output(self, run: RunId, stream: str, offset: int = 0) -> Output:
        if self.is_here(run):
            from agentq_cli.host.output import OutputReader

            return OutputReader(self.here.run(run), stream, offset)
        return StoredOutput(StoredStream(self, run, stream), offset)

    def files(self, run: RunId) -> Files:
        from agentq_cli.engines.fleet.stored_files import Files

        return Files(self, run)

    def put_output(self, run: RunId, directory: RunDirectory, *, over: bool = False) -> int | None:
        from agentq_cli.engines.fleet.storing import Storing

        storing = self._storing.get(run)
        if storing is None:
            storing = self._storing[run] = Storing(self, run, directory, is_new=run in self._claimed)
            self._claimed.discard(run)
        after = storing.store(over=over)
        if after is None:
            del self._storing[run]
        return after

    def is_here(self, run: RunId) -> bool:
        """Whether this machine has the files of a run. Raises Usage for an invalid name."""
        path = self.here.run_path(run)
        if run in self._elsewhere:
            return False
        found = self.reading.ask("output.place", run._asdict())
        here, ended = found[0] if found else (False, False)
        if found and not here:
            self._elsewhere.add(run)
        # Somebody may have removed what an ended run left.
        return bool(here) and (not ended or os.path.isdir(path))

    def looked(self, run: RunId) -> None:
        """Note that somebody reads what is stored of a run, and mark a run that is followed."""
        now = monotonic_ms()
        last = self._looks.setdefault(run, now + FIRST_MS - MARK_MS)
        if now - last >= MARK_MS and not self.database.in_transaction:
            self._looks[run] = now
            self.database.send(self.database.written("output.follow", run._asdict() | {"now": self.now}))


class StoredStream:
    """The rows of one stream of a run."""

    def __init__(self, logs: Logs, run: RunId, stream: str) -> None:
        self._logs = logs
        self._run = run
        self._which = run._asdict() | {"stream": stream}

    def rows(self) -> list[Row]:
        return [Row(*row) for row in self._logs.reading.ask("output.rows", self._which)]

    def size(self) -> int:
        self._logs.looked(self._run)
        ((size,),) = self._logs.reading.ask("output.size", self._which)
        return int(size)

    def bytes_from(self, offset: int) -> list[tuple[int, bytes]]:
        self._logs.looked(self._run)
        found = self._logs.reading.ask("output.bytes", self._which | {"after": offset, "limit": ROWS})
        return [(begin, bytes(data)) for begin, data in found]

    def ended(self) -> bool:
        return not self._logs.reading.ask("output.live", self._which)
