"""When cron expressions come: a table of clock changes, every zone's changes of 2000-2040, and a model of cron.

The model walks real minutes and reads the fields itself; it shares nothing with the code under test. The samples are
drawn anew each day: see `sampling`.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import cache, lru_cache
from importlib.resources import files
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sampling import WIDE, chance

from agentq_cli.base.errors import Usage
from agentq_cli.policy.cron import NAMES, parse_cron
from agentq_cli.policy.cron_times import END, count_cron, newest_cron, next_cron

MINUTE = 60
DAY = 86_400
NOTHING, THREE_HOURS = timedelta(), timedelta(hours=3)
FIRST, LAST = (int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) for year in (2000, 2041))


def seconds(text: str) -> int:
    """Seconds since the epoch of an RFC 3339 time."""
    return int(datetime.fromisoformat(text).timestamp())


def chain(text: str, zone: str, after: int, upto: int) -> list[int]:
    """All times in (after, upto], in seconds, by asking for the next one over and over."""
    cron = parse_cron(text)
    slots: list[int] = []
    slot = next_cron(cron, zone, after * 1000)
    while slot is not None and slot <= upto * 1000:
        assert slot % 1000 == 0
        slots.append(slot // 1000)
        slot = next_cron(cron, zone, slot)
    return slots


# --- the table of clock changes -----------------------------------------------------------------------------------

NEW_YORK, BERLIN, LORD_HOWE = "America/New_York", "Europe/Berlin", "Australia/Lord_Howe"
CAIRO, APIA, CASEY, NUUK = "Africa/Cairo", "Pacific/Apia", "Antarctica/Casey", "America/Nuuk"

TABLE = [
    # zone, expression, from, to (both UTC; what comes after `from` up to `to`), expected UTC times
    # New York: 02:00-03:00 does not exist on 2026-03-08, 01:00-02:00 occurs twice on 2026-11-01.
    (NEW_YORK, "0 9 * * *", "03-07T05:00", "03-10T04:00", ["03-07T14:00", "03-08T13:00", "03-09T13:00"]),
    (NEW_YORK, "30 2 * * *", "03-07T05:00", "03-10T04:00", ["03-07T07:30", "03-08T07:00", "03-09T06:30"]),
    (NEW_YORK, "0,15,30,45 2 8 3 *", "03-07T05:00", "03-10T04:00", ["03-08T07:00"]),
    (NEW_YORK, "30 2,3 8 3 *", "03-07T05:00", "03-10T04:00", ["03-08T07:00", "03-08T07:30"]),
    (
        NEW_YORK,
        "*/30 1-3 8 3 *",
        "03-07T05:00",
        "03-10T04:00",
        ["03-08T06:00", "03-08T06:30", "03-08T07:00", "03-08T07:30"],
    ),
    (
        NEW_YORK,
        "*/30 * * * *",
        "03-08T05:59",
        "03-08T08:00",
        ["03-08T06:00", "03-08T06:30", "03-08T07:00", "03-08T07:30", "03-08T08:00"],
    ),
    (NEW_YORK, "0 */2 * * *", "03-08T04:00", "03-08T10:00", ["03-08T05:00", "03-08T08:00", "03-08T10:00"]),
    (NEW_YORK, "30 1 * * *", "10-31T04:00", "11-03T05:00", ["10-31T05:30", "11-01T05:30", "11-02T06:30"]),
    (NEW_YORK, "30 0-2 1 11 *", "10-31T04:00", "11-03T05:00", ["11-01T04:30", "11-01T05:30", "11-01T07:30"]),
    (
        NEW_YORK,
        "*/30 * * * *",
        "11-01T04:59",
        "11-01T07:00",
        ["11-01T05:00", "11-01T05:30", "11-01T06:00", "11-01T06:30", "11-01T07:00"],
    ),
    (NEW_YORK, "@hourly", "11-01T04:00", "11-01T07:00", ["11-01T05:00", "11-01T06:00", "11-01T07:00"]),
    (NEW_YORK, "30 */1 1 11 *", "11-01T05:00", "11-01T07:30", ["11-01T05:30", "11-01T06:30", "11-01T07:30"]),
    # Berlin: 02:00-03:00 does not exist on 2026-03-29 and occurs twice on 2026-10-25.
    (BERLIN, "30 2 * * *", "03-27T23:00", "03-30T22:00", ["03-28T01:30", "03-29T01:00", "03-30T00:30"]),
    (BERLIN, "0 3 29 3 *", "03-27T23:00", "03-30T22:00", ["03-29T01:00"]),
    (BERLIN, "30 2 * * *", "10-23T22:00", "10-26T23:00", ["10-24T00:30", "10-25T00:30", "10-26T01:30"]),
    (BERLIN, "@daily", "10-23T22:01", "10-26T23:00", ["10-24T22:00", "10-25T23:00", "10-26T23:00"]),
    # Lord Howe moves by half an hour: 02:00-02:30 does not exist on 2026-10-04, 01:30-02:00 occurs twice on 2026-04-05.
    (LORD_HOWE, "15 2 * * *", "10-02T13:30", "10-05T13:00", ["10-02T15:45", "10-03T15:30", "10-04T15:15"]),
    (LORD_HOWE, "*/15 2 4 10 *", "10-02T13:30", "10-05T13:00", ["10-03T15:30", "10-03T15:45"]),
    (LORD_HOWE, "45 1 * * *", "04-03T13:00", "04-06T13:30", ["04-03T14:45", "04-04T14:45", "04-05T15:15"]),
    (
        LORD_HOWE,
        "*/15 * * * *",
        "04-04T14:25",
        "04-04T15:30",
        ["04-04T14:30", "04-04T14:45", "04-04T15:00", "04-04T15:15", "04-04T15:30"],
    ),
    # Cairo changes at midnight: 00:00-01:00 does not exist on 2026-04-24, 23:00-24:00 of 2026-10-29 occurs twice.
    (CAIRO, "0 0 * * *", "04-22T22:00", "04-25T20:00", ["04-23T22:00", "04-24T21:00"]),
    (CAIRO, "30 0 * * *", "04-22T22:00", "04-25T20:00", ["04-22T22:30", "04-23T22:00", "04-24T21:30"]),
    (CAIRO, "30 23 * * *", "10-28T21:00", "10-31T22:00", ["10-29T20:30", "10-30T21:30", "10-31T21:30"]),
    (CAIRO, "0 0 * * *", "10-28T21:00", "10-31T22:00", ["10-29T22:00", "10-30T22:00", "10-31T22:00"]),
    (
        CAIRO,
        "*/20 23 29 10 *",
        "10-28T21:00",
        "10-31T22:00",
        ["10-29T20:00", "10-29T20:20", "10-29T20:40", "10-29T21:00", "10-29T21:20", "10-29T21:40"],
    ),
    # Nuuk: 23:00-24:00 of 2026-03-28 does not exist, so that its last hour comes at the next midnight, once.
    (NUUK, "30 23 * * *", "03-28T03:00", "03-30T03:00", ["03-29T01:00", "03-30T00:30"]),
    (NUUK, "0,30 0,23 * * *", "03-28T12:00", "03-29T12:00", ["03-29T01:00", "03-29T01:30"]),
    # Apia had no 2011-12-30 at all: that is no DST change, and nothing moves.
    (
        APIA,
        "0 9 * * *",
        "2011-12-28T10:00",
        "2012-01-01T00:00",
        ["2011-12-28T19:00", "2011-12-29T19:00", "2011-12-30T19:00", "2011-12-31T19:00"],
    ),
    (
        APIA,
        "0 0 * * *",
        "2011-12-28T12:00",
        "2012-01-01T00:00",
        ["2011-12-29T10:00", "2011-12-30T10:00", "2011-12-31T10:00"],
    ),
    (APIA, "0 12 30 * *", "2011-11-01T00:00", "2012-02-01T00:00", ["2011-11-30T22:00", "2012-01-29T22:00"]),
    (APIA, "0 12 30 12 *", "2010-12-01T00:00", "2012-12-31T00:00", ["2010-12-30T22:00", "2012-12-29T22:00"]),
    (
        APIA,
        "0 */6 * * *",
        "2011-12-29T22:01",
        "2011-12-30T22:00",
        ["2011-12-30T04:00", "2011-12-30T10:00", "2011-12-30T16:00", "2011-12-30T22:00"],
    ),
    # Casey went from 02:00 back to 23:00 on 2010-03-05 and over 02:00-05:00 on 2009-10-18: three hours are corrections.
    (
        CASEY,
        "30 0 * * *",
        "2010-03-03T00:00",
        "2010-03-06T00:00",
        ["2010-03-03T13:30", "2010-03-04T13:30", "2010-03-05T16:30"],
    ),
    (
        CASEY,
        "*/30 * * * *",
        "2010-03-04T14:15",
        "2010-03-04T16:30",
        ["2010-03-04T14:30", "2010-03-04T15:00", "2010-03-04T15:30", "2010-03-04T16:00", "2010-03-04T16:30"],
    ),
    (CASEY, "0 */2 * * *", "2010-03-04T14:45", "2010-03-04T18:00", ["2010-03-04T16:00", "2010-03-04T18:00"]),
    (CASEY, "*/30 23 4 3 *", "2010-03-04T14:45", "2010-03-04T18:00", ["2010-03-04T15:00", "2010-03-04T15:30"]),
    (CASEY, "30 3 * * *", "2009-10-16T00:00", "2009-10-19T00:00", ["2009-10-16T19:30", "2009-10-18T16:30"]),
]


def table_row(zone: str, text: str, after: str, upto: str, expected: list[str]) -> tuple[list[str], list[str]]:
    """The expected and the actual times of a row, in full."""

    def full(moment: str) -> str:
        return (moment if moment[4] == "-" else f"2026-{moment}") + "Z"

    slots = chain(text, zone, seconds(full(after)), seconds(full(upto)))
    return [full(moment) for moment in expected], [
        f"{datetime.fromtimestamp(slot, UTC):%Y-%m-%dT%H:%MZ}" for slot in slots
    ]


@pytest.mark.parametrize(("zone", "text", "after", "upto", "expected"), TABLE)
def test_clock_changes(zone: str, text: str, after: str, upto: str, expected: list[str]) -> None:
    wanted, actual = table_row(zone, text, after, upto, expected)
    assert actual == wanted


# --- an independent model of cron ---------------------------------------------------------------------------------


def field(text: str, low: int, high: int) -> set[int]:
    """The values of a field as written by `expressions`: numbers, ranges, lists, steps."""
    values: set[int] = set()
    for item in text.split(","):
        span, _, step = item.partition("/")
        first, _, last = (f"{low}-{high}" if span == "*" else span).partition("-")
        values |= set(range(int(first), int(last or first) + 1, int(step or 1)))
    return values


@lru_cache(1)
def walls(zone: str, moments: range) -> list[datetime]:
    """What a clock on a wall there shows."""
    info = ZoneInfo(zone)
    return [datetime.fromtimestamp(moment, info).replace(tzinfo=None) for moment in moments]


class Model:
    """Cron by its manual: look at the wall clock on every real minute, and at what it jumped over."""

    def __init__(self, text: str) -> None:
        minute, hour, day, month, weekday = NAMES.get(text, text).split()
        self.minutes, self.hours = field(minute, 0, 59), field(hour, 0, 23)
        self.days, self.months = field(day, 1, 31), field(month, 1, 12)
        self.weekdays = {value % 7 for value in field(weekday, 0, 7)}
        self.both = day[0] == "*" or weekday[0] == "*"
        self.wildcard = minute[0] == "*" or hour[0] == "*"

    def matches(self, wall: datetime) -> bool:
        if wall.minute not in self.minutes or wall.hour not in self.hours or wall.month not in self.months:
            return False
        day, weekday = wall.day in self.days, wall.isoweekday() % 7 in self.weekdays
        return (day and weekday) if self.both else (day or weekday)

    def times(self, zone: str, after: int, upto: int) -> list[int]:
        """Those in (after, upto]; two days before are walked first, to know which wall times have been."""
        step = timedelta(minutes=1)
        moments = range(after // MINUTE * MINUTE - 2 * DAY, upto + 1, MINUTE)
        found: list[int] = []
        wall = highest = walls(zone, moments)[0]
        for moment, shown in zip(moments[1:], walls(zone, moments)[1:], strict=True):
            previous, wall = wall, shown
            comes = self.matches(wall) and (self.wildcard or wall > highest)
            gap = wall - previous - step
            if NOTHING < gap < THREE_HOURS and not self.wildcard:
                skipped = (previous + step * n for n in range(1, gap // step + 1))
                comes = comes or any(self.matches(minute) for minute in skipped if minute > highest)
            highest = max(highest, wall)
            if comes and moment > after:
                found.append(moment)
        return found


# --- the changes of all zones ---------------------------------------------------------------------------------------


@cache
def changes() -> dict[str, tuple[tuple[int, int], ...]]:
    """Each zone of `tzdata` with (instant, shift) of its changes 2000-2040; of equal ones, the first name."""
    tzdata = files("tzdata")
    names: dict[bytes, str] = {}
    for name in tzdata.joinpath("zones").read_text().split():
        names.setdefault(tzdata.joinpath("zoneinfo", *name.split("/")).read_bytes(), name)
    distinct: dict[object, str] = {}
    for name in names.values():
        zone = ZoneInfo(name)
        distinct.setdefault((offset(zone, FIRST), tuple(_changes(zone))), name)
    return {name: key[1] for key, name in distinct.items()}  # type: ignore[index]


def offset(zone: ZoneInfo, moment: int) -> int:
    shift = datetime.fromtimestamp(moment, zone).utcoffset()
    assert shift is not None
    return int(shift.total_seconds())


def _changes(zone: ZoneInfo) -> Iterator[tuple[int, int]]:
    probe = 10 * DAY
    before = offset(zone, FIRST)
    for start in range(FIRST, LAST, probe):
        after = offset(zone, start + probe)
        if after != before:
            low, high = start, start + probe
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if offset(zone, middle) == before else (low, middle)
            yield high, after - before
            before = after


def sample_changes(count: int, draw: random.Random) -> list[tuple[str, int]]:
    """Changes drawn at random, each zone about as often; the rare shifts (not one hour) make up a third."""
    zones = [(name, found) for name, found in changes().items() if found]
    rare = [(name, at) for name, found in zones for at, shift in found if abs(shift) != 3600]
    picked: list[tuple[str, int]] = []
    for number in range(count):
        if number % 3 == 0:
            picked.append(draw.choice(rare))
        else:
            name, found = draw.choice(zones)
            picked.append((name, draw.choice(found)[0]))
    return picked


def expressions(draw: random.Random) -> str:
    """An expression that often comes, with every form of field."""

    def values(low: int, high: int, most: int) -> str:
        items = []
        for _ in range(draw.randint(1, most)):
            first, last = sorted((draw.randint(low, high), draw.randint(low, high)))
            items.append(draw.choice([f"{first}", f"{first}-{last}", f"{first}-{last}/{draw.randint(1, high)}"]))
        return ",".join(items)

    minute = draw.choice(["0", "30", "*", "*/7", "*/20", "59", values(0, 59, 3), f"*,{draw.randint(0, 59)}"])
    hour = draw.choice(["*", "*/2", "0", "1", "2", "3", "23", "0-4", "22-23", values(0, 23, 3)])
    day = draw.choice(["*", "*", "*", "*/2", "1-31", values(1, 31, 4)])
    month = draw.choice(["*", "*", "*", "*/3", values(1, 12, 3)])
    weekday = draw.choice(["*", "*", "*", "*/2", "0-7", "7", "1-5", values(0, 7, 3)])
    return " ".join((minute, hour, day, month, weekday))


def test_the_zones_have_the_changes_that_matter() -> None:
    shifts = {shift for found in changes().values() for _, shift in found}
    assert {3600, -3600, 1800, -1800, 7200, -7200, 10800, -10800, 86400} <= shifts
    assert len(changes()) > 150
    assert sum(map(len, changes().values())) > 5000


def test_the_times_are_those_of_the_model() -> None:
    draw = chance("model")
    for name, at in sample_changes(25 * WIDE, draw):
        after = at - draw.randint(0, 2 * DAY)
        upto = after + draw.randint(DAY, 3 * DAY)
        for _ in range(2):
            text = expressions(draw)
            try:
                cron = parse_cron(text)
            except Usage:
                continue
            expected = Model(text).times(name, after, upto)
            where = f"{text!r} in {name} after {after} up to {upto}"
            assert chain(text, name, after, upto) == expected, where
            assert count_cron(cron, name, after * 1000, upto * 1000) == len(expected), where
            for limit in (1, 25):
                newest = newest_cron(cron, name, after * 1000, upto * 1000, limit)
                assert newest == [slot * 1000 for slot in expected[-limit:]], where


def test_the_model_itself_knows_the_table() -> None:
    """Else the model and the code could be wrong together."""
    for zone, text, after, upto, expected in TABLE:
        start, end = (seconds((moment if moment[4] == "-" else f"2026-{moment}") + "Z") for moment in (after, upto))
        if end - start > 10 * DAY:
            continue
        wanted = [seconds((moment if moment[4] == "-" else f"2026-{moment}") + "Z") for moment in expected]
        assert Model(text).times(zone, start, end) == wanted, (zone, text)


# --- properties ---------------------------------------------------------------------------------------------------


def exists(zone: ZoneInfo, wall: datetime) -> bool:
    back = wall.replace(tzinfo=zone).astimezone(UTC).astimezone(zone)
    return back.replace(tzinfo=None) == wall


def test_a_daily_time_comes_once_on_each_local_day_around_the_changes_of_every_zone() -> None:
    draw = chance("daily")
    for name, found in changes().items():
        zone = ZoneInfo(name)
        usual = [change for change in found if abs(change[1]) == 3600]
        rare = [change for change in found if change not in usual]
        for at, shift in rare + draw.sample(usual, min(len(usual), 6 * WIDE)):
            # Half of the times are near the change itself, where something can go wrong.
            near = datetime.fromtimestamp(at + draw.choice([-1, 0, 0, shift]) * draw.randint(0, 1), zone)
            daily = draw.choice([time(near.hour, draw.randint(0, 59)), time(draw.randint(0, 23), draw.randint(0, 59))])
            _check_daily(name, daily, datetime.fromtimestamp(at, zone).date())


def _check_daily(name: str, daily: time, around: date) -> None:
    zone = ZoneInfo(name)
    days = [around + timedelta(number) for number in range(-2, 3)]
    first = int(datetime.combine(days[0] - timedelta(1), time(12), zone).timestamp())
    last = int(datetime.combine(days[-1] + timedelta(1), time(12), zone).timestamp())
    slots = chain(f"{daily.minute} {daily.hour} * * *", name, first, last)
    assert slots == sorted(set(slots))
    walls = [datetime.fromtimestamp(slot, zone) for slot in slots]
    for day in days:
        wall = datetime.combine(day, daily)
        here = [found for found in walls if found.replace(tzinfo=None, fold=0) == wall]
        if exists(zone, wall):
            assert len(here) == 1 and here[0].fold == 0, (name, wall)
            continue
        assert not here
        end = next(wall + timedelta(minutes=n) for n in range(1, 1500) if exists(zone, wall + timedelta(minutes=n)))
        begin = next(wall - timedelta(minutes=n) for n in range(1, 1500) if exists(zone, wall - timedelta(minutes=n)))
        moved = [found for found in walls if found.replace(tzinfo=None) == end]
        correction = end - begin - timedelta(minutes=1) >= timedelta(hours=3)
        # A slot that is due at the end of the gap anyway is the same one.
        assert len(moved) == (0 if correction and end.time() != daily else 1), (name, wall)


zones = st.deferred(lambda: st.sampled_from(sorted(changes())))
moments = st.integers(FIRST * 1000, LAST * 1000)
texts = st.integers(0, 2**32).map(lambda seed: expressions(random.Random(seed)))


@settings(max_examples=50 * WIDE)
@given(text=texts, zone=zones, after=moments)
def test_times_are_strictly_later_and_do_not_depend_on_where_one_asks_from(text: str, zone: str, after: int) -> None:
    try:
        cron = parse_cron(text)
    except Usage:
        return
    slots = [after]
    for _ in range(4):
        slot = next_cron(cron, zone, slots[-1])
        if slot is None:
            break
        slots.append(slot)
    for earlier, later in pairwise(slots):
        assert earlier < later
        # Whoever asks between two times gets the second one, and the millisecond before a time gets that time.
        assert next_cron(cron, zone, (earlier + later) // 2) == later
        assert next_cron(cron, zone, later - 1) == later
    assert count_cron(cron, zone, after, slots[-1]) == len(slots) - 1
    assert newest_cron(cron, zone, after, slots[-1], 9) == slots[1:]


def searches(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """One item for each search that croniter is asked for."""
    import croniter

    calls: list[None] = []
    search = croniter.croniter.get_next

    def counted(self: object, *arguments: object, **options: object) -> object:
        calls.append(None)
        return search(self, *arguments, **options)

    monkeypatch.setattr(croniter.croniter, "get_next", counted)
    return calls


@pytest.mark.parametrize(
    ("text", "zone", "after", "expected"),
    [
        ("0 0 29 2 *", "UTC", "2096-03-01T00:00Z", "2104-02-29T00:00Z"),
        # A Sunday in 2088 and, as 2100 has no such day, again 40 years later.
        ("0 0 29 2 */7", "UTC", "2088-03-01T00:00Z", "2128-02-29T00:00Z"),
        ("30 2 8-14 3 */7", NEW_YORK, "2026-03-08T08:00Z", "2027-03-14T07:00Z"),
        ("0 12 30 12 *", APIA, "2010-12-31T00:00Z", "2012-12-29T22:00Z"),
        # Only ever matches times that do not exist.
        ("*/30 2 8-14 3 */7", NEW_YORK, "2026-03-01T00:00Z", None),
    ],
)
def test_a_rare_date_is_found_in_a_few_steps(
    text: str, zone: str, after: str, expected: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = searches(monkeypatch)
    slot = next_cron(parse_cron(text), zone, seconds(after) * 1000)
    assert slot == (seconds(expected) * 1000 if expected else None)
    assert len(calls) <= 70


def test_a_job_of_every_day_does_not_ask_croniter(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = searches(monkeypatch)
    for text in ("* * * * *", "0 9 * * *", "30 2 1-31 * 0-7"):
        assert next_cron(parse_cron(text), BERLIN, seconds("2026-03-28T00:00Z") * 1000)
    assert calls == []


def test_no_schedule_of_any_zone_takes_many_searches(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = searches(monkeypatch)
    draw = chance("searches")
    for name, at in sample_changes(200 * WIDE, draw):
        try:
            cron = parse_cron(expressions(draw))
        except Usage:
            continue
        calls.clear()
        if next_cron(cron, name, at * 1000 - draw.randint(0, DAY) * 1000) is not None:
            assert len(calls) <= 10, (cron, name, at)


def test_ten_years_of_minutes_are_counted_exactly() -> None:
    after, upto = seconds("2020-01-01T00:00Z"), seconds("2030-01-01T00:00Z")
    assert count_cron(parse_cron("* * * * *"), NEW_YORK, after * 1000, upto * 1000) == (upto - after) // MINUTE
    # Fixed times: 24 slots on each of 3653 days, less the one of each spring that falls on its neighbour.
    days = count_cron(parse_cron("0 0-23 * * *"), NEW_YORK, after * 1000, upto * 1000)
    assert days == 24 * 3653 - 10


def test_nothing_before_1970_and_nothing_at_the_end_of_the_calendar() -> None:
    cron = parse_cron("* * * * *")
    assert next_cron(cron, "UTC", -(10**18)) == 0
    assert next_cron(cron, "UTC", END) is None
    assert next_cron(cron, "UTC", 10**18) is None
    for text in ("0 0 29 2 *", "0 0 1 * *", "* * * * *"):
        assert next_cron(parse_cron(text), "UTC", END - 1) is None
    assert count_cron(cron, "UTC", 0, -5) == 0
    assert newest_cron(cron, "UTC", 0, 600_000, 0) == []


def test_a_gap_that_ends_within_a_minute_ends_at_the_next_whole_one() -> None:
    # Monrovia went from 00:00:00 to 00:44:30 on 1972-01-07.
    slot = next_cron(parse_cron("30 0 * * *"), "Africa/Monrovia", seconds("1972-01-06T12:00Z") * 1000)
    assert slot == seconds("1972-01-07T00:45Z") * 1000


def test_a_zone_that_is_not_there_is_named() -> None:
    for name in ("Mars/Base", "America", "../etc/passwd"):
        with pytest.raises(Usage, match="time zone"):
            next_cron(parse_cron("@daily"), name, 0)
