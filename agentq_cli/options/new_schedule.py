"""Makes a schedule from the options of `schedule` and `edit` as a person typed them."""

from __future__ import annotations

from collections.abc import Mapping

from agentq_cli.base.errors import Usage
from agentq_cli.model.addresses import DEFAULT_SESSION
from agentq_cli.options import values
from agentq_cli.options.caller import Caller
from agentq_cli.options.new_task import read, spelled
from agentq_cli.options.table import row, rows
from agentq_cli.policy import schedule as policy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

OCCURRENCE = {"priority": 10, "context": "isolated"}
"""The defaults of an occurrence that differ from those of other tasks."""

RECURRENCE = ("cron", "every", "at")


def series(place: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The schedule options that were given in a place."""
    return {
        each.name: given[each.name]
        for each in rows(place)
        if each.field.startswith("schedule.") and given[each.name] is not None
    }


def make_schedule(
    here: Caller, given: Mapping[str, Any], *, session: str | None, before: policy.Schedule | None = None
) -> policy.Schedule:
    """The schedule that the options describe; options that are not given keep the values of `before`. Raises Usage."""
    named = [name for name in RECURRENCE if given.get(name) is not None]
    if len(named) > 1 or (not named and before is None):
        what = ", ".join(f"--{name} '{given[name]}'" for name in named) or "schedule"
        raise Usage(f"{what}: needs exactly one of --cron, --every, --at")
    defaults = here.config.options(session or DEFAULT_SESSION)
    zone = here.zone(given["tz"], session or DEFAULT_SESSION) if given.get("tz") or before is None else before.tz
    now = here.now_ms()

    def moment(name: str) -> int | None:
        text = given.get(name)
        return None if text is None else values.parse_time(text, zone=zone, now_ms=now, what=f"--{name}")

    def value(name: str, default: Any = None) -> Any:
        if given.get(name) is not None:
            return read(row("schedule", name), given, {}, spelled)
        return getattr(before, name) if before else defaults.get(name, default)

    recurrence = _recurrence(given, named[0] if named else None, before)
    start = moment("at" if named == ["at"] else "start")
    if start is None:
        start = policy.anchor(recurrence["type"], recurrence["every_ms"], before, now)
    until = moment("until")
    return policy.Schedule(
        **recurrence,
        tz=zone,
        start=start,
        until=before.until if before and until is None else until,
        max_runs=value("max_runs"),
        missed=policy.Missed(value("missed", policy.Missed.LATEST)),
        overlap=policy.Overlap(value("overlap", policy.Overlap.SKIP)),
        pause_after=value("pause_after", policy.PAUSE_AFTER),
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
