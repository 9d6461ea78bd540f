"""`agentq mcp`: serve agents that submit and follow work themselves, over the Model Context Protocol."""

from __future__ import annotations

from agentq_cli.base.errors import Usage, nearest
from agentq_cli.mcp.limits import ALL, WHAT, Limits, own_sessions
from agentq_cli.options import values
from agentq_cli.show.results import Interactive, Result

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.cli.context import Context
    from agentq_cli.options.table import Given

EXAMPLES = (
    ("agentq mcp", "Serve the session 'default'; an agent's CLI starts this, and speaks to it."),
    ("agentq mcp -s docs --read-only", "Let it only read, and only one session."),
    ("agentq mcp --allow exec --allow directory", "Let it also submit commands, and choose the directory."),
)

NOT_INSTALLED = "mcp: its library is not installed; pip install 'agentq[mcp]'"


def mcp(given: Given, at: Context) -> Result:
    """Serve agents that submit and follow work themselves: a Model Context Protocol server on stdin and stdout.

    Its tools are commands of agentq. Without --allow a client may do what an agent may do by its outbound.db: submit
    prompts in the server's own session, with the session's agent, directory and environment; pause, resume, cancel and
    retry them, and read them.
    """
    limits = made(given, at)
    import importlib.util

    if importlib.util.find_spec("mcp") is None:
        raise Usage(NOT_INSTALLED)

    def serve() -> int:
        from agentq_cli.mcp import server

        return server.serve(limits, at)

    return Interactive(serve)


def made(given: Given, at: Context) -> Limits:
    """The limits of a server. Raises Usage."""
    from agentq_cli.mcp.tools import TOOLS

    sessions = own_sessions(given["session"], at.environ)
    for name in sessions:
        values.parse_session(name)
    _known("--tools", given["tools"], [tool.name for tool in TOOLS])
    _known("--allow", given["allow"], [*WHAT, ALL])
    return Limits(
        sessions=sessions,
        read_only=bool(given["read_only"]),
        tools=frozenset(given["tools"] or ()),
        allowed=frozenset(given["allow"] or ()),
    )


def _known(option: str, given: list[str] | None, known: list[str]) -> None:
    for word in given or ():
        if word not in known:
            raise Usage(f"{option} '{word}': must be one of {', '.join(known)}{nearest(word, known)}")
