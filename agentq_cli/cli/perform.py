"""Runs a command whose arguments have been read, by the quick reader or the parser, and prints its result."""

from __future__ import annotations

import os
import sys

from agentq_cli import __version__
from agentq_cli.base import clock
from agentq_cli.base.errors import NotAnAddress, Usage
from agentq_cli.cli.context import Context, Resources, state_directory
from agentq_cli.options.table import EVERYWHERE, row, rows
from agentq_cli.show import printer, results

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import ModuleType
    from typing import Any

    from agentq_cli.options.table import Given


class Surroundings:
    """What a context is made from in addition to the options; `made` is the context of the command that ran."""

    def __init__(self, resources: Resources, umask: int) -> None:
        self._resources = resources
        self._umask = umask
        self.made: Context | None = None

    def context(self, options: Mapping[str, Any]) -> Context:
        """The context of a command with these shared options. Raises Usage."""
        if options.get("utc"):
            from agentq_cli.options import moments

            moments.read_in_utc()
        url = options.get("url")
        if url is not None:
            from agentq_cli.config.key_readers import url as checked_url

            # What this process starts works with the same queue.
            os.environ["AGENTQ_URL"] = checked_url(url, "--url")
        self.made = Context(
            state_dir=state_directory(options.get("state_dir"), os.environ),
            clock=clock.from_environment(os.environ),
            environ=os.environ,
            as_json=bool(options.get("json")),
            color=checked_color(options.get("color")),
            allow_network_fs=bool(options.get("allow_network_fs")),
            umask=self._umask,
            resources=self._resources,
        )
        return self.made


def checked_color(given: str | None) -> str:
    """The value of `--color`. Raises Usage."""
    from agentq_cli.options.values import parse_choice

    return parse_choice(given, row("", "color"), "--color") if given else "auto"


def refuse_empty(name: str, given: Mapping[str, Any], shared: Mapping[str, Any]) -> None:
    """Raises Usage if an option of a command has an empty value, perhaps from a variable that a script never set.

    An empty value must not count as not given: the work would run without its gate or limit, or in another state dir.
    """
    for option in rows(name):
        value = (shared if option.panel == EVERYWHERE else given).get(option.name)
        empty = value == "" or (option.kind == "texts" and value is not None and "" in value)
        if empty and option.spellings[:1] == "-" and option.reader != "words":
            raise Usage(f"{option.spellings.partition(' ')[0]} '': needs a value")


ABOVE = {"mcp": "agentq_cli.mcp.command"}
"""The modules of commands that run other commands."""


def module(name: str) -> ModuleType:
    """The module of a command."""
    full = ABOVE.get(name) or f"agentq_cli.commands.{name}"
    __import__(full)
    return sys.modules[full]


def function(name: str) -> Callable[..., results.Result]:
    """The function that is a command."""
    # The function of `list` has an underscore, because its module needs the builtin of that name.
    found: Callable[..., results.Result] = getattr(module(name), f"{name}_", None) or getattr(module(name), name)
    return found


def call(name: str, given: Given, at: Context) -> results.Result:
    """The result of a command with the given values; values that were not given are None."""
    try:
        return function(name)({**dict.fromkeys(option.name for option in rows(name)), **given}, at)
    except NotAnAddress as error:
        from agentq_cli.commands import session_meant

        takes_session = any("-s" in option.spellings.split() for option in rows(name))
        raise session_meant.explained(at.open_queue(), error, takes_session=takes_session) from None


def version() -> results.Result:
    """What `--version` prints."""
    return results.Document("version", {"version": __version__}, [f"agentq {__version__}"])


def alone(at: Context) -> results.Result:
    """What `agentq` alone prints."""
    from agentq_cli.commands.overview import overview

    return overview(at)


def command(name: str, given: Mapping[str, Any], shared: Mapping[str, Any], umask: int) -> int:
    """Run a command with the given values; without a name print the version or an overview. Returns the exit code.
    Raises the command's errors."""

    def invoke(surroundings: Surroundings) -> results.Result:
        refuse_empty(name, given, shared)
        if not name:
            return version() if "version" in shared else alone(surroundings.context(shared))
        return call(name, given, surroundings.context(shared))

    return run(invoke, umask, as_json="json" in shared)


def run(invoke: Callable[[Surroundings], results.Result], umask: int, *, as_json: bool) -> int:
    """Print the result of `invoke`; returns the exit code. `as_json` is used if `invoke` made no context."""
    resources = Resources()
    try:
        surroundings = Surroundings(resources, umask)
        result = invoke(surroundings)
        made = surroundings.made
        writer = printer.Printer(
            as_json=made.as_json if made else as_json,
            color=made.color if made else "auto",
            environ=os.environ,
            now_ms=(made.clock if made else clock.Clock()).now_ms,
        )
        return writer.write(result)
    finally:
        resources.close()
