"""What becomes of slots on which nothing ran: every one is accounted for, once.

The series are drawn anew each day: see `sampling`.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field
from datetime import datetime

import pytest
from sampling import WIDE, chance

from agentq_cli.base.errors import Unreadable
from agentq_cli.model.actions import Trigger
from agentq_cli.model.statuses import Status
from agentq_cli.policy.missed import (
    CATCH_UP,
    LATE,
    Decision,
    End,
    Occurrence,
    Skipped,
    Why,
    begin,
    ended,
    overdue,
    pauses,
    rebased,
    refusal,
    streak,
)
from agentq_cli.policy.schedule import Kind, Missed, Overlap, Schedule, count_slots, fires, newest_slots

MINUTE = 60_000
HOUR = 60 * MINUTE


def at(text: str) -> int:
    """Milliseconds of a time of 2026-03-10 UTC, or of a whole RFC 3339 one."""
    return round(datetime.fromisoformat(text if "T" in text else f"2026-03-10T{text}Z").timestamp() * 1000)


def every(minutes: int, **options: object) -> Schedule:
    return Schedule(Kind.EVERY, every_ms=minutes * MINUTE, start=at("10:00"), **options)  # type: ignore[arg-type]


def due(slot: str, **options: object) -> Occurrence:
    return Occurrence(at(slot), Trigger.SCHEDULE, at(slot), **options)  # type: ignore[arg-type]


def missed(count: int, first: str, last: str) -> Skipped:
    return Skipped(Why.MISSED, count, at(first), at(last))


def overlap(count: int, first: str, last: str) -> Skipped:
    return Skipped(Why.OVERLAP, count, at(first), at(last))


def finish(
    schedule: Schedule, occurrence: Occurrence, finished: str, now: str | None = None, runs: int = 1
) -> Decision:
    return ended(schedule, occurrence, finished=at(finished), now=at(now or finished), runs=runs)


# --- the interval table of the contract's cases -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("finished", "slot", "skipped"),
    [
        ("10:00:02", "10:05", ()),
        ("10:04:59.999", "10:05", ()),
        ("10:05:00", "10:10", (overlap(1, "10:05", "10:05"),)),
        ("10:15:01", "10:20", (overlap(3, "10:05", "10:15"),)),
    ],
)
def test_the_next_occurrence_is_strictly_after_the_end(finished: str, slot: str, skipped: object) -> None:
    decision = finish(every(5), due("10:00"), finished)
    assert decision == Decision(due(slot), skipped)  # type: ignore[arg-type]


def test_down_until_a_quarter_past_runs_once_late_and_goes_on_with_the_grid() -> None:
    late = overdue(every(5), due("10:00"), now=at("10:15:00"), runs=0)
    assert late.occurrence == Occurrence(at("10:15"), Trigger.CATCHUP, at("10:15:00"))
    assert late.skipped == (missed(3, "10:00", "10:10"),)
    assert finish(every(5), late.occurrence, "10:15:02") == Decision(due("10:20"))


def test_an_end_that_is_noticed_late_counts_what_was_missed_since() -> None:
    decision = finish(every(5), due("10:00"), "10:06:00", now="10:17:00")
    assert decision.occurrence == Occurrence(at("10:15"), Trigger.CATCHUP, at("10:17"))
    assert decision.skipped == (overlap(1, "10:05", "10:05"), missed(1, "10:10", "10:10"))


def test_a_million_million_missed_periods_are_counted_at_once() -> None:
    schedule, now = every(5), at("10:00") + 10**12 * 5 * MINUTE
    began = time.perf_counter()
    for policy in Missed:
        with_policy = Schedule(Kind.EVERY, every_ms=schedule.every_ms, start=schedule.start, missed=policy)
        decision = overdue(with_policy, due("10:00"), now=now, runs=0)
        assert decision.occurrence is not None
        kept = 1 + len(decision.occurrence.backlog)
        assert sum(skipped.count for skipped in decision.skipped) == 10**12 + 1 - kept
    assert time.perf_counter() - began < 1


# --- the missed policies --------------------------------------------------------------------------------------------


def test_latest_runs_the_newest_once() -> None:
    schedule = Schedule(Kind.CRON, expr="0 * * * *")
    decision = overdue(schedule, due("00:00"), now=at("12:30"), runs=0)
    assert decision.occurrence == Occurrence(at("12:00"), Trigger.CATCHUP, at("12:30"))
    assert decision.skipped == (missed(12, "00:00", "11:00"),)


def test_all_runs_each_oldest_first() -> None:
    schedule = every(5, missed=Missed.ALL)
    decision = overdue(schedule, due("10:00"), now=at("10:12"), runs=0)
    assert decision == Decision(Occurrence(at("10:00"), Trigger.CATCHUP, at("10:12"), (at("10:05"), at("10:10"))))
    assert decision.occurrence is not None
    # 10:15 falls while the first of them runs: the backlog is a queue already.
    second = finish(schedule, decision.occurrence, "10:16")
    assert second.occurrence == Occurrence(at("10:05"), Trigger.CATCHUP, at("10:16"), (at("10:10"),))
    assert second.skipped == (overlap(1, "10:15", "10:15"),)
    third = finish(schedule, second.occurrence, "10:17")
    assert third == Decision(Occurrence(at("10:10"), Trigger.CATCHUP, at("10:17")))
    assert third.occurrence is not None
    assert finish(schedule, third.occurrence, "10:18") == Decision(due("10:20"))


def test_all_runs_at_most_24_the_newest_ones() -> None:
    decision = overdue(every(5, missed=Missed.ALL), due("10:00"), now=at("22:01"), runs=0)
    assert decision.occurrence is not None
    slots = [decision.occurrence.slot, *decision.occurrence.backlog]
    assert len(slots) == CATCH_UP == 24
    assert (slots[0], slots[-1]) == (at("20:05"), at("22:00"))
    assert decision.skipped == (missed(121, "10:00", "20:00"),)


def test_all_goes_down_again_in_the_middle_of_its_backlog() -> None:
    schedule = every(30, missed=Missed.ALL)
    middle = Occurrence(at("10:30"), Trigger.CATCHUP, at("11:40"), (at("11:00"), at("11:30")))
    decision = overdue(schedule, middle, now=at("23:45"), runs=1)
    assert decision.occurrence is not None
    slots = [decision.occurrence.slot, *decision.occurrence.backlog]
    assert len(slots) == 24 and slots[-1] == at("23:30") and slots[0] == at("12:00")
    assert decision.skipped == (missed(3, "10:30", "11:30"),)


@pytest.mark.parametrize(
    ("now", "slot", "trigger", "skipped"),
    [
        ("10:10:00", "10:00", Trigger.SCHEDULE, ()),
        ("10:10:00.001", "11:00", Trigger.SCHEDULE, (missed(1, "10:00", "10:00"),)),
        ("11:10:00", "11:00", Trigger.CATCHUP, (missed(1, "10:00", "10:00"),)),
        ("11:10:00.001", "12:00", Trigger.SCHEDULE, (missed(2, "10:00", "11:00"),)),
    ],
)
def test_skip_runs_none_that_is_more_than_ten_minutes_late(
    now: str, slot: str, trigger: Trigger, skipped: object
) -> None:
    decision = overdue(every(60, missed=Missed.SKIP), due("10:00"), now=at(now), runs=0)
    assert decision.occurrence is not None
    assert (decision.occurrence.slot, decision.occurrence.trigger) == (at(slot), trigger)
    assert decision.skipped == skipped


def test_skip_runs_only_the_newest_of_those_that_are_not_late() -> None:
    decision = overdue(every(1, missed=Missed.SKIP), due("10:00"), now=at("10:07:30"), runs=0)
    assert decision.occurrence is not None and decision.occurrence.slot == at("10:07")
    assert decision.skipped == (missed(7, "10:00", "10:06"),)


def test_a_single_late_slot_is_a_late_run_of_the_same_slot() -> None:
    schedule = Schedule(Kind.CRON, expr="0 10 * * *")
    assert overdue(schedule, due("10:00"), now=at("10:09"), runs=0) == Decision(due("10:00"))
    late = overdue(schedule, due("10:00"), now=at("13:00"), runs=0)
    assert late == Decision(Occurrence(at("10:00"), Trigger.CATCHUP, at("10:00")))
    assert overdue(schedule, late.occurrence or due("10:00"), now=at("13:00"), runs=0) == late


def test_what_is_not_due_or_was_waited_for_is_left_alone() -> None:
    assert overdue(every(5), due("10:00"), now=at("09:00"), runs=0) == Decision(due("10:00"))
    assert overdue(every(5), due("10:00"), now=at("10:00"), runs=0) == Decision(due("10:00"))
    # Someone was there all along: it waits in the queue, and what passes counts as overlap at its end.
    for missed_policy in Missed:
        schedule = every(5, missed=missed_policy)
        assert overdue(schedule, due("10:00"), now=at("11:00"), runs=0, seen_at=at("11:00")) == Decision(due("10:00"))
    assert finish(every(5), due("10:00"), "11:01").skipped == (overlap(12, "10:05", "11:00"),)


def test_slots_before_the_last_sign_of_life_count_as_overlap_and_later_ones_as_missed() -> None:
    decision = overdue(every(5), due("10:00"), now=at("11:01"), runs=0, seen_at=at("10:12"))
    assert decision.occurrence == Occurrence(at("11:00"), Trigger.CATCHUP, at("11:01"))
    assert decision.skipped == (missed(10, "10:00", "10:55"), overlap(2, "10:05", "10:10"))


# --- overlap --------------------------------------------------------------------------------------------------------


def test_queue_runs_one_right_after() -> None:
    schedule = every(5, overlap=Overlap.QUEUE)
    assert finish(schedule, due("10:00"), "10:04") == Decision(due("10:05"))
    one = finish(schedule, due("10:00"), "10:06")
    assert one == Decision(Occurrence(at("10:05"), Trigger.SCHEDULE, at("10:06")))
    newest = finish(schedule, due("10:00"), "10:21")
    assert newest.occurrence == Occurrence(at("10:20"), Trigger.SCHEDULE, at("10:21"))
    assert newest.skipped == (overlap(3, "10:05", "10:15"),)
    # What falls while the queued one waits or runs is not forgotten either.
    assert newest.occurrence is not None
    assert finish(schedule, newest.occurrence, "10:22") == Decision(due("10:25"))
    assert finish(schedule, newest.occurrence, "10:26").occurrence == Occurrence(
        at("10:25"), Trigger.SCHEDULE, at("10:26")
    )


def test_a_queued_one_whose_end_is_noticed_late_follows_the_missed_policy() -> None:
    def later(policy: Missed, now: str) -> Decision:
        return finish(every(60, overlap=Overlap.QUEUE, missed=policy), due("10:00"), "11:30", now=now)

    assert later(Missed.SKIP, "11:40").occurrence == Occurrence(at("11:00"), Trigger.SCHEDULE, at("11:40"))
    assert later(Missed.SKIP, "11:41") == Decision(due("12:00"), (missed(1, "11:00", "11:00"),))
    assert later(Missed.LATEST, "11:41").occurrence == Occurrence(at("11:00"), Trigger.CATCHUP, at("11:41"))
    assert later(Missed.LATEST, "12:01") == Decision(
        Occurrence(at("12:00"), Trigger.CATCHUP, at("12:01")), (missed(1, "11:00", "11:00"),)
    )
    assert later(Missed.ALL, "12:01") == Decision(Occurrence(at("11:00"), Trigger.CATCHUP, at("12:01"), (at("12:00"),)))


# --- the ends of a series -------------------------------------------------------------------------------------------


def test_max_runs_is_checked_before_a_run() -> None:
    schedule = every(5, max_runs=2)
    assert begin(schedule, at("09:00")).occurrence == due("10:00")
    assert finish(schedule, due("10:00"), "10:01", runs=1).occurrence == due("10:05")
    assert finish(schedule, due("10:05"), "10:06", runs=2) == Decision(None, end=End.MAX_RUNS)
    assert refusal(schedule, at("10:05"), now=at("10:05"), runs=1) is None
    assert refusal(schedule, at("10:10"), now=at("10:10"), runs=2) is End.MAX_RUNS
    assert overdue(schedule, due("10:10"), now=at("10:10"), runs=2) == Decision(
        None, (missed(1, "10:10", "10:10"),), End.MAX_RUNS
    )
    assert begin(schedule, at("09:00"), runs=2) == Decision(None, end=End.MAX_RUNS)


def test_catching_up_stays_within_max_runs() -> None:
    decision = overdue(every(5, missed=Missed.ALL, max_runs=5), due("10:00"), now=at("10:31"), runs=2)
    assert decision.occurrence is not None
    assert [decision.occurrence.slot, *decision.occurrence.backlog] == [at("10:00"), at("10:05"), at("10:10")]
    assert decision.skipped == (missed(4, "10:15", "10:30"),)


def test_a_slot_at_until_still_runs_and_none_after_it() -> None:
    schedule = every(5, until=at("10:10"))
    assert finish(schedule, due("10:05"), "10:06").occurrence == due("10:10")
    assert finish(schedule, due("10:10"), "10:11") == Decision(None, end=End.NO_MORE)
    assert finish(schedule, due("10:05"), "10:17") == Decision(None, (overlap(1, "10:10", "10:10"),), End.NO_MORE)
    assert refusal(schedule, at("10:10"), now=at("10:10:01"), runs=0) is None
    assert begin(schedule, at("10:10")) == Decision(None, end=End.NO_MORE)


@pytest.mark.parametrize("policy", Missed)
def test_nothing_is_caught_up_long_after_until(policy: Missed) -> None:
    schedule = every(5, until=at("10:10"), missed=policy)
    assert overdue(schedule, due("10:00"), now=at("11:00"), runs=0) == Decision(
        None, (missed(3, "10:00", "10:10"),), End.NO_MORE
    )
    assert refusal(schedule, at("10:10"), now=at("10:20"), runs=0) is None
    assert refusal(schedule, at("10:10"), now=at("10:20") + 1, runs=0) is End.NO_MORE
    # Also not where it only waited: until is checked before a run.
    waited = overdue(schedule, due("10:10"), now=at("10:21"), runs=0, seen_at=at("10:21"))
    assert waited == Decision(None, (missed(1, "10:10", "10:10"),), End.NO_MORE)


def test_a_single_time_runs_once() -> None:
    schedule = Schedule(Kind.AT, start=at("10:00"))
    assert begin(schedule, at("09:00")) == Decision(due("10:00"))
    assert finish(schedule, due("10:00"), "10:01") == Decision(None, end=End.NO_MORE)
    # Typed in the past it is to run at once, also where the policy skips what is late.
    for policy in Missed:
        past = Schedule(Kind.AT, start=at("10:00"), missed=policy)
        occurrence = begin(past, at("12:00")).occurrence
        assert occurrence == Occurrence(at("10:00"), Trigger.SCHEDULE, at("12:00"))
        assert overdue(past, occurrence, now=at("12:05"), runs=0) == Decision(occurrence)


# --- clocks that step, edits, failures --------------------------------------------------------------------------------


@pytest.mark.parametrize("back", [HOUR, 24 * HOUR])
def test_a_clock_that_is_set_back_makes_nothing_come_twice(back: int) -> None:
    for schedule in (every(5), Schedule(Kind.CRON, expr="*/5 * * * *")):
        now = at("12:00:02") - back
        decision = ended(schedule, due("12:00"), finished=now, now=now, runs=1)
        assert decision == Decision(due("12:05"))
        assert overdue(schedule, due("12:05"), now=now, runs=1) == Decision(due("12:05"))


def test_a_clock_that_goes_on_by_a_day_is_an_outage_like_any_other() -> None:
    decision = overdue(every(60), due("10:00"), now=at("2026-03-11T10:30Z"), runs=0)
    assert decision.occurrence is not None and decision.occurrence.slot == at("2026-03-11T10:00Z")
    assert decision.skipped == (Skipped(Why.MISSED, 24, at("10:00"), at("2026-03-11T09:00Z")),)


def test_a_recurrence_changed_during_a_run_counts_from_the_change() -> None:
    changed = rebased(due("10:00", backlog=(at("10:05"),)), at("10:31"))
    assert finish(every(10), changed, "10:35") == Decision(due("10:40"))
    assert finish(every(10), changed, "10:41") == Decision(due("10:50"), (overlap(1, "10:40", "10:40"),))


def test_failures_in_a_row_pause_a_series_and_a_success_resets_them() -> None:
    failed = 0
    for _ in range(7):
        failed = streak(failed, Status.FAILED)
        assert not pauses(every(5), failed)
    for proves_nothing in (Status.CANCELLED, Status.SKIPPED, Status.EXPIRED):
        assert streak(failed, proves_nothing) == failed
    assert pauses(every(5), streak(failed, Status.FAILED))
    assert streak(failed, Status.COMPLETED) == 0
    assert pauses(every(5, pause_after=1), 1)
    assert not pauses(every(5, pause_after=0), 100)


def test_an_occurrence_comes_back_from_its_json() -> None:
    occurrence = Occurrence(at("10:00"), Trigger.CATCHUP, at("10:12"), (at("10:05"), at("10:10")))
    assert Occurrence.from_json(occurrence.to_json()) == occurrence
    for text in ("", "{}", "null", '{"slot":1,"accounted_to":"x","backlog":[],"trigger":"schedule"}'):
        with pytest.raises(Unreadable):
            Occurrence.from_json(text)


# --- every slot is accounted for ------------------------------------------------------------------------------------


@dataclass
class Books:
    """What became of a series: the slots that ran and those that were skipped, as recorded."""

    schedule: Schedule
    ran: list[int] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)

    def note(self, decision: Decision) -> Occurrence | None:
        self.skipped.extend(decision.skipped)
        return decision.occurrence

    def check(self, start: int, occurrence: Occurrence | None, now: int) -> None:
        """Each slot up to where accounts are settled is a run, in the backlog, or counted as skipped."""
        ahead = [occurrence.slot, *occurrence.backlog] if occurrence else []
        assert sorted({*self.ran, *ahead}) == [*self.ran, *ahead], "a slot ran twice, or out of order"
        upto = occurrence.accounted_to if occurrence else now
        settled = count_slots(self.schedule, start, upto)
        assert len(self.ran) + len(ahead) + sum(skipped.count for skipped in self.skipped) == settled
        for skipped in self.skipped:
            assert skipped.count >= 1
            assert newest_slots(self.schedule, skipped.first - 1, skipped.first, 1) == [skipped.first]
            assert newest_slots(self.schedule, skipped.last - 1, skipped.last, 1) == [skipped.last]
            assert count_slots(self.schedule, skipped.first - 1, skipped.last) >= skipped.count


def simulate(draw: random.Random, schedule: Schedule, start: int) -> None:
    books, now = Books(schedule), start
    occurrence = books.note(begin(schedule, now))
    for _ in range(40):
        if occurrence is None:
            break
        # An outage now and then; else somebody looks when it is due.
        outage = draw.choice([0, 0, 0, draw.randint(0, 3), draw.randint(0, 60)]) * MINUTE * draw.randint(1, 30)
        now = max(now, occurrence.slot) + outage + draw.randint(0, 50)
        seen = draw.choice([None, None, now, now - draw.randint(0, outage)])
        occurrence = books.note(overdue(schedule, occurrence, now=now, runs=len(books.ran), seen_at=seen))
        books.check(start, occurrence, now)
        if occurrence is None or occurrence.slot > now:
            continue
        # It waits, runs, and its end is settled at once or later.
        now += draw.choice([0, draw.randint(0, 20 * MINUTE)])
        if refusal(schedule, occurrence.slot, now=now, runs=len(books.ran)):
            continue
        books.ran.append(occurrence.slot)
        finished = now + draw.choice([0, draw.randint(0, MINUTE), draw.randint(0, HOUR)])
        now = finished + draw.choice([0, 0, 20, draw.randint(0, 5 * HOUR)])
        ran = occurrence
        occurrence = books.note(ended(schedule, ran, finished=finished, now=now, runs=len(books.ran)))
        if schedule.max_runs is None or len(books.ran) < schedule.max_runs:
            books.check(start, occurrence, now)
        assert len(occurrence.backlog if occurrence else ()) < CATCH_UP
        assert occurrence is None or occurrence.slot > ran.slot
    if schedule.max_runs is not None:
        assert len(books.ran) <= schedule.max_runs
    if schedule.until is not None:
        assert all(slot <= schedule.until for slot in books.ran)


@pytest.mark.parametrize("missed_policy", Missed)
@pytest.mark.parametrize("overlap_policy", Overlap)
def test_every_slot_is_accounted_for_once_whatever_happens(missed_policy: Missed, overlap_policy: Overlap) -> None:
    draw = chance(f"{missed_policy} {overlap_policy}")
    start = at("2026-03-27T00:00Z")
    for number in range(4 * WIDE):
        options = {
            "missed": missed_policy,
            "overlap": overlap_policy,
            "tz": draw.choice(["Europe/Berlin", "America/New_York", "UTC"]),
            "until": draw.choice([None, None, start + draw.randint(0, 200) * HOUR]),
            "max_runs": draw.choice([None, None, draw.randint(1, 30)]),
        }
        schedule = (
            Schedule(Kind.EVERY, every_ms=draw.randint(1, 90) * MINUTE, start=start, **options)  # type: ignore[arg-type]
            if number % 2
            else Schedule(Kind.CRON, expr=draw.choice(EXPRESSIONS), **options)  # type: ignore[arg-type]
        )
        simulate(draw, schedule, start)


EXPRESSIONS = ["*/5 * * * *", "0 * * * *", "0,30 1-3 * * *", "*/7 0-4 * * *", "0 9 * * 1-5", "* * * * *"]


def test_with_nobody_missing_every_slot_of_a_quick_job_runs() -> None:
    for policy in Missed:
        schedule = every(5, missed=policy)
        occurrence = begin(schedule, at("09:00")).occurrence
        ran = []
        for runs in range(1, 50):
            assert occurrence is not None
            now = occurrence.slot + 40
            decision = overdue(schedule, occurrence, now=now, runs=runs - 1)
            assert decision == Decision(occurrence)
            ran.append(occurrence.slot)
            decision = ended(schedule, occurrence, finished=now + 2000, now=now + 2050, runs=runs)
            assert decision.skipped == ()
            occurrence = decision.occurrence
        assert ran == fires(schedule, at("09:00"), 49)
    assert LATE == 10 * MINUTE
