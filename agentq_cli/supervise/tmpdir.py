"""The private TMPDIR of a prompt task: short, because agent CLIs put sockets there and a socket's path ends at 107
bytes; removed with the run."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping

PREFIX = "agentq-"


def create(environ: Mapping[str, str]) -> str:
    """Make one, 0700, under XDG_RUNTIME_DIR or, where that is not to be used, /tmp. Raises OSError."""
    runtime = environ.get("XDG_RUNTIME_DIR", "")
    if runtime.startswith("/"):
        try:
            return _create_under(runtime)
        except OSError:
            pass
    return _create_under("/tmp")


def remove(path: str) -> None:
    """Remove it with all that is in it, following no link. What cannot be removed stays; a path not ours is left."""
    name = os.path.basename(path)
    if not name.startswith(PREFIX) or not os.path.isabs(path):
        return
    try:
        parent = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return
    try:
        _remove(parent, name)
    finally:
        os.close(parent)


def remove_below(parent: str, name: str) -> None:
    """Remove what has this name in a directory, with all that is in it, following no link. What cannot be stays."""
    try:
        directory = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return
    try:
        os.unlink(name, dir_fd=directory)
    except OSError:
        _remove(directory, name)
    finally:
        os.close(directory)


def _create_under(parent: str) -> str:
    while True:
        path = f"{parent.rstrip('/')}/{PREFIX}{os.urandom(4).hex()}"
        try:
            os.mkdir(path, 0o700)
        except FileExistsError:
            continue
        return path


def _remove(parent: int, name: str) -> None:
    """Descend by descriptors: a directory that is swapped for a link meanwhile leads nowhere else."""
    try:
        directory = _open_directory(parent, name)
    except OSError:
        return
    try:
        for entry in os.listdir(directory):
            try:
                os.unlink(entry, dir_fd=directory)
            except OSError:
                _remove(directory, entry)
        os.rmdir(name, dir_fd=parent)
    except OSError:
        pass
    finally:
        os.close(directory)


def _open_directory(parent: int, name: str) -> int:
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    # Tools leave read-only trees behind (a Go module cache); what is in them is removed all the same.
    if stat.S_ISDIR(mode := os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode) and mode & 0o700 != 0o700:
        os.chmod(name, 0o700, dir_fd=parent)
    return os.open(name, flags, dir_fd=parent)
