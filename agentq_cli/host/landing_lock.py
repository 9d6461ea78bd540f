"""One landing at a time on a branch of a repository, over all sessions, supervisors and commands.

The lock is a file in the git directory that all checkouts of the repository share. It is held over the checks between
the steps of a landing too, so that agentq's own landings never make each other check again. What a person does to the
branch meanwhile needs no lock: git moves it by compare-and-swap.
"""

from __future__ import annotations

import os


def file_of(common: str, branch: str) -> str:
    """The file of a branch, by the repository's git directory. It stays: removing it would give two holders."""
    import hashlib

    mark = hashlib.sha256(branch.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    return f"{common}/agentq-land-{mark}"


def take(common: str, branch: str) -> int | None:
    """A descriptor that holds the lock until it is closed or this process ends; None while another one holds it.

    Raises OSError.
    """
    import fcntl

    # For reading: whoever shares the repository can hold it too, whoever made the file.
    flags = os.O_RDONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(file_of(common, branch), flags, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
