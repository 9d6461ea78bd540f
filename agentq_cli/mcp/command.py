"""`agentq mcp`: serve agents that submit and follow work themselves, over the Model Context Protocol."""

from __future__ import annotations

from agentq_cli.base.errors import Usage
from agentq_cli.mcp.limits import LAND, Limits, own_sessions
from agentq_cli.options import values
from agentq_cli.options.table import row
from agentq_cli.show.results import Interactive, Result

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.cli.context import Context
    from agentq_cli.options.table import Given

EXAMPLES = (
    ("agentq mcp --print claude | sh", "Register the server with Claude Code; it may do what an agent may request."),
    ("agentq mcp --print codex -s docs --allow exec", "Show what lets Codex submit commands too, in one session."),
    ("agentq mcp --print gemini --read-only", "Show what lets Gemini CLI only read."),
)

NOT_INSTALLED = "mcp: its library is not installed; pip install 'agentq[mcp]'"


def mcp(given: Given, at: Context) -> Result:
    """Serve agents that submit and follow work themselves: a Model Context Protocol server on stdin and stdout.

    An agent CLI starts it once it is registered there, as --print shows. Its tools are commands of agentq, as --tools
    lists them. Its resources are tasks, with the end of their logs and the beginning of what they changed:
    agentq://task/SESSION/N, agentq://task/SESSION/N/log and agentq://task/SESSION/N/diff. It needs the protocol's
    library: pip install 'agentq[mcp]'.

    A client may do what an agent may do by its outbound.db: submit prompts in the server's own session, with the
    session's agent, directory and environment; pause, resume, cancel and retry them, and read them. --allow adds to
    that: 'sessions' every session, and sessions as a whole, 'agent' the choice of the agent and its arguments, 'exec'
    commands, scripts and checks, 'directory' directories and worktrees, 'environment' variables, 'options' what else a
    task may be given, 'land' merging into branches, 'all' everything.

    What a client submits runs with the rights of the session's agent, not with its own: an agent in a sandbox reaches
    by its own session what that session's agent may reach. Give it a session of its own with -s if that is too much.
    Whoever sets the environment of the server decides on its queue and its session.

    AGENTQ_DEPTH and max_queued count as for submit.
    """
    limits = made(given, at)
    if given["print"] is not None:
        from agentq_cli.mcp import registration

        return registration.registration(given, at)
    import importlib.util

    if importlib.util.find_spec("mcp") is None:
        raise Usage(NOT_INSTALLED)

    def serve() -> int:
        from agentq_cli.mcp import server

        return server.serve(limits, at)

    return Interactive(serve)


def made(given: Given, at: Context) -> Limits:
    """The limits of a server. Raises Usage."""
    from agentq_cli.mcp.tools import TOOLS, offered

    sessions = own_sessions(given["session"], at.environ)
    for name in sessions:
        values.parse_session(name)
    for name in ("tools", "allow"):
        for word in given[name] or ():
            values.parse_choice(word, row("mcp", name), f"--{name}")
    limits = Limits(
        sessions=sessions,
        read_only=bool(given["read_only"]),
        tools=frozenset(given["tools"] or ()),
        allowed=frozenset(given["allow"] or ()),
    )
    there = offered(limits)
    for tool in TOOLS:
        if tool.name in limits.tools and tool not in there:
            changes = limits.read_only and not tool.reads
            why = "it changes something, and --read-only is given" if changes else f"it needs --allow {LAND}"
            raise Usage(f"--tools '{tool.name}': {why}")
    return limits
