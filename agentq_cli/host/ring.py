"""Ringing the doorbells (see `bells`). Loaded by processes that must start at once."""

from __future__ import annotations

import errno
import os


def ring(directory: str | os.PathLike[str], *, but: str | None = None) -> None:
    """Ring every bell, after a commit, except the one named `but`. Never fails and never waits: a process that sleeps
    on has a timer as well."""
    try:
        names = os.listdir(directory)
    except OSError:
        return
    for name in names:
        if name == but or name.startswith("."):
            continue
        path = os.path.join(directory, name)
        try:
            descriptor = _open(path)
        except OSError as error:
            if error.errno == errno.ENXIO:
                _remove_leftover(path)
            continue
        try:
            os.write(descriptor, b".")
        except OSError:
            pass  # full: it has been rung often enough
        finally:
            os.close(descriptor)


def held(path: str) -> bool:
    """Whether the process that owns this bell is alive: the kernel closes the bell when the process ends."""
    try:
        os.close(_open(path))
    except OSError as error:
        # If it cannot be known, the process is assumed to be alive.
        return error.errno not in (errno.ENXIO, errno.ENOENT, errno.ENOTDIR)
    return True


def _open(path: str) -> int:
    """Open the bell for writing. Raises OSError: ENXIO if no process has it open."""
    return os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)


def _remove_leftover(path: str) -> None:
    # A bell gets its name only once its process has it open, so a bell that nobody has open has lost its process.
    try:  # noqa: SIM105 - contextlib takes longer to load than all of this
        os.unlink(path)
    except FileNotFoundError:
        pass
