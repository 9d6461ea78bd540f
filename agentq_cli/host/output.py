"""Reads what an agent wrote, even while it is writing and from any process. The place of a cut is marked."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator

from agentq_cli.host.records import Cut
from agentq_cli.host.run_directory import RunDirectory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Self

CHUNK = 65536


def open_regular(path: str) -> int | None:
    """A descriptor for reading an agent's file, or None if there is no regular file of that name.

    The agent can write to the directory: it may have put a pipe, which would block, a directory or a link in its place.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EACCES, errno.ENXIO):
            return None
        raise
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    return None


class OutputReader:
    """One stream (`stdout` or `stderr`) of a run, read from the beginning; it remembers its position.

    Offsets are logical: they count every byte ever written, including those that were cut.
    """

    def __init__(self, directory: RunDirectory, stream: str, offset: int = 0) -> None:
        self.offset = offset
        self._directory = directory
        self._stream = stream
        self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def read(self, limit: int = CHUNK) -> bytes:
        """The next bytes, or the mark of a cut; b"" at the current end or if the file does not exist yet."""
        if not self._open():
            return b""
        cut = self._directory.cut(self._stream)
        if cut is not None and cut.begin <= self.offset < cut.end:
            return self._skip(cut)
        room = limit if cut is None or self.offset >= cut.end else min(limit, cut.begin - self.offset)
        data = os.pread(self._descriptor, room, _physical(cut, self.offset))
        after = self._directory.cut(self._stream)
        if after != cut and after is not None and after.end > self.offset:
            # The file was cut while we read. The cut is recorded before it is made, so the bytes up to its beginning
            # are genuine.
            data = data[: max(0, after.begin - self.offset)]
            if not data:
                return self._skip(after) if after.begin <= self.offset else b""
        self.offset += len(data)
        return data

    def size(self) -> int:
        """All bytes written so far, including those that were cut."""
        if not self._open():
            return 0
        size, cut = os.fstat(self._descriptor).st_size, self._directory.cut(self._stream)
        return size if cut is None or cut.punched else size + cut.end - cut.begin

    @property
    def ended(self) -> bool:
        """Whether the run has written its exit record, and so no more output; without one only the queue can tell."""
        return self._directory.exit() is not None

    def cut_bytes(self) -> int:
        """How many bytes of the stream were cut."""
        cut = self._directory.cut(self._stream)
        return 0 if cut is None else cut.end - cut.begin

    def whole(self) -> Iterator[bytes]:
        """Everything from the position to the current end, in pieces; stops there even if the agent goes on writing.
        Closes the file then."""
        with self:
            end = self.size()
            while (left := end - self.offset) > 0 and (piece := self.read(min(left, CHUNK))):
                yield piece

    def last(self, limit: int) -> str:
        """The last `limit` bytes that were written, none from before a cut, without changing the position."""
        end = self.size()
        cut = self._directory.cut(self._stream)
        begin = max(0 if cut is None else cut.end, end - limit)
        return self._peek(begin, end - begin).decode(errors="replace") if end > begin else ""

    def tail(self, lines: int) -> Self:
        """Move to where the last `lines` lines begin; to the beginning of the cut if fewer lines follow it."""
        self.offset = self._tail_offset(lines)
        return self

    def _tail_offset(self, lines: int) -> int:
        stop = end = self.size()
        cut = self._directory.cut(self._stream)
        floor = 0 if cut is None else cut.end
        while lines > 0 and stop > floor:
            begin = max(floor, stop - CHUNK)
            data = self._peek(begin, stop - begin)
            # The line break at the end of the last line does not begin another.
            at = len(data) - (1 if stop == end and data.endswith(b"\n") else 0)
            while (at := data.rfind(b"\n", 0, at)) >= 0:
                lines -= 1
                if lines == 0:
                    return begin + at + 1
            stop = begin
        if lines <= 0:
            return end
        return 0 if cut is None else cut.begin

    def _peek(self, offset: int, limit: int) -> bytes:
        """Up to `limit` bytes at the logical `offset`, which must lie after a cut."""
        return os.pread(self._descriptor, limit, _physical(self._directory.cut(self._stream), offset))

    def _open(self) -> bool:
        if self._descriptor < 0:
            descriptor = open_regular(self._directory.file(self._stream))
            if descriptor is None:
                return False
            self._descriptor = descriptor
        return True

    def _skip(self, cut: Cut) -> bytes:
        missing = cut.end - self.offset
        self.offset = cut.end
        return mark(missing)


def mark(missing: int) -> bytes:
    """The line that replaces bytes that were cut."""
    return b"\n[agentq: %d bytes cut here]\n" % missing


TAIL = 4096


def last_line(streams: Iterable[OutputReader]) -> str:
    """The last non-blank line within the last 4 KiB of the first stream that has one; empty if none has.

    A longer line is returned from where the 4 KiB begin. The text is as the agent wrote it; the caller must make it
    harmless.
    """
    for stream in streams:
        try:
            with stream:
                text = stream.last(TAIL)
        except OSError:
            continue
        for line in reversed(text.splitlines()):
            if line.strip():
                return line.strip()
    return ""


def _physical(cut: Cut | None, offset: int) -> int:
    return offset if cut is None or cut.punched or offset < cut.end else offset - (cut.end - cut.begin)
