"""The parser's errors in this program's words. Imported only if the parser is."""

from __future__ import annotations

import re
import sys

from typer import Abort
from typer._click import exceptions
from typer._click.exceptions import BadParameter, ClickException

from agentq_cli.base.errors import Usage, nearest

NUMBERS = {"a valid int": "a whole number", "a valid float": "a number"}
"""The parser's words for an expected value, and agentq's."""


def at_a_question(error: BaseException) -> bool:
    """Whether the error is Ctrl-C, or the end of input, at a question."""
    return isinstance(error, Abort)


def translated(error: BaseException) -> Usage | None:
    """A parser's error as a Usage error; None for any other error."""
    return Usage(_message(error)) if isinstance(error, ClickException) else None


def _message(error: ClickException) -> str:
    """The message of a parser's error as `WHAT: WHY`."""
    command = error.ctx.command_path if isinstance(error, exceptions.UsageError) and error.ctx else "agentq"
    if isinstance(error, exceptions.NoSuchOption):
        known = error.ctx.command.get_params(error.ctx) if error.ctx else []
        options = [name for parameter in known for name in parameter.opts]
        near = nearest(error.option_name, options) or f"; see '{command} --help'"
        if "--exec" in options and "--exec" in sys.argv and "--" not in sys.argv:
            near = f"; a command follows '--', as in `{command} --exec -- make test`"
        return f"'{error.option_name}': no such option of '{command}'{near}"
    if isinstance(error, exceptions.MissingParameter):
        return f"{_name(error)}: missing; see '{command} --help'"
    if isinstance(error, exceptions.BadOptionUsage):
        return f"{error.option_name}: {error.message.removeprefix(f'Option {error.option_name!r} ').rstrip('.')}"
    if isinstance(error, exceptions.BadParameter):
        match = re.fullmatch(r"'?(.*?)'? is not (.*?)\.?", error.message, re.DOTALL)
        why = f" '{match[1]}': not {NUMBERS.get(match[2], match[2])}" if match else f": {error.message}"
        return _name(error) + why
    match = re.fullmatch(r"Got unexpected extra argument\(s\) \((.*)\)", error.format_message(), re.DOTALL)
    if match:
        return f"'{match[1]}': unexpected argument of '{command}'; quote text that contains spaces"
    return f"{command}: {error.format_message()}"


def _name(error: BadParameter) -> str:
    parameter = error.param
    if parameter is None:
        return "value"
    return max(parameter.opts, key=len) if parameter.param_type_name == "option" else parameter.human_readable_name
