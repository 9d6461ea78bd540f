"""From the options of schedule and edit, as a person typed them, to a schedule."""

from __future__ import annotations

from collections.abc import Mapping

from agentq_cli import values
from agentq_cli.context import Context
from agentq_cli.errors import Usage, nearest
from agentq_cli.model import DEFAULT_SESSION
from agentq_cli.policy import schedule as policy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

OCCURRENCE = {"priority": 10, "context": "isolated"}
"""What an occurrence is unless said otherwise."""

RECURRENCE = ("cron", "every", "at")


def make_schedule(
    here: Context, given: Mapping[str, Any], *, session: str | None, before: policy.Schedule | None = None
) -> policy.Schedule:
    """The schedule that the options ask for; with `before` what is not given stays as it was there. Raises Usage."""
    named = [name for name in RECURRENCE if given.get(name) is not None]
    if len(named) > 1 or (not named and before is None):
        what = ", ".join(f"--{name} '{given[name]}'" for name in named) or "schedule"
        raise Usage(f"{what}: exactly one of --cron, --every, --at says when")
    defaults = here.config.options(session or DEFAULT_SESSION)
    kept = (
        {name: getattr(before, name) for name in ("missed", "overlap", "pause_after", "max_runs", "until")}
        if before
        else {}
    )
    zone = here.zone(given["tz"], session or DEFAULT_SESSION) if given.get("tz") or before is None else before.tz
    now = here.now_ms()

    def moment(name: str) -> int | None:
        text = given.get(name)
        return None if text is None else values.parse_time(text, zone=zone, now_ms=now, what=f"--{name}")

    def choice(name: str, allowed: tuple[str, ...]) -> str:
        value = given.get(name) or kept.get(name) or defaults.get(name) or allowed[0]
        if value not in allowed:
            raise Usage(f"--{name} '{value}': {', '.join(allowed)}{nearest(value, allowed)}")
        return str(value)

    recurrence = _recurrence(given, named[0] if named else None, before)
    start = moment("at" if named == ["at"] else "start")
    if start is None:
        start = policy.anchor(recurrence["type"], recurrence["every_ms"], before, now)
    until = moment("until")
    pause_after = given.get("pause_after")
    if pause_after is None:
        pause_after = kept.get("pause_after", defaults.get("pause_after", policy.PAUSE_AFTER))
    return policy.Schedule(
        **recurrence,
        tz=zone,
        start=start,
        until=kept.get("until") if until is None else until,
        max_runs=_whole(given.get("max_runs"), kept.get("max_runs", defaults.get("max_runs")), "--max-runs"),
        missed=policy.Missed(choice("missed", tuple(policy.Missed))),
        overlap=policy.Overlap(choice("overlap", tuple(policy.Overlap))),
        pause_after=pause_after,
    )


def _recurrence(given: Mapping[str, Any], name: str | None, before: policy.Schedule | None) -> dict[str, Any]:
    if name is None:
        assert before is not None
        return {"type": before.type, "expr": before.expr, "every_ms": before.every_ms}
    if name == "cron":
        from agentq_cli.policy.cron import parse_cron

        parse_cron(given["cron"])
        return {"type": policy.Kind.CRON, "expr": " ".join(given["cron"].split()), "every_ms": None}
    if name == "every":
        every = values.parse_duration(given["every"], "--every")
        return {"type": policy.Kind.EVERY, "expr": None, "every_ms": every}
    return {"type": policy.Kind.AT, "expr": None, "every_ms": None}


def _whole(given: int | None, default: int | None, what: str) -> int | None:
    value = default if given is None else given
    if value is not None and value < 1:
        raise Usage(f"{what} '{value}': a whole number from 1")
    return value
