"""When a cron expression fires: Debian cron's rules for clock changes, as instants in milliseconds UTC.

croniter finds the days and is only given calendar dates without a zone, because its own zone handling fires fixed times
twice on the autumn night. The times of a day become instants here, by the rules of cron(8):

* A fixed time inside a gap fires once, at the first minute after the gap. One that occurs twice fires the first time.
* If the minute or hour field begins with `*`, every real minute whose clock time matches counts: none in a gap, both in
  an overlap.
* A gap of three hours or more is not a DST change but a correction (Apia skipped 2011-12-30): its fixed times do not
  fire. If a clock goes back by that much, times that occurred before do not fire again.

The times of a day are kept as (base, sorted offsets), so that finding and counting take one bisection per day. A count
over years of an outage is exact, at one step per matching day.
"""

from __future__ import annotations

import functools
from bisect import bisect_right
from collections.abc import Iterator

from agentq_cli.base.dataclass import NamedTuple
from agentq_cli.base.errors import Usage
from agentq_cli.policy.cron import Cron

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import date, datetime, tzinfo

DAY = 86_400_000
CORRECTION = 3 * 3_600_000
"""A clock change of at least this size is a correction, not a DST change (cron(8))."""

END = 250_000_000_000_000
"""In the year 9892. Nothing is searched from here on, so that no calendar overflows."""

_NEIGHBOURS = 1
"""How many neighbouring days are examined too: a clock that goes back makes a day's last instants later than the first
of the next day."""

_BARREN_DAYS = 64
"""After this many days without an existing time the search ends: `*/30 2 8-14 3 */7` in New York always falls in a gap.
"""


class _Day(NamedTuple):
    """The instants of one calendar day: `base` plus each of `offsets`. `calm` means that no clock change is near."""

    base: int
    offsets: tuple[int, ...]
    calm: bool

    def between(self, after: int, upto: int) -> tuple[int, int]:
        """The slice bounds in `offsets` of the instants in (after, upto]."""
        return bisect_right(self.offsets, after - self.base), bisect_right(self.offsets, upto - self.base)


def next_cron(cron: Cron, zone: str, after_ms: int) -> int | None:
    """The first time strictly after `after_ms`, or None if there are no more.

    Raises Usage if the zone database does not have `zone` (any more).
    """
    info = zone_info(zone)
    if after_ms >= END:
        return None
    after = max(after_ms, -1)
    best: int | None = None
    found: date | None = None
    barren = 0
    for day in _days(cron, _date(info, after), _date(info, END)):
        if found is not None and (day - found).days > _NEIGHBOURS:
            break
        times = _times_on(cron, info, day)
        low, high = times.between(after, END)
        if low < high:
            slot = times.base + times.offsets[low]
            best = slot if best is None else min(best, slot)
            found = found or day
        elif found is None:
            barren += 1
            if barren > _BARREN_DAYS:
                return None
    return best


def count_cron(cron: Cron, zone: str, after_ms: int, upto_ms: int) -> int:
    """How many times are in (after_ms, upto_ms], exactly. Costs one step per matching day."""
    info = zone_info(zone)
    after, upto = max(after_ms, -1), min(upto_ms, END)
    if upto <= after:
        return 0
    calm = 0
    # A time that a gap moved may coincide with a time of the next day, so the instants of changed days are collected to
    # count each once.
    changed: set[int] = set()
    for day in _days(cron, _date(info, after), _date(info, upto)):
        times = _times_on(cron, info, day)
        low, high = times.between(after, upto)
        if times.calm:
            calm += high - low
        else:
            changed.update(times.base + offset for offset in times.offsets[low:high])
    return calm + len(changed)


def newest_cron(cron: Cron, zone: str, after_ms: int, upto_ms: int, limit: int) -> list[int]:
    """The last `limit` times in (after_ms, upto_ms], oldest first."""
    info = zone_info(zone)
    after, upto = max(after_ms, -1), min(upto_ms, END)
    span = 4 * DAY
    while limit > 0 and upto > after:
        start = max(after, upto - span)
        slots: set[int] = set()
        for day in _days(cron, _date(info, start), _date(info, upto)):
            times = _times_on(cron, info, day)
            low, high = times.between(start, upto)
            slots.update(times.base + offset for offset in times.offsets[max(low, high - limit) : high])
        if len(slots) >= limit or start == after:
            return sorted(slots)[-limit:]
        span *= 4
    return []


def zone_info(name: str) -> tzinfo:
    """The zone of an IANA name. Raises Usage if there is no such zone."""
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        # ZoneInfoNotFoundError is a KeyError; a directory such as `America` is an OSError, `../x` a ValueError.
        raise Usage(f"time zone '{name}': no such zone in this machine's zone database") from None


def _date(info: tzinfo, moment: int) -> date:
    from datetime import datetime

    return datetime.fromtimestamp(moment // 1000, info).date()


def _days(cron: Cron, first: date, last: date) -> Iterator[date]:
    """The days on which the expression fires, from a little before `first` to a little after `last`."""
    from datetime import datetime, time, timedelta

    first -= timedelta(_NEIGHBOURS)
    last += timedelta(_NEIGHBOURS)
    if cron.days is None:
        while first <= last:
            yield first
            first += timedelta(1)
        return
    from croniter import CroniterBadDateError, croniter  # type: ignore[import-untyped]

    start = datetime.combine(first, time()) - timedelta(minutes=1)
    found = croniter(f"0 0 {cron.days}", start, ret_type=datetime, day_or=cron.either)
    while True:
        try:
            day = found.get_next().date()
        except CroniterBadDateError:
            return
        if day > last:
            return
        yield day


@functools.lru_cache(maxsize=64)
def _times_on(cron: Cron, info: tzinfo, day: date) -> _Day:
    from datetime import datetime, time, timedelta

    midnight = datetime.combine(day, time())
    around = {
        near.replace(tzinfo=info, fold=fold).utcoffset()
        for near in (midnight - timedelta(1), midnight, midnight + timedelta(1))
        for fold in (0, 1)
    }
    if len(around) == 1:
        base = _utc(midnight, info, 0)
        return _Day(base, cron.times, True)
    instants: set[int] = set()
    for time_of_day in cron.times:
        instants.update(_instants(midnight + timedelta(milliseconds=time_of_day), info, cron.wildcard))
    return _Day(0, tuple(sorted(instants)), False)


def _instants(wall: datetime, info: tzinfo, wildcard: bool) -> tuple[int, ...]:
    """The instants at which a time of the wall clock fires."""
    first, second = _utc(wall, info, 0), _utc(wall, info, 1)
    if first == second:
        return (first,)
    if first < second:
        return (first, second) if wildcard else (first,)
    # In a gap. `second` applies the offset after the change, so it lies before the change; `first` lies after it.
    if wildcard or first - second >= CORRECTION:
        return ()
    return (_after_gap(second, first, info),)


def _after_gap(before: int, after: int, info: tzinfo) -> int:
    """The first whole minute on the wall clock after the single change between two instants."""
    from datetime import datetime

    old = datetime.fromtimestamp(before // 1000, info).utcoffset()
    low, high = before // 1000, after // 1000
    while high - low > 1:
        middle = (low + high) // 2
        if datetime.fromtimestamp(middle, info).utcoffset() == old:
            low = middle
        else:
            high = middle
    return (high + -datetime.fromtimestamp(high, info).second % 60) * 1000


def _utc(wall: datetime, info: tzinfo, fold: int) -> int:
    return int(wall.replace(tzinfo=info, fold=fold).timestamp()) * 1000
