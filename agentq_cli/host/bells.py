"""Doorbells: a FIFO for each process that waits for the queue, rung after every commit that may concern it.

A waiter blocks on its bell instead of polling. It empties the bell before it reads the queue, so that no ring between
the reading and the wait is lost. A bell that no process has open any more is a leftover and is removed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
from types import TracebackType

from agentq_cli.base.errors import Refused
from agentq_cli.host import process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)


class Bell:
    """This process's bell; a context manager. If none can be created (no state dir, no room in it) it only waits."""

    slow: str | None = None
    """Why it does not ring at once; None: it does."""

    def __init__(self, directory: str) -> None:
        self.path = f"{directory}/{process.current().name}"
        self._descriptor: int | None = None
        self._refusal = "there is no state dir"
        if not os.path.exists(directory):
            return
        try:
            self._descriptor = self._hang()
        except OSError as error:
            if error.errno not in UNWRITABLE:
                raise
            self._refusal = str(error.strerror)

    def _hang(self) -> int:
        """Create the bell and open it, both before it has its name: a bell that no process has open is a leftover."""
        directory, name = os.path.split(self.path)
        unnamed = f"{directory}/.{name}"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(unnamed)
        os.mkfifo(unnamed, 0o600)
        # For reading and writing: without a writer of its own the FIFO would be at its end whenever nobody rings.
        descriptor = os.open(unnamed, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            os.rename(unnamed, self.path)
        except OSError:
            os.close(descriptor)
            raise
        return descriptor

    def fileno(self) -> int:
        """A descriptor to poll for reading. Raises Refused if there is no bell."""
        if self._descriptor is None:
            raise Refused(f"'{self.path}': {self._refusal}")
        return self._descriptor

    def empty(self) -> None:
        """Take all rings; call this before the check that answers them."""
        if self._descriptor is None:
            return
        try:
            while os.read(self._descriptor, 4096):
                pass
        except BlockingIOError:
            pass

    def rung(self) -> bool:
        """Whether what made the descriptor readable is a ring."""
        return True

    def wait(self, seconds: float) -> bool:
        """Wait for a ring, for at most this many seconds; returns whether there was one. The bell is emptied."""
        descriptors = [] if self._descriptor is None else [self._descriptor]
        rung = bool(select.select(descriptors, [], [], seconds)[0])
        self.empty()
        return rung

    def tried(self) -> None:
        """Rings arrive: the kernel passes them on."""

    def close(self) -> None:
        """Remove the bell."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
