"""The command line as data: every command's page, and the possible values of its options and arguments."""

from __future__ import annotations

import re
from collections.abc import Sequence

from typer import _click as click

from agentq_cli.base.dataclass import dataclass, replace
from agentq_cli.cli import app, help
from agentq_cli.cli.help import Entry, Page
from agentq_cli.model.statuses import RunStatus, Status
from agentq_cli.options.table import ALIASES, COMMANDS, EVERYWHERE, SHORT_EXEC

ADDRESSES = {
    "retry": "ended",
    "reply": "ended",
    "prune": "ended",
    "trigger": "series",
    **dict.fromkeys(("show", "logs", "runs", "events", "report", "diff", "land", "discard", "restore"), "tasks"),
}
"""The tasks that a command's ID can name, as kinds of `candidates`; for all other commands, live ones."""


@dataclass(frozen=True, slots=True)
class Value:
    """The values to offer in a place: one of `words`, or by `kind`: `files`, `directories`, `command`, `free` (nothing
    can be offered), or a kind of `candidates`."""

    kind: str
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Option:
    """An option to complete; `value` is None for a flag."""

    entry: Entry
    value: Value | None


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument to complete; `repeated` if any number of them may follow."""

    metavar: str
    value: Value
    repeated: bool


@dataclass(frozen=True, slots=True)
class Command:
    """A command: its page, and its options and arguments in order. `runs` if it takes a command line after `--`."""

    name: str
    page: Page
    options: tuple[Option, ...]
    arguments: tuple[Argument, ...]
    runs: bool


def application() -> Command:
    """agentq itself: the options before a command."""
    ctx = app.application().make_context("agentq", [])
    page = help.page(ctx.command, ctx)
    everywhere = (entry for panel in page.panels if panel.title == EVERYWHERE for entry in panel.entries)
    return Command("", page, tuple(_option("", entry) for entry in everywhere), (), False)


def commands() -> tuple[Command, ...]:
    """Every command, in the order of the help."""
    group = app.application()
    parent = group.make_context("agentq", [])
    return tuple(_command(group, parent, name) for name in COMMANDS)


def with_short_names() -> tuple[Command, ...]:
    """The same, then those of other names, for a person who types."""
    found = commands()
    there = {command.name: command for command in found}
    short = {SHORT_EXEC: "submit", **ALIASES}
    return (*found, *(replace(there[name], name=alias) for alias, name in short.items()))


def _command(group: app.Application, parent: click.Context, name: str) -> Command:
    command = group.get_command(parent, name)
    assert command is not None
    ctx = command.context_class(command, info_name=name, parent=parent)
    page = help.page(command, ctx)
    entries = [(panel.title, entry) for panel in page.panels for entry in panel.entries]
    options = tuple(_option(name, entry) for title, entry in entries if title != help.ARGUMENTS)
    runs = any("--exec" in option.entry.names for option in options)
    places = (entry for title, entry in entries if title == help.ARGUMENTS)
    arguments = tuple(Argument(each.metavar, value(name, each), each.repeatable) for each in places)
    return Command(name, page, options, arguments, runs)


def _option(command: str, entry: Entry) -> Option:
    return Option(entry, value(command, entry) if entry.metavar else None)


def value(command: str, entry: Entry) -> Value:
    """The values for an option or argument of this command, by its metavar."""
    metavar = entry.metavar.removesuffix("...")
    if re.fullmatch(r"[a-z]+(\|[a-z]+)*", metavar):
        return Value("words", tuple(metavar.split("|")))
    if metavar == "STATUS":
        statuses: Sequence[Status | RunStatus] = list(RunStatus if command == "runs" else Status)
        return Value("words", tuple(status.value for status in statuses))
    long = entry.names[-1] if entry.names else ""
    named = {"--session": "sessions", "--agent": "agents", "--label": "labels", "--conversation": "keys"}
    named |= {"--print": "agents"}
    named |= {"--base": "refs", "--land": "branches", "--into": "branches", "--push": "remotes"}
    if long in named:
        return Value(named[long])
    if metavar == "NAME" and not long:
        return Value("sessions")
    if metavar.startswith("ID"):
        return Value("tasks" if long else ADDRESSES.get(command, "live"))
    return Value({"PATH": "files", "FILE": "files", "DIR": "directories"}.get(metavar, "free"))


def sentence(text: str) -> str:
    """The meaning of an option, in ASCII and short enough for a menu."""
    first = text.split(". ")[0].split("; ")[0].rstrip(".").replace("…", "...")
    return first.encode("ascii", "ignore").decode()
