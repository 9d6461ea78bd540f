"""`agentq sessions`: every session, its tasks and its next due time; `reset` ends a conversation."""

from __future__ import annotations

from collections.abc import Iterator

from agentq_cli.base.errors import AgentqError, NotFound, Usage, nearest
from agentq_cli.model.fleet import machine_name
from agentq_cli.policy import waiting
from agentq_cli.show import documents
from agentq_cli.show.results import Items, Result
from agentq_cli.show.tables import Column

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.cli.context import Context
    from agentq_cli.options.table import Given


def _counts(session: documents.Item) -> str:
    return ", ".join(f"{count} {status}" for status, count in session["counts"].items() if count)


COLUMNS = (
    Column("SESSION", "name", keep=True),
    Column("PAUSED", "paused", spare=1),
    Column("NEXT DUE", "next_due_at", kind="time", spare=1),
    Column("TASKS", _counts, keep=True),
    Column("CONVERSATION", "conversation", spare=True),
)

USAGES = ("[OPTIONS]", "[OPTIONS] reset NAME...")
EXAMPLES = (
    ("agentq sessions", "List every session, and when it is next due."),
    ("agentq sessions --json", "Include all counts, conversations and paths."),
    ("agentq sessions reset docs", "Let its next task begin a new conversation."),
    ("agentq sessions reset docs --agent codex", "The same, but only for one agent."),
)
RESET = "reset"


def sessions(given: Given, at: Context) -> Result:
    """List the sessions, or let some begin a new conversation.

    The list shows each session's tasks by status, its next due time, its conversation, and whether it is paused. After
    'reset' the next task of the session begins a new conversation. A running task continues the old one, whose id stays
    in 'agentq events'.
    """
    action, agent = given["action"], given["agent"]
    if action == RESET:
        return _reset(at, given["names"] or [], agent)
    if action is not None:
        raise Usage(f"sessions '{action}': must be {RESET}, or left out for the list{nearest(action, (RESET,))}")
    if agent is not None:
        raise Usage(f"--agent '{agent}': only together with {RESET}")
    queue = at.open_queue()

    def items() -> Iterator[documents.Item]:
        for session in queue.sessions():
            width = waiting.width(session.name, at.config.options(session.name).get("parallel"))
            host = machine_name() if at.url is None else session.host
            yield documents.session(session, parallel=width, host=host)

    return Items("sessions", items(), COLUMNS, empty="no sessions; they appear on first use")


def _reset(at: Context, names: list[str], agent: str | None) -> Result:
    from agentq_cli.agents import profile
    from agentq_cli.model.actions import TargetResult
    from agentq_cli.options import values
    from agentq_cli.show.results import Results

    if not names:
        raise Usage(f"sessions {RESET}: name a session")
    queue = at.open_queue()

    def one(name: str) -> str:
        given_up = queue.reset_conversation(values.parse_session(name, "session"), agent)
        known = profile.names(at.config)
        if agent is not None and not given_up and agent not in known:
            raise NotFound(f"--agent '{agent}': no such agent{nearest(agent, known) or '; see `agentq agents`'}")
        if not given_up:
            return f"session {name} has no conversation{f' with {agent}' if agent else ''}"
        return f"session {name} begins a new conversation with {', '.join(given_up)}"

    items = []
    for name in dict.fromkeys(names):
        try:
            items.append(TargetResult(name, True, 0, one(name)))
        except AgentqError as error:
            items.append(TargetResult(name, False, error.code, error.message))
    return Results(items)
