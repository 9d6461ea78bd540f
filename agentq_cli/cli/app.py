"""The command line as a whole: its commands, the options that all of them share, and how a command is loaded.

A command is a function in `commands/NAME.py`. Only the module of the command that runs is imported; `--help` and the
generators of man pages and completions import all of them.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from typer import Exit
from typer import _click as click
from typer._click import types
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from agentq_cli.base import clock
from agentq_cli.base.errors import Usage, nearest
from agentq_cli.cli import perform
from agentq_cli.options.table import ARGUMENTS, COMMANDS, EVERYWHERE, GROUPS, rows
from agentq_cli.options.values import parse_whole
from agentq_cli.show import printer, results

if TYPE_CHECKING:
    from agentq_cli.cli.help import Entry
    from agentq_cli.options.table import Row

ELSEWHERE = {
    "help": "--help",
    "version": "--version",
    "watch": "top",
    "usage": "stats",
    "cost": "stats",
    "queue": "list",
    "info": "show",
    "clear": "prune",
    "daemon": "run",
    "ps": "workers",
    "kill": "cancel",
    "shutdown": "stop",
    "remove": "prune",
    "clean": "prune",
    "start": "run",
    "restart": "retry",
    "follow": "logs",
    "tail": "logs",
    "history": "runs",
    "parallel": "jobs",
    "group": "sessions",
    "stash": "pause",
    "enqueue": "resume",
    "atq": "list",
    "atrm": "cancel",
}
"""Names that other programs give to a command; suggesting the nearest spelling would mislead."""

ABOUT = """Runs coding agents and commands unattended, and proves afterwards what happened.

'agentq submit' queues a prompt or a command, 'agentq run' works through the queue,
'agentq runs' shows the results."""

EXAMPLES = (
    ('agentq submit --agent demo "Say hello"', "Submit a prompt; 'demo' only pretends to be an agent."),
    ("agentq run --drain", "Work through the queue."),
    ("agentq runs", "Show the results."),
)
SEE = "For more, see 'agentq COMMAND --help' and the manual pages: man agentq, man agentq-submit."

SHARED = "agentq.shared"
"""The key of the given values of shared options in a Click context."""

HELP = ("-h", "--help")


def _remember(ctx: click.Context, parameter: click.Parameter, value: object) -> object:
    # A value given after the command's name wins over one given before it.
    if value not in (None, False):
        ctx.meta.setdefault(SHARED, {})[parameter.name] = value
    return value


class Whole(types.IntParamType):
    """A whole number within the bounds of its option."""

    def __init__(self, row: Row) -> None:
        self.row = row

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number. Raises Usage if it is out of bounds."""
        number: int = super().convert(value, param, ctx)
        return parse_whole(number, self.row, self.row.spellings.split()[0])


def parameters(name: str) -> list[click.Parameter]:
    """The options and arguments of a command."""
    return [_argument(row) if row.reader in ARGUMENTS else _option(row) for row in rows(name)]


def _argument(row: Row) -> TyperArgument:
    return TyperArgument(
        param_decls=[row.name],
        metavar=row.metavar,
        help=row.text,
        type=str,
        required=row.reader == "one",
        nargs=-1 if row.reader == "many" else 1,
    )


def _option(row: Row) -> TyperOption:
    shared = row.panel == EVERYWHERE
    flag = row.kind == "flag"
    return TyperOption(
        param_decls=[*row.spellings.split(), row.name],
        metavar=None if flag else row.metavar,
        help=row.text,
        is_flag=flag,
        default=False if flag else None,
        type=None if flag else Whole(row) if row.kind == "whole" else float if row.kind == "number" else str,
        multiple=row.kind == "texts",
        expose_value=not shared,
        callback=_remember if shared else None,
        show_default=row.default or False,
        rich_help_panel=row.panel or None,
    )


class HelpWanted(Exception):
    """Show the command's help instead of running it; `given` are the shared options as typed."""

    def __init__(self, ctx: click.Context, given: Mapping[str, Any]) -> None:
        super().__init__()
        self.ctx = ctx
        self.given = given


def _help_wanted(ctx: click.Context, parameter: click.Parameter, value: object) -> None:
    # Called if it was typed together with another flag, as in `-fh`.
    if value:
        raise HelpWanted(ctx, ctx.meta.get(SHARED, {}))


class Helpful(click.Command):
    """A command whose help agentq lays out and prints like any other result."""

    def get_help_option(self, ctx: click.Context) -> TyperOption | None:
        """`-h` and `--help`, in a fixed order."""
        if self._help_option is None:
            self._help_option = TyperOption(
                param_decls=[*HELP, "help_"],
                is_flag=True,
                default=False,
                help="Show this help.",
                rich_help_panel=EVERYWHERE,
                expose_value=False,
                is_eager=True,
                callback=_help_wanted,
            )
        return self._help_option

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As Click does. Raises HelpWanted if `--help` is among the words, with the other options that were given."""
        if any(word in HELP for word in args):
            given, _, _ = self.make_parser(ctx).parse_args(args=list(args))
            if given.get("help_"):
                raise HelpWanted(ctx, {**ctx.meta.get(SHARED, {}), **given})
        return super().parse_args(ctx, args)

    def get_help(self, ctx: click.Context) -> str:
        """The help screen as plain text, as wide as the terminal."""
        import shutil

        from agentq_cli.cli import help

        return "\n".join(line for line, _ in help.page(self, ctx).lines(shutil.get_terminal_size().columns))


class Command(Helpful, TyperCommand):
    """A command: its parameters come from the table, and it is called with a context."""

    examples: Sequence[tuple[str, str]] = ()
    usages: Sequence[str] = ()
    keeps = False

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As Click does. Raises Usage on a prompt before a command, since Click would merge both into one list."""
        before = self._before_command(ctx, args) if any(each.name == "exec" for each in self.params) else []
        rest = super().parse_args(ctx, args)
        if before and ctx.params["exec"]:
            raise Usage(f"PROMPT '{before[0]}': not together with --exec; the command follows '--'")
        return rest

    def _before_command(self, ctx: click.Context, args: Sequence[str]) -> list[str]:
        """The words before `--exec`, or before the `--` that begins the command."""
        found: list[str] = []
        for position, word in enumerate(args):
            if word in ("--exec", "--"):
                try:
                    given, _, _ = self.make_parser(ctx).parse_args(args=list(args[:position]))
                except click.exceptions.UsageError:
                    continue  # it is an option's value, or the whole command line is invalid
                found = [text for text in given.get("words") or () if isinstance(text, str)]
                if word == "--":
                    break
        return found

    def invoke(self, ctx: click.Context) -> Any:
        """The command's result, which is not printed yet."""
        shared = ctx.meta.get(SHARED, {})
        perform.refuse_empty(str(self.name), ctx.params, shared)
        typed = {each: list(value) if isinstance(value, tuple) else value for each, value in ctx.params.items()}
        given = {each: value for each, value in typed.items() if value is not False and value != []}
        return perform.call(str(self.name), given, ctx.obj.context(shared))


class Application(Helpful, TyperGroup):
    """`agentq` itself: finds a command by name and imports only that."""

    examples = EXAMPLES
    usages = ("[OPTIONS] COMMAND [ARGS]...",)
    see = SEE

    @property
    def groups(self) -> Mapping[str, Sequence[Entry]]:
        """The commands by purpose, each with its summary."""
        from agentq_cli.cli.help import Entry, first_sentence

        return {
            title: [Entry((name,), "", first_sentence(" ".join((load(name).help or "").split()))) for name in names]
            for title, names in GROUPS.items()
        }

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of the commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name; None if there is no such command."""
        return load(cmd_name) if cmd_name in COMMANDS else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the first word names. Raises Usage with the nearest name."""
        name = args[0]
        command = self.get_command(ctx, name)
        if command is None and not ctx.resilient_parsing:
            asked = name == "help" and args[1:2] and args[1] in COMMANDS
            meant = f"{args[1]} --help" if asked else ELSEWHERE.get(name)
            near = f"; did you mean '{meant}'?" if meant else nearest(name, COMMANDS) or "; see 'agentq --help'"
            raise Usage(f"'{name}': no such command{near}")
        return name, command, args[1:]

    def invoke(self, ctx: click.Context) -> Any:
        """The result of the command; the version or an overview if none is named."""
        shared = ctx.meta.get(SHARED, {})
        if shared.get("version"):
            return perform.version()
        if not ctx._protected_args:
            return perform.alone(ctx.obj.context(shared))
        return super().invoke(ctx)


def load(name: str) -> click.Command:
    """Import a command's module, and make a command from its function and its rows."""
    module = perform.module(name)
    command = Command(
        name=name,
        params=parameters(name),
        help=inspect.getdoc(perform.function(name)),
        rich_markup_mode=None,
    )
    command.examples = getattr(module, "EXAMPLES", ())
    command.usages = getattr(module, "USAGES", ())
    command.keeps = getattr(module, "KEEPS", False)
    return command


def application() -> Application:
    """The whole command line; man pages and completions are generated from it too."""
    return Application(
        name="agentq",
        help=ABOUT,
        params=parameters(""),
        subcommand_metavar="COMMAND [ARGS]...",
        rich_markup_mode=None,
    )


def _help(wanted: HelpWanted) -> int:
    from agentq_cli.base.dataclass import asdict
    from agentq_cli.cli import help

    page = help.page(wanted.ctx.command, wanted.ctx)
    writer = printer.Printer(
        as_json=bool(wanted.given.get("json")),
        color=perform.checked_color(wanted.given.get("color")),
        environ=os.environ,
        now_ms=clock.Clock().now_ms,
    )
    return writer.write(results.Screen("help", asdict(page), page.lines))


def run(arguments: Sequence[str], umask: int) -> int:
    """Parse the arguments, run the command and print its result; returns the exit code. Raises every error."""
    group = application()

    def invoke(surroundings: perform.Surroundings) -> results.Result:
        with group.make_context("agentq", list(arguments), obj=surroundings) as ctx:
            result: results.Result = group.invoke(ctx)
            return result

    try:
        return perform.run(invoke, umask, as_json="--json" in arguments)
    except Exit as done:
        return done.exit_code
    except HelpWanted as wanted:
        return _help(wanted)
