"""What a run printed, read from the chunks in which it is stored."""

from __future__ import annotations

from agentq_cli.engines.fleet.chunks import unpacked
from agentq_cli.host.output import CHUNK, Output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from agentq_cli.engines.fleet.chunks import Row

    class Stored(Protocol):
        """The rows of one stream."""

        def rows(self) -> list[Row]:
            """All of them, by offset."""

        def size(self) -> int:
            """Where the last one ends."""

        def bytes_from(self, offset: int) -> list[tuple[int, bytes]]:
            """The first of those that end, or are empty, after `offset`: where each begins, and its compressed
            bytes."""

        def ended(self) -> bool:
            """Whether nothing more comes."""


class StoredOutput(Output):
    """A stream read from its rows, from any machine. What was read ahead is forgotten when it is closed."""

    pace = 0.2

    def __init__(self, stored: Stored, offset: int = 0) -> None:
        super().__init__(offset)
        self._stored = stored
        self._ahead: list[tuple[int, bytes]] = []

    @property
    def ended(self) -> bool:
        return self._stored.ended()

    def step(self, limit: int = CHUNK) -> tuple[int, bytes]:
        while self._ahead and self._ahead[0][0] + len(self._ahead[0][1]) <= self.offset:
            del self._ahead[0]
        if not self._ahead or self._ahead[0][0] > self.offset:
            # What began at this place may have been cut since the rows were read.
            self._ahead = [(begin, unpacked(data)) for begin, data in self._stored.bytes_from(self.offset)]
        if not self._ahead:
            return 0, b""
        begin, data = self._ahead[0]
        if begin > self.offset:
            missing = begin - self.offset
            self.offset = begin
            return missing, b""
        data = data[self.offset - begin :][:limit]
        self.offset += len(data)
        return 0, data

    def size(self) -> int:
        return self._stored.size()

    def cut(self) -> tuple[int, int] | None:
        gaps = self._gaps()
        return gaps[-1] if gaps else None

    def cut_bytes(self) -> int:
        return sum(end - begin for begin, end in self._gaps())

    def close(self) -> None:
        self._ahead.clear()

    def _gaps(self) -> list[tuple[int, int]]:
        """What was cut."""
        gaps, end = [], 0
        rows = self._stored.rows()
        for row in [row for row in rows if row.length] + rows[-1:]:
            if row.offset > end:
                gaps.append((end, row.offset))
            end = max(end, row.end)
        return gaps

    def _peek(self, offset: int, limit: int) -> bytes:
        found = b""
        while len(found) < limit and (pieces := self._stored.bytes_from(offset + len(found))):
            for begin, data in pieces:
                found += unpacked(data)[max(0, offset + len(found) - begin) :]
        return found[:limit]
