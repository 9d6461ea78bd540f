"""Schedules as values: what they store, and when they come."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sampling import WIDE

from agentq_cli.base.errors import Unreadable, Usage
from agentq_cli.policy.schedule import (
    Kind,
    Missed,
    Overlap,
    Schedule,
    check,
    count_slots,
    fires,
    first,
    newest_slots,
    next_slot,
)

MINUTE = 60_000


def at(text: str) -> int:
    """Milliseconds of a time of 2026-03-10 UTC, or of a whole RFC 3339 one."""
    return round(datetime.fromisoformat(text if "T" in text else f"2026-03-10T{text}Z").timestamp() * 1000)


def every(minutes: int, start: str = "10:00", **options: object) -> Schedule:
    return Schedule(Kind.EVERY, every_ms=minutes * MINUTE, start=at(start), **options)  # type: ignore[arg-type]


def cron(expr: str, **options: object) -> Schedule:
    return Schedule(Kind.CRON, expr=expr, **options)  # type: ignore[arg-type]


def once(moment: str, **options: object) -> Schedule:
    return Schedule(Kind.AT, start=at(moment), **options)  # type: ignore[arg-type]


SCHEDULES = [
    every(5),
    every(5, until=at("10:20"), max_runs=3, missed=Missed.ALL, overlap=Overlap.QUEUE, pause_after=2),
    cron("*/5 10 * * *", tz="Europe/Berlin"),
    cron("0 9 * * 1-5", start=at("10:00"), missed=Missed.SKIP),
    once("10:00"),
    once("10:00", until=at("10:00")),
]


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_schedule_comes_back_from_its_json(schedule: Schedule) -> None:
    text = schedule.to_json()
    assert Schedule.from_json(text) == schedule
    document = json.loads(text)
    assert document["type"] in ("cron", "every", "at")
    assert {"expr", "every_ms", "tz", "missed", "overlap"} <= set(document)
    # A newer version's key is no reason to lose a schedule.
    assert Schedule.from_json(json.dumps(document | {"newer": 1})) == schedule


@pytest.mark.parametrize(
    "change",
    [
        {"type": "sometimes"},
        {"missed": "maybe"},
        {"overlap": None},
        {"every_ms": "5m"},
        {"every_ms": None},
        {"every_ms": 0},
        {"start": True},
        {"start": None},
        {"until": 1.5},
        {"expr": "* * * * *"},
        {"tz": None},
    ],
)
def test_a_stored_schedule_that_cannot_be_read_is_no_schedule(change: dict[str, object]) -> None:
    stored = json.loads(every(5).to_json())
    with pytest.raises(Unreadable, match="not readable"):
        Schedule.from_json(json.dumps(stored | change))


@pytest.mark.parametrize("text", ["", "null", "[]", "5", "{}", '{"type":"cron"}', "{"])
def test_no_schedule_at_all_is_no_schedule(text: str) -> None:
    with pytest.raises(Unreadable):
        Schedule.from_json(text)


def test_a_schedule_whose_zone_or_expression_is_no_longer_valid_says_so() -> None:
    check(cron("0 9 * * *", tz="Europe/Berlin"))
    with pytest.raises(Usage, match="Europe/Atlantis"):
        check(every(5, tz="Europe/Atlantis"))
    with pytest.raises(Usage, match="hour '25'"):
        check(cron("0 25 * * *"))
    with pytest.raises(Usage, match="hour '25'"):
        next_slot(cron("0 25 * * *"), 0)


def test_the_first_slot_is_strictly_after_now() -> None:
    assert first(every(5), at("09:00")) == at("10:00")
    assert first(every(5), at("10:00")) == at("10:05")
    assert first(every(5), at("10:00") - 1) == at("10:00")
    assert first(every(5), at("10:07")) == at("10:10")
    assert first(cron("0 10 * * *"), at("10:00") - 1) == at("10:00")
    assert first(cron("0 10 * * *"), at("10:00")) == at("2026-03-11T10:00Z")
    assert first(cron("0 10 * * *", start=at("10:00")), at("2026-03-01T00:00Z")) == at("10:00")
    assert first(cron("0 10 * * *", start=at("10:01")), at("2026-03-01T00:00Z")) == at("2026-03-11T10:00Z")


def test_a_single_time_in_the_past_comes_at_once() -> None:
    assert first(once("10:00"), at("09:00")) == at("10:00")
    assert first(once("10:00"), at("12:00")) == at("10:00")
    assert first(once("10:00", until=at("09:59")), at("09:00")) is None


def test_a_changed_schedule_never_goes_back_before_the_last_slot_it_had() -> None:
    # The clock was set back by an hour after 10:30 had run.
    assert first(every(30), at("09:40"), last=at("10:30")) == at("11:00")
    assert first(once("10:00"), at("09:40"), last=at("10:00")) is None
    assert first(once("10:00"), at("11:00"), last=at("09:00")) == at("10:00")


def test_the_next_fire_times_respect_until_and_max_runs() -> None:
    assert fires(every(5), at("10:00"), 3) == [at("10:05"), at("10:10"), at("10:15")]
    assert fires(every(5, until=at("10:10")), at("10:00"), 9) == [at("10:05"), at("10:10")]
    assert fires(every(5, until=at("10:10") - 1), at("10:00"), 9) == [at("10:05")]
    assert fires(every(5, max_runs=3), at("10:00"), 9) == [at("10:05"), at("10:10"), at("10:15")]
    assert fires(every(5, max_runs=3), at("10:00"), 9, runs=2) == [at("10:05")]
    assert fires(every(5, max_runs=3), at("10:00"), 9, runs=4) == []
    assert fires(once("10:00"), at("09:00"), 9) == [at("10:00")]
    assert fires(once("10:00"), at("10:00"), 9) == []
    assert fires(cron("*/30 2 8-14 3 */7", tz="America/New_York"), at("10:00"), 3) == []


def test_a_schedule_in_its_zone() -> None:
    berlin = cron("0 9 * * *", tz="Europe/Berlin")
    assert fires(berlin, at("2026-03-28T00:00Z"), 2) == [at("2026-03-28T08:00Z"), at("2026-03-29T07:00Z")]
    assert fires(replace(berlin, tz="UTC"), at("2026-03-28T00:00Z"), 1) == [at("2026-03-28T09:00Z")]


@settings(max_examples=60 * WIDE)
@given(
    schedule=st.sampled_from(SCHEDULES),
    after=st.integers(at("09:50"), at("10:40")),
    length=st.integers(-10 * MINUTE, 40 * MINUTE),
    limit=st.integers(1, 9),
)
def test_counts_and_newest_are_those_of_the_slots_themselves(
    schedule: Schedule, after: int, length: int, limit: int
) -> None:
    upto = after + length
    slots = [slot for slot in fires(replace(schedule, max_runs=None), after, 40) if slot <= upto]
    assert count_slots(schedule, after, upto) == len(slots)
    assert newest_slots(schedule, after, upto, limit) == slots[-limit:]
    assert next_slot(schedule, after) == (slots[0] if slots else next_slot(schedule, max(after, upto)))


@pytest.mark.parametrize(
    "fields",
    [
        {"type": Kind.CRON},
        {"type": Kind.EVERY, "start": 0},
        {"type": Kind.EVERY, "every_ms": 5},
        {"type": Kind.EVERY, "every_ms": 0, "start": 0},
        {"type": Kind.AT},
        {"type": Kind.AT, "start": 0, "expr": "* * * * *"},
    ],
)
def test_fields_that_do_not_belong_together_are_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        Schedule(**fields)  # type: ignore[arg-type]
