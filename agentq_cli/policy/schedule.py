"""A schedule as a value, and the times ("slots") at which it fires. Pure: times are milliseconds UTC; `now` is a
parameter.

The next slot is always strictly after now (CONTRACT, schedule). `missed` decides what happens to slots at which nothing
ran.
"""

from __future__ import annotations

import json

from agentq_cli.base.dataclass import asdict, dataclass
from agentq_cli.base.enumeration import StrEnum
from agentq_cli.base.errors import Unreadable
from agentq_cli.policy.cron import parse_cron
from agentq_cli.policy.cron_times import count_cron, newest_cron, next_cron, zone_info
from agentq_cli.policy.interval import count_interval, newest_interval, next_interval

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PAUSE_AFTER = 8
"""This many failed occurrences in a row pause a series, unless `--pause-after` says otherwise."""


LATEST = 253_402_300_799_999
"""The last millisecond of the year 9999. No slot is later, since no later time can be written."""


class Kind(StrEnum):
    """The source of a schedule's times; the `type` in its JSON."""

    CRON = "cron"
    EVERY = "every"
    AT = "at"


class Missed(StrEnum):
    """What to do about slots at which nothing was there to run them."""

    LATEST = "latest"
    ALL = "all"
    SKIP = "skip"


class Overlap(StrEnum):
    """What to do about slots that fall while the previous occurrence is still running or waiting."""

    SKIP = "skip"
    QUEUE = "queue"


@dataclass(frozen=True, slots=True)
class Schedule:
    """A recurrence and its policies. Raises ValueError if the fields contradict each other.

    `start` is the anchor of the grid for `every`, the time itself for `at`, and for `cron` the moment before which
    nothing fires. A slot exactly at `until` still fires. `max_runs` counts occurrences that started; it does not count
    attempts, skipped slots or occurrences made by `trigger`. With `pause_after` 0 the series never pauses.
    """

    type: Kind
    expr: str | None = None
    every_ms: int | None = None
    start: int | None = None
    until: int | None = None
    max_runs: int | None = None
    tz: str = "UTC"
    missed: Missed = Missed.LATEST
    overlap: Overlap = Overlap.SKIP
    pause_after: int = PAUSE_AFTER

    def __post_init__(self) -> None:
        if (self.type is Kind.CRON) != (self.expr is not None):
            raise ValueError("only a cron schedule has an expression, and it needs one")
        if (self.type is Kind.EVERY) != (self.every_ms is not None):
            raise ValueError("only an interval schedule has a length, and it needs one")
        if self.type is not Kind.CRON and self.start is None:
            raise ValueError(f"a schedule of type {self.type} needs a start")
        if self.every_ms is not None and self.every_ms < 1:
            raise ValueError("an interval must be longer than zero")

    def to_json(self) -> str:
        """The stored form; `from_json` returns an equal value."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Schedule:
        """Raises Unreadable for anything that `to_json` did not write. Keys of a newer version are ignored."""
        try:
            stored = json.loads(text)
            known = {name: stored[name] for name in cls.__slots__ if name in stored}
            known |= {"type": Kind(known["type"])}
            known |= {"missed": Missed(known["missed"]), "overlap": Overlap(known["overlap"])}
            _check_types(known)
            return cls(**known)
        except (ValueError, KeyError, TypeError) as error:
            raise Unreadable(f"schedule '{text}': not readable: {error}") from None


_INTEGERS = ("every_ms", "start", "until", "max_runs", "pause_after")


def _check_types(stored: dict[str, Any]) -> None:
    for name in _INTEGERS:
        value = stored.get(name)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
            raise ValueError(f"{name} is not an integer")
    if not isinstance(stored.get("expr"), str | None) or not isinstance(stored.get("tz"), str):
        raise ValueError("expr or tz is not text")


def same_times(one: Schedule, other: Schedule) -> bool:
    """Whether two schedules fire at the same times, apart from their ends and policies: equivalent expressions in the
    same zone, and the same anchor of the grid. The zone of an interval is only for display."""
    if (one.type, one.every_ms, one.start) != (other.type, other.every_ms, other.start):
        return False
    if one.expr is None or other.expr is None:
        return True
    if one.tz != other.tz:
        return False
    if one.expr == other.expr:
        return True
    first, second = parse_cron(one.expr), parse_cron(other.expr)
    return (first.times, first.days, first.either, first.wildcard) == (
        second.times,
        second.days,
        second.either,
        second.wildcard,
    )


def anchor(type_: Kind, every_ms: int | None, before: Schedule | None, now: int) -> int | None:
    """The start of a schedule if none is given. It stays as before if the interval is unchanged; otherwise an interval
    begins now, and an expression has no start."""
    if before is not None and (before.type, before.every_ms) == (type_, every_ms):
        return before.start
    return None if type_ is Kind.CRON else now


def check(schedule: Schedule) -> None:
    """Raises Usage if the expression or the zone is not valid, or no longer valid after an upgrade."""
    if schedule.expr is not None:
        parse_cron(schedule.expr)
    zone_info(schedule.tz)


def first(schedule: Schedule, now: int, *, last: int | None = None) -> int | None:
    """The first slot of a new or changed schedule, or None if there is none before `until`.

    The slot is strictly after `now`, except for an `at` in the past, which is to run at once. `last` is the newest slot
    that the series had before a change: no slot occurs twice, even if the clock has been set back since.
    """
    if schedule.type is Kind.AT and (last is None or _start(schedule) > last):
        return next_slot(schedule, _start(schedule) - 1)
    return next_slot(schedule, now if last is None else max(now, last))


def fires(schedule: Schedule, after_ms: int, count: int, *, runs: int = 0) -> list[int]:
    """Up to `count` slots strictly after `after_ms`, as far as `until` and `max_runs` allow; `runs` have started
    already."""
    if schedule.max_runs is not None:
        count = min(count, schedule.max_runs - runs)
    slots: list[int] = []
    while len(slots) < count:
        slot = next_slot(schedule, slots[-1] if slots else after_ms)
        if slot is None:
            break
        slots.append(slot)
    return slots


def next_slot(schedule: Schedule, after_ms: int) -> int | None:
    """The first slot strictly after `after_ms`, or None if there are no more."""
    after = _clipped(schedule, after_ms)
    slot: int | None
    if schedule.expr is not None:
        slot = next_cron(parse_cron(schedule.expr), schedule.tz, after)
    elif schedule.every_ms is not None:
        slot = next_interval(_start(schedule), schedule.every_ms, after)
    else:
        slot = _start(schedule) if _start(schedule) > after else None
    last = LATEST if schedule.until is None else min(schedule.until, LATEST)
    return slot if slot is None or slot <= last else None


def count_slots(schedule: Schedule, after_ms: int, upto_ms: int) -> int:
    """The exact number of slots in (after_ms, upto_ms], in constant time; for cron, one step per matching day."""
    after, upto = _clipped(schedule, after_ms), _ended(schedule, upto_ms)
    if schedule.expr is not None:
        return count_cron(parse_cron(schedule.expr), schedule.tz, after, upto)
    if schedule.every_ms is not None:
        return count_interval(_start(schedule), schedule.every_ms, after, upto)
    return int(after < _start(schedule) <= upto)


def newest_slots(schedule: Schedule, after_ms: int, upto_ms: int, limit: int) -> list[int]:
    """The last `limit` slots in (after_ms, upto_ms], oldest first."""
    after, upto = _clipped(schedule, after_ms), _ended(schedule, upto_ms)
    if schedule.expr is not None:
        return newest_cron(parse_cron(schedule.expr), schedule.tz, after, upto, limit)
    if schedule.every_ms is not None:
        return newest_interval(_start(schedule), schedule.every_ms, after, upto, limit)
    return [_start(schedule)] if after < _start(schedule) <= upto and limit > 0 else []


def _start(schedule: Schedule) -> int:
    assert schedule.start is not None
    return schedule.start


def _clipped(schedule: Schedule, after: int) -> int:
    return after if schedule.start is None else max(after, schedule.start - 1)


def _ended(schedule: Schedule, upto: int) -> int:
    return upto if schedule.until is None else min(upto, schedule.until)
