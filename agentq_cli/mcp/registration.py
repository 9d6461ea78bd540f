"""What registers a server with an agent CLI, as that CLI's profile says: the same queue and the same limits."""

from __future__ import annotations

import json
import os
import shlex

from agentq_cli.agents import profile as profiles
from agentq_cli.base import environment
from agentq_cli.base.database_url import without_password
from agentq_cli.base.errors import Usage
from agentq_cli.commands.service import program
from agentq_cli.config import configuration
from agentq_cli.options.table import row
from agentq_cli.show.results import Document

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.cli.context import Context
    from agentq_cli.options.table import Given


def registration(given: Given, at: Context) -> Document:
    """The line or the piece of a file for the agent CLI that is named. Raises Usage, NotFound."""
    agent = given["print"]
    found = profiles.profile(at.config, agent)
    if found.mcp is None:
        known = [name for name, each in profiles.profiles(at.config).items() if each.mcp is not None]
        raise Usage(f"--print '{agent}': not known how a server is registered with it; known for {', '.join(known)}")
    argv = [*_program(at), "mcp", *_limits(given)]
    text = found.mcp.strip("\n")
    for name, words in {
        "shell": shlex.join(argv),
        "argv": json.dumps(argv),
        "program": json.dumps(argv[0]),
        "args": json.dumps(argv[1:]),
        "variables": json.dumps(environment.OF_CLIENT),
    }.items():
        text = text.replace(f"{{{name}}}", words)
    return Document("mcp", {"agent": agent, "argv": argv, "text": text}, text.splitlines())


def _program(at: Context) -> list[str]:
    """The words that start this agentq with this queue and this config, from any directory."""
    words = program()
    if at.environ.get("AGENTQ_CONFIG"):
        words = ["env", f"AGENTQ_CONFIG={os.path.abspath(configuration.config_path(at.environ)[0])}", *words]
    url = at.environ.get("AGENTQ_URL")
    if url:
        words += ["--url", without_password(url)]
    if at.state_dir != environment.state_directory(None, {**at.environ, "AGENTQ_STATE_DIR": ""}):
        words += ["--state-dir", at.state_dir]
    return [*words, *(["--allow-network-fs"] if at.allow_network_fs else [])]


def _limits(given: Given) -> list[str]:
    """The options that limit the server, as words."""
    options = (row("mcp", name) for name in ("session", "read_only", "tools", "allow"))
    return [word for option in options for word in option.words(given[option.name])]
