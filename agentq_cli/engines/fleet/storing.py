"""A run's files on their way into the database: what each of them has printed, and the records that others read."""

from __future__ import annotations

import os
import zlib

from agentq_cli.base.clock import monotonic_ms
from agentq_cli.base.json_text import dumps
from agentq_cli.engines.fleet.chunks import LEVEL, RECORDS, STAGE, STREAMS, Change, Chunks, Piece, Row
from agentq_cli.engines.fleet.queries import statement
from agentq_cli.host.output import OutputReader, open_regular
from agentq_cli.host.record_files import LARGEST

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.engines.fleet.logs import Logs
    from agentq_cli.host.run_directory import RunDirectory
    from agentq_cli.model.addresses import RunId

FOLLOWED_MS = 250
"""How often what a run prints is looked for, and stored while somebody follows."""

UNFOLLOWED_MS = 2_000
"""How often it is stored while nobody does."""

FOLLOWS_MS = 15_000
"""How long a follower's mark counts."""


class Storing:
    """One live run of this machine; of one that `is_new` nothing is stored."""

    def __init__(self, logs: Logs, run: RunId, directory: RunDirectory, *, is_new: bool = False) -> None:
        self._logs = logs
        self._which = run._asdict()
        self._directory = directory
        self._is_new = is_new
        self._chunks: dict[str, Chunks] | None = None
        self._records: dict[str, bytes | None] = {}
        self._seen: object = None
        self._next_at = 0
        self._followed_at = 0

    def store(self, *, over: bool) -> int | None:
        """Store what is new; returns in how many milliseconds to call this again, None if that is not needed."""
        looks, now = self._looks(), monotonic_ms()
        if looks == self._seen and not over:
            return FOLLOWED_MS
        if now < self._next_at and not over:
            return min(self._next_at - now, FOLLOWED_MS)
        if looks == self._nothing and self._chunks is None:
            return None if over else FOLLOWED_MS
        if not self._all_streams(over=over) or not self._all_records() or over:
            return None  # its row is gone: somebody else has ended it
        self._seen = looks
        is_followed = self._logs.now - self._followed_at < FOLLOWS_MS
        self._next_at = now + (FOLLOWED_MS if is_followed else UNFOLLOWED_MS)
        return FOLLOWED_MS

    _nothing = (*([None] * len(STREAMS + RECORDS)), None)

    def _looks(self) -> object:
        """What changes when there is anything new."""
        return (*map(self._look, STREAMS + RECORDS), self._directory.stage())

    def _look(self, name: str) -> tuple[int, int, int] | None:
        try:
            found = os.lstat(self._directory.file(name))
        except OSError:
            return None
        return found.st_ino, found.st_size, found.st_mtime_ns

    def _all_streams(self, *, over: bool) -> bool:
        for name, chunks in self._streams().items():
            with chunks.source:
                while (change := chunks.next(over=over)) is not None:
                    if not self._put(name, change):
                        return False
                    chunks.stored(change)
                    if not over:
                        break
        return True

    def _streams(self) -> dict[str, Chunks]:
        if self._chunks is None:
            rows: dict[str, list[Row]] = {}
            stored = [] if self._is_new else self._logs.reading.ask("output.stored", self._which)
            for stream, *row in stored:
                rows.setdefault(stream, []).append(Row(*row))
            # What a supervisor before this one has stored of them is not known.
            self._records = {name: None for name in (*RECORDS, STAGE) if name in rows}
            bound = self._logs.settings.log_bytes
            self._chunks = {
                name: Chunks(OutputReader(self._directory, name), bound, rows.get(name, ())) for name in STREAMS
            }
        return self._chunks

    def _all_records(self) -> bool:
        found = {name: self._record(name) for name in RECORDS}
        found[STAGE] = (self._directory.stage() or "").encode()
        for name, data in found.items():
            if data != self._records.get(name, b""):
                piece = Piece(0, len(data), zlib.compress(data, LEVEL))
                if not self._put(name, Change((piece,), (), (), b"")):
                    return False
                self._records[name] = data
        return True

    def _record(self, name: str) -> bytes:
        descriptor = open_regular(self._directory.file(name))
        if descriptor is None:
            return b""
        with open(descriptor, "rb") as file:
            return file.read(LARGEST)

    def _put(self, stream: str, change: Change) -> bool:
        """Store a change in one message, which is a transaction of its own. False: the run is no longer this host's."""
        database = self._logs.database
        piece = statement("output.piece", database.schema)
        none = [{"offset": None, "size": 0, "bytes": b""}]
        rows = [each._asdict() for each in change.put] or none
        pieces = b", ".join(
            database.filled(piece, {"offset": row["offset"], "size": row.get("length", 0), "bytes": row["bytes"]})
            for row in rows
        )
        values = {**self._logs.own, **self._which, "stream": stream, "gone": dumps(change.gone)}
        found = database.send(database.written("output.put", values).replace(b"{pieces}", pieces))
        for (followed_at,) in found:
            self._followed_at = followed_at
        return bool(found)
