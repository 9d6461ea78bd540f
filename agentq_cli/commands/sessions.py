"""`agentq sessions`: every session, its tasks, its next due time and its conversations; `reset` ends some of those."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from agentq_cli.base.context import suppress
from agentq_cli.base.errors import AgentqError, NotFound, Usage, nearest
from agentq_cli.model.fleet import machine_name
from agentq_cli.policy import waiting
from agentq_cli.show import documents
from agentq_cli.show.results import Items, Result
from agentq_cli.show.tables import Column

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.cli.context import Context
    from agentq_cli.engines.door import Queue
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
"""A row a session."""

WITH_POOL = (
    Column("SESSION", "session", keep=True),
    Column("KEY", "key", keep=True),
    Column("AGENT", "agent", spare=3),
    Column("CONVERSATION", "conversation", spare=2),
    Column("TASKS", "tasks"),
    Column("IN", "tokens_in", kind="number", spare=2),
    Column("OUT", "tokens_out", kind="number", spare=2),
    Column("LAST USE", "used_at", kind="time", spare=1),
    Column("RUNNING", "running", kind="address", sparse=1),
    Column("NEXT DUE", "next_due_at", kind="time", spare=1, sparse=2),
    Column("PAUSED", lambda row: row.get("paused") or None, spare=1, sparse=2),
)
"""A row a session, and below it one for each of its conversations."""

USAGES = ("[OPTIONS]", "[OPTIONS] reset NAME...")
EXAMPLES = (
    ("agentq sessions -v", "List each session's conversations too."),
    ("agentq sessions --json", "Include all counts, conversations and paths."),
    ("agentq sessions reset docs", "Let its next task begin a new conversation."),
    ("agentq sessions reset docs --agent codex --conversation parser", "The same, but only for that one."),
)
RESET = "reset"
EMPTY = "no sessions; they appear on first use"


def sessions(given: Given, at: Context) -> Result:
    """List the sessions, or let some begin a new conversation.

    The list shows each session's tasks by status, its next due time, its conversation, and whether it is paused. With
    -v a line for each of its conversations follows: their tasks, tokens and last use, and which run uses them now.
    After 'reset' the next task of the session begins a new conversation. A running task continues the old one, whose id
    stays in 'agentq events'.
    """
    action, agent, key = given["action"], given["agent"], given["conversation"]
    if action == RESET:
        if given["verbose"]:
            raise Usage(f"--verbose: not together with {RESET}")
        return _reset(at, given["names"] or [], agent, key)
    if action is not None:
        raise Usage(f"sessions '{action}': must be {RESET}, or left out for the list{nearest(action, (RESET,))}")
    for name, value in (("agent", agent), ("conversation", key)):
        if value is not None:
            raise Usage(f"--{name} '{value}': only together with {RESET}")
    queue, verbose = at.open_queue(), bool(given["verbose"])

    def items() -> Iterator[documents.Item]:
        for session in queue.sessions():
            width = waiting.width(session.name, at.config.options(session.name).get("parallel"))
            host = machine_name() if at.url is None else session.host
            item = documents.session(session, parallel=width, host=host)
            yield {**item, "pool": _pool(queue, session.name)} if verbose else item

    found = items()
    if verbose and not at.as_json:
        return Items("sessions", _rows(found), WITH_POOL, empty=EMPTY)
    return Items("sessions", found, COLUMNS, empty=EMPTY)


def _pool(queue: Queue, session: str) -> list[documents.Item]:
    """The conversations of a session; none if its file has not been written yet or cannot be read, which the list says
    itself."""
    with suppress(AgentqError):
        return [documents.conversation(each) for each in queue.pool(session)]
    return []


def _rows(sessions: Iterable[documents.Item]) -> Iterator[documents.Item]:
    for session in sessions:
        yield {**session, "session": session["name"], "tasks": _counts(session), "conversation": None}
        for each in session["pool"]:
            yield {"session": session["name"], **each}


def _reset(at: Context, names: list[str], agent: str | None, key: str | None) -> Result:
    from agentq_cli.agents import profile
    from agentq_cli.model.actions import TargetResult
    from agentq_cli.options import values
    from agentq_cli.show.results import Results

    if not names:
        raise Usage(f"sessions {RESET}: name a session")
    if key is not None:
        values.parse_conversation(key)
    queue = at.open_queue()
    which = "" if key is None else f" '{key}'"

    def one(name: str) -> str:
        given_up = queue.reset_conversation(values.parse_session(name, "session"), agent, key)
        known = profile.names(at.config)
        if agent is not None and not given_up and agent not in known:
            raise NotFound(f"--agent '{agent}': no such agent{nearest(agent, known) or '; see `agentq agents`'}")
        if not given_up:
            return f"session {name} has no conversation{which}{f' with {agent}' if agent else ''}"
        return f"session {name} begins a new conversation{which} with {', '.join(given_up)}"

    items = []
    for name in dict.fromkeys(names):
        try:
            items.append(TargetResult(name, True, 0, one(name)))
        except AgentqError as error:
            items.append(TargetResult(name, False, error.code, error.message))
    return Results(items)
