"""`agentq sessions`: every session, what it holds and when it is next due."""

from __future__ import annotations

from collections.abc import Iterator

from agentq_cli import documents
from agentq_cli.context import context
from agentq_cli.output import Items, Result
from agentq_cli.policy import order
from agentq_cli.tables import Column


def _counts(session: documents.Item) -> str:
    return ", ".join(f"{count} {status}" for status, count in session["counts"].items() if count)


COLUMNS = (
    Column("SESSION", "name", keep=True),
    Column("PAUSED", "paused", spare=1),
    Column("NEXT DUE", "next_due_at", kind="time", spare=1),
    Column("TASKS", _counts, keep=True),
    Column("CONVERSATION", "conversation", spare=True),
)

EXAMPLES = (
    ("agentq sessions", "Every session, and when it is next due."),
    ("agentq sessions --json", "With all counts, conversations and paths."),
)


def sessions() -> Result:
    """List the sessions.

    With their tasks by status, the next due time, the conversation, and whether they are paused.
    """
    at = context()
    queue = at.open_queue()

    def items() -> Iterator[documents.Item]:
        for session in queue.sessions():
            width = order.width(session.name, at.config.options(session.name).get("parallel"))
            yield documents.session(session, parallel=width)

    return Items("sessions", items(), COLUMNS, empty="no sessions; they appear on first use")
