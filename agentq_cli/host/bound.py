"""Keeps an output file within its bound without standing between the agent and the file.

The agent writes to the file directly, so its output survives whatever happens to agentq. The shim checks the size and
cuts out the middle. It keeps the beginning, where an agent says what it is about to do, and the newest part.
"""

from __future__ import annotations

import errno
import os
import stat

from agentq_cli.host import kernel
from agentq_cli.host.record_files import lock
from agentq_cli.host.records import Cut
from agentq_cli.host.run_directory import RunDirectory

HEAD_BYTES = 8 << 20
BLOCK = 4096


class BoundedOutput:
    """One output file of a run, created here; the agent inherits `descriptor`. Raises OSError.

    `bound` is the most that the file occupies on disk after a check, in bytes; the minimum is two blocks, since from
    less nothing could be cut.
    """

    def __init__(self, directory: RunDirectory, stream: str, bound: int) -> None:
        self._directory = directory
        self._stream = stream
        self._bound = max(bound, 2 * BLOCK)
        self._head = _up(min(HEAD_BYTES, self._bound // 2))
        self._size = 0
        self._cut: Cut | None = None
        # Opened for appending: two writers of one file, such as an agent and its tool, must not overwrite each other.
        self.descriptor = create_regular(directory.file(stream), os.O_APPEND)
        # The lock is inherited with the descriptor and shows, in any PID namespace, whether a process of the run still
        # has this output open.
        lock(self.descriptor, shared=True)

    def enforce(self) -> int:
        """Shorten the file if it is too long; return how many bytes were added since the last call."""
        size = os.fstat(self.descriptor).st_size
        grown, self._size = max(0, size - self._size), size
        if self._kept() > self._bound:
            self._shorten()
        return grown

    def logical_size(self) -> int:
        """All bytes ever written to the file."""
        return self._size + (0 if self._cut is None or self._cut.punched else self._cut.end - self._cut.begin)

    def _kept(self) -> int:
        return self._size - (self._cut.end - self._cut.begin if self._cut is not None and self._cut.punched else 0)

    def _shorten(self) -> None:
        if self._cut is None or self._cut.punched:
            done = self._head if self._cut is None else self._cut.end
            end = _up(self._size - (self._bound - self._head))
            if end <= done:
                return
            try:
                self._take(Cut(self._head, end, punched=True), done)
                return
            except OSError:
                # This file system has no holes: only the end of the file can be freed.
                self._cut = None
        self._take(Cut(self._head, self.logical_size(), punched=False), self._head)

    def _take(self, cut: Cut, begin: int) -> None:
        # Record the cut as a hole first, and as moved bytes only once they have moved: otherwise a reader would read
        # them twice.
        gone = Cut(cut.begin, cut.end, punched=True)
        recorded = self._record(gone)
        if cut.punched:
            kernel.punch_hole(self.descriptor, begin, cut.end)
        else:
            os.ftruncate(self.descriptor, begin)
            self._size = begin
        self._cut = cut
        if not recorded or cut != gone:
            self._record(cut)

    def _record(self, cut: Cut) -> bool:
        try:
            self._directory.write_cut(self._stream, cut)
        except OSError:  # The disk is full; there will be room once the hole is punched.
            return False
        return True


def create_regular(path: str, flags: int) -> int:
    """A descriptor for writing to a file of the run, created if it does not exist. Raises OSError.

    An earlier run of the session may have put a link in its place, or a pipe, which would block the shim for ever.
    """
    descriptor = os.open(path, flags | os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise FileExistsError(errno.EEXIST, "not a regular file", path)
    os.set_blocking(descriptor, True)
    return descriptor


def _up(size: int) -> int:
    return -(-size // BLOCK) * BLOCK
