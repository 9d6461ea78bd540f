"""`agentq mcp`: the queue as tools for agents, or what registers that with an agent CLI."""

from __future__ import annotations

import os

from agentq_cli.agents import profile as profiles
from agentq_cli.base import environment
from agentq_cli.base.database_url import without_password
from agentq_cli.base.errors import Usage
from agentq_cli.options.table import row
from agentq_cli.options.values import parse_choice, parse_session
from agentq_cli.show.results import Document, Interactive, Result

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.cli.context import Context
    from agentq_cli.options.table import Given

EXAMPLES = (
    ("agentq mcp --print claude | sh", "Register the server with Claude Code, which may do what an agent may."),
    ("agentq mcp --print codex -s docs --allow exec", "Show what lets Codex queue commands too, in one session."),
    ("agentq mcp --print gemini --read-only", "Show what lets Gemini CLI only look."),
)


def mcp(given: Given, at: Context) -> Result:
    """Serve the queue to an agent as tools, by the Model Context Protocol on stdin and stdout.

    An agent CLI starts this itself once it is registered there, as --print shows. It needs the SDK of the protocol:
    pip install 'agentq[mcp]'.

    A client may do what an agent may do by its outbound.db: queue prompts in its own session, with that session's
    agent, directory and environment, read there, and pause, resume, cancel and retry its prompts. --allow adds to that:
    'sessions' all sessions, 'agent' the choice of the agent and its arguments, 'exec' commands, scripts and checks,
    'directory' directories and worktrees, 'environment' variables, 'land' merging into branches, 'all' everything.

    AGENTQ_DEPTH and max_queued count as for submit.
    """
    for name, parse in (("tools", parse_choice), ("allow", parse_choice)):
        for word in given[name] or ():
            parse(word, row("mcp", name), f"--{name}")
    for session in given["session"] or ():
        parse_session(session)
    if given["print"] is not None:
        return _registration(given, at)
    if at.as_json:
        raise Usage("--json: not without --print; the server speaks its own protocol")
    from importlib import import_module
    from importlib.util import find_spec

    if find_spec("mcp") is None:
        raise Usage("mcp: the SDK of the protocol is not installed; pip install 'agentq[mcp]'")
    return Interactive(lambda: int(import_module("agentq_cli.mcp.server").serve(given, at)))


def _registration(given: Given, at: Context) -> Document:
    """What registers this server, with these limits, with an agent CLI."""
    import json
    import shlex

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
    from agentq_cli.commands.service import program
    from agentq_cli.config import configuration

    words = program()
    config = at.environ.get("AGENTQ_CONFIG")
    if config:
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
