"""Copies ignored files that `.worktreeinclude` names from a checkout into a new tree: `.env`, a cache, a local setting.

No symlink is followed on either side, and nothing is overwritten. A link is made again as it is. Where the file system
shares blocks (`FICLONE`, ioctl_ficlonerange(2)), a copy takes no room.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from agentq_cli.git.runner import Git

FILE = ".worktreeinclude"
FICLONE = 0x40049409
BLOCK = 1 << 20

DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
PASSED_OVER = (FileNotFoundError, NotADirectoryError, FileExistsError, PermissionError, IsADirectoryError)
"""A file that vanished or cannot be read, and a name that the tree has already."""


def named(git: Git) -> list[bytes]:
    """The ignored files of git's checkout that its `.worktreeinclude` names, as paths below the checkout. Raises
    GitFailed.

    Files of repositories and trees that lie in the checkout are not among them.
    """
    try:
        if not stat.S_ISREG(os.lstat(f"{git.directory}/{FILE}").st_mode):
            return []
    except OSError:
        return []
    told = git.run("ls-files", "-z", "--others", "--ignored", f"--exclude-from={FILE}").records()
    if not told:
        return []
    # `check-ignore` knows no literal paths; with a dot in front, none begins with a colon.
    asked = b"".join(b"./" + name + b"\0" for name in told)
    every = git.having(GIT_LITERAL_PATHSPECS="0")
    ignored = every.run("check-ignore", "-z", "--stdin", stdin=asked, ok=(0, 1)).records()
    return [name.removeprefix(b"./") for name in ignored if not name.endswith(b"/")]


def copy(source: str, target: str, names: Iterable[bytes]) -> list[bytes]:
    """Copy files from one checkout into another; return the names that were not copied. Raises OSError for a disk that
    is full or does not work."""
    left = []
    with contextlib.ExitStack() as opened:
        reading = os.open(source, DIRECTORY)
        opened.callback(os.close, reading)
        writing = os.open(target, DIRECTORY)
        opened.callback(os.close, writing)
        for name in names:
            try:
                _copy(reading, writing, name)
            except PASSED_OVER:
                left.append(name)
            except OSError as error:
                if error.errno != errno.ELOOP:  # A link where a directory or a file should be.
                    raise
                left.append(name)
    return left


def _copy(source: int, target: int, name: bytes) -> None:
    *above, last = name.split(b"/")
    with contextlib.ExitStack() as opened:
        for directory in above:
            source = os.open(directory, DIRECTORY, dir_fd=source)
            opened.callback(os.close, source)
            target = _made_directory(target, directory, stat.S_IMODE(os.fstat(source).st_mode) | 0o700)
            opened.callback(os.close, target)
        found = os.stat(last, dir_fd=source, follow_symlinks=False)
        if stat.S_ISLNK(found.st_mode):
            os.symlink(os.readlink(last, dir_fd=source), last, dir_fd=target)
        elif stat.S_ISREG(found.st_mode):
            _copy_file(source, target, last)
        else:
            raise FileNotFoundError(name)


def _made_directory(parent: int, name: bytes, mode: int) -> int:
    """A descriptor of a directory, made if it is not there, with this mode whatever our umask is."""
    try:
        os.mkdir(name, 0o700, dir_fd=parent)
        made = True
    except FileExistsError:
        made = False
    directory = os.open(name, DIRECTORY, dir_fd=parent)
    if made:
        os.fchmod(directory, mode)
    return directory


def _copy_file(source: int, target: int, name: bytes) -> None:
    flags = os.O_NOFOLLOW | os.O_CLOEXEC
    reading = os.open(name, os.O_RDONLY | os.O_NONBLOCK | flags, dir_fd=source)
    try:
        found = os.fstat(reading)
        writing = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | flags, 0o600, dir_fd=target)
        try:
            _copy_content(reading, writing)
            os.fchmod(writing, stat.S_IMODE(found.st_mode) & 0o777)
            os.utime(writing, ns=(found.st_atime_ns, found.st_mtime_ns))
        finally:
            os.close(writing)
    finally:
        os.close(reading)


def _copy_content(reading: int, writing: int) -> None:
    import fcntl

    try:
        fcntl.ioctl(writing, FICLONE, reading)
        return
    except OSError:
        pass
    while part := os.read(reading, BLOCK):
        view = memoryview(part)
        while view:
            view = view[os.write(writing, view) :]
