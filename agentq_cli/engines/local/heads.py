"""The heads of the groups of waiting tasks, one short question for each."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from agentq_cli.engines.transaction import Reading, Row

COLUMNS = {"session": 0, "agent": 2, "priority": 3, "shares": 7, "retry": 6, "directory": 9, "conversation_key": 10}
"""What makes a group, by its columns of a head."""

LEAST = -1 << 31
"""Below every priority."""

FIRST: Mapping[str, object] = {
    "agent": "",
    "priority": LEAST,
    "shares": 0,
    "retry": 0,
    "directory": "",
    "conversation_key": "",
}
"""Before the first group of a session."""


def of_all(reading: Reading, now: int) -> list[Row]:
    """The heads of every session."""
    return _following(reading, "dispatch.next_head", {**FIRST, "now": now, "session": ""})


def of_some(reading: Reading, now: int, sessions: Collection[str]) -> list[Row]:
    """The heads of these sessions."""
    each = (_following(reading, "dispatch.next_head_of", {**FIRST, "now": now, "session": name}) for name in sessions)
    return [row for rows in each for row in rows]


def _following(reading: Reading, statement: str, values: dict[str, object]) -> list[Row]:
    found: list[Row] = []
    while rows := reading.ask(statement, values):
        found += rows
        values |= {name: rows[0][column] for name, column in COLUMNS.items()}
    return found
