"""What happens to a series when an occurrence ends or is found overdue. Pure: takes values and times, returns a
decision.

A series has one live occurrence. Every slot of its grid is accounted for exactly once: either it is the slot of an
occurrence that runs, or it is counted in one `Skipped`. For this, an occurrence carries `accounted_to`, the time up to
which all slots of its series are settled, and the few slots that are to run right after it. Three decisions advance
these:

* `begin`: a series is new or changed.
* `ended`: the occurrence is over. Slots up to its end fell while it ran or waited (overlap). If the end is noticed only
  later, the slots between the end and now were missed.
* `overdue`: the occurrence is due but was not started. Slots up to the last time that something able to start it
  checked count as overlap; later ones were missed.

The costs are those of `count_slots` and `newest_slots`: constant for intervals, however much time has passed.
"""

from __future__ import annotations

import json

from agentq_cli.base.dataclass import asdict, dataclass, replace
from agentq_cli.base.enumeration import StrEnum
from agentq_cli.base.errors import Unreadable, Usage
from agentq_cli.model.actions import Trigger
from agentq_cli.model.statuses import Status
from agentq_cli.policy.schedule import Missed, Overlap, Schedule, count_slots, first, newest_slots, next_slot

LATE = 600_000
"""More than ten minutes counts as late: the policy `skip` then runs nothing, and after `until` no policy does."""

CATCH_UP = 24
"""The policy `all` runs at most this many missed slots, oldest first. It keeps the newest ones; but if `max_runs`
allows fewer, it keeps the oldest, which would have run first without the outage."""


class Why(StrEnum):
    """Why slots did not run."""

    MISSED = "missed"
    OVERLAP = "overlap"
    CHANGED = "the schedule was changed"
    CANCELLED = "the series was cancelled"


class End(StrEnum):
    """Why a series has no next occurrence."""

    NO_MORE = "no more times"
    MAX_RUNS = "max-runs reached"


@dataclass(frozen=True, slots=True)
class Occurrence:
    """The live occurrence of a series. It is due at `slot`, which becomes the run's `scheduled_for`.

    All slots up to `accounted_to` (never before `slot`) are settled. `backlog` holds the missed slots that run right
    after this one, oldest first.
    """

    slot: int
    trigger: Trigger
    accounted_to: int
    backlog: tuple[int, ...] = ()

    def to_json(self) -> str:
        """The stored form; `from_json` returns an equal value."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Occurrence:
        """Raises Unreadable for anything that `to_json` did not write."""
        try:
            stored = json.loads(text)
            numbers = [stored["slot"], stored["accounted_to"], *stored["backlog"]]
            if any(type(number) is not int for number in numbers):
                raise ValueError("a time is not an integer")
            return cls(numbers[0], Trigger(stored["trigger"]), numbers[1], tuple(numbers[2:]))
        except (ValueError, KeyError, TypeError) as error:
            raise Unreadable(f"occurrence '{text}': not readable: {error}") from None


@dataclass(frozen=True, slots=True)
class Skipped:
    """Slots that were skipped together and become one event."""

    why: Why
    count: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Decision:
    """The live occurrence from now on, or None and why the series is over; and the slots that were skipped."""

    occurrence: Occurrence | None
    skipped: tuple[Skipped, ...] = ()
    end: End | None = None


def begin(schedule: Schedule, now: int, *, runs: int = 0, last: int | None = None) -> Decision:
    """The first occurrence of a new or changed schedule; see `first` for `last`."""
    if _max_runs_reached(schedule, runs):
        return Decision(None, end=End.MAX_RUNS)
    slot = first(schedule, now, last=last)
    if slot is None:
        return Decision(None, end=End.NO_MORE)
    return Decision(Occurrence(slot, Trigger.SCHEDULE, max(slot, now)))


def ended(schedule: Schedule, occurrence: Occurrence, *, finished: int, now: int, runs: int) -> Decision:
    """What follows an occurrence that ended at `finished`. `now`, when this is settled, may be much later.

    `runs` have started, including this one; once they reach `max_runs`, later times are not slots of the series. The
    next slot is later than everything settled before, so a clock that was set back makes no slot occur twice.
    """
    pending = list(occurrence.backlog)
    free = max(finished, occurrence.accounted_to)
    settled = max(free, now)
    if _max_runs_reached(schedule, runs):
        return Decision(None, _listed(Why.MISSED, pending), End.MAX_RUNS)
    skipped: tuple[Skipped, ...]
    if schedule.overlap is Overlap.QUEUE and not pending:
        pending, skipped = _newest(schedule, [], occurrence.accounted_to, free, 1, Why.OVERLAP)
        trigger = Trigger.SCHEDULE
    else:
        # The backlog already is a queue, so slots that fall now are skipped under both policies.
        skipped = _newest(schedule, [], occurrence.accounted_to, free, 0, Why.OVERLAP)[1]
        trigger = Trigger.CATCHUP
    count = count_slots(schedule, free, settled)
    if count or settled - free > LATE:
        trigger = Trigger.CATCHUP
    if count or pending:
        pending, missed = _kept(schedule, pending, free, settled, runs)
        skipped += missed
        if pending:
            return Decision(Occurrence(pending[0], trigger, settled, tuple(pending[1:])), skipped)
    return _next(schedule, settled, skipped)


def overdue(schedule: Schedule, occurrence: Occurrence, *, now: int, runs: int, seen_at: int | None = None) -> Decision:
    """What happens to a due occurrence that was not started: it stays, another slot replaces it, or the series ends.

    `seen_at` is when something able to start the occurrence last checked; slots after that were missed. It equals `now`
    for a caller that was there all along, and is None for never, also for an occurrence that was paused until now.
    `runs` have started, without this one. If the occurrence is not due, or nothing was missed and it is not late, it is
    returned unchanged.
    """
    if _max_runs_reached(schedule, runs):
        return Decision(None, _listed(Why.MISSED, [occurrence.slot, *occurrence.backlog]), End.MAX_RUNS)
    waited_to = max(occurrence.accounted_to, min(seen_at or 0, now))
    count = count_slots(schedule, waited_to, now)
    late = now - waited_to > LATE
    if not count and not late and not _too_late(schedule, occurrence.slot, now):
        return Decision(occurrence)
    slots, missed = _kept(schedule, [occurrence.slot, *occurrence.backlog], waited_to, now, runs)
    if slots and not count and slots == [occurrence.slot, *occurrence.backlog]:
        return Decision(replace(occurrence, trigger=Trigger.CATCHUP))
    skipped = missed + _newest(schedule, [], occurrence.accounted_to, waited_to, 0, Why.OVERLAP)[1]
    settled = max(waited_to, now)
    if slots:
        return Decision(Occurrence(slots[0], Trigger.CATCHUP, settled, tuple(slots[1:])), skipped)
    return _next(schedule, settled, skipped)


def refusal(schedule: Schedule, slot: int, *, now: int, runs: int) -> End | None:
    """Why an occurrence may not start now; call this right before each start. `runs` have started without it.

    A slot at or before `until` may still start up to ten minutes late, so that a busy moment does not cost the last
    one.
    """
    if _max_runs_reached(schedule, runs):
        return End.MAX_RUNS
    return End.NO_MORE if _too_late(schedule, slot, now) else None


def dropped(schedule: Schedule, occurrence: Occurrence, now: int, *, begun: bool) -> tuple[Skipped, ...]:
    """The unsettled slots up to now, which are given up because other times replace them.

    They include the occurrence's own slot unless it has `begun`.
    """
    pending = [*(() if begun else (occurrence.slot,)), *occurrence.backlog]
    return _open(schedule, [slot for slot in pending if slot <= now], occurrence.accounted_to, now)


def cancelled(schedule: Schedule, occurrence: Occurrence, now: int, *, runs: int) -> tuple[Skipped, ...]:
    """The slots up to now that the cancelled occurrence leaves behind. Its own slot is reported by its own end.

    For `runs`, see `ended`.
    """
    if _max_runs_reached(schedule, runs):
        return _listed(Why.CANCELLED, list(occurrence.backlog))
    return _open(schedule, list(occurrence.backlog), occurrence.accounted_to, now, Why.CANCELLED)


def fills(before: Schedule, after: Schedule, runs: int) -> bool:
    """Whether the changed `max_runs` alone makes the begun occurrence the last one; for `runs`, see `ended`."""
    return _max_runs_reached(after, runs) and not _max_runs_reached(before, runs)


def cut_off(before: Schedule, after: Schedule, occurrence: Occurrence, now: int) -> tuple[Skipped, ...]:
    """Of the same times, the slots up to now that only the earlier `until` allowed."""
    if after.until is None or after.until >= now:
        return ()
    return _open(before, [], max(occurrence.accounted_to, after.until), now)


def _open(schedule: Schedule, pending: list[int], after: int, now: int, why: Why = Why.CHANGED) -> tuple[Skipped, ...]:
    try:
        return _newest(schedule, pending, after, max(after, now), 0, why)[1]
    except Usage:  # after an upgrade that no longer accepts the expression, there are no times
        return _listed(why, pending)


def rebased(occurrence: Occurrence, now: int) -> Occurrence:
    """The running occurrence of a series whose recurrence was changed at `now`: all earlier slots are settled."""
    return replace(occurrence, accounted_to=max(occurrence.accounted_to, now), backlog=())


def streak(previous: int, ended_status: Status) -> int:
    """How many occurrences in a row have failed. A success resets the count; a cancelled, skipped or expired one keeps
    it."""
    if ended_status is Status.FAILED:
        return previous + 1
    return 0 if ended_status is Status.COMPLETED else previous


def pauses(schedule: Schedule, failed_in_a_row: int) -> bool:
    """Whether this many failures in a row pause the series."""
    return 0 < schedule.pause_after <= failed_in_a_row


def _max_runs_reached(schedule: Schedule, runs: int) -> bool:
    return schedule.max_runs is not None and runs >= schedule.max_runs


def _too_late(schedule: Schedule, slot: int, now: int) -> bool:
    """Whether `until` forbids starting a slot, with ten minutes' grace."""
    return schedule.until is not None and now > schedule.until and now - slot > LATE


def _next(schedule: Schedule, settled: int, skipped: tuple[Skipped, ...]) -> Decision:
    slot = next_slot(schedule, settled)
    if slot is None:
        return Decision(None, skipped, End.NO_MORE)
    return Decision(Occurrence(slot, Trigger.SCHEDULE, slot), skipped)


def _kept(
    schedule: Schedule, pending: list[int], free: int, now: int, runs: int
) -> tuple[list[int], tuple[Skipped, ...]]:
    """Which of the pending slots and of those in (free, now] the missed policy runs.

    Lateness counts from `free`, the time from which nothing stood in the way. With `skip`, too, only the newest one
    runs.
    """
    limit = CATCH_UP if schedule.missed is Missed.ALL else 1
    if schedule.max_runs is not None and schedule.max_runs - runs < limit:
        return _oldest(schedule, pending, free, now, schedule.max_runs - runs)
    newest = (pending + newest_slots(schedule, free, now, limit))[-limit:]
    if schedule.missed is Missed.SKIP:
        newest = [slot for slot in newest if now - max(slot, free) <= LATE]
    newest = [slot for slot in newest if not _too_late(schedule, slot, now)]
    return _newest(schedule, pending, free, now, len(newest), Why.MISSED)


def _oldest(
    schedule: Schedule, pending: list[int], free: int, now: int, limit: int
) -> tuple[list[int], tuple[Skipped, ...]]:
    """The oldest `limit` of them that `until` still allows to start; the others as skipped."""
    late: tuple[Skipped, ...] = ()
    if schedule.until is not None and now > schedule.until:
        bound = max(free, now - LATE - 1)
        late = _newest(schedule, [slot for slot in pending if now - slot > LATE], free, bound, 0, Why.MISSED)[1]
        pending, free = [slot for slot in pending if now - slot <= LATE], bound
    slots = list(pending)
    while len(slots) < limit and (slot := next_slot(schedule, free)) is not None and slot <= now:
        slots.append(slot)
        free = slot
    return slots[:limit], late + _newest(schedule, slots[limit:], free, now, 0, Why.MISSED)[1]


def _newest(
    schedule: Schedule, pending: list[int], after: int, upto: int, limit: int, why: Why
) -> tuple[list[int], tuple[Skipped, ...]]:
    """The newest `limit` of the pending slots and those in (after, upto]; the others as skipped."""
    total = len(pending) + count_slots(schedule, after, upto)
    if total <= limit:
        return pending + newest_slots(schedule, after, upto, limit), ()
    tail = (pending + newest_slots(schedule, after, upto, limit + 1))[-limit - 1 :]
    oldest = pending[0] if pending else next_slot(schedule, after)
    assert oldest is not None
    return tail[1:], (Skipped(why, total - limit, oldest, tail[0]),)


def _listed(why: Why, slots: list[int]) -> tuple[Skipped, ...]:
    return (Skipped(why, len(slots), slots[0], slots[-1]),) if slots else ()
