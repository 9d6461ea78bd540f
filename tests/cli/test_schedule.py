"""Schedules as a person sees them: the clock is given, the processes are real."""

from __future__ import annotations

import json
import os
import signal
import time

import pytest

from agentq_cli.host.run_directory import RunDirectory

NINE = "2026-03-07T09:00:00Z"


class Desk:
    """A state dir and a clock that stands where it is put."""

    def __init__(self, agentq):
        self.agentq = agentq

    def __call__(self, now, *arguments, code=0, **options):
        done = self.agentq(*arguments, env={"AGENTQ_NOW": now}, **options)
        assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
        return done

    def json(self, now, *arguments, code=0):
        return json.loads(self(now, *arguments, "--json", code=code).stdout)

    def live(self, now=NINE):
        return self.json(now, "list")["items"]

    def due(self, now=NINE):
        return [item["due_at"][11:19] for item in self.live(now)]

    def runs(self, now=NINE):
        """Scheduled time and trigger of every run, oldest first."""
        items = self.json(now, "runs", "--limit", "1000")["items"]
        return [(run["scheduled_for"][11:19], run["trigger"]) for run in reversed(items)]

    def drain(self, now, code=0):
        return self(now, "run", "--drain", code=code)


@pytest.fixture
def desk(agentq):
    return Desk(agentq)


def every_five(desk, *options, command=("true",)):
    done = desk(
        "2026-03-07T09:58:00Z",
        *("schedule", "--every", "5m", "--start", "2026-03-07T10:00:00Z", *options, "--exec", "--", *command),
    )
    assert done.stdout == "default/1\n"
    return done


def until(predicate, seconds=20):
    deadline = time.monotonic() + seconds
    while not predicate():
        assert time.monotonic() < deadline, "it did not come in time"
        time.sleep(0.02)


def test_a_schedule_prints_its_address_and_the_next_three_times_in_its_zone_and_in_utc(desk):
    done = desk(NINE, "schedule", "--cron", "0 9 * * *", "--tz", "America/New_York", "--exec", "--", "true")
    assert done.stdout == "default/1\n"
    assert [line for line in done.stderr.splitlines() if line.startswith("next:")] == [
        "next: 2026-03-07 09:00:00-05:00 America/New_York (2026-03-07T14:00:00.000Z)",
        "next: 2026-03-08 09:00:00-04:00 America/New_York (2026-03-08T13:00:00.000Z)",
        "next: 2026-03-09 09:00:00-04:00 America/New_York (2026-03-09T13:00:00.000Z)",
    ]
    (task,) = desk.live()
    assert task["schedule"] == {
        "type": "cron",
        "expr": "0 9 * * *",
        "every_ms": None,
        "tz": "America/New_York",
        "missed": "latest",
        "overlap": "skip",
        "next": ["2026-03-07T14:00:00.000Z", "2026-03-08T13:00:00.000Z", "2026-03-09T13:00:00.000Z"],
    }
    assert (task["series"], task["priority"], task["context"], task["status"]) == (
        "default/1",
        10,
        "isolated",
        "scheduled",
    )


@pytest.mark.parametrize(
    ("options", "quoted"),
    [
        (["--cron", "0 0 30 2 *"], "0 0 30 2 *"),
        (["--cron", "* * * *"], "* * * *"),
        (["--cron", "0 21-5 * * *"], "21-5"),
        (["--cron", "*/0 * * * *"], "*/0"),
        (["--cron", "0 0 L * *"], "L"),
        (["--every", "5"], "5"),
        (["--every", "5m", "--cron", "@daily"], "@daily"),
        (["--cron", "@daily", "--tz", "Europe/Berlinn"], "Europe/Berlinn"),
        (["--at", "2026-13-01T00:00"], "2026-13-01T00:00"),
        (["--every", "5m", "--until", "2026-03-07T09:01:00Z"], "2026-03-07T09:01:00Z"),
        (["--cron", "@daily", "--missed", "latestt"], "latestt"),
        ([], "--cron"),
    ],
)
def test_what_could_never_fire_is_refused_when_typed_and_nothing_is_stored(desk, options, quoted):
    done = desk(NINE, "schedule", *options, "--exec", "--", "true", code=2)
    assert done.stderr.startswith("agentq: error: ") and quoted in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert desk.live() == []


def test_once_runs_once_at_its_time(desk):
    desk(NINE, "schedule", "--at", "2026-03-07T10:00:00Z", "--exec", "--", "true")
    desk.drain("2026-03-07T09:59:59Z")
    assert desk.runs() == []
    desk.drain("2026-03-07T10:00:00Z")
    assert desk.runs() == [("10:00:00", "schedule")]
    assert desk.live() == []


def test_once_in_the_past_runs_at_once_with_a_warning(desk):
    done = desk(NINE, "schedule", "--at", "2026-03-07T08:00:00Z", "--exec", "--", "true")
    assert "agentq: warning: " in done.stderr and "2026-03-07T08:00:00Z" in done.stderr
    desk.drain(NINE)
    assert len(desk.runs()) == 1


@pytest.mark.parametrize(
    ("ran_at", "next_due"),
    [
        ("2026-03-07T10:00:02Z", "10:05:00"),
        ("2026-03-07T10:04:59.999Z", "10:05:00"),
        ("2026-03-07T10:05:00Z", "10:10:00"),
    ],
)
def test_an_interval_keeps_its_grid_whenever_its_run_ends(desk, ran_at, next_due):
    every_five(desk)
    desk.drain(ran_at)
    assert len(desk.runs()) == 1
    assert desk.due(ran_at) == [next_due]


def test_an_outage_gives_one_late_run_and_then_the_grid_with_every_slot_accounted_for(desk):
    every_five(desk)
    desk.drain("2026-03-07T10:15:00Z")
    assert desk.runs() == [("10:15:00", "catchup")]
    assert desk.due("2026-03-07T10:15:00Z") == ["10:20:00"]
    (skipped,) = [e for e in desk.json(NINE, "events")["items"] if e["event"] == "slots_skipped"]
    assert "3 slots skipped (missed): 2026-03-07T10:00:00.000Z to 2026-03-07T10:10:00.000Z" in skipped["reason"]


def test_missed_all_runs_each_oldest_first(desk):
    every_five(desk, "--missed", "all")
    desk.drain("2026-03-07T10:12:00Z")
    assert [slot for slot, _ in desk.runs()] == ["10:00:00", "10:05:00", "10:10:00"]
    assert desk.due("2026-03-07T10:12:00Z") == ["10:15:00"]


def test_missed_all_runs_at_most_24(desk):
    every_five(desk, "--missed", "all")
    desk.drain("2026-03-07T13:00:00Z")
    slots = [slot for slot, _ in desk.runs()]
    assert len(slots) == 24 and slots == sorted(slots) and slots[-1] == "13:00:00"


def test_missed_skip_runs_nothing_that_is_more_than_ten_minutes_late(desk):
    desk(
        "2026-03-07T09:58:00Z",
        "schedule",
        "--cron",
        "0 10 * * *",
        "--tz",
        "UTC",
        "--missed",
        "skip",
        "--exec",
        "--",
        "true",
    )
    desk.drain("2026-03-07T10:11:00Z")
    assert desk.runs() == []
    (task,) = desk.live("2026-03-07T10:11:00Z")
    assert task["due_at"] == "2026-03-08T10:00:00.000Z"
    desk.drain("2026-03-08T10:09:00Z")
    assert [slot for slot, _ in desk.runs()] == ["10:00:00"]


def test_a_clock_that_is_set_back_fires_nothing_twice(desk):
    every_five(desk)
    desk.drain("2026-03-07T10:05:00Z")
    desk.drain("2026-03-07T09:00:00Z")
    desk.drain("2026-03-07T10:05:00Z")
    assert [slot for slot, _ in desk.runs()] == ["10:05:00"]
    assert desk.due() == ["10:10:00"]


def test_max_runs_and_until_end_a_series(desk):
    every_five(desk, "--max-runs", "2")
    for minute in ("00", "05", "10", "15"):
        desk.drain(f"2026-03-07T10:{minute}:00Z")
    assert [slot for slot, _ in desk.runs()] == ["10:00:00", "10:05:00"]
    assert desk.live() == []
    desk("2026-03-07T11:00:00Z", "schedule", "--every", "5m", "--until", "2026-03-07T11:05:00Z", "--exec", "--", "true")
    for minute in ("05", "10"):
        desk.drain(f"2026-03-07T11:{minute}:00Z")
    assert len(desk.runs()) == 3
    assert desk.live() == []


def test_failures_in_a_row_pause_a_series_and_a_success_resets_the_count(desk, tmp_path):
    flag = tmp_path / "ok"
    every_five(desk, "--pause-after", "2", command=("test", "-e", str(flag)))
    desk.drain("2026-03-07T10:00:00Z", code=1)
    flag.touch()
    desk.drain("2026-03-07T10:05:00Z")
    flag.unlink()
    desk.drain("2026-03-07T10:10:00Z", code=1)
    (task,) = desk.live("2026-03-07T10:10:00Z")
    assert task["status"] == "scheduled"
    desk.drain("2026-03-07T10:15:00Z", code=1)
    (task,) = desk.live("2026-03-07T10:15:00Z")
    assert (task["status"], task["reason"]) == ("paused", "2 failures in a row")
    desk.drain("2026-03-07T10:30:00Z")
    assert len(desk.runs()) == 4


def test_any_address_of_the_series_reaches_its_live_occurrence(desk):
    every_five(desk)
    desk.drain("2026-03-07T10:00:00Z")
    desk("2026-03-07T10:01:00Z", "pause", "1", "--reason", "quiet")
    (task,) = desk.live("2026-03-07T10:01:00Z")
    assert (task["id"], task["status"], task["reason"]) == ("default/2", "paused", "quiet")
    desk("2026-03-07T10:01:00Z", "resume", "1")
    desk("2026-03-07T10:01:00Z", "edit", "1", "--cron", "30 * * * *", "--tz", "UTC")
    assert desk.due("2026-03-07T10:01:00Z") == ["10:30:00"]
    done = desk("2026-03-07T10:02:00Z", "cancel", "1")
    assert "default/2 is cancelled; its series has ended" in done.stdout
    assert desk.live() == []
    assert desk.json(NINE, "show", "1")["status"] == "completed"
    desk.drain("2026-03-07T11:00:00Z")
    assert len(desk.runs()) == 1


def test_trigger_adds_one_run_now_and_leaves_the_grid_alone_also_while_paused(desk):
    every_five(desk)
    assert desk(NINE, "trigger", "1").stdout == "default/2\n"
    desk.drain(NINE)
    assert desk.runs() == [("09:00:00", "manual")]
    assert desk.due() == ["10:00:00"]
    desk(NINE, "pause", "1")
    desk(NINE, "trigger", "1")
    desk.drain(NINE)
    assert len(desk.runs()) == 2
    (task,) = desk.live()
    assert (task["id"], task["status"]) == ("default/1", "paused")
    assert desk(NINE, "trigger", "default/9", code=3).stderr
    desk(NINE, "submit", "--exec", "--", "true")
    assert "no schedule" in desk(NINE, "trigger", "4", code=4).stderr


def test_resume_of_an_overdue_occurrence_follows_its_missed_policy(desk):
    every_five(desk)
    desk(NINE, "pause", "1")
    desk("2026-03-07T10:17:00Z", "resume", "1")
    desk.drain("2026-03-07T10:17:00Z")
    assert desk.runs() == [("10:15:00", "catchup")]
    assert desk.due("2026-03-07T10:17:00Z") == ["10:20:00"]


def test_pause_and_edit_during_a_run_hold_for_the_next_occurrence(desk, agentq, tmp_path):
    gate, seen = tmp_path / "gate", tmp_path / "seen"
    os.mkfifo(gate)
    every_five(desk, command=("sh", "-c", f'echo "$W" >> {seen}; cat {gate}'))
    supervisor = agentq.start("run", "--drain", env={"AGENTQ_NOW": "2026-03-07T10:00:00Z"})
    until(seen.exists)
    desk("2026-03-07T10:00:00Z", "edit", "1", "-e", "W=edited", "--every", "7m", "--label", "new")
    desk("2026-03-07T10:00:00Z", "edit", "1", "--expires", "2m")
    desk("2026-03-07T10:00:00Z", "pause", "1", "--reason", "later")
    gate.write_text("")
    assert supervisor.wait(30) == 0
    (task,) = desk.live("2026-03-07T10:00:00Z")
    assert (task["id"], task["status"], task["reason"], task["labels"]) == ("default/2", "paused", "later", ["new"])
    assert task["schedule"]["every_ms"] == 420_000
    # As long after its own slot as was said of the one that ran.
    assert (task["due_at"][11:19], task["expires_at"][11:19]) == ("10:07:00", "10:09:00")
    assert desk.json(NINE, "show", "1")["labels"] == []


def test_edit_once_drops_the_recurrence(desk):
    every_five(desk)
    desk(NINE, "edit", "1", "--once")
    desk.drain("2026-03-07T10:00:00Z")
    assert len(desk.runs()) == 1
    assert desk.live() == []


def test_ten_sweeps_at_once_after_a_killed_supervisor_make_one_next_occurrence(desk, agentq, tmp_path):
    started, gate = tmp_path / "started", tmp_path / "gate"
    os.mkfifo(gate)
    every_five(desk, command=("sh", "-c", f"touch {started}; cat {gate}"))
    supervisor = agentq.start("run", env={"AGENTQ_NOW": "2026-03-07T10:00:00Z"})
    until(started.exists)
    supervisor.send_signal(signal.SIGKILL)
    supervisor.wait()
    gate.write_text("")
    until(RunDirectory(agentq.state_dir / "sessions/default/runs/1.1").exit)
    now = {"AGENTQ_NOW": "2026-03-07T10:01:00Z"}
    sweeps = [agentq.start("sweep", "--no-wake", env=now) for _ in range(10)]
    assert [sweep.wait(60) for sweep in sweeps] == [0] * 10
    assert [task["id"] for task in desk.live()] == ["default/2"]
    assert len([e for e in desk.json(NINE, "events")["items"] if e["event"] == "rearm"]) == 1


def test_next_shows_fire_times_and_stores_nothing(desk, state_dir):
    done = desk(
        "2026-03-07T12:00:00Z",
        *("schedule", "--cron", "30 2 * * *", "--tz", "America/New_York", "--next", "3", "--json", "--exec", "--", "x"),
    )
    # 02:30 does not exist on the 8th: it fires once, at the first minute after the gap.
    document = json.loads(done.stdout)
    assert document["schema"] == "agentq.plan/1"
    (plan,) = document["items"]
    assert plan["schedule"]["next"] == [
        "2026-03-08T07:00:00.000Z",
        "2026-03-09T06:30:00.000Z",
        "2026-03-10T06:30:00.000Z",
    ]
    assert not state_dir.exists()


def test_a_cancelled_run_alone_leaves_the_series_going(desk, agentq, tmp_path):
    started = tmp_path / "started"
    every_five(desk, command=("sh", "-c", f"touch {started}; exec sleep 60"))
    supervisor = agentq.start("run", "--drain", env={"AGENTQ_NOW": "2026-03-07T10:00:00Z"})
    until(started.exists)
    done = desk("2026-03-07T10:00:00Z", "cancel", "default/1.1", "--wait")
    assert "its series continues" in done.stdout
    supervisor.wait(30)
    assert desk.json(NINE, "show", "1")["status"] == "cancelled"
    assert desk.due("2026-03-07T10:00:00Z") == ["10:05:00"]


@pytest.mark.parametrize("expression", [" @daily", "\t@daily ", "  0 4 * * *", "0  4 *\t* * "])
def test_blanks_around_an_expression_do_not_count(desk, expression):
    desk(NINE, "schedule", "--cron", expression, "--tz", "UTC", "--exec", "--", "true")
    (task,) = desk.live()
    assert task["schedule"]["expr"] == " ".join(expression.split())
    desk(NINE, "edit", "1", "--cron", expression)
    for bad in (" @dayly", "@daily x", " ", "@ daily"):
        assert f"'{bad}'" in desk(NINE, "schedule", "--cron", bad, "--exec", "--", "true", code=2).stderr
