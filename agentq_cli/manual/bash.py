"""The completion file for bash."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

from agentq_cli.manual.surface import Command, Value, application, with_short_names
from agentq_cli.manual.template import filled
from agentq_cli.options.table import SHORT_EXEC

NAME = "agentq.bash"


def render() -> str:
    """The whole file."""
    own, all_commands = application(), with_short_names()
    return filled(
        NAME,
        COMMANDS=[line for each in (own, *all_commands) for line in _command(each)],
        OPTIONS=[line for each in (own, *all_commands) for line in _options(each)],
        ARGUMENTS=[line for each in all_commands for line in _arguments(each)],
        SHORT_EXEC=SHORT_EXEC,
        NAMES=" ".join(each.name for each in all_commands),
    )


def _command(command: Command) -> Iterator[str]:
    names = " ".join(name for option in command.options for name in _by_hand(option.entry.names))
    runs = " runs=yes" if command.runs else ""
    yield f"    {_word(command.name)}) options='{names}'{runs} ;;"


def _by_hand(names: Iterable[str]) -> list[str]:
    """The spellings to offer: only long ones, because they are self-explanatory."""
    return [name for name in names if name.startswith("--")]


def _options(command: Command) -> Iterator[str]:
    taking = [(option.value, name) for option in command.options for name in option.entry.names if option.value]
    for value, group in groupby(
        sorted(taking, key=lambda pair: (pair[0].kind, pair[0].words)), key=lambda pair: pair[0]
    ):
        patterns = "|".join(f"{_word(command.name)}:{name}" for _, name in group)
        yield f"    {patterns}) {_kind(value)} ;;"


def _arguments(command: Command) -> Iterator[str]:
    for place, argument in enumerate(command.arguments):
        if argument.value.kind != "free":
            yield f"    {command.name}:{'*' if argument.repeated else place}) {_kind(argument.value)} ;;"


def _kind(value: Value) -> str:
    choices = f" choices='{' '.join(value.words)}'" if value.words else ""
    return f"kind={value.kind}{choices}"


def _word(name: str) -> str:
    return name or "''"
