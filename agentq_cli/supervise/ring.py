"""Ringing the doorbells (see `bells`). Loaded by processes that must start at once."""

from __future__ import annotations

import errno
import os

from agentq_cli import procfs


def ring(directory: str | os.PathLike[str], *, but: str | None = None) -> None:
    """Ring every bell, after the commit, `but` the one of that name. Never fails and never waits: who sleeps on has a
    timer as well."""
    try:
        names = os.listdir(directory)
    except OSError:
        return
    for name in names:
        if name == but:
            continue
        path = os.path.join(directory, name)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            if error.errno == errno.ENXIO:
                _remove_leftover(path, name)
            continue
        try:
            os.write(descriptor, b".")
        except OSError:
            pass  # full: it has been rung often enough
        finally:
            os.close(descriptor)


def _remove_leftover(path: str, name: str) -> None:
    # Between its mkfifo and its open a living process's bell has no reader either.
    pid, _, start_time = name.partition("-")
    if pid.isdecimal() and start_time.isdecimal() and not procfs.alive(int(pid), int(start_time), procfs.boot_id()):
        try:  # noqa: SIM105 - contextlib takes longer to load than all of this
            os.unlink(path)
        except FileNotFoundError:
            pass
