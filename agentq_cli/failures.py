"""Turns an error into a line and an exit code. Imported only once there is an error."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Sequence

from agentq_cli.defaults import INTERRUPTED
from agentq_cli.errors import AgentqError, Busy, Refused, Unreadable

# A refusal by the operating system is not a bug in agentq.
REFUSALS = frozenset(
    getattr(errno, name)
    for name in (
        *("ENOSPC", "EDQUOT", "EROFS", "EACCES", "EPERM", "EIO", "EMFILE", "ENFILE", "ENOMEM"),
        *("ENOTDIR", "ELOOP", "ENAMETOOLONG"),
    )
)


def advise(text: str) -> None:
    """Print a hint when a command was interrupted."""
    from agentq_cli import output

    with contextlib.suppress(output.ReaderGone, Refused):
        output.hint(text)


def report(error: BaseException, arguments: Sequence[str]) -> int:
    """Print the error that ended the command; return the exit code."""
    from agentq_cli import output

    if isinstance(error, output.ReaderGone):
        return 0
    if "typer" in sys.modules:
        from agentq_cli import parser_errors

        if parser_errors.at_a_question(error):
            return INTERRUPTED
    if os.environ.get("AGENTQ_TRACEBACK"):
        import traceback

        output.note_lines(traceback.format_exception(error))
    failure = translated(error)
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    with contextlib.suppress(output.ReaderGone, Refused):
        output.fail(failure, as_json="--json" in options)
    return failure.code


def translated(error: BaseException) -> AgentqError:
    """The error as one of agentq's own: errors of the parser, SQLite and the operating system have exit codes of
    their own."""
    if isinstance(error, AgentqError):
        return error
    if "typer" in sys.modules:
        from agentq_cli import parser_errors

        if (usage := parser_errors.translated(error)) is not None:
            return usage
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
