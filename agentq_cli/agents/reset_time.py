"""When a usage limit ends, parsed from the messages of agents that have no field for it."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone, tzinfo

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST = 1000
"""How many characters are examined: the time is in a sentence, not in a report."""

FARTHEST_DAYS = 366
"""A limit that would end later than this is treated as one whose end is unknown: nobody waits that long."""

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
ZONES = {
    "UTC": 0,
    "GMT": 0,
    "Z": 0,
    "EST": -5,
    "EDT": -4,
    "CST": -6,
    "CDT": -5,
    "MST": -7,
    "MDT": -6,
    "PST": -8,
    "PDT": -7,
}
"""Offsets in hours east of Greenwich of the zone names that RFC 2822 (4.3) defines."""

UNIT = r"(?:milliseconds?|msecs?|ms|seconds?|secs?|s|minutes?|mins?|m|hours?|hrs?|h|days?|d|weeks?|w)\b"
UNITS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}

CUE = re.compile(
    r"\b(?:resets?|resetting|again|retry|retrying|renews?|access|available|back|until|wait)\b[\s:]*"
    r"(?:(?:at|on|in|after|by|around|about|approximately|for|from)\b[\s:]*)*|(?=\|)",
    re.IGNORECASE,
)
"""Words that may precede a time; `|` precedes the seconds in old versions of Claude Code."""

SPAN = re.compile(rf"(?:[0-9]{{1,9}}(?:\.[0-9]{{1,9}})?\s?(?:{UNIT}|[wdhm](?=[0-9])),?\s?(?:and\s)?)+", re.IGNORECASE)
PART = re.compile(r"([0-9.]+)\s?(ms|mi?l?l?i?s|[wdhms])", re.IGNORECASE)
UNIX = re.compile(r"\|?([0-9]{10}|[0-9]{13})(?![0-9.])")
ISO = re.compile(
    r"(?P<year>[0-9]{4})-(?P<month>[0-9]{2})-(?P<day>[0-9]{2})(?:(?:T|,?\s+(?:at\s+)?)"
    r"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})(?:\.[0-9]+)?)?)?"
)
WEEKDAY = "mon(?:day)?|tue(?:s(?:day)?)?|wed(?:nesday)?|thu(?:r(?:s(?:day)?)?)?|fri(?:day)?|sat(?:urday)?|sun(?:day)?"
DATE = re.compile(
    rf"(?:(?P<near>today|tomorrow|tonight)|(?:(?P<weekday>{WEEKDAY})\b\.?,?\s*)?"
    rf"(?:(?P<month>{'|'.join(MONTHS)})[a-z]*\.?\s+(?P<day>[0-9]{{1,2}})(?:st|nd|rd|th)?\b"
    rf"|(?P<day2>[0-9]{{1,2}})(?:st|nd|rd|th)?\s+(?P<month2>{'|'.join(MONTHS)})[a-z]*\.?)?"
    r"(?:,?\s+(?P<year>[0-9]{4})\b)?)(?:,?\s*(?:at\s+)?)?",
    re.IGNORECASE,
)
CLOCK = re.compile(
    r"(?P<hour>[0-9]{1,2})(?::(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2}))?)?\s?(?:(?P<half>[ap])\.?m\b\.?)?",
    re.IGNORECASE,
)
ZONE = re.compile(
    r"\s*(?:\((?P<name>[A-Za-z0-9_+\-/]{1,60})\)|(?P<short>UTC|GMT|Z|[ECMP][SD]T)?"
    r"(?P<sign>[+\-\u2212])(?P<hours>[0-9]{1,2})(?::?(?P<minutes>[0-9]{2}))?(?![0-9])"
    r"|(?P<alone>UTC|GMT|Z|[ECMP][SD]T)\b|(?P<iana>[A-Z][A-Za-z_]+/[A-Za-z_+\-/0-9]+))"
)


def reset_time(said: str, now: int) -> int | None:
    """The time after `now` that `said` names, in milliseconds; None if it names no plausible time.

    Recognized after words such as `resets`, `try again at` or `retry in`: durations (`1m30.5s`, `2 hours 15 minutes`),
    Unix times, RFC 3339, and clock times in the zone that follows them (`4pm (America/New_York)`, `10:57 PM GMT-3`),
    else in this machine's zone, with a date (`Nov 22nd, 2026 12:33 AM`, `Nov 29, 4pm`, `tomorrow at 9am`, `Mon 9:00
    AM`) or without one: then the next time that the clock shows it.
    """
    said = said[:LONGEST]
    for cue in CUE.finditer(said):
        moment = _moment(said, cue.end(), now)
        if moment is not None:
            return moment if now < moment <= now + FARTHEST_DAYS * UNITS["d"] else None
    return None


def names_a_time(said: str) -> bool:
    """Whether the text contains such a time, even one that has passed."""
    said = said[:LONGEST]
    return any(_moment(said, cue.end(), 0) is not None for cue in CUE.finditer(said))


def _moment(said: str, at: int, now: int) -> int | None:
    if (unix := UNIX.match(said, at)) is not None and not SPAN.match(said, at):
        return int(unix[1]) * (1 if len(unix[1]) == 13 else 1000)
    if (span := SPAN.match(said, at)) is not None:
        return now + round(sum(float(number) * _unit(unit) for number, unit in _parts(span[0])))
    try:
        if (iso := ISO.match(said, at)) is not None:
            return _instant(iso.groupdict(), _zone(said, iso.end()), now)
        date = DATE.match(said, at)
        end = at if date is None else date.end()
        day = {} if date is None else date.groupdict()
        clock = CLOCK.match(said, end)
        if clock is not None and clock["half"] is None and clock["minute"] is None:
            clock = None  # a bare number is not a clock time
        dated = any(day.get(key) for key in ("near", "weekday", "month", "month2"))
        if clock is None:
            return _instant(day, _zone(said, end), now) if dated else None
        return _instant({**day, **clock.groupdict()}, _zone(said, clock.end()), now)
    except (ValueError, OverflowError, OSError):
        return None


def _parts(span: str) -> list[tuple[str, str]]:
    return PART.findall(span)


def _unit(word: str) -> int:
    word = word.lower()
    return 1 if word.startswith(("ms", "mil")) else UNITS[word[0]]


def _zone(said: str, at: int) -> tzinfo | None:
    """The zone named at this position; None for this machine's. Raises ValueError for an unknown zone."""
    found = ZONE.match(said, at)
    if found is None:
        return None
    if found["sign"]:
        offset = timedelta(hours=int(found["hours"]), minutes=int(found["minutes"] or 0))
        base = timedelta(hours=ZONES[found["short"]] if found["short"] else 0)
        return timezone(base + (offset if found["sign"] == "+" else -offset))
    name = found["name"] or found["alone"] or found["iana"]
    if name in ZONES:
        return timezone(timedelta(hours=ZONES[name]))
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, OSError) as error:
        raise ValueError(name) from error


def _instant(said: Mapping[str, str | None], zone: tzinfo | None, now: int) -> int:
    """The moment of a date and clock time. If no second is given, it is the end of that minute: the agent has truncated
    the time."""
    today = datetime.fromtimestamp(now / 1000, zone)
    hour, minute = int(said.get("hour") or 0), int(said.get("minute") or 0)
    if said.get("half"):
        if not 1 <= hour <= 12:
            raise ValueError(hour)
        hour = hour % 12 + (12 if str(said["half"]).lower() == "p" else 0)
    second = said.get("second")
    rest = timedelta(seconds=int(second)) if second else timedelta(minutes=1)
    clock = today.replace(hour=hour, minute=minute, second=0, microsecond=0)
    month = said.get("month") or said.get("month2")
    if month:
        number = int(month) if month.isdigit() else MONTHS.index(month[:3].lower()) + 1
        day = int(said.get("day") or said.get("day2") or 0)
        return _milliseconds(_dated(clock, said.get("year"), number, day, today), rest)
    if said.get("near"):
        days = [1 if str(said["near"]).lower() == "tomorrow" else 0]
    elif said.get("weekday"):
        ahead = (DAYS.index(str(said["weekday"])[:3].lower()) - today.weekday()) % 7
        days = [ahead, ahead + 7]
    else:
        days = [0, 1]
    # When clocks are set back, an hour occurs twice: its first occurrence may have passed, but not its second.
    moments = [_milliseconds((clock + timedelta(days=n)).replace(fold=fold), rest) for n in days for fold in (0, 1)]
    return next((moment for moment in moments if moment > now), moments[-1])


def _dated(clock: datetime, year: str | None, month: int, day: int, today: datetime) -> datetime:
    """The day in the given year; without one, in this year, or in the next if that is nearer."""
    if year is not None:
        return clock.replace(year=int(year), month=month, day=day)
    this = clock.replace(month=month, day=day)
    return this.replace(year=this.year + 1) if today - this > timedelta(days=183) else this


def _milliseconds(clock: datetime, rest: timedelta) -> int:
    # Convert the clock time before adding: a day later by the clock is not always 24 hours later.
    return round((clock.timestamp() + rest.total_seconds()) * 1000)
