"""What an agent may request with a row in its outbound.db, and what is refused. Pure: a row's content in, a value out.

An agent can request only prompts and their times, within its own session: a command, a script, a directory or an
environment would be code on the host (CONTRACT, what an agent process gets).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from agentq_cli.base.dataclass import dataclass, field
from agentq_cli.base.errors import AgentqError, Usage
from agentq_cli.model.addresses import Address
from agentq_cli.options import values
from agentq_cli.options.table import rows
from agentq_cli.policy.cron import parse_cron
from agentq_cli.policy.schedule import Kind, Schedule, check

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LONGEST = 1 << 20
"""The most bytes of content that are read."""

LONGEST_REASON = 500
"""The most characters of a refusal that are recorded; a refusal quotes what the agent wrote."""

LONGEST_LABEL = 1000
"""The most characters of a label."""

LARGEST_SEQ = 10**15
"""Every task has a smaller number than this."""

ROWS = {row.name: row for row in rows("request")}
WORK = tuple(ROWS)
ACTIONS = {
    "schedule_task": WORK,
    "update_task": ("task", *WORK),
    "cancel_task": ("task",),
    "pause_task": ("task", "reason"),
    "resume_task": ("task",),
}
"""Every action and its keys."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request that may be carried out. `changes` are fields of a task. `due_at` None keeps the time of a task, and
    means now for a new one.

    `when` has the options of a recurrence: `cron` or `every`, and `tz`. The caller, which knows the config's other
    schedule options, makes a schedule from them.
    """

    action: str
    task: Address | None = None
    changes: Mapping[str, Any] = field(default_factory=dict)
    due_at: int | None = None
    when: Mapping[str, str] = field(default_factory=dict)
    reason: str | None = None

    @property
    def recurs(self) -> bool:
        """Whether it requests a series, or other times for one."""
        return "cron" in self.when or "every" in self.when


@dataclass(frozen=True, slots=True)
class Refusal:
    """A request that is not carried out, and why."""

    why: str


def read(content: object, *, session: str, zone: Callable[[str | None], str], now: int) -> Request | Refusal:
    """The request in a row's content; `zone` gives the zone for the row's `tz`, checked."""
    try:
        asked = _object(content)
        action = asked.pop("action", None)
        if not isinstance(action, str) or action not in ACTIONS:
            named = f"'{action[:40]}'" if isinstance(action, str) else "is not text"
            raise Usage(f"action {named}: must be one of {', '.join(ACTIONS)}")
        for name in asked:
            if name not in ACTIONS[action]:
                raise Usage(f"'{name[:40]}': {action} takes only {', '.join(ACTIONS[action])}")
        task = _task(asked.get("task"), session) if "task" in ACTIONS[action] else None
        if "task" in ACTIONS[action] and task is None:
            raise Usage(f"task: {action} needs one")
        if action == "schedule_task" and "prompt" not in asked:
            raise Usage("prompt: schedule_task needs one")
        due_at = _when(asked, zone, now)
        when = {name: text for name in ("cron", "every", "tz") if (text := _text(asked, name)) is not None}
        why = _text(asked, "reason")
        return Request(action, task, _changes(asked), due_at, when, None if why is None else reason(why))
    except AgentqError as error:
        return Refusal(reason(error.message))


def reason(text: str) -> str:
    """The reason for a refusal or a request, made short and clean enough to store, whatever it quotes."""
    cut = text if len(text) <= LONGEST_REASON else f"{text[:LONGEST_REASON]}…"
    return cut.encode("utf-8", "replace").decode("utf-8")


def _object(content: object) -> dict[str, Any]:
    if not isinstance(content, str) or len(content) > LONGEST:
        raise Usage("content: not a JSON text of at most 1 MiB")
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        raise Usage("content: not JSON") from None
    if not isinstance(found, dict):
        raise Usage("content: not a JSON object")
    return found


def _task(named: object, session: str) -> Address | None:
    if named is None:
        return None
    if isinstance(named, int) and not isinstance(named, bool) and 0 < named < LARGEST_SEQ:
        return Address(session, named)
    if not isinstance(named, str):
        raise Usage("task: must be an address, as text, or a task's number")
    address = values.parse_address(named if "/" in named else f"{session}/{named}", "task")
    if address.session != session:
        raise Usage(f"task '{address}': not in this session")
    return address


def _when(asked: Mapping[str, Any], zone: Callable[[str | None], str], now: int) -> int | None:
    """The requested time; None if there is none. A recurrence is checked here, and gives None too."""
    named = [name for name in ("at", "in", "cron", "every") if name in asked]
    if len(named) > 1:
        raise Usage(f"{', '.join(named)}: only one of these may be given")
    if not named:
        if "tz" in asked:
            raise Usage("tz: only together with at or cron")
        return None
    name = named[0]
    text = _text(asked, name) or ""
    tz = zone(_text(asked, "tz"))
    if name == "at":
        return values.parse_time(text, zone=tz, now_ms=now, what="at")
    if name == "in":
        return now + values.parse_duration(text, "in")
    if name == "cron":
        parse_cron(text, "cron")
        schedule = Schedule(Kind.CRON, expr=" ".join(text.split()), tz=tz)
    else:
        schedule = Schedule(Kind.EVERY, every_ms=values.parse_duration(text, "every"), start=now, tz=tz)
    check(schedule)
    return None


def _changes(asked: Mapping[str, Any]) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    prompt = _text(asked, "prompt")
    if prompt is not None:
        if not prompt.strip():
            raise Usage("prompt: must not be blank")
        changes["prompt"] = prompt
    if "priority" in asked:
        priority = asked["priority"]
        bounds = ROWS["priority"]
        if isinstance(priority, bool) or not isinstance(priority, int) or not bounds.bounds(priority):
            raise Usage(f"priority: must be a whole number from {bounds.low} to {bounds.high}")
        changes["priority"] = priority
    context = _text(asked, "context")
    if context is not None:
        changes["context"] = values.parse_choice(context, ROWS["context"], "context")
    if "label" in asked:
        found = asked["label"] if isinstance(asked["label"], list) else [asked["label"]]
        if not all(isinstance(label, str) and label.strip() and len(label) <= LONGEST_LABEL for label in found):
            raise Usage("label: must be text, or a list of texts")
        changes["labels"] = tuple(dict.fromkeys(_storable(label, "label") for label in found))
    return changes


def _text(asked: Mapping[str, Any], name: str) -> str | None:
    value = asked.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise Usage(f"{name}: must be text")
    return _storable(value, name)


def _storable(value: str, name: str) -> str:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise Usage(f"{name}: not UTF-8 text") from None
    return value
