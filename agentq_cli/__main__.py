"""The entry, and the one place where an error becomes a line and an exit code."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import TYPE_CHECKING

from agentq_cli.errors import AgentqError, Busy, Refused, Unreadable, Usage, nearest

if TYPE_CHECKING:
    from typer._click.exceptions import BadParameter, ClickException

# What the machine refuses is no bug of ours.
REFUSALS = frozenset(
    getattr(errno, name)
    for name in (
        *("ENOSPC", "EDQUOT", "EROFS", "EACCES", "EPERM", "EIO", "EMFILE", "ENFILE", "ENOMEM"),
        *("ENOTDIR", "ELOOP", "ENAMETOOLONG"),
    )
)


WHOLE = ("a valid integer", "a valid int", "a valid int range")
NUMBERS = {
    **dict.fromkeys(WHOLE, "a whole number"),
    "a valid float": "a number",
}
"""The parser's words for what a value should have been, and ours."""


INTERRUPTED = 128 + signal.SIGINT


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
        if arguments[:1] == ["sweep"]:
            from agentq_cli.store import idle

            if idle.sweep(arguments[1:]):
                return 0
        from agentq_cli import app

        return app.run(arguments, umask)
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
    signal.signal(signal.SIGTERM, _terminated)


def _terminated(number: int, frame: FrameType | None) -> None:
    raise Terminated


def _hint(text: str) -> None:
    from agentq_cli import output

    with contextlib.suppress(output.ReaderGone, Refused):
        output.hint(text)


def _report(error: BaseException, arguments: Sequence[str]) -> int:
    from typer import Abort

    from agentq_cli import output

    if isinstance(error, output.ReaderGone):
        return 0
    if isinstance(error, Abort):
        # Ctrl-C or the end of input at a question.
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
    """The error as one of ours: the parser's, SQLite's and the operating system's have codes of their own."""
    from typer._click.exceptions import ClickException

    if isinstance(error, AgentqError):
        return error
    if isinstance(error, ClickException):
        return Usage(_parser_message(error))
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
    """What the store did not translate itself, by the primary result code (sqlite.org/rescode.html)."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (5, 6):
        return Busy(f"state: {error}; try again")
    if code in (11, 26):
        return Unreadable(f"state: {error}; it was left as it is")
    return Refused(f"state: {error}") if code in (3, 8, 10, 13, 14) else None


def _parser_message(error: ClickException) -> str:
    """A complaint of the command line's parser as `WHAT: WHY`."""
    from typer._click import exceptions

    command = error.ctx.command_path if isinstance(error, exceptions.UsageError) and error.ctx else "agentq"
    if isinstance(error, exceptions.NoSuchOption):
        known = error.ctx.command.get_params(error.ctx) if error.ctx else []
        options = [name for parameter in known for name in parameter.opts]
        near = nearest(error.option_name, options) or f"; see '{command} --help'"
        if "--exec" in options and "--exec" in sys.argv and "--" not in sys.argv:
            near = f"; a command stands after '--', as in `{command} --exec -- make test`"
        return f"'{error.option_name}': no such option of '{command}'{near}"
    if isinstance(error, exceptions.MissingParameter):
        return f"{_name(error)}: missing; see '{command} --help'"
    if isinstance(error, exceptions.BadOptionUsage):
        return f"{error.option_name}: {error.message.removeprefix(f'Option {error.option_name!r} ').rstrip('.')}"
    if isinstance(error, exceptions.BadParameter):
        match = re.fullmatch(r"'?(.*?)'? is not (.*?)\.?", error.message, re.DOTALL)
        why = f" '{match[1]}': not {_wanted(match[2])}" if match else f": {error.message}"
        return _name(error) + why
    match = re.fullmatch(r"Got unexpected extra argument\(s\) \((.*)\)", error.format_message(), re.DOTALL)
    if match:
        return f"'{match[1]}': more than '{command}' takes; text with blanks needs quotes"
    return f"{command}: {error.format_message()}"


def _wanted(what: str) -> str:
    """The parser's words for what a value should have been, in ours."""
    match = re.fullmatch(r"in the range (?:x>=(\d+)|(\d+)<=x<=(\d+))", what)
    if match:
        return f"a number of {match[1]} or more" if match[1] else f"a number from {match[2]} to {match[3]}"
    return NUMBERS.get(what, what)


def _name(error: BadParameter) -> str:
    parameter = error.param
    if parameter is None:
        return "value"
    return max(parameter.opts, key=len) if parameter.param_type_name == "option" else parameter.human_readable_name


if __name__ == "__main__":
    sys.exit(main())
