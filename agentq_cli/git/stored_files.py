"""Stores files as a commit, byte for byte, by one `git fast-import`: no index, no filters, no line endings changed.

The commit is its parent with some paths replaced. The files are read by us, since git would follow a link that lies
under a name, would apply the repository's filters, and takes paths by line.
"""

from __future__ import annotations

import os
import stat

from agentq_cli.base.dataclass import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agentq_cli.git.runner import Git

    Write = Callable[[bytes], object]

PIECE = 1 << 20
"""How much of a file is held in memory, in bytes."""

FAST = ("pack.compression=1", "core.looseCompression=1")
"""A snapshot has a limit of time; git packs it better when it next packs everything."""

ADDRESS = "agentq@localhost"
AUTHOR = f"agentq <{ADDRESS}>"
"""Not the repository's user, who did not make this commit; nothing has to be configured either."""


class Changed(Exception):
    """A file became shorter while it was read."""


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of a path: the file that lies there (`blob` and `mode` empty), an object of the repository, or
    nothing (`gone`)."""

    path: str
    gone: bool = False
    blob: str = ""
    mode: str = ""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The commit to make: `ref` will name it. `parents` begins with the one that `changes` refer to; with `whole`,
    they refer to nothing: what is not among them is not in the commit."""

    ref: str
    message: str
    parents: Sequence[str]
    changes: Sequence[Change]
    seconds: int
    whole: bool = False


def store(git: Git, commits: Sequence[Wanted], seconds: float) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Make the commits in one go; return their ids, and the paths that could not be read.

    A later commit may name an earlier one as parent: `:1` is the first. A ref is set whatever it was. Raises GitFailed,
    GitTimedOut and Changed; then no ref was changed.
    """
    from threading import Thread

    unread: list[str] = []
    failed: list[BaseException] = []
    reading, writing = os.pipe()

    def feed() -> None:
        try:
            with open(writing, "wb", PIECE) as file:
                _write(file.write, git.directory, commits, unread)
        except BrokenPipeError:
            pass  # git has ended, and says why
        except BaseException as error:
            failed.append(error)

    feeder = Thread(target=feed, name="files")
    feeder.start()
    try:
        answer = git.run("fast-import", "--quiet", "--force", stdin=reading, config=FAST, seconds=seconds)
    except BaseException as error:
        _remove_report(git.directory, getattr(error, "stderr", ""))
        raise
    finally:
        os.close(reading)
        feeder.join()
        if failed:
            raise failed[0]
    return tuple(answer.out.decode().split()), tuple(unread)


def _write(write: Write, directory: str, commits: Sequence[Wanted], unread: list[str]) -> None:
    write(b"feature done\n")
    for number, wanted in enumerate(commits, 1):
        message = wanted.message.encode(errors="surrogateescape")
        write(f"commit {wanted.ref}\nmark :{number}\ncommitter {AUTHOR} {wanted.seconds} +0000\n".encode())
        write(b"data %d\n%s\n" % (len(message), message))
        for word, parent in zip(("from", *["merge"] * len(wanted.parents)), wanted.parents, strict=False):
            write(f"{word} {parent}\n".encode())
        if wanted.whole:
            write(b"deleteall\n")
        # A directory may have taken the place of a file, and the other way round: what goes makes room first.
        for change in wanted.changes:
            if change.gone:
                write(b"D %s\n" % quoted(change.path))
        for change in wanted.changes:
            if change.blob:
                write(b"M %s %s %s\n" % (change.mode.encode(), change.blob.encode(), quoted(change.path)))
            elif not change.gone and not _write_file(write, directory, change.path):
                unread.append(change.path)
        write(b"\n")
    for number, _ in enumerate(commits, 1):
        write(b"get-mark :%d\n" % number)
    write(b"done\n")


def _write_file(write: Write, directory: str, path: str) -> bool:
    """Write the file or link of this name; False if it is neither, or cannot be read. Raises Changed."""
    file = os.path.join(directory, path)
    try:
        found = os.lstat(file)
        if stat.S_ISLNK(found.st_mode):
            target = os.fsencode(os.readlink(file))
            write(b"M 120000 inline %s\ndata %d\n%s\n" % (quoted(path), len(target), target))
            return True
        if not stat.S_ISREG(found.st_mode):
            return False
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    with open(descriptor, "rb", 0) as opened:
        size = os.fstat(descriptor).st_size
        mode = b"100755" if found.st_mode & stat.S_IXUSR else b"100644"
        write(b"M %s inline %s\ndata %d\n" % (mode, quoted(path), size))
        while size:
            piece = opened.read(min(size, PIECE))
            if not piece:
                raise Changed(path)
            write(piece)
            size -= len(piece)
        write(b"\n")
    return True


def quoted(path: str) -> bytes:
    """A path as git reads it from a line: in quotes, so that it may contain anything."""
    return b'"%s"' % os.fsencode(path).replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n")


def _remove_report(directory: str, stderr: str) -> None:
    """Remove the report that git leaves in the repository when the files end early."""
    import contextlib

    for line in stderr.splitlines():
        _, found, report = line.partition("dumping crash report to ")
        if found:
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(directory, report))
