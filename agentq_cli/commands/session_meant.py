"""The name of a session that was given instead of the address of a task."""

from __future__ import annotations

from agentq_cli.base.errors import AgentqError, NotAnAddress, Usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.engines.door import Queue


def explained(queue: Queue, error: NotAnAddress, *, takes_session: bool) -> Usage:
    """The same error; if the word names a session, one that says how to name the session or its tasks.
    `takes_session`: the command takes a session with -s in the place of tasks."""
    name = error.word
    try:
        if name not in queue.session_names():
            return error
    except AgentqError:
        return error
    how = f"write -s {name}" if takes_session and error.what == "ID" else f"`agentq list -s {name}` lists its tasks"
    return Usage(f"{error.what} '{name}': not an address, but a session; {how}")
