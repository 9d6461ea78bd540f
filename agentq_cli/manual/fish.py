"""The completion file for fish: a `complete` command for each option and argument, see complete(1) of fish."""

from __future__ import annotations

from collections.abc import Iterator

from agentq_cli.cli.help import first_sentence
from agentq_cli.manual.surface import Command, Option, Value, application, sentence, with_short_names
from agentq_cli.manual.template import filled
from agentq_cli.options.table import SHORT_EXEC

NAME = "agentq.fish"


def render() -> str:
    """The whole file."""
    own, all_commands = application(), with_short_names()
    taking = [name for option in own.options if option.value is not None for name in option.entry.names]
    flags = {
        name for each in all_commands for option in each.options if not option.value for name in option.entry.names
    }
    valued = {name for each in all_commands for option in each.options if option.value for name in option.entry.names}
    return filled(
        NAME,
        TAKING=" ".join(taking),
        TAKING_ANYWHERE=" ".join(sorted(valued - flags)),
        RUNNING=" ".join(each.name for each in all_commands if each.runs),
        SHORT_EXEC=SHORT_EXEC,
        COMMANDS=[
            f"complete -c agentq -n __agentq_no_command -a {each.name} -d {_summary(each)}" for each in all_commands
        ],
        OPTIONS=[
            *(f"complete -c agentq -n __agentq_no_command {_option(option)}" for option in own.options),
            *(line for each in all_commands for line in _command(each)),
            "complete -c agentq -n __agentq_runs -x -a '(__agentq_run)'",
            "complete -c agentq -n __agentq_short -x -a '(__agentq_short_run)'",
        ],
    )


def _summary(command: Command) -> str:
    return quoted(sentence(first_sentence(command.page.summary)))


def _command(command: Command) -> Iterator[str]:
    here = f"__agentq_in {command.name}"
    for place, argument in enumerate(() if command.name == SHORT_EXEC else command.arguments):
        condition = here if argument.repeated else f"{here}; and __agentq_place {place}"
        if argument.value.kind != "free":
            yield f"complete -c agentq -n '{condition}' {_offered(argument.value)}"
    for option in command.options:
        yield f"complete -c agentq -n '{here}' {_option(option)}"


def _option(option: Option) -> str:
    names = [f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in option.entry.names]
    offered = [] if option.value is None else [_offered(option.value)]
    return " ".join([*names, *offered, "-d", quoted(sentence(option.entry.text))])


def _offered(value: Value) -> str:
    match value.kind:
        case "words":
            return f"-x -a {quoted(' '.join(value.words))}"
        case "files":
            return "-r -F"
        case "directories":
            return "-x -a '(__fish_complete_directories (commandline -ct))'"
        case "free":
            return "-x"
        case kind:
            return f"-x -k -a '(__agentq_ask {kind})'"


def quoted(text: str) -> str:
    """A word that fish takes literally."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
