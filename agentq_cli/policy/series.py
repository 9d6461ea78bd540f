"""The life of a series as its live occurrence carries it: schedule, slot, starts so far, failures in a row. Pure."""

from __future__ import annotations

import json

from agentq_cli.dataclass import dataclass, replace
from agentq_cli.errors import Unreadable, Usage
from agentq_cli.model import Status
from agentq_cli.policy import missed
from agentq_cli.policy.missed import Occurrence, Skipped
from agentq_cli.policy.schedule import Schedule, same_times


@dataclass(frozen=True, slots=True)
class Recurrence:
    """What the live occurrence of a series carries. `runs` have started before it; `streak` of them failed last."""

    schedule: Schedule
    occurrence: Occurrence
    runs: int = 0
    streak: int = 0

    def to_json(self) -> str:
        """As stored; `from_json` gives the equal value back."""
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
    """What a series goes on with: `recurrence` None and why it `ended`, or a `paused` reason; slots it leaves out."""

    recurrence: Recurrence | None
    skipped: tuple[Skipped, ...] = ()
    ended: str | None = None
    paused: str | None = None


def begin(schedule: Schedule, now: int, *, runs: int = 0, streak: int = 0) -> Step:
    """A new series, or one whose recurrence was changed while its occurrence waited."""
    return _step(schedule, missed.begin(schedule, now, runs=runs), runs, streak)


def changed(recurrence: Recurrence, schedule: Schedule, now: int, *, begun: bool) -> Step:
    """The series under another schedule, while its occurrence waits: other times begin anew, the same ones go on.

    One that has `begun` waits for its next attempt; its slot has had its run.
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
    """Whether another schedule, or none, settles all slots up to now where the occurrence has begun: it comes on other
    times, or never again."""
    before = recurrence.schedule
    return schedule is None or not same_times(schedule, before) or missed.fills(before, schedule, recurrence.runs + 1)


def dropped(recurrence: Recurrence, now: int, *, begun: bool) -> tuple[Skipped, ...]:
    """The slots that are given up with the schedule itself; the occurrence's own too unless it has `begun`."""
    return missed.dropped(recurrence.schedule, recurrence.occurrence, now, begun=begun)


def changed_meanwhile(recurrence: Recurrence, schedule: Schedule | None, now: int) -> tuple[Skipped, ...]:
    """The slots that another schedule, or none, gives up where the occurrence has begun."""
    before, occurrence = recurrence.schedule, recurrence.occurrence
    if schedule is not None and not settles(recurrence, schedule):
        return missed.cut_off(before, schedule, occurrence, now)
    return dropped(recurrence, now, begun=True)


def cancelled(recurrence: Recurrence, now: int, *, started: bool) -> tuple[Skipped, ...]:
    """The slots that a series leaves behind which was cancelled with its occurrence."""
    runs = recurrence.runs + int(started)
    return missed.cancelled(recurrence.schedule, recurrence.occurrence, now, runs=runs)


def arrived(recurrence: Recurrence, now: int) -> Step:
    """The occurrence is due and nobody had looked at it: its missed policy says what becomes of it."""
    decision = missed.overdue(recurrence.schedule, recurrence.occurrence, now=now, runs=recurrence.runs)
    return _step(recurrence.schedule, decision, recurrence.runs, recurrence.streak)


def refused(recurrence: Recurrence, now: int) -> str | None:
    """Why the occurrence may not start any more, asked right before it would."""
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

    `changed` is the schedule it was given while it ran, and `changed_at` since when that comes on other times (0: it
    does not); what fell before is settled.
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
        # A zone or an expression that an upgrade no longer knows: said once, and kept for a person to mend.
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
