"""The module `agentq_cli/spellings.py`: every option and argument of every command, for the quick reader."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from typer import _click as click
from typer._click import types
from typer.core import TyperArgument, TyperOption

from agentq_cli import app

FILE = Path(app.__file__).with_name("spellings.py")

HEAD = '''"""Generated from the declarations of the command line: `python -m agentq_cli.pages`.

By command: its options, each with its parameter, kind, bounds, and whether every command takes it; and its arguments.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    Option = tuple[str, str, int | None, int | None, bool]

SPELLINGS: dict[str, tuple[dict[str, Option], tuple[tuple[str, str], ...]]] = {
'''


def render() -> str:
    """The text of the module. Raises ValueError for a declaration that the quick reader does not know."""
    group = app.application()
    commands: list[click.Command] = [group, *(app.load(name) for name in app.available())]
    lines = [line for command in commands for line in _command("" if command is group else command.name or "", command)]
    return HEAD + "\n".join(lines) + "\n}\n"


def _command(name: str, command: click.Command) -> Iterator[str]:
    yield f'    "{name}": ('
    yield "        {"
    for option in command.params:
        if isinstance(option, TyperOption):
            entry = _option(option)
            yield from (f'            "{spelling}": ({entry}),' for spelling in option.opts)
    yield "        },"
    places = [_place(each) for each in command.params if isinstance(each, TyperArgument)]
    yield f"        ({', '.join(places)}{',' if len(places) == 1 else ''}),"
    yield "    ),"


def _option(option: TyperOption) -> str:
    bounds: tuple[float | None, float | None] = (None, None)
    match option.type:
        case types.BoolParamType() if option.is_flag and not option.secondary_opts:
            kind = "flag"
        case types.IntRange() if not option.type.clamp:
            kind, bounds = "whole", (option.type.min, option.type.max)
        case types.IntParamType() if not isinstance(option.type, types.IntRange):
            kind = "whole"
        case types.FloatParamType() if not isinstance(option.type, types.FloatRange):
            kind = "number"
        case types.StringParamType():
            kind = "texts" if option.multiple else "text"
        case _:
            raise ValueError(f"{option.opts}: a kind that the quick reader does not know")
    unknown = (option.envvar, option.prompt, option.count, option.is_eager, option.nargs != 1, option.required)
    if any(unknown) or (option.multiple and kind != "texts") or (option.callback and option.expose_value):
        raise ValueError(f"{option.opts}: declared in a way that the quick reader does not know")
    return f'"{option.name}", "{kind}", {bounds[0]}, {bounds[1]}, {not option.expose_value}'


def _place(argument: TyperArgument) -> str:
    if (
        not isinstance(argument.type, types.StringParamType)
        or argument.envvar
        or argument.callback
        or (argument.required and argument.nargs != 1)
    ):
        raise ValueError(f"{argument.name}: declared in a way that the quick reader does not know")
    kind = "many" if argument.nargs == -1 else "one" if argument.required else "optional"
    return f'("{argument.name}", "{kind}")'
