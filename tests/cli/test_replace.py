"""`--key` and `--replace`: what is unchanged stays, what differs is refused or changed, and a replaced task is new."""

from __future__ import annotations

import json
from typing import Any

import pytest
from driven import HELD, Driven, held

Object = dict[str, Any]


def at(time: str) -> dict[str, Any]:
    return {"env": {"AGENTQ_NOW": f"2026-03-02T{time}Z", "TZ": "UTC"}}


def live(aq: Driven, time: str) -> Object:
    (task,) = aq.items("list", **at(time))
    return task


HOURLY = ("schedule", "--key", "sync", "--every", "1h")
TRUE = ("--exec", "--", "true")


# --- unchanged is unchanged


@pytest.mark.parametrize(
    ("first", "again"),
    [
        (("--every", "1h"), ("--every", "60m")),
        (("--every", "1h", "--expires", "30m"), ("--every", "1h", "--expires", "30m")),
        (("--every", "1h", "--after", "other/1"), ("--every", "1h", "--after", "other/1")),
        (("--every", "1h", "--start", "2026-03-02T10:00:10Z"), ("--every", "1h")),
        (("--every", "1h", "--start", "2026-03-02T10:00:10Z"), ("--every", "1h", "--start", "2026-03-02T10:00:10Z")),
        (("--cron", "0 * * * *"), ("--cron", " @hourly")),
        (("--cron", "0 * * * *", "--missed", "latest"), ("--cron", "0-0 * * * *", "--overlap", "skip")),
    ],
)
def test_a_schedule_that_is_registered_again_runs_as_if_it_were_not(
    aq: Driven, first: tuple[str, ...], again: tuple[str, ...]
) -> None:
    aq.exec("true", given=("-s", "other"), **at("09:00:00"))
    aq.drain(**at("09:00:00"))
    aq("schedule", "--key", "sync", "--replace", *first, *TRUE, **at("10:00:10"))
    for minutes in range(30, 200, 30):
        time = f"{10 + minutes // 60}:{minutes % 60:02}:10"
        before = live(aq, time)
        done = aq("schedule", "--key", "sync", "--replace", *again, *TRUE, **at(time))
        after = live(aq, time)
        assert {**after, "schedule": None} == {**before, "schedule": None}
        assert done.stdout == f"{before['id']}\n"
        assert [line.split("(")[1][:-1] for line in done.stderr.splitlines() if line.startswith("next:")] == after[
            "schedule"
        ]["next"]
        aq.drain(**at(time))
    assert len(aq.runs("-s", "default")) == 3
    events = [event["event"] for event in aq.items("events") if event["event"] in ("replace", "slots_skipped")]
    assert events.count("slots_skipped") == 0 and len(events) <= 1  # the other spelling is taken over once


def test_what_a_series_has_been_through_stays_where_only_something_else_differs(aq: Driven) -> None:
    aq(*HOURLY, "--pause-after", "2", "--exec", "--", "false", **at("10:00:00"))
    aq.drain(code=1, **at("11:00:00"))
    again = ("--replace", "--pause-after", "2", "--label", "x", "--exec", "--", "false")
    (task,) = aq.items(*HOURLY, *again, **at("11:30:00"))
    assert (task["id"], task["labels"], task["due_at"][11:16]) == ("default/2", ["x"], "12:00")
    aq.drain(code=1, **at("12:00:00"))
    task = live(aq, "12:00:01")
    assert (task["status"], task["reason"]) == ("paused", "2 failures in a row")
    # A pause is a person's or the series' own: another registration does not lift it.
    aq(*HOURLY, *again, **at("12:30:00"))
    aq(*HOURLY, "--replace", *TRUE, **at("12:30:00"))
    assert live(aq, "12:30:00")["status"] == "paused"


def test_an_overdue_series_that_is_registered_again_keeps_its_slots(aq: Driven) -> None:
    aq(*HOURLY, *TRUE, **at("10:00:00"))
    aq(*HOURLY, "--replace", "--missed", "all", *TRUE, **at("13:00:30"))
    aq.drain(**at("13:00:30"))
    assert [run["scheduled_for"][11:16] for run in aq.runs().values()] == ["13:00", "12:00", "11:00"]


def test_another_grid_is_taken_and_what_was_due_is_accounted_for(aq: Driven) -> None:
    aq(*HOURLY, *TRUE, **at("10:00:00"))
    (task,) = aq.items("schedule", "--key", "sync", "--every", "2h", "--replace", *TRUE, **at("13:00:30"))
    assert task["due_at"][11:] == "15:00:30.000Z"
    (event,) = [event for event in aq.items("events") if event["event"] == "slots_skipped"]
    assert event["reason"] == (
        "3 slots skipped (the schedule was changed): 2026-03-02T11:00:00.000Z to 2026-03-02T13:00:00.000Z"
    )


def test_an_unchanged_task_keeps_its_place_its_retry_and_its_attempts(aq: Driven) -> None:
    given = ("--key", "k", "--retries", "2", "--backoff", "60s")
    aq.exec("false", given=given, **at("10:00:00"))
    aq.drain(**at("10:00:00"))
    before = live(aq, "10:00:01")
    assert (before["status"], before["attempts"]) == ("retrying", 1)
    events = aq.items("events")
    for line in ((), ("--batch",)):
        if line:
            text = json.dumps({"exec": ["false"], "key": "k", "retries": 2, "backoff": "60s", "replace": True})
            aq("submit", "--batch", "-", input=text, **at("10:00:30"))
        else:
            aq.exec("false", given=(*given, "--replace"), **at("10:00:30"))
        assert live(aq, "10:00:01") == before
    assert aq.items("events") == events


def test_a_batch_of_unchanged_lines_changes_nothing(aq: Driven) -> None:
    lines = [
        {"ref": "a", "exec": ["true"], "key": "a", "replace": True},
        {"exec": ["true"], "key": "b", "replace": True, "after": ["@a"]},
    ]
    aq.batch(*lines, **at("10:00:00"))
    before, events = aq.items("list", **at("10:01:00")), aq.items("events")
    assert aq.batch(*lines, **at("10:01:00")) == ["default/1", "default/2"]
    assert (aq.items("list", **at("10:01:00")), aq.items("events")) == (before, events)


def test_a_series_that_runs_may_be_registered_again_but_not_changed(aq: Driven) -> None:
    work = ("--exec", "--", *held("one"))
    aq(*HOURLY, *work, **at("10:00:00"))
    supervisor = aq.supervise("--drain", **at("11:00:00"))
    aq.started("one")
    done = aq(*HOURLY, "--replace", *work, **at("11:00:00"))
    assert done.stdout == "default/1\n" and "T12:00:00.000Z" in done.stderr
    assert "running" in aq.refused(*HOURLY, "--replace", *TRUE, code=4, **at("11:00:00"))
    aq.let_go("one")
    aq.ended(supervisor, 0)


# --- what is printed is what is stored


@pytest.mark.parametrize(
    "other",
    [
        ("--cron", "30 5 * * *"),
        ("--cron", "0 3 * * *", "--tz", "Asia/Kolkata"),
        ("--every", "24h"),
        ("--at", "2026-03-03T03:00:00Z"),
    ],
)
def test_another_schedule_of_the_same_key_is_refused(aq: Driven, other: tuple[str, ...]) -> None:
    aq("schedule", "--key", "k", "--cron", "0 3 * * *", *TRUE, **at("10:00:00"))
    before = live(aq, "10:00:00")
    assert "default/1" in aq.refused("schedule", "--key", "k", *other, *TRUE, code=4, **at("10:00:00"))
    assert live(aq, "10:00:00") == before
    (task,) = aq.items("schedule", "--key", "k", "--replace", *other, *TRUE, **at("10:00:00"))
    stored = live(aq, "10:00:00")
    assert task["id"] == "default/1" and task["schedule"]["next"] == stored["schedule"]["next"]
    assert stored["schedule"] != before["schedule"]
    assert stored["series"] == "default/1"


def test_the_times_of_the_stored_schedule_are_printed(aq: Driven) -> None:
    aq("schedule", "--key", "k", "--every", "1h", *TRUE, **at("10:00:00"))
    done = aq("schedule", "--key", "k", "--every", "1h", "--max-runs", "1", *TRUE, **at("10:20:00"))
    assert "T11:00:00.000Z" in done.stderr and "T12:00:00.000Z" in done.stderr
    refused = aq.refused(
        "schedule", "--key", "k", "--every", "1h", "--start", "2026-03-02T10:20:00Z", *TRUE, code=4, **at("10:20:00")
    )
    assert "schedule" in refused
    # When something comes once is no content, as for submit.
    aq("schedule", "--key", "one", "--at", "2026-03-02T12:00:00Z", *TRUE, **at("10:00:00"))
    done = aq("schedule", "--key", "one", "--at", "2026-03-02T14:00:00Z", *TRUE, **at("10:00:00"))
    assert done.stdout == "default/2\n" and "T12:00:00.000Z" in done.stderr and "T14" not in done.stderr
    assert aq.exec("true", given=("--key", "one"), **at("10:00:00")) == "default/2"
    # What comes once and what comes again are two things.
    aq.exec("true", given=("--key", "plain"), **at("10:00:00"))
    assert "'plain'" in aq.refused("schedule", "--key", "plain", "--every", "1h", *TRUE, code=4, **at("10:00:00"))


# --- a replaced task is a new one


def test_a_task_with_other_work_has_nothing_of_what_was_there_before(aq: Driven) -> None:
    aq.exec("false", given=("--key", "k", "--retries", "1", "--backoff", "1h"), **at("10:00:00"))
    aq.drain(**at("10:00:00"))
    assert live(aq, "10:00:01")["status"] == "retrying"
    given = ("--key", "k", "--replace", "--retries", "1", "--backoff", "1ms", "--expires", "5m")
    work = ("sh", "-c", "echo ${AGENTQ_PREVIOUS_RUN:-none} $AGENTQ_ATTEMPT; exit 3")
    assert aq.exec(*work, given=given, **at("10:01:00")) == "default/1"
    task = live(aq, "10:01:00")
    assert (task["status"], task["reason"], task["attempts"]) == ("queued", None, 0)
    assert (task["due_at"][11:16], task["expires_at"][11:16], task["exit_code"]) == ("10:01", "10:06", None)
    aq.drain()  # by now it has expired, whatever its earlier run
    assert aq.statuses() == {"default/1": "expired"}


def test_its_runs_go_on_counting_and_its_budget_is_its_own(aq: Driven) -> None:
    aq.exec("false", given=("--key", "k", "--retries", "1", "--backoff", "1h"), **at("10:00:00"))
    aq.drain(**at("10:00:00"))
    work = ("sh", "-c", "echo ${AGENTQ_PREVIOUS_RUN:-none} $AGENTQ_ATTEMPT; exit 3")
    aq.exec(*work, given=("--key", "k", "--replace", "--retries", "1", "--backoff", "1ms"))
    aq.drain(code=1)
    runs = aq.runs()
    assert list(runs) == ["default/1.3", "default/1.2", "default/1.1"]
    assert (runs["default/1.2"]["trigger"], runs["default/1.3"]["trigger"]) == ("submit", "retry")
    assert aq("logs", "1.2").stdout == "none 2\n"
    assert aq("logs", "1.3").stdout.endswith("/1.2 3\n")


def test_no_conversation_and_no_cost_of_the_earlier_one_is_its(aq: Driven) -> None:
    stream = '{"type":"system","subtype":"init","session_id":"5d7f6f6e-0000-4000-8000-000000000001"}'
    agent = aq.home / "agent"
    agent.write_text(f"#!/bin/sh\nprintf '%s\\n' \"$*\" >> $HOME/said\nprintf '%s\\n' '{stream}'\nkill -KILL $$\n")
    agent.chmod(0o755)
    (aq.home / "config.toml").write_text(
        f'[agents.mine]\nargv = ["{agent}"]\nprompt = "argv"\nreader = "claude"\n'
        'fresh = ["--session-id", "{conversation}"]\nresume = ["--resume", "{conversation}"]\n'
    )
    aq.agentq.environ |= {"AGENTQ_CONFIG": str(aq.home / "config.toml")}
    aq("submit", "-a", "mine", "--key", "k", "first", **at("10:00:00"))
    aq.drain(**at("10:00:00"))
    aq("submit", "-a", "mine", "--key", "k", "--replace", "--retries", "0", "second", **at("10:00:01"))
    aq.drain(**at("10:00:01"), code=1)
    first, second = (aq.home / "said").read_text().splitlines()
    assert "first" in first and "second" in second
    assert "--resume" not in second and "interrupted" not in second


@pytest.mark.parametrize("paused", [False, True])
def test_every_option_of_a_replaced_task_is_the_new_ones(aq: Driven, paused: bool) -> None:
    from test_edit_every_option import CONFIG, OF_PROMPTS, everywhere, fields

    (aq.home / "env").write_text("B=2\n")
    (aq.home / "config.toml").write_text(CONFIG.format(script=json.dumps(HELD)))
    aq.agentq.environ |= {"AGENTQ_CONFIG": str(aq.home / "config.toml"), "TZ": "UTC"}
    aq.batch(*[{"session": "other", "exec": ["true"], "in": "9h"}] * 3)
    given: list[str] = []
    for name, (values, _) in {**everywhere(aq.home), **OF_PROMPTS}.items():
        given += [name, *values] if name not in ("--prompt", "--key") else []
    every = ("schedule", "--key", "k", "--every", "1h", *given, "another")
    # What says it all at once, and what says it in place of something else.
    aq(*every[:1], "-s", "model", *every[1:], **at("10:00:00"))
    aq("schedule", "--key", "k", "--every", "1h", "-a", "mine", "words", **at("10:00:00"))
    if paused:
        aq("pause", "1")
    aq(every[0], "--replace", *every[1:], **at("10:00:00"))
    expected = fields(aq, 1, session="model")
    assert fields(aq, 1) == {**expected, "schedule.start": fields(aq, 1)["schedule.start"]}
    task = aq.task("1")
    assert task["status"] == ("paused" if paused else "blocked")


# --- what has begun does not expire


RETRYING = ("--retries", "3", "--backoff", "1h", "--max-backoff", "2h", "--exec", "--", "false")


def test_a_retrying_task_that_is_to_expire_is_a_new_one(aq: Driven) -> None:
    aq("submit", "--key", "k", *RETRYING, **at("10:00:00"))
    aq.drain(**at("10:00:00"))
    assert live(aq, "10:00:10")["status"] == "retrying"
    aq("submit", "--key", "k", "--replace", "--expires", "30m", *RETRYING, **at("10:00:10"))
    task = live(aq, "10:00:20")
    assert (task["status"], task["reason"], task["attempts"]) == ("queued", None, 0)
    aq("sweep", "--no-wake", **at("10:40:00"))
    assert aq.task("default/1")["status"] == "expired"


def test_an_edit_that_cannot_hold_is_refused(aq: Driven) -> None:
    aq("submit", *RETRYING, **at("10:00:00"))
    aq.drain(**at("10:00:00"))
    assert "does not expire" in aq.refused("edit", "1", "--expires", "30m", code=4, **at("10:00:10"))


def test_replace_in_a_batch_wants_a_key_too(aq: Driven) -> None:
    line = json.dumps({"exec": ["true"], "replace": True})
    error = aq.refused("submit", "--batch", "-", input=line, code=2)
    assert error.endswith("--batch line 1: replace: only together with key")
