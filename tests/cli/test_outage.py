"""Schedules after an outage, and clocks that disagree: no burst, nothing twice, every slot accounted for (21, 23)."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

import pytest
from driven import Driven, alive, held, until
from sampling import in_gate

BEFORE = {"AGENTQ_NOW": "2026-03-07T10:00:00Z"}
AFTER = {"AGENTQ_NOW": "2026-03-07T22:00:00Z"}
START, NOW = datetime.fromisoformat("2026-03-07T10:00:00Z"), datetime.fromisoformat("2026-03-07T22:00:00Z")

COUNTED = 'echo begin >> "$HOME/counted"; sleep 0.05; echo end >> "$HOME/counted"'
EVERY = {"7m": 7, "15m": 15, "1h": 60, "5h": 300}
CRON = {"*/20 * * * *": 20, "0 * * * *": 60, "0 */12 * * *": 120}
SKIPPED = re.compile(r"(\d+) slots? skipped \((\w+)\): (\S+)(?: to (\S+))?")


def grid(minutes: int) -> set[datetime]:
    """The slots of the outage. All of the expressions above fall on the hour that it began, or twelve hours on."""
    if minutes == 120:
        return {datetime.fromisoformat("2026-03-07T12:00:00Z")}
    return {START + timedelta(minutes=minutes * n) for n in range(1, 12 * 60 // minutes + 1)}


def time(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize("count", in_gate([14, 40], 14))
def test_schedules_after_twelve_hours_of_nothing(aq: Driven, count: int) -> None:
    expected: dict[str, tuple[set[datetime], str]] = {}
    for number in range(count):
        missed = "all" if number % 10 == 0 else ("latest", "skip")[number % 2]
        pairs: list[tuple[str, str, int]] = [("--every", text, length) for text, length in EVERY.items()]
        pairs += [("--cron", text, length) for text, length in CRON.items()]
        flag, text, length = pairs[number % len(pairs)]
        given = (flag, text, "--tz", "UTC", "--missed", missed, "-s", f"s{number % 7}", "--context", "isolated")
        address = aq("schedule", *given, "--exec", "--", "sh", "-c", COUNTED, env=BEFORE).stdout.strip()
        expected[address] = (grid(length), missed)
    # The whole state dir's cap: two supervisors and a sweep are not four places.
    supervisors = [aq.supervise("--drain", "-j", "2", env=AFTER) for _ in range(2)]
    done = aq.agentq("sweep", "--no-wake", env=AFTER)
    # A supervisor may have a session's file just then, for longer than a sweep waits: it says so and goes on.
    assert done.returncode == ("busy " in done.stdout), done.stdout + done.stderr
    for supervisor in supervisors:
        aq.ended(supervisor, 0)
    aq.drain("-j", "2", env=AFTER)
    running = most = 0
    for line in (aq.home / "counted").read_text().split():
        running += 1 if line == "begin" else -1
        most = max(most, running)
    assert (running, most) == (0, 2)
    check_accounts(aq, expected)


def check_accounts(aq: Driven, expected: dict[str, tuple[set[datetime], str]]) -> None:
    """Each slot has a run or lies in the span of one event, and no slot has two."""
    runs: dict[str, list[datetime]] = {address: [] for address in expected}
    for run in aq.runs().values():
        assert run["status"] == "success"
        runs[run["series"]].append(time(run["scheduled_for"]))
    series = {task["id"]: task["series"] for task in aq.tasks().values()}
    skipped: dict[str, list[tuple[int, datetime, datetime]]] = {address: [] for address in expected}
    for event in aq.items("events", "--limit", "10000"):
        if event["event"] == "slots_skipped":
            match = SKIPPED.match(event["reason"])
            assert match is not None, event
            span = (int(match[1]), time(match[3]), time(match[4] or match[3]))
            skipped[series[event["task"]]].append(span)
    for address, (slots, missed) in expected.items():
        ran = set(runs[address])
        assert len(ran) == len(runs[address]), f"{address}: a slot ran twice"
        assert ran <= slots, address
        left = slots - ran
        for count, first, last in skipped[address]:
            span = {slot for slot in left if first <= slot <= last}
            assert len(span) == count, (address, count, first, last)
            left -= span
        assert left == set(), f"{address}: {len(left)} slots are not accounted for"
        most = {"all": 24, "latest": 1, "skip": 1}[missed]
        assert len(ran) == min(most, len(slots)) or (missed == "skip" and not ran and max(slots) < NOW), address


def at(text: str) -> dict[str, Any]:
    return {"env": {"AGENTQ_NOW": f"2026-03-{text}:00Z"}}


def test_clocks_that_go_back_and_forth_fire_nothing_twice_and_end_nothing(aq: Driven) -> None:
    """Case 23: each process believes another time; what runs is measured by none of them."""
    aq("schedule", "--every", "1h", "--exec", "--", "true", **at("07T11:00"))
    aq.exec(*held("long"), given=("-s", "long", "--timeout", "30m", "--grace", "1s"), **at("07T12:00"))
    supervisor = aq.supervise(**at("07T12:00"))
    pid = aq.started("long")
    aq("wait", "default/1", **at("07T12:00"))
    aq.kill_hard(supervisor)
    for moment in ("07T11:00", "08T12:00", "06T12:00", "07T12:00", "08T11:30"):
        aq("sweep", "--no-wake", **at(moment))
        aq.drain("-s", "default", **at(moment))
        aq("list", "--all", **at(moment))
        assert alive(pid), moment
        assert aq.statuses()["long/1"] == "running", moment
    slots = [run["scheduled_for"] for run in aq.runs().values() if run["session"] == "default"]
    assert len(slots) == len(set(slots))
    # One at its time, and one late one for the day that somebody skipped; none for the hours that came again.
    assert sorted(slots) == ["2026-03-07T12:00:00.000Z", "2026-03-08T12:00:00.000Z"]
    aq.let_go("long")
    until(lambda: not alive(pid), what="its end")
    until(lambda: "settle" in aq("sweep", "--no-wake", **at("05T00:00")).stdout, what="settling")
    run = aq.runs()["long/1.1"]
    assert (run["status"], run["exit_code"]) == ("success", 0)
    assert run["duration_ms"] >= 0
