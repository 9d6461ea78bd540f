"""Edits of a schedule that is overdue: every slot ends in a run or in an event, whoever edits what."""

from __future__ import annotations

import re
from typing import Any

import pytest
from driven import Driven, held

LATE = "13:00:30"
"""Three slots of an hourly schedule have passed by then, and nothing was there to run them."""


def at(time: str) -> dict[str, Any]:
    return {"env": {"AGENTQ_NOW": f"2026-03-02T{time}Z", "TZ": "UTC"}}


def accounted(aq: Driven) -> tuple[list[str], int]:
    """The slots that ran, oldest first, and how many the events name as skipped."""
    ran = sorted(run["scheduled_for"][11:16] for run in aq.runs().values())
    reasons = [event["reason"] for event in aq.items("events") if event["event"] == "slots_skipped"]
    return ran, sum(int(re.match(r"\d+", reason)[0]) for reason in reasons)  # type: ignore[index]


@pytest.fixture
def overdue(aq: Driven) -> Driven:
    aq("schedule", "--cron", "0 * * * *", "--exec", "--", "true", **at("10:00:00"))
    return aq


@pytest.mark.parametrize(
    ("words", "ran", "skipped"),
    [
        # What is no other time drops nothing.
        (("--missed", "all"), ["11:00", "12:00", "13:00"], 0),
        (("--missed", "latest"), ["13:00"], 2),
        (("--missed", "skip"), ["13:00"], 2),
        (("--priority", "5"), ["13:00"], 2),
        (("--priority", "10"), ["13:00"], 2),
        (("--label", "x"), ["13:00"], 2),
        (("--overlap", "queue"), ["13:00"], 2),
        (("--pause-after", "3"), ["13:00"], 2),
        (("--max-runs", "2"), ["13:00"], 2),
        (("--max-runs", "2", "--missed", "all"), ["11:00", "12:00"], 1),
        (("--until", "2026-03-02T20:00:00Z"), ["13:00"], 2),
        (("--key", "k"), ["13:00"], 2),
        (("--expires", "9h"), ["13:00"], 2),
        # The same times in whatever words are no other times.
        (("--cron", "0 * * * *"), ["13:00"], 2),
        (("--cron", "@hourly"), ["13:00"], 2),
        (("--tz", "UTC"), ["13:00"], 2),
        (("--cron", "0 * * * *", "--tz", "UTC", "--missed", "all"), ["11:00", "12:00", "13:00"], 0),
        # Other times begin anew; what was due is told.
        (("--cron", "30 * * * *"), [], 3),
        (("--every", "30m"), [], 3),
        (("--tz", "Asia/Kolkata"), [], 3),
        (("--start", "2026-03-02T18:00:00Z"), [], 3),
        (("--at", "2026-03-02T18:00:00Z"), [], 3),
        # The occurrence that is due is the last one; what is behind it is told. So is what a new end leaves out.
        (("--once",), ["11:00"], 2),
        (("--until", "2026-03-02T12:55:00Z"), [], 3),
    ],
)
def test_an_edit_of_an_overdue_schedule_loses_no_slot(
    overdue: Driven, words: tuple[str, ...], ran: list[str], skipped: int
) -> None:
    overdue("edit", "1", *words, **at(LATE))
    overdue.drain(**at(LATE))
    assert accounted(overdue) == (ran, skipped)


def test_an_end_before_the_next_time_is_refused(overdue: Driven) -> None:
    assert "nothing fires" in overdue.refused("edit", "1", "--until", "2026-03-02T10:30:00Z", code=2, **at("10:10:00"))


@pytest.mark.parametrize(
    "words", [("--every", "1h"), ("--every", "60m"), ("--tz", "Asia/Kolkata"), ("--missed", "all")]
)
def test_an_interval_keeps_its_grid_where_it_stays_as_long(aq: Driven, words: tuple[str, ...]) -> None:
    aq("schedule", "--every", "1h", "--exec", "--", "true", **at("10:00:10"))
    (task,) = aq.items("edit", "1", *words, **at("10:40:00"))
    assert task["due_at"][11:19] == "11:00:10"
    aq("edit", "1", *words, **at("13:00:30"))
    aq.drain(**at("13:00:30"))
    every = "--missed" in words
    assert accounted(aq) == ((["11:00", "12:00", "13:00"], 0) if every else (["13:00"], 2))
    (task,) = aq.items("list", **at("13:00:31"))
    assert task["due_at"][11:19] == "14:00:10"


@pytest.mark.parametrize("state", ["paused", "resumed", "looked at"])
def test_an_edit_of_a_paused_or_resumed_overdue_schedule_loses_no_slot(overdue: Driven, state: str) -> None:
    aq = overdue
    if state != "looked at":
        aq("pause", "1", **at("10:30:00"))
    if state == "resumed":
        aq("resume", "1", **at(LATE))
    if state == "looked at":
        aq("pause", "-s", "default", **at("10:30:00"))
        aq("sweep", "--no-wake", **at("11:30:00"))
    aq("edit", "1", "--missed", "all", "--priority", "3", **at(LATE))
    if state == "paused":
        aq("resume", "1", **at(LATE))
    if state == "looked at":
        aq("resume", "-s", "default", **at(LATE))
    aq.drain(**at(LATE))
    ran, skipped = accounted(aq)
    assert len(ran) + skipped == 3 and len(ran) >= 1


def test_an_edit_during_a_run_accounts_for_what_fell_meanwhile(aq: Driven) -> None:
    aq("schedule", "--cron", "0 * * * *", "--exec", "--", *held("one"), **at("10:00:00"))
    supervisor = aq.supervise("--max-tasks", "1", **at("11:00:00"))
    aq.started("one")
    aq("edit", "1", "--priority", "7", **at("12:30:00"))
    aq("edit", "1", "--missed", "all", **at("13:30:00"))
    aq("edit", "1", "--cron", "30 * * * *", **at("14:15:00"))
    aq.let_go("one")
    aq.ended(supervisor, 0)
    # 12:00, 13:00 and 14:00 fell while it ran, by the clock of who edited.
    assert accounted(aq) == (["11:00"], 3)
    (task,) = aq.items("list", **at("14:16:00"))
    assert task["schedule"]["expr"] == "30 * * * *" and task["due_at"][11:16] == "14:30"


@pytest.mark.parametrize(("more", "ran", "skipped"), [((), 3, 5), (("--until", "2026-03-02T18:30:00Z"), 3, 5)])
def test_missed_all_runs_the_oldest_that_max_runs_allows(
    aq: Driven, more: tuple[str, ...], ran: int, skipped: int
) -> None:
    given = ("--cron", "0 * * * *", "--missed", "all", "--max-runs", "3", *more)
    aq("schedule", *given, "--exec", "--", "true", **at("10:00:00"))
    aq.drain(**at("18:00:30"))
    slots, left = accounted(aq)
    assert (slots, left) == (["11:00", "12:00", "13:00"], skipped) and len(slots) == ran
    assert aq.items("list") == []


def test_max_runs_above_the_most_that_is_caught_up_leaves_the_newest(aq: Driven) -> None:
    given = ("--every", "1m", "--missed", "all", "--max-runs", "30")
    aq("schedule", *given, "--exec", "--", "true", **at("10:00:00"))
    aq.drain(**at("10:40:30"))
    slots, skipped = accounted(aq)
    assert (len(slots), slots[0], slots[-1], skipped) == (24, "10:17", "10:40", 16)


def test_a_series_whose_end_has_passed_while_nothing_was_there_is_over(aq: Driven) -> None:
    given = ("--cron", "0 * * * *", "--until", "2026-03-02T12:30:00Z")
    aq("schedule", *given, "--exec", "--", "true", **at("10:00:00"))
    aq("schedule", "-s", "other", *given, "--exec", "--", "true", **at("10:00:00"))
    aq("sweep", "--no-wake", "-s", "other", **at(LATE))
    aq.drain(**at(LATE))
    assert {task["status"] for task in aq.tasks().values()} == {"skipped"}
    assert accounted(aq) == ([], 4)


def test_a_cancelled_overdue_series_tells_what_it_leaves(overdue: Driven) -> None:
    overdue("cancel", "1", **at(LATE))
    (event,) = [event for event in overdue.items("events") if event["event"] == "slots_skipped"]
    # 11:00 is the cancelled occurrence itself.
    assert event["reason"] == (
        "2 slots skipped (the series was cancelled): 2026-03-02T12:00:00.000Z to 2026-03-02T13:00:00.000Z"
    )


def test_a_series_cancelled_before_it_was_due_leaves_nothing(overdue: Driven) -> None:
    overdue("cancel", "1", **at("10:59:59"))
    assert accounted(overdue) == ([], 0)


def test_a_series_cancelled_with_its_dependency_tells_what_it_leaves(aq: Driven) -> None:
    aq("submit", "--exec", "--at", "2026-03-02T20:00:00Z", "--", "true", **at("10:00:00"))
    given = ("--cron", "0 * * * *", "--after", "1", "--on-dep-failure", "cancel")
    aq("schedule", *given, "--exec", "--", "true", **at("10:00:00"))
    aq("cancel", "1", **at(LATE))
    assert aq.tasks()["default/2"]["status"] == "cancelled"
    assert accounted(aq) == ([], 2)


REPLACE = ("submit", "--key", "k", "--replace", "--exec")


@pytest.mark.parametrize(
    ("words", "ran", "told"),
    [
        ((*REPLACE, "--in", "2h", "--", "true"), [], 3),
        ((*REPLACE, "--at", "2026-03-02T18:00:00Z", "--", "true"), [], 3),
        (("edit", "1", "--once", "--in", "2h"), [], 3),
        ((*REPLACE, "--", "true"), ["11:00"], 2),
        (("edit", "1", "--once"), ["11:00"], 2),
    ],
)
def test_what_becomes_a_task_for_another_time_tells_the_slot_that_was_due(
    aq: Driven, words: tuple[str, ...], ran: list[str], told: int
) -> None:
    aq("schedule", "--cron", "0 * * * *", "--key", "k", "--exec", "--", "true", **at("10:00:00"))
    aq(*words, **at(LATE))
    aq.drain(**at(LATE))
    assert accounted(aq) == (ran, told)


@pytest.mark.parametrize("more", [(), ("--label", "x"), ("--cron", "30 * * * *")])
def test_no_other_time_than_those_of_its_schedule_is_taken_for_a_series(aq: Driven, more: tuple[str, ...]) -> None:
    aq("schedule", "--cron", "0 * * * *", "--exec", "--", "true", **at("10:00:00"))
    before = aq.items("list", **at("10:00:30"))
    said = aq.refused("edit", "1", "--in", "5m", *more, code=4, **at("10:00:30"))
    assert "its schedule decides when it runs next" in said
    assert aq.items("list", **at("10:00:30")) == before
    (task,) = aq.items("edit", "1", "--in", "5m", "--once", **at("10:00:30"))
    assert (task["due_at"][11:16], task["schedule"]) == ("10:05", None)


def why_skipped(aq: Driven) -> list[str]:
    reasons = [event["reason"] for event in aq.items("events") if event["event"] == "slots_skipped"]
    return sorted(reason.partition(":")[0] for reason in reasons)


@pytest.mark.parametrize("seen", ["supervisor", "sweep", "paused session"])
def test_the_missed_policy_comes_before_the_expiry(aq: Driven, seen: str) -> None:
    given = ("--cron", "0 * * * *", "--expires", "30m")
    aq("schedule", *given, "--exec", "--", "true", **at("10:00:00"))
    if seen == "paused session":
        aq("pause", "-s", "default", **at("10:10:00"))
    if seen != "supervisor":
        aq("sweep", "--no-wake", **at(LATE))
    if seen == "paused session":
        aq("resume", "-s", "default", **at(LATE))
    aq.drain(**at(LATE))
    assert accounted(aq) == (["13:00"], 2)
    assert why_skipped(aq) == ["2 slots skipped (missed)"]
    assert [task["status"] for task in aq.items("list", "--all", **at(LATE))].count("expired") == 0


def test_an_occurrence_that_no_slot_keeps_in_time_expires(aq: Driven) -> None:
    given = ("--cron", "0 * * * *", "--expires", "30m")
    aq("schedule", *given, "--exec", "--", "true", **at("10:00:00"))
    aq.drain(**at("13:40:00"))
    assert accounted(aq) == ([], 2)  # 13:00 is the one that expired
    assert why_skipped(aq) == ["2 slots skipped (missed)"]
    assert [task["status"] for task in aq.items("list", "--all", **at(LATE))].count("expired") == 1


def test_what_falls_after_an_expiry_that_is_noticed_late_was_missed(aq: Driven) -> None:
    given = ("--cron", "0 * * * *", "--expires", "90m")
    aq("schedule", *given, "--exec", "--", "true", **at("10:00:00"))
    aq("pause", "1", **at("10:10:00"))
    aq("sweep", "--no-wake", **at("14:00:30"))
    # It waited until 12:30, past 12:00; 13:00 gives way to 14:00.
    assert why_skipped(aq) == ["1 slot skipped (missed)", "1 slot skipped (overlap)"]
    (task,) = aq.items("list", **at("14:00:30"))
    assert task["due_at"][11:16] == "14:00"
