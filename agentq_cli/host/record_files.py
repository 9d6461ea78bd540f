"""The files of a run's records: small JSON documents that appear complete, or locks that say who lives."""

from __future__ import annotations

import errno
import os
import stat

from agentq_cli.base.context import suppress
from agentq_cli.base.json_text import dumps, loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

LARGEST = 64 * 1024
UNFIT = (errno.ELOOP, errno.EACCES, errno.ENXIO)
FOR_WRITING = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
FOR_READING = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


RESERVED_EXIT = "exit.reserved"
"""The name of an exit record from the start of its run until its end. It is durable before the agent starts; so is the
record, under one of its two names, once its content is."""

AGENT = b', "agent": '
"""What precedes the place in a `start` record for the process of its agent. Nothing that a keeper writes before it
contains this."""

NOBODY = b"null".ljust(64)
"""That place while it is empty. It has room for each process."""


def load(path: str) -> dict[str, Any] | None:
    """The record as a dict; {} if it exists but is unreadable, None if it does not exist. Raises OSError as `read`
    does."""
    found = read(path)
    return None if found is None else parse(found)


def parse(record: bytes) -> dict[str, Any]:
    """A record as it was written; {} if that is unreadable."""
    try:
        document = loads(record.decode().removesuffix("\n"))
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def read(path: str) -> bytes | None:
    """The content of a record; None if it does not exist.

    The agent can write to the directory, so a pipe, a link or a directory in its place counts as an empty file. Any
    other failure is raised: a run must not look dead because we are out of descriptors.
    """
    try:
        descriptor = os.open(path, FOR_READING)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if error.errno in UNFIT:
            return b""
        raise
    try:
        return os.read(descriptor, LARGEST) if stat.S_ISREG(os.fstat(descriptor).st_mode) else b""
    finally:
        os.close(descriptor)


def with_agent(record: bytes) -> bytes:
    """A `start` record with an empty place for its agent."""
    return b"%b%b%b}\n" % (record[: record.rindex(b"}")], AGENT, NOBODY)


def without_agent(record: bytes) -> tuple[bytes, bytes | None]:
    """A `start` record without its agent, and the agent; None if it has no place for one. What is written there while
    it is read does not make the rest unreadable."""
    start, place, agent = record.partition(AGENT)
    return (start + b"}", agent.removesuffix(b"}\n").rstrip()) if place else (record, None)


def link(path: str, document: Mapping[str, Any], *, locked: bool = False) -> int | None:
    """Put a document in place, complete; the caller syncs and closes the descriptor that is returned, and syncs the
    directory. None: there is one already.

    With `locked` it is locked until the descriptor is closed, if the file system supports such locks, and says so; and
    it has a place for the agent.
    """
    temporary = f"{path}.{os.getpid()}"
    descriptor = os.open(temporary, FOR_WRITING, 0o600)
    try:
        record = with_agent(encode({**document, "locked": lock(descriptor)})) if locked else encode(document)
        _write_all(descriptor, record)
        os.link(temporary, path)
    except OSError as error:
        os.close(descriptor)
        if isinstance(error, FileExistsError):
            return None
        raise
    finally:
        os.unlink(temporary)
    return descriptor


def put(path: str, document: Mapping[str, Any], *, synced: bool = False) -> None:
    """Put a document in place, complete, and in that of an earlier one; if that fails, that one stays. `synced`: its
    data is durable before. Raises OSError."""
    put_bytes(path, encode(document), synced=synced)


def put_bytes(path: str, data: bytes, *, synced: bool = False) -> None:
    """The same for any file."""
    temporary = f"{path}.{os.getpid()}"
    descriptor = os.open(temporary, FOR_WRITING, 0o600)
    try:
        _write_all(descriptor, data)
        if synced:
            os.fsync(descriptor)
        os.rename(temporary, path)
    except OSError:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def encode(document: Mapping[str, Any]) -> bytes:
    """A document as the line of its file."""
    return dumps(document).encode() + b"\n"


def sync_directory(path: str) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def require_directory(path: str) -> None:
    """Raises NotADirectoryError for anything but a directory itself."""
    if not stat.S_ISDIR(os.lstat(path).st_mode):
        raise NotADirectoryError(errno.ENOTDIR, "a symbolic link or a file, not a directory", path)


def lock(descriptor: int, *, shared: bool = False) -> bool:
    """Lock a file for as long as it stays open, here or in processes that inherit it. False if such locks are not
    supported."""
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
    except OSError:
        return False
    return True


def is_locked(path: str) -> bool:
    """Whether someone holds a lock on a file. The kernel releases a lock when the last process that has the file
    open ends."""
    import fcntl

    try:
        descriptor = os.open(path, FOR_READING)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        if error.errno in UNFIT:
            return False
        raise
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return False
