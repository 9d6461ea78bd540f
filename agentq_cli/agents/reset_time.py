"""When a usage limit ends, out of the words of agents that have no field for it."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from agentq_cli.agents.reader import LATEST_TIME

LONGEST = 1000
"""Characters that are looked at: the time stands in a sentence, not in a report."""

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
CLOCK = re.compile(
    r"\bagain at (?:(?P<month>[A-Z][a-z]{2}) (?P<day>[0-9]{1,2})(?:st|nd|rd|th), (?P<year>[0-9]{4}) )?"
    r"(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2}) (?P<half>[AP])M\b"
)
UNIT = r"(?:days?|hours?|minutes?|seconds?|ms|[dhms])"
SPAN = re.compile(rf"\b(?:again|retry|resets?) (?:in|after) ((?:[0-9]{{1,9}}(?:\.[0-9]{{1,9}})? ?{UNIT},? ?)+)")
PARTS = re.compile(r"([0-9.]+) ?(ms|[dhms])")
UNITS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def reset_time(said: str, now: int) -> int | None:
    """The time after `now` that `said` names, in milliseconds; None where it names none.

    Known are a wall clock of this machine's zone, with or without its date (`try again at Nov 22nd, 2026 12:33 AM`,
    Codex), and a span (`try again in 1m30.5s`, OpenAI; `will reset after 5h3m20s`, Gemini CLI).
    """
    said = said[:LONGEST]
    if (clock := CLOCK.search(said)) is not None:
        moment = _wall_clock(clock.groupdict(), now)
    elif (span := SPAN.search(said)) is not None:
        moment = now + round(sum(float(number) * UNITS[unit] for number, unit in PARTS.findall(span[1])))
    else:
        return None
    return min(moment, LATEST_TIME) if moment is not None and moment > now else None


def _wall_clock(said: dict[str, str | None], now: int) -> int | None:
    """The end of the minute that is named: the agent has cut off its seconds."""
    try:
        hour = int(said["hour"] or 0)
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if said["half"] == "P" else 0)
        today = datetime.fromtimestamp(now / 1000)
        moment = today.replace(hour=hour, minute=int(said["minute"] or 0), second=0, microsecond=0)
        if said["month"] is not None:
            month = MONTHS.index(said["month"].lower()) + 1
            moment = moment.replace(year=int(said["year"] or 0), month=month, day=int(said["day"] or 0))
        elif moment + timedelta(minutes=1) <= today:
            moment += timedelta(days=1)
        return round((moment + timedelta(minutes=1)).timestamp() * 1000)
    except (ValueError, OverflowError, OSError):
        return None
