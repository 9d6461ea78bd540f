"""Turns an error into a line and an exit code. Imported only after an error."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence

from agentq_cli.base.defaults import INTERRUPTED
from agentq_cli.base.errors import Refused
from agentq_cli.base.translation import translated


def advise(text: str) -> None:
    """Print a hint when a command was interrupted."""
    from agentq_cli.show import notices, printer

    with contextlib.suppress(printer.ReaderGone, Refused):
        notices.hint(text)


def report(error: BaseException, arguments: Sequence[str]) -> int:
    """Print the error that ended the command; return the exit code."""
    from agentq_cli.show import notices, printer

    if isinstance(error, printer.ReaderGone):
        return 0
    if "typer" in sys.modules:
        from agentq_cli.cli import parser_errors

        if parser_errors.at_a_question(error):
            return INTERRUPTED
    if os.environ.get("AGENTQ_TRACEBACK"):
        import traceback

        notices.note_lines(traceback.format_exception(error))
    failure = (parser_errors.translated(error) if "typer" in sys.modules else None) or translated(error)
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    with contextlib.suppress(printer.ReaderGone, Refused):
        printer.fail(failure, as_json="--json" in options)
    return failure.code
