"""The life of a series, as stored in its live occurrence: schedule, slot, starts so far, failures in a row. Pure."""

from __future__ import annotations

import json

from agentq_cli.base.dataclass import dataclass, replace
from agentq_cli.base.errors import Unreadable, Usage
from agentq_cli.policy import missed
from agentq_cli.policy.missed import Occurrence, Skipped
from agentq_cli.policy.schedule import Schedule, same_times

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.model.statuses import Status


@dataclass(frozen=True, slots=True)
class Recurrence:
    """What the live occurrence of a series carries. `runs` occurrences started before it; the last `streak` of them
    failed."""

    schedule: Schedule
    occurrence: Occurrence
    runs: int = 0
    streak: int = 0

    def to_json(self) -> str:
        """The stored form; `from_json` returns an equal value."""
        values = {"schedule": self.schedule.to_json(), "occurrence": self.occurrence.to_json()}
        return json.dumps(values | {"runs": self.runs, "streak": self.streak})

    @classmethod
    def from_json(cls, text: str) -> Recurrence:
        """Raises Unreadable for anything that `to_json` did not write."""
        try:
            stored = json.loads(text)
            schedule, occurrence = Schedule.from_json(stored["schedule"]), Occurrence.from_json(stored["occurrence"])
            return cls(schedule, occurrence, int(stored["runs"]), int(stored["streak"]))
        except (ValueError, KeyError, TypeError) as error:
            raise Unreadable(f"recurrence '{text}': not readable: {error}") from None


@dataclass(frozen=True, slots=True)
class Step:
    """How a series continues: with `recurrence`, or with None and why it `ended`; the reason if it is `paused`; and the
    slots that it skips."""

    recurrence: Recurrence | None
    skipped: tuple[Skipped, ...] = ()
    ended: str | None = None
    paused: str | None = None


def begin(schedule: Schedule, now: int, *, runs: int = 0, streak: int = 0) -> Step:
    """A new series, or one whose recurrence changed while its occurrence waited."""
    return _step(schedule, missed.begin(schedule, now, runs=runs), runs, streak)


def changed(recurrence: Recurrence, schedule: Schedule, now: int, *, begun: bool) -> Step:
    """The series under another schedule while its occurrence waits. If the times differ, it begins anew; otherwise it
    continues.

    An occurrence that has `begun` waits for its next attempt; its slot has had a run.
    """
    before, occurrence = recurrence.schedule, recurrence.occurrence
    if not same_times(schedule, before):
        step = begin(schedule, now, runs=recurrence.runs, streak=recurrence.streak)
        return replace(step, skipped=missed.dropped(before, occurrence, now, begun=begun))
    if schedule.until is not None and occurrence.slot > schedule.until:
        return Step(None, ended=str(missed.End.NO_MORE))
    if schedule.max_runs is not None and recurrence.runs >= schedule.max_runs:
        return Step(None, ended=str(missed.End.MAX_RUNS))
    if begun and settles(recurrence, schedule):
        skipped = missed.dropped(before, occurrence, now, begun=True)
        return Step(replace(recurrence, schedule=schedule, occurrence=missed.rebased(occurrence, now)), skipped)
    skipped = missed.cut_off(before, schedule, occurrence, now)
    return Step(replace(recurrence, schedule=schedule), skipped)


def settles(recurrence: Recurrence, schedule: Schedule | None) -> bool:
    """Whether changing a begun occurrence to another schedule, or to none, settles all slots up to now: because the
    times differ, or because no more will come."""
    before = recurrence.schedule
    return schedule is None or not same_times(schedule, before) or missed.fills(before, schedule, recurrence.runs + 1)


def dropped(recurrence: Recurrence, now: int, *, begun: bool) -> tuple[Skipped, ...]:
    """The slots that are given up together with the schedule, including the occurrence's own unless it has `begun`."""
    return missed.dropped(recurrence.schedule, recurrence.occurrence, now, begun=begun)


def changed_meanwhile(recurrence: Recurrence, schedule: Schedule | None, now: int) -> tuple[Skipped, ...]:
    """The slots that a change to another schedule, or to none, gives up after the occurrence has begun."""
    before, occurrence = recurrence.schedule, recurrence.occurrence
    if schedule is not None and not settles(recurrence, schedule):
        return missed.cut_off(before, schedule, occurrence, now)
    return dropped(recurrence, now, begun=True)


def cancelled(recurrence: Recurrence, now: int, *, started: bool) -> tuple[Skipped, ...]:
    """The slots that are left behind by a series that was cancelled with its occurrence."""
    runs = recurrence.runs + int(started)
    return missed.cancelled(recurrence.schedule, recurrence.occurrence, now, runs=runs)


def arrived(recurrence: Recurrence, now: int) -> Step:
    """What happens to an occurrence that is due and that nothing has checked before, by its missed policy."""
    decision = missed.overdue(recurrence.schedule, recurrence.occurrence, now=now, runs=recurrence.runs)
    return _step(recurrence.schedule, decision, recurrence.runs, recurrence.streak)


def refused(recurrence: Recurrence, now: int) -> str | None:
    """Why the occurrence may not start any more; call this right before each start."""
    end = missed.refusal(recurrence.schedule, recurrence.occurrence.slot, now=now, runs=recurrence.runs)
    return None if end is None else str(end)


def ended(
    recurrence: Recurrence,
    status: Status,
    *,
    started: bool,
    finished: int,
    now: int,
    changed: Schedule | None = None,
    changed_at: int = 0,
) -> Step:
    """What follows an occurrence that ended as `status`.

    `changed` is the schedule that the series was given while the occurrence ran. `changed_at` is when its times changed
    (0: they did not); earlier slots are settled.
    """
    runs = recurrence.runs + int(started)
    streak = missed.streak(recurrence.streak, status)
    schedule, occurrence = recurrence.schedule, recurrence.occurrence
    if changed is not None:
        schedule = changed
        if changed_at:
            occurrence = missed.rebased(occurrence, changed_at)
    try:
        decision = missed.ended(schedule, occurrence, finished=finished, now=now, runs=runs)
    except Usage as error:
        # After an upgrade that no longer accepts the zone or the expression: report it once, and keep the series for a
        # person to fix.
        kept = replace(recurrence, schedule=schedule, runs=runs, streak=streak)
        return Step(kept, paused=f"its schedule is no longer valid: {error.message}")
    step = _step(schedule, decision, runs, streak)
    if step.recurrence is not None and missed.pauses(schedule, streak):
        return replace(step, paused=f"{streak} failures in a row")
    return step


def _step(schedule: Schedule, decision: missed.Decision, runs: int, streak: int) -> Step:
    if decision.occurrence is None:
        return Step(None, decision.skipped, ended=None if decision.end is None else str(decision.end))
    return Step(Recurrence(schedule, decision.occurrence, runs, streak), decision.skipped)
