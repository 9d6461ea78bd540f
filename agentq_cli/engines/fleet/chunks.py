"""One stream of a run as chunks: which rows the output becomes as it grows, and which are cut out again. Pure, but for
the source that it reads.

A chunk is CHUNK bytes, compressed. What has come since the last whole one is stored in parts, which the whole one
replaces. Of more than the bound the beginning and the newest are kept, half each; a row that is empty says how far a
stream goes of which the end was cut. Offsets are those of `host.output`.
"""

from __future__ import annotations

import zlib

from agentq_cli.base.dataclass import NamedTuple, dataclass
from agentq_cli.base.errors import Unreadable
from agentq_cli.host.output import mark
from agentq_cli.host.record_files import LARGEST
from agentq_cli.host.run_directory import OUTPUTS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from agentq_cli.host.output import Output

PROMPT, CHECKPOINT, TREE, STAGE = "prompt", "checkpoint", "tree", "stage"
"""What is stored beside output, each under the name of its file; the stage, of a live run, is in no file."""

STREAMS = (*OUTPUTS, "script.stdout", "script.stderr", PROMPT)
"""The files of a run that only grow."""

RECORDS = (CHECKPOINT, TREE)
"""The small ones that are replaced as a whole."""

CHUNK = 64 << 10
"""The bytes of a whole chunk, before they are compressed; at most a quarter of the bound."""

MOST_PARTS = 64
"""How many parts are stored before they become one."""

AT_ONCE = 16 * CHUNK
"""How many bytes of a stream are stored at once, so that nothing else waits for long."""

LEVEL = 1

MOST = max(CHUNK, LARGEST)
"""The most bytes that a row can hold which a host has stored."""


class Row(NamedTuple):
    """A stored chunk: where its bytes begin, and how many they are."""

    offset: int
    length: int

    @property
    def end(self) -> int:
        """Where its bytes end."""
        return self.offset + self.length


class Piece(NamedTuple):
    """A chunk to be stored, in place of one at the same offset."""

    offset: int
    length: int
    bytes: bytes


@dataclass(frozen=True, slots=True)
class Change:
    """Rows to be stored, then offsets of rows to be removed; and what is known afterwards."""

    put: tuple[Piece, ...]
    gone: tuple[int, ...]
    rows: tuple[Row, ...]
    tail: bytes


class Chunks:
    """One stream on its way. `rows` are those that are stored, by offset; `bound` is the most bytes that are kept."""

    def __init__(self, source: Output, bound: int, rows: Iterable[Row] = ()) -> None:
        self.source = source
        self._bound = bound
        self._chunk = max(1, min(CHUNK, bound // 4))
        self._rows = tuple(rows)
        self._tail = b""

    def grown(self) -> bool:
        """Whether there is anything to be stored."""
        return self.source.size() != self._end

    def next(self, *, over: bool = False) -> Change | None:
        """What is to be stored next; None if nothing is. `over`: nothing more is printed. `stored` follows."""
        rows = {row.offset: row for row in self._rows}
        tail, put, size = self._tail, dict[int, bytes](), self.source.size()
        if size < self._end and self.source.cut() is None:
            rows, tail = {}, b""  # what was printed before was given up
        parts = self._parts(rows, tail)
        position, room = max((row.end for row in rows.values()), default=0), AT_ONCE
        while position < size and room > 0:
            if position >= self._bound // 2 and size - position > self._bound - self._bound // 2:
                position, tail, parts = size - (self._bound - self._bound // 2), b"", 0
            self.source.offset = position
            missing, data = self.source.step(min(self._chunk - len(tail), size - position))
            position, room = position + missing + len(data), room - len(data)
            if missing:
                rows = {offset: row for offset, row in rows.items() if row.length}
                tail, parts = b"", 0
                continue
            if not data:
                break
            began, tail = position - len(tail) - len(data), tail + data
            parts += 1
            whole = len(tail) == self._chunk
            if whole or parts > MOST_PARTS:
                _replace(rows, put, began, tail)
                parts = 1
            else:
                _replace(rows, put, position - len(data), data)
            if whole:
                tail, parts = b"", 0
        if over and parts > 1:
            _replace(rows, put, position - len(tail), tail)
        if position > max((row.end for row in rows.values()), default=0):
            _replace(rows, put, position, b"")
        self._trim(rows)
        gone = tuple(row.offset for row in self._rows if row.offset not in rows)
        kept = {offset: data for offset, data in put.items() if offset in rows}
        if not gone and not kept:
            return None
        pieces = tuple(Piece(offset, len(data), zlib.compress(data, LEVEL)) for offset, data in sorted(kept.items()))
        return Change(pieces, gone, tuple(rows[offset] for offset in sorted(rows)), tail)

    def stored(self, change: Change) -> None:
        """Note that a change was committed."""
        self._rows, self._tail = change.rows, change.tail

    @property
    def _end(self) -> int:
        return max((row.end for row in self._rows), default=0)

    @staticmethod
    def _parts(rows: dict[int, Row], tail: bytes) -> int:
        """How many rows the tail is stored in."""
        end = max((row.end for row in rows.values()), default=0)
        return sum(1 for row in rows.values() if row.length and row.offset >= end - len(tail))

    def _trim(self, rows: dict[int, Row]) -> None:
        """Remove the oldest rows that are not of the beginning, while there are more bytes than the bound."""
        kept = sum(row.length for row in rows.values())
        for offset in sorted(rows):
            if kept <= self._bound:
                return
            if rows[offset].end > self._bound // 2:
                kept -= rows.pop(offset).length


def whole(source: Output, bound: int) -> list[Piece]:
    """All chunks of a stream to which nothing is added any more."""
    chunks, pieces = Chunks(source, bound), dict[int, Piece]()
    while (change := chunks.next(over=True)) is not None:
        pieces = {offset: piece for offset, piece in pieces.items() if offset not in change.gone}
        pieces |= {piece.offset: piece for piece in change.put}
        chunks.stored(change)
    return [pieces[offset] for offset in sorted(pieces)]


def unpacked(data: bytes) -> bytes:
    """The bytes of a stored chunk. Raises Unreadable if there are more than any host stores, or if it is damaged: a row
    of a few bytes could otherwise fill the memory of whoever reads it."""
    unpacking = zlib.decompressobj()
    try:
        found = unpacking.decompress(data, MOST + 1)
    except zlib.error as error:
        raise Unreadable(f"stored output: {error}") from None
    if len(found) > MOST or not unpacking.eof:
        raise Unreadable(f"stored output: a chunk is {'cut off' if len(found) <= MOST else f'above {MOST} bytes'}")
    return found


def joined(rows: Iterable[tuple[int, int, bytes]]) -> Iterator[bytes]:
    """The bytes of stored chunks, by offset, with the mark of each cut."""
    end = 0
    for offset, length, data in sorted(rows):
        if offset > end:
            yield mark(offset - end)
        yield unpacked(data)
        end = offset + length


def _replace(rows: dict[int, Row], put: dict[int, bytes], offset: int, data: bytes) -> None:
    """Store bytes in one row, in place of those in which they were."""
    for each in [each for each in rows if offset <= each < max(offset + len(data), offset + 1)]:
        del rows[each]
        put.pop(each, None)
    rows[offset] = Row(offset, len(data))
    put[offset] = data
