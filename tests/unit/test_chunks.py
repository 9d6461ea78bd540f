"""A growing file in chunks: whenever it is stored and read, the reader has what the files have, or a mark for it."""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentq_cli.base.errors import Unreadable
from agentq_cli.engines.fleet import chunks
from agentq_cli.engines.fleet.chunks import Change, Chunks, Row
from agentq_cli.engines.fleet.output import StoredOutput
from agentq_cli.host import kernel
from agentq_cli.host.bound import BLOCK, BoundedOutput
from agentq_cli.host.output import OutputReader, mark
from agentq_cli.host.run_directory import RunDirectory


class Table:
    """The rows of one stream."""

    def __init__(self) -> None:
        self.chunks: dict[int, bytes] = {}

    def change(self, change: Change) -> None:
        for offset in change.gone:
            del self.chunks[offset]
        for piece in change.put:
            self.chunks[piece.offset] = piece.bytes
            assert piece.length == len(zlib.decompress(piece.bytes))
        assert change.rows == tuple(self.rows())

    def rows(self) -> list[Row]:
        return [Row(offset, len(zlib.decompress(data))) for offset, data in sorted(self.chunks.items())]

    def size(self) -> int:
        return max((row.end for row in self.rows()), default=0)

    def bytes_from(self, offset: int) -> list[tuple[int, bytes]]:
        found = [row for row in self.rows() if row.end > offset]
        return [(row.offset, self.chunks[row.offset]) for row in found[:2]]

    def ended(self) -> bool:
        return False


class Printing:
    """A stream whose bytes say at which offset they are, kept within its bound as a shim does."""

    def __init__(self, directory: Path, bound: int) -> None:
        self.directory = RunDirectory(directory)
        self.directory.path = str(directory)
        directory.mkdir(exist_ok=True)
        self._output = BoundedOutput(self.directory, "stdout", bound)
        self.size = 0

    def print(self, size: int) -> None:
        os.write(self._output.descriptor, text(self.size, size))
        self.size += size
        self._output.enforce()

    def close(self) -> None:
        os.close(self._output.descriptor)


def text(offset: int, size: int) -> bytes:
    """Bytes that differ from place to place."""
    line = b"".join(b"%07d\n" % number for number in range(offset // 8, (offset + size) // 8 + 1))
    return line[offset % 8 :][:size]


def told(whole: bytes, offset: int = 0) -> Iterator[tuple[int, bytes]]:
    """What a reader has from an offset on, without the marks: where each stretch is, and its bytes."""
    for piece in re.split(rb"(\n\[agentq: \d+ bytes cut here\]\n)", whole):
        found = re.fullmatch(rb"\n\[agentq: (\d+) bytes cut here\]\n", piece)
        if found is None:
            yield offset, piece
        offset += len(piece) if found is None else int(found[1])


@given(
    st.lists(
        st.tuples(st.integers(0, 60_000), st.sampled_from(["store", "fail", "restart", "read", "no"])), max_size=25
    ),
    st.sampled_from([700, 40_000, 90_000, 400_000]),
    st.sampled_from([2 * BLOCK, 20 * BLOCK, 1 << 20]),
    st.booleans(),
)
def test_what_is_stored_is_what_the_files_have(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, str]], bound: int, kept: int, holes: bool
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunks, "CHUNK", 8192)
        patch.setattr(chunks, "AT_ONCE", 32768)
        patch.setattr(chunks, "MOST_PARTS", 3)
        if not holes:
            patch.setattr(kernel, "punch_hole", refuse)
        stream, table = Printing(tmp_path_factory.mktemp("run"), kept), Table()
        source = OutputReader(stream.directory, "stdout")
        stored, follower, followed = Chunks(source, bound), StoredOutput(table), b""
        for size, do in steps:
            stream.print(size)
            if do == "restart":
                stored = Chunks(source, bound, table.rows())
            change = None if do in ("no", "read") else stored.next()
            if do == "store" and change is not None:
                table.change(change)
                stored.stored(change)
            if do == "read":
                followed += b"".join(follower.whole())
        while (change := stored.next(over=True)) is not None:
            table.change(change)
            stored.stored(change)
        followed += b"".join(follower.whole())
        at_once = chunks.whole(source, bound)
        assert sum(piece.length for piece in at_once) <= bound
        assert [text(each.offset, each.length) for each in at_once] == [zlib.decompress(each.bytes) for each in at_once]
        rows = table.rows()
        assert sum(row.length for row in rows) <= bound
        assert table.size() == stream.size
        for whole in (followed, b"".join(StoredOutput(table).whole())):
            stretches = list(told(whole))
            assert [piece for _, piece in stretches] == [text(at, len(piece)) for at, piece in stretches]
            assert sum(len(piece) for _, piece in stretches) + sum(map(int, re.findall(rb": (\d+) bytes", whole))) == (
                stream.size
            )
        reader = StoredOutput(table)
        if stream.size <= min(bound, kept):
            assert not reader.cut_bytes()
            assert b"".join(reader.whole()) == text(0, stream.size)
        cut = reader.cut()
        begin = max(stream.size - 50, 0 if cut is None else cut[1])
        assert reader.last(50) == text(begin, stream.size - begin).decode()
        if cut is not None and holes and kept > 2 * bound:
            # The files have all that fits: the beginning and the newest are there, but for a chunk each.
            chunk = min(8192, bound // 4)
            assert rows[0].offset == 0
            assert stream.size - cut[1] >= bound // 2 - 2 * chunk
            assert cut[0] >= bound // 2 - 2 * chunk
        stream.close()
        source.close()


def refuse(descriptor: int, begin: int, end: int) -> None:
    raise OSError("no holes")


def test_a_file_that_is_begun_again_is_stored_again(tmp_path: Path) -> None:
    file, table, directory = tmp_path / "check", Table(), RunDirectory(tmp_path)
    source = OutputReader(directory, "check")
    stored = Chunks(source, 1 << 20)
    for content in (b"a long first try\n", b"again\n"):
        directory.clear("check")
        file.write_bytes(content)
        with source:
            change = stored.next()
        assert change is not None
        table.change(change)
        stored.stored(change)
        assert b"".join(StoredOutput(table).whole()) == content


def test_parts_become_chunks(tmp_path: Path) -> None:
    """However slowly it grows, a stream is a row each 64 KiB, and some parts that are yet to fill one."""
    file, table = tmp_path / "stdout", Table()
    stored = Chunks(OutputReader(RunDirectory(tmp_path), "stdout"), 8 << 20)
    with file.open("wb", buffering=0) as output:
        for number in range(500):
            output.write(text(number * 300, 300))
            change = stored.next(over=number == 499)
            assert change is not None
            table.change(change)
            stored.stored(change)
            assert len(table.chunks) <= 2 + chunks.MOST_PARTS
    assert [row.length for row in table.rows()] == [chunks.CHUNK, chunks.CHUNK, 150_000 - 2 * chunks.CHUNK]


def test_a_mark_stands_for_what_was_cut_meanwhile() -> None:
    table = Table()
    table.chunks = {offset: zlib.compress(text(offset, 100)) for offset in (0, 100, 200, 300)}
    reader = StoredOutput(table)
    assert reader.read(50) == text(0, 50)
    reader.close()
    del table.chunks[0], table.chunks[100]
    assert b"".join(reader.whole()) == mark(150) + text(200, 200)
    assert StoredOutput(table).tail(3).offset == 400 - 3 * 8
    assert StoredOutput(table).tail(1000).offset == 0


@pytest.mark.parametrize(
    "stored", [zlib.compress(b"\0" * (chunks.MOST + 1)), zlib.compress(b"cut off")[:-1], b"no chunk"], ids=len
)
def test_a_chunk_that_no_host_has_stored_is_not_unpacked(stored: bytes) -> None:
    class Forged(Table):
        def rows(self) -> list[Row]:
            return [Row(0, 1)]

    table = Forged()
    table.chunks[0] = stored
    for read in (
        lambda: StoredOutput(table).step(),
        lambda: StoredOutput(table).last(1),
        lambda: list(chunks.joined([(0, 1, stored)])),
    ):
        with pytest.raises(Unreadable, match="stored output"):
            read()
    whole = b"\0" * chunks.MOST
    assert chunks.unpacked(zlib.compress(whole)) == whole
