"""Errors of SQLite and of the operating system in the contract's words. Imported only once there is an error."""

from __future__ import annotations

import errno
import os

from agentq_cli.base.errors import AgentqError, Busy, Refused, Unreadable

# A refusal by the operating system is not a bug in agentq.
REFUSALS = frozenset(
    getattr(errno, name)
    for name in (
        *("ENOSPC", "EDQUOT", "EROFS", "EACCES", "EPERM", "EIO", "EMFILE", "ENFILE", "ENOMEM"),
        *("ENOTDIR", "ELOOP", "ENAMETOOLONG"),
    )
)


def translated(error: BaseException) -> AgentqError:
    """The error as one of agentq's own, with the exit code of its kind; an error of no known kind is a bug."""
    if isinstance(error, AgentqError):
        return error
    if hasattr(error, "sqlite_errorcode") and (failure := _of_sqlite(error)) is not None:
        return failure
    if isinstance(error, OSError) and error.errno in REFUSALS:
        where = f"'{os.fsdecode(error.filename)}'" if error.filename is not None else "the system"
        return Refused(f"{where}: {error.strerror}")
    text = " ".join(str(error).split())
    return AgentqError(
        f"internal: {type(error).__name__}{': ' if text else ''}{text}"
        " (a bug in agentq; AGENTQ_TRACEBACK=1 shows where)"
    )


def _of_sqlite(error: BaseException) -> AgentqError | None:
    """An error that the store did not translate itself, by its primary result code (sqlite.org/rescode.html)."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (5, 6):
        return Busy(f"state: {error}; try again")
    if code in (11, 26):
        return Unreadable(f"state: {error}; it was left unchanged")
    return Refused(f"state: {error}") if code in (3, 8, 10, 13, 14) else None
