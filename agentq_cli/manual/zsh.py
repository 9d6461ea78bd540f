"""The completion file for zsh: `_arguments` specifications, see zshcompsys(1)."""

from __future__ import annotations

from collections.abc import Iterator

from agentq_cli.cli.help import first_sentence
from agentq_cli.manual.surface import Argument, Command, Option, Value, application, sentence, with_short_names
from agentq_cli.manual.template import filled
from agentq_cli.options.table import SHORT_EXEC

NAME = "_agentq"


def render() -> str:
    """The whole file."""
    all_commands = with_short_names()
    return filled(
        NAME,
        COMMANDS=[
            f"        {quoted(f'{each.name}:{sentence(first_sentence(each.page.summary))}')}" for each in all_commands
        ],
        OPTIONS=[f"        {spec} \\" for option in application().options for spec in _option(option)],
        ARGUMENTS=[line for each in all_commands for line in _command(each)],
    )


def _command(command: Command) -> Iterator[str]:
    specs = [spec for option in command.options for spec in _option(option)]
    if command.name == SHORT_EXEC:
        specs.append("'(-)*:: : _normal'")
    elif command.runs:
        # Before `--` the words of the command itself.
        asked = (_action(argument.value) for argument in command.arguments if argument.value.kind != "free")
        specs.append(quoted(f"*: : _agentq_run{next(asked, '')}"))
    else:
        specs += [_argument(argument) for argument in command.arguments]
    yield f"    {command.name})"
    # With -S nothing behind `--` is an option.
    yield "        _arguments -S \\"
    yield from (f"            {spec} \\" for spec in specs[:-1])
    yield f"            {specs[-1]}"
    yield "        ;;"


def _option(option: Option) -> Iterator[str]:
    names = option.entry.names
    tail = f"[{_escaped(sentence(option.entry.text), '[]')}]"
    if option.value is not None:
        tail += f":{_escaped(option.entry.metavar, ':')}:{_action(option.value)}"
    # A repeatable option excludes nothing; any other option excludes itself under all of its names.
    head = "*" if option.entry.repeatable else f"({' '.join(names)})"
    for name in names:
        mark = "" if option.value is None else "=" if name.startswith("--") else "+"
        yield quoted(f"{head}{name}{mark}{tail}")


def _argument(argument: Argument) -> str:
    head = "*" if argument.repeated else ""
    return quoted(f"{head}:{_escaped(argument.metavar, ':')}:{_action(argument.value)}")


def _action(value: Value) -> str:
    match value.kind:
        case "words":
            return f"({' '.join(value.words)})"
        case "files":
            return "_files"
        case "directories":
            return "_files -/"
        case "free":
            return " "
        case kind:
            # The leading space keeps _arguments from adding its own words.
            return f" _agentq_ask {kind}"


def _escaped(text: str, characters: str) -> str:
    return "".join(f"\\{letter}" if letter in characters else letter for letter in text)


def quoted(text: str) -> str:
    """A word that zsh takes literally."""
    return "'" + text.replace("'", "'\\''") + "'"
