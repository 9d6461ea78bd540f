"""Times and durations as people say them: `22:00`, `tomorrow 09:00`, `Mon 09:00`, `today`, `2 hours`. Pure.

A day without a time is its midnight. A time or a weekday without a date is the next such moment after now, or the last
one up to now, whichever direction is asked for; `today`, `tomorrow` and `yesterday` name their date in both.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta, tzinfo

DAYS = {"yesterday": -1, "today": 0, "tomorrow": 1}
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
SHORTEST = 3
"""The fewest letters of a weekday."""


WORDS = {
    **dict.fromkeys(("day", "days"), "d"),
    **dict.fromkeys(("hour", "hours"), "h"),
    **dict.fromkeys(("min", "mins", "minute", "minutes"), "m"),
    **dict.fromkeys(("sec", "secs", "second", "seconds"), "s"),
}
"""Units as people say them, each as a duration abbreviates it."""

DIGITS = "0123456789"


def moment(text: str, zone: tzinfo, now_ms: int, *, forward: bool) -> int | None:
    """Milliseconds since the epoch, on the wall clock of `zone`; None if the text is no such time.

    A time inside a gap moves forward by the gap; a time that occurs twice means the first.
    """
    words = text.lower().split()
    times = [found for word in words if (found := _time(word)) is not None]
    days = [word for word in words if _time(word) is None]
    if not words or len(times) > 1 or len(days) > 1:
        return None
    clock = times[0] if times else time()
    day = days[0] if days else ""
    today = datetime.fromtimestamp(now_ms / 1000, zone).date()
    if day in DAYS:
        return _on(today + timedelta(days=DAYS[day]), clock, zone)
    weekday = _weekday(day)
    if day and weekday is None:
        return None
    # A weekday whose time is past today comes again in a week, and a gap may move it over midnight.
    for distance in range(9):
        there = today + timedelta(days=distance if forward else -distance)
        moment_ms = _on(there, clock, zone)
        if (weekday is None or there.weekday() == weekday) and (moment_ms > now_ms if forward else moment_ms <= now_ms):
            return moment_ms
    return None


def abbreviated(text: str) -> str:
    """`1 hour 30 min` as `1h30m`; empty for any other text."""
    short = ""
    for word in text.split(" "):
        number = word[: len(word) - len(word.lstrip(DIGITS))]
        unit = WORDS.get(word[len(number) :].lower(), "")
        # A number and its unit, together or as two words.
        if not word or bool(number) == (short[-1:] in (*DIGITS, "") and bool(short)) or not (unit or word == number):
            return ""
        short += number + unit
    return short


def _time(word: str) -> time | None:
    parts = word.split(":")
    if not 2 <= len(parts) <= 3 or not all(part.isascii() and part.isdigit() and len(part) <= 2 for part in parts):
        return None
    hour, minute, second = (int(part) for part in (*parts, "0")[:3])
    if hour > 23 or minute > 59 or second > 59 or any(len(part) < 2 for part in parts[1:]):
        return None
    return time(hour, minute, second)


def _weekday(word: str) -> int | None:
    found = [number for number, name in enumerate(WEEKDAYS) if len(word) >= SHORTEST and name.startswith(word)]
    return found[0] if found else None


def _on(day: date, at: time, zone: tzinfo) -> int:
    # fold=0 is the first of two equal wall times, and inside a gap the offset before it.
    return int(datetime.combine(day, at, zone).timestamp()) * 1000
