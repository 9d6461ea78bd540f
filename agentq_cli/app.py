"""The command line as a whole: which commands there are, the options all of them share, and how one is loaded.

A command is the one function of `commands/NAME.py`. Only the module of the command that runs is imported; `--help` and
the generators of man pages and completions ask for all of them.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from typing import Any

from typer import Exit
from typer import _click as click
from typer.core import TyperCommand, TyperGroup, TyperOption
from typer.main import get_command_from_info
from typer.models import CommandInfo

from agentq_cli import __version__, clock, output
from agentq_cli.context import Context, enter, state_directory
from agentq_cli.errors import Usage, nearest

COMMANDS = (
    *("submit", "schedule", "list", "show", "sessions", "workers", "runs", "logs", "events", "messages"),
    *("edit", "pause", "resume", "cancel", "retry", "trigger", "wait", "run", "sweep", "prune"),
    *("stats", "health", "top", "report", "config", "agents", "doctor", "service", "completion"),
)
"""Every command of the contract in the order of the help; one without a module is not there yet."""

ABOUT = """Runs coding agents and commands unattended, and proves afterwards what happened.

'agentq submit' hands in a prompt or a command, 'agentq run' works through the queue,
'agentq runs' tells how it went."""

SHARED = "agentq.shared"
COLORS = ("auto", "always", "never")


def _remember(ctx: click.Context, parameter: click.Parameter, value: object) -> object:
    # A later one, the subcommand's own, wins over one given before it.
    if value not in (None, False):
        ctx.meta.setdefault(SHARED, {})[parameter.name] = value
    return value


def shared_options() -> list[TyperOption]:
    """The options that stand before or after the name of any command."""
    declared: list[tuple[str, str | None, str]] = [
        ("--json", None, "Print one JSON document."),
        ("--state-dir", "DIR", "Everything agentq keeps lies there; AGENTQ_STATE_DIR."),
        ("--color", "auto|always|never", "Whether to colour; default auto."),
        ("--allow-network-fs", None, "Accept a state dir whose file locks cannot be relied on."),
    ]
    return [
        TyperOption(
            param_decls=[name],
            metavar=metavar,
            help=text,
            is_flag=metavar is None,
            default=False if metavar is None else None,
            type=None if metavar is None else str,
            expose_value=False,
            callback=_remember,
        )
        for name, metavar, text in declared
    ]


class Command(TyperCommand):
    """One command: the parameters of its function, the shared ones, and a context when it runs."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        own = {spelling for parameter in self.params for spelling in parameter.opts}
        self.params += [option for option in shared_options() if not own.intersection(option.opts)]

    def invoke(self, ctx: click.Context) -> Any:
        """The command's result, not yet printed."""
        enter(ctx.obj.context(ctx.meta.get(SHARED, {})))
        return super().invoke(ctx)


class Application(TyperGroup):
    """`agentq` itself: finds a command by name and imports nothing but that."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands that are there."""
        return available()

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, or None."""
        return load(cmd_name) if cmd_name in available() else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command named first. Raises Usage with the nearest name."""
        name = args[0]
        command = self.get_command(ctx, name)
        if command is None and not ctx.resilient_parsing:
            near = nearest(name, available()) or "; see 'agentq --help'"
            raise Usage(f"'{name}': no such command{near}")
        return name, command, args[1:]

    def invoke(self, ctx: click.Context) -> Any:
        """The result of the command; the version or the help where none is named."""
        shared = ctx.meta.get(SHARED, {})
        if shared.get("version"):
            return output.Document("version", {"version": __version__}, [f"agentq {__version__}"])
        if not ctx._protected_args:
            if shared.get("json"):
                raise Usage("agentq: a command is wanted; see 'agentq --help'")
            return output.Document("help", {}, [self.get_help(ctx), *_next_steps(ctx)], code=2)
        return super().invoke(ctx)


def _next_steps(ctx: click.Context) -> list[str]:
    """What to do next, below a help that nobody asked for."""
    from agentq_cli import next_steps

    try:
        return ["", *next_steps.lines(ctx.obj.context(ctx.meta.get(SHARED, {})))]
    except Usage:
        return []  # there is no home directory, or a wrong setting: the help is of more use than an error


def available() -> list[str]:
    """The names of the commands whose module exists, in the order of the help."""
    there = set(os.listdir(Path(__file__).parent / "commands"))
    return [name for name in COMMANDS if f"{name}.py" in there]


def load(name: str) -> click.Command:
    """Import a command's module and make a command of its function."""
    module = import_module(f"agentq_cli.commands.{name}")
    # `list` is the name of a builtin that its own module needs.
    function = getattr(module, f"{name}_", None) or getattr(module, name)
    info = CommandInfo(name=name, callback=function, cls=Command)
    return get_command_from_info(info, pretty_exceptions_short=False, rich_markup_mode=None)


def application() -> Application:
    """The whole command line; also what man pages and completions are generated from."""
    version = TyperOption(
        param_decls=["--version", "-V"],
        is_flag=True,
        default=False,
        expose_value=False,
        callback=_remember,
        help="Print the version.",
    )
    return Application(
        name="agentq",
        help=ABOUT,
        params=[*shared_options(), version],
        subcommand_metavar="COMMAND [ARGS]...",
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )


class Surroundings:
    """What a context is made of besides the options; `made` is the one of the command that ran."""

    def __init__(self, resources: ExitStack, umask: int) -> None:
        self._resources = resources
        self._umask = umask
        self.made: Context | None = None

    def context(self, options: dict[str, Any]) -> Context:
        """The context of a command with these shared options. Raises Usage."""
        color = options.get("color", "auto")
        if color not in COLORS:
            raise Usage(f"--color '{color}': auto, always or never{nearest(color, COLORS)}")
        self.made = Context(
            state_dir=state_directory(options.get("state_dir"), os.environ),
            clock=clock.from_environment(os.environ),
            environ=os.environ,
            as_json=bool(options.get("json")),
            color=color,
            allow_network_fs=bool(options.get("allow_network_fs")),
            umask=self._umask,
            resources=self._resources,
        )
        return self.made


def run(arguments: Sequence[str], umask: int) -> int:
    """Parse, run the command and print its result; the exit code. Raises whatever went wrong."""
    with ExitStack() as resources:
        surroundings = Surroundings(resources, umask)
        group = application()
        try:
            with group.make_context("agentq", list(arguments), obj=surroundings) as ctx:
                result = group.invoke(ctx)
        except Exit as done:
            return done.exit_code
        made = surroundings.made
        printer = output.Printer(
            as_json=made.as_json if made else "--json" in arguments,
            color=made.color if made else "auto",
            environ=os.environ,
            now_ms=(made.clock if made else clock.Clock()).now_ms,
        )
        return printer.write(result)
