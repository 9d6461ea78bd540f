"""The private TMPDIR of a prompt task. Its path is short, because agent CLIs create sockets there and the path of a
socket may have at most 107 bytes. It is removed with the run.

Its name is computed from the run's directory. So whoever removes it in place of a dead keeper does not depend on a file
that the agent can write to.
"""

from __future__ import annotations

import os
import stat
from _blake2 import blake2b  # the same as hashlib's, without loading OpenSSL into each keeper

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PREFIX = "agentq-"
NAME_BYTES = 6


def create(environ: Mapping[str, str], run_dir: str) -> str:
    """Create a directory with mode 0700 under XDG_RUNTIME_DIR, or under /tmp if that cannot be used. Raises OSError."""
    runtime = environ.get("XDG_RUNTIME_DIR", "")
    if runtime.startswith("/"):
        try:
            return _create_under(runtime, run_dir)
        except OSError:
            pass
    return _create_under("/tmp", run_dir)


def remove(path: str) -> None:
    """Remove the directory and its contents without following links. What cannot be removed stays. A path that is
    not one of ours is left alone."""
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
    """Remove the entry of this name in a directory, and its contents, without following links. What cannot be
    removed stays."""
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


def remove_left_behind(environ: Mapping[str, str], run_dir: str) -> None:
    """Remove what the dead keeper of a run left behind, if it belongs to this user."""
    for parent in _parents(environ):
        path = f"{parent}/{_name(run_dir)}"
        try:
            found = os.lstat(path)
        except OSError:
            continue
        if stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid():
            remove(path)


def _parents(environ: Mapping[str, str]) -> Iterator[str]:
    """The directories where a TMPDIR may be: cron, which has no XDG_RUNTIME_DIR, cleans up after a supervisor that
    has one."""
    runtime = environ.get("XDG_RUNTIME_DIR", "")
    if runtime.startswith("/"):
        yield runtime.rstrip("/")
    yield f"/run/user/{os.geteuid()}"
    yield "/tmp"


def _name(run_dir: str) -> str:
    return PREFIX + blake2b(os.fsencode(run_dir), digest_size=NAME_BYTES).hexdigest()


def _create_under(parent: str, run_dir: str) -> str:
    name = _name(run_dir)
    while True:
        path = f"{parent.rstrip('/')}/{name}"
        try:
            os.mkdir(path, 0o700)
        except FileExistsError:
            # It belongs to someone else, or is left over from a state dir that was removed: any other name will do.
            name = PREFIX + os.urandom(NAME_BYTES).hex()
            continue
        return path


def _remove(parent: int, name: str) -> None:
    """Descend by descriptors, so that a directory that is swapped for a link meanwhile leads nowhere else."""
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
    # Tools leave read-only trees behind (such as a Go module cache); their contents are removed all the same.
    if stat.S_ISDIR(mode := os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode) and mode & 0o700 != 0o700:
        os.chmod(name, 0o700, dir_fd=parent)
    return os.open(name, flags, dir_fd=parent)
