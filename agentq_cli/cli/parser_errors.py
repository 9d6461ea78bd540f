"""The parser's errors in this program's words. Imported only if the parser is."""

from __future__ import annotations

import re
import sys

from typer import Abort
from typer._click import exceptions
from typer._click.exceptions import BadParameter, ClickException

from agentq_cli.base.errors import Usage, nearest
from agentq_cli.options.table import GROUPS, rows

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
        near = _elsewhere(error) or nearest(error.option_name, options) or f"; see '{command} --help'"
        if "--exec" in options and "--exec" in sys.argv and "--" not in sys.argv:
            near = f"; a command follows '--', as in `{command} --exec -- make test`"
        return f"'{error.option_name}': no such option of '{command}'{near}"
    if isinstance(error, exceptions.MissingParameter):
        examples = getattr(error.ctx.command if error.ctx else None, "examples", ())
        return f"{_name(error)}: missing{f', as in `{examples[0][0]}`' if examples else ''}; see '{command} --help'"
    if isinstance(error, exceptions.BadOptionUsage):
        why = error.message.removeprefix(f"Option {error.option_name!r} ").rstrip(".")
        return f"{error.option_name}: {'needs a value' if why == 'requires an argument' else why}"
    if isinstance(error, exceptions.BadParameter):
        match = re.fullmatch(r"'?(.*?)'? is not (.*?)\.?", error.message, re.DOTALL)
        why = f" '{match[1]}': not {NUMBERS.get(match[2], match[2])}" if match else f": {error.message}"
        return _name(error) + why
    match = re.fullmatch(r"Got unexpected extra argument\(s\) \((.*)\)", error.format_message(), re.DOTALL)
    if match:
        advice = f"quote text that contains spaces, or see '{command} --help'"
        return f"'{match[1]}': unexpected argument of '{command}'; {advice}"
    return f"{command}: {error.format_message()}"


def _elsewhere(error: exceptions.NoSuchOption) -> str:
    """The command beside this one that has the option, such as `schedule` for `submit --cron`; empty if none has."""
    own = error.ctx.command.name if error.ctx else None
    group = next((names for names in GROUPS.values() if own in names), ())
    having = [name for name in group if any(error.option_name in each.spellings.split() for each in rows(name))]
    return f"; 'agentq {having[0]}' has it" if len(having) == 1 else ""


def _name(error: BadParameter) -> str:
    parameter = error.param
    if parameter is None:
        return "value"
    return max(parameter.opts, key=len) if parameter.param_type_name == "option" else parameter.human_readable_name
