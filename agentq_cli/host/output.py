"""What a run printed, read even while it prints and from any process. The place of a cut is marked."""

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


class Output:
    """One stream of a run (`stdout`, `stderr`), wherever its bytes are kept. A reader goes on from its `offset`.

    Offsets are logical: they count every byte ever written, including those that were cut. What is abstract here is
    what depends on the place of the bytes. `pace` is how many seconds a follower lets pass at most between two reads.
    """

    pace = 0.5

    def __init__(self, offset: int = 0) -> None:
        self.offset = offset

    @property
    def ended(self) -> bool:
        """Whether no more output is known to come; if not, only the queue can tell."""
        raise NotImplementedError

    def step(self, limit: int = CHUNK) -> tuple[int, bytes]:
        """Go on: how many bytes were cut here, or if none were, the next bytes. (0, b"") at the current end."""
        raise NotImplementedError

    def size(self) -> int:
        """All bytes written so far, including those that were cut."""
        raise NotImplementedError

    def cut(self) -> tuple[int, int] | None:
        """Where the last bytes that were cut begin, and where they end; None if nothing was cut."""
        raise NotImplementedError

    def cut_bytes(self) -> int:
        """How many bytes of the stream were cut."""
        raise NotImplementedError

    def close(self) -> None:
        """Release what it holds; it can be read on all the same."""
        raise NotImplementedError

    def _peek(self, offset: int, limit: int) -> bytes:
        """Up to `limit` bytes at the logical `offset`, which must lie after a cut."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def read(self, limit: int = CHUNK) -> bytes:
        """The next bytes, or the mark of a cut; b"" at the current end or if the stream does not exist yet."""
        missing, data = self.step(limit)
        return mark(missing) if missing else data

    def whole(self) -> Iterator[bytes]:
        """Everything from the position to the current end, in pieces; stops there even if the agent goes on writing.
        Closes it then."""
        with self:
            end = self.size()
            while (left := end - self.offset) > 0 and (piece := self.read(min(left, CHUNK))):
                yield piece

    def last(self, limit: int) -> str:
        """The last `limit` bytes that were written, none from before a cut, without changing the position."""
        end = self.size()
        cut = self.cut()
        begin = max(0 if cut is None else cut[1], end - limit)
        return self._peek(begin, end - begin).decode(errors="replace") if end > begin else ""

    def tail(self, lines: int) -> Self:
        """Move to where the last `lines` lines begin; to the beginning of the cut if fewer lines follow it."""
        self.offset = self._tail_offset(lines)
        return self

    def _tail_offset(self, lines: int) -> int:
        stop = end = self.size()
        cut = self.cut()
        floor = 0 if cut is None else cut[1]
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
        return 0 if cut is None else cut[0]


class OutputReader(Output):
    """A stream read from the files of its run, even while it is written and from any process."""

    def __init__(self, directory: RunDirectory, stream: str, offset: int = 0) -> None:
        super().__init__(offset)
        self._directory = directory
        self._stream = stream
        self._descriptor = -1

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def step(self, limit: int = CHUNK) -> tuple[int, bytes]:
        if not self._open():
            return 0, b""
        cut = self._directory.cut(self._stream)
        if cut is not None and cut.begin <= self.offset < cut.end:
            return self._skip(cut), b""
        room = limit if cut is None or self.offset >= cut.end else min(limit, cut.begin - self.offset)
        data = os.pread(self._descriptor, room, _physical(cut, self.offset))
        after = self._directory.cut(self._stream)
        if after != cut and after is not None and after.end > self.offset:
            # The file was cut while we read. The cut is recorded before it is made, so the bytes up to its beginning
            # are genuine.
            data = data[: max(0, after.begin - self.offset)]
            if not data:
                return self._skip(after) if after.begin <= self.offset else 0, b""
        self.offset += len(data)
        return 0, data

    def size(self) -> int:
        if not self._open():
            return 0
        size, cut = os.fstat(self._descriptor).st_size, self._directory.cut(self._stream)
        return size if cut is None or cut.punched else size + cut.end - cut.begin

    @property
    def ended(self) -> bool:
        return self._directory.exit() is not None

    def cut(self) -> tuple[int, int] | None:
        cut = self._directory.cut(self._stream)
        return None if cut is None else (cut.begin, cut.end)

    def cut_bytes(self) -> int:
        cut = self._directory.cut(self._stream)
        return 0 if cut is None else cut.end - cut.begin

    def _peek(self, offset: int, limit: int) -> bytes:
        return os.pread(self._descriptor, limit, _physical(self._directory.cut(self._stream), offset))

    def _open(self) -> bool:
        if self._descriptor < 0:
            descriptor = open_regular(self._directory.file(self._stream))
            if descriptor is None:
                return False
            self._descriptor = descriptor
        return True

    def _skip(self, cut: Cut) -> int:
        missing = cut.end - self.offset
        self.offset = cut.end
        return missing


def mark(missing: int) -> bytes:
    """The line that replaces bytes that were cut."""
    return b"\n[agentq: %d bytes cut here]\n" % missing


TAIL = 4096


def last_line(streams: Iterable[Output]) -> str:
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
