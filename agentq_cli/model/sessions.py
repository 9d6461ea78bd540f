"""A session, and what is kept of it: its events and messages."""

from __future__ import annotations

from agentq_cli.base.dataclass import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from agentq_cli.model.addresses import RunId


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """A session as `sessions` lists it; `counts` by shown status. `host` is the one of a fleet that it is bound to."""

    name: str
    counts: Mapping[str, int]
    next_due_at: int | None
    paused: bool
    reason: str | None
    conversation: str | None
    conversations: Mapping[str, str]
    parallel: int | None
    path: str
    host: str | None = None


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation of a session: the line of work that it belongs to (`key`), its agent, and the agent CLI's own id.

    `tasks` is how many tasks have had a run in it, `tokens_in` and `tokens_out` what those runs used, `used_at` when it
    was last used, and `running` the run that is in it now. One that has just begun has no id, and none of those.
    """

    key: str
    agent: str
    conversation: str | None
    tasks: int = 0
    tokens_in: int | None = None
    tokens_out: int | None = None
    used_at: int | None = None
    running: RunId | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """One change of state; `from_status` and `to_status` are null for an event that changes no task."""

    id: int
    at: int
    session: str | None
    seq: int | None
    attempt: int | None
    from_status: str | None
    to_status: str | None
    event: str
    actor: str
    reason: str | None


@dataclass(frozen=True, slots=True)
class Message:
    """A row of a session's `messages_out`."""

    id: str
    session: str
    kind: str
    content: Any
    created_at: int
