"""git's own lock of a checkout's index, held by agentq while it moves a branch and the files together.

git, and everybody who uses git, stops at the file `index.lock`. Ours says what it is held for, and whoever made it
holds an flock on it, as does every git that it starts. So one whose holder was killed is recognised, and what it was
held for is completed by the next one; anybody else's is never touched.
"""

from __future__ import annotations

import os

from agentq_cli.base.dataclass import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

WAIT_SECONDS = 5
"""How long another one's lock is waited for: git itself holds it for moments."""

MAGIC = b"agentq is updating this checkout: "
MOST = 4096


@dataclass(frozen=True, slots=True)
class IndexLock:
    """A lock that we hold. `purpose` is what it says: our own, or that of a holder who was killed."""

    path: str
    descriptor: int
    purpose: str

    def release(self) -> None:
        """Give the index back, unless somebody has removed our lock."""
        import contextlib

        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.stat(self.path), os.fstat(self.descriptor)):
                os.unlink(self.path)
        os.close(self.descriptor)

    def leave(self) -> None:
        """End our part, and let the next one complete what the lock was taken for."""
        os.close(self.descriptor)


class Locked(Exception):
    """Somebody else went on holding the index: git, a person's program, or another agentq."""


def lock_index(git_dir: str, purpose: str, seconds: float = WAIT_SECONDS) -> IndexLock:
    """Lock the index, or take over the lock of a holder who was killed. Raises Locked and OSError."""
    lock = _again(lambda: _make(git_dir, purpose) or _take_left(git_dir), lambda: False, seconds)
    assert lock is not None
    return lock


def take_left(git_dir: str, seconds: float = WAIT_SECONDS) -> IndexLock | None:
    """Take over the lock of an agentq that was killed; None if there is none. A git that it started may still be at
    work: that is waited for. Raises Locked and OSError."""
    return _again(lambda: _take_left(git_dir), lambda: not _is_ours(git_dir), seconds)


def _again(attempt: Callable[[], IndexLock | None], give_up: Callable[[], bool], seconds: float) -> IndexLock | None:
    import time

    from agentq_cli.base.clock import awake_ms

    deadline = awake_ms() + seconds * 1000
    while (lock := attempt()) is None and not give_up():
        if awake_ms() >= deadline:
            raise Locked
        time.sleep(0.02)
    return lock


def _is_ours(git_dir: str) -> bool:
    try:
        with open(os.path.join(git_dir, "index.lock"), "rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def _take_left(git_dir: str) -> IndexLock | None:
    import fcntl

    path = os.path.join(git_dir, "index.lock")
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        content = os.pread(descriptor, MOST, 0)
        if content.startswith(MAGIC):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Its holder may have ended in the meantime, with the lock released.
            if os.fstat(descriptor).st_nlink:
                return IndexLock(path, descriptor, os.fsdecode(content[len(MAGIC) :]))
    except BlockingIOError:
        pass
    os.close(descriptor)
    return None


def _make(git_dir: str, purpose: str) -> IndexLock | None:
    """Make the lock, with its content and its flock from the first moment on."""
    import contextlib
    import fcntl

    path = os.path.join(git_dir, "index.lock")
    draft = os.path.join(git_dir, f"agentq-lock.{os.getpid()}")
    with contextlib.suppress(FileNotFoundError):
        os.unlink(draft)
    descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        os.write(descriptor, MAGIC + os.fsencode(purpose))
        os.link(draft, path)
        return IndexLock(path, descriptor, purpose)
    except FileExistsError:
        os.close(descriptor)
        return None
    except BaseException:
        os.close(descriptor)
        raise
    finally:
        os.unlink(draft)
