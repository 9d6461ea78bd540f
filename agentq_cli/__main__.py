"""The entry, and the one place where an error becomes a line and an exit code."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from signal import SIGINT, SIGTERM, signal
    from types import FrameType

    from agentq_cli.errors import AgentqError
else:
    # What `signal` is made of, without the enumerations.
    from _signal import SIGINT, SIGTERM, signal

REFUSALS = (
    *("ENOSPC", "EDQUOT", "EROFS", "EACCES", "EPERM", "EIO", "EMFILE", "ENFILE", "ENOMEM"),
    *("ENOTDIR", "ELOOP", "ENAMETOOLONG"),
)
"""What the machine refuses is no bug of ours."""

INTERRUPTED = 128 + SIGINT


class Terminated(BaseException):
    """SIGTERM came; what is open is closed on the way out."""


def main() -> int:
    """Runs the command line of this process; returns its exit code."""
    arguments = sys.argv[1:]
    if arguments[:1] == ["__complete"]:
        # A shell waits for candidates while somebody types: the parser is not even imported.
        from agentq_cli import candidates

        return candidates.main(arguments[1:])
    umask = os.umask(0o077)
    try:
        _prepare()
        from agentq_cli import quick

        asked = quick.read(arguments)
        if asked is None:
            from agentq_cli import app

            return app.run(arguments, umask)
        from agentq_cli import perform

        return perform.command(*asked, umask)
    except KeyboardInterrupt as stop:
        if stop.args:  # what a command has to say to whoever stopped it
            _hint(str(stop.args[0]))
        return INTERRUPTED
    except Terminated:
        return 143
    except SystemExit:
        raise
    except BaseException as error:
        return _report(error, arguments)


def _prepare() -> None:
    # A file that we open must not become descriptor 0, 1 or 2, where a child or a message would write into it.
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            # Text in a locale that cannot say it is escaped, never an error.
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    signal(SIGTERM, _terminated)


def _terminated(number: int, frame: FrameType | None) -> None:
    raise Terminated


def _hint(text: str) -> None:
    from contextlib import suppress

    from agentq_cli import errors, output

    with suppress(output.ReaderGone, errors.Refused):
        output.hint(text)


def _report(error: BaseException, arguments: Sequence[str]) -> int:
    from contextlib import suppress

    from agentq_cli import errors, output

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
    with suppress(output.ReaderGone, errors.Refused):
        output.fail(failure, as_json="--json" in options)
    return failure.code


def translated(error: BaseException) -> AgentqError:
    """The error as one of ours: the parser's, SQLite's and the operating system's have codes of their own."""
    import errno

    from agentq_cli.errors import AgentqError, Refused

    if isinstance(error, AgentqError):
        return error
    if "typer" in sys.modules:
        from agentq_cli import parser_errors

        if (usage := parser_errors.translated(error)) is not None:
            return usage
    if hasattr(error, "sqlite_errorcode") and (failure := _of_sqlite(error)) is not None:
        return failure
    if isinstance(error, OSError) and errno.errorcode.get(error.errno or 0) in REFUSALS:
        where = f"'{os.fsdecode(error.filename)}'" if error.filename is not None else "the system"
        return Refused(f"{where}: {error.strerror}")
    text = " ".join(str(error).split())
    return AgentqError(
        f"internal: {type(error).__name__}{': ' if text else ''}{text}"
        " (a bug in agentq; AGENTQ_TRACEBACK=1 shows where)"
    )


def _of_sqlite(error: BaseException) -> AgentqError | None:
    """What the store did not translate itself, by the primary result code (sqlite.org/rescode.html)."""
    from agentq_cli.errors import Busy, Refused, Unreadable

    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (5, 6):
        return Busy(f"state: {error}; try again")
    if code in (11, 26):
        return Unreadable(f"state: {error}; it was left as it is")
    return Refused(f"state: {error}") if code in (3, 8, 10, 13, 14) else None


if __name__ == "__main__":
    sys.exit(main())
