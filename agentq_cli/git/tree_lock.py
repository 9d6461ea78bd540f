"""One process at a time makes, removes or restores a tree.

The lock is a file beside the tree. git and whatever it starts inherit the descriptor, so the lock of an agentq that was
killed is held until the last process that works in the tree has ended (flock(2)).
"""

from __future__ import annotations

import contextlib
import os

from agentq_cli.base.clock import awake_ms
from agentq_cli.base.errors import Busy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE_MS = 5_000
AGAIN_MS = 20


def beside(path: str, what: str) -> str:
    """The path of something that belongs to the tree at `path`: next to it, and hidden, since no tree's name begins
    with a dot."""
    directory, name = os.path.split(path)
    return f"{directory}/.{name}.{what}"


@contextlib.contextmanager
def held(path: str, patience_ms: int = PATIENCE_MS) -> Iterator[int]:
    """Hold the lock of the tree at `path`, and give its descriptor. Raises Busy, OSError.

    The file goes when the tree is gone; see `_is_it`."""
    deadline = awake_ms() + patience_ms
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    while (descriptor := _locked(beside(path, "lock"))) is None:
        if awake_ms() >= deadline:
            raise Busy(f"tree '{path}': another process is making or removing it; try again")
        _pause()
    try:
        yield descriptor
    finally:
        if not os.path.lexists(path):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(beside(path, "lock"))
        os.close(descriptor)


def _locked(file: str) -> int | None:
    """A descriptor that holds the lock; None if another process holds it."""
    import fcntl

    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _is_it(descriptor, file):
            return descriptor
    except BlockingIOError:
        pass
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def _is_it(descriptor: int, file: str) -> bool:
    """Whether the file was not removed, and perhaps made anew, between our opening and our locking."""
    try:
        named = os.stat(file, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return os.path.samestat(os.fstat(descriptor), named)


def _pause() -> None:
    import time

    time.sleep(AGAIN_MS / 1000)
