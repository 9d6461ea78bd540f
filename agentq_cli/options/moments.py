"""Draws times for people: on their wall clock and short. `short` draws every time that a command prints on a terminal.

A pipe gets RFC 3339 instead. The wall clock is the reader's (TZ, or the system's), or UTC with `--utc`.
"""

from __future__ import annotations

import time

from agentq_cli.base.clock import rfc3339
from agentq_cli.options.values import format_duration

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.model.tasks import WaitingFor

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
WEEK_DAYS = 6
"""How many days away a time is still named by its day of the week."""

MONTHS_AWAY = 180 * DAY
"""How far away a time is still told without its year, as ls(1) does."""

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
"""Not those of a locale: agentq writes English."""

EXACT = r"\b[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z"
"""A time as `rfc3339` writes it."""

_wall = [time.localtime]


def read_in_utc() -> None:
    """From now on this process draws times in UTC: its reader asked for it."""
    _wall[0] = time.gmtime


def short(moment_ms: int, now_ms: int) -> str:
    """`3 min ago`, `in 40s`, `in 3h`, and beyond an hour ago or a day to come as `clock` does."""
    distance = moment_ms - now_ms
    if abs(distance) < 1000:
        return "now"
    if distance > 0:
        length = _rounded(distance)
        return f"in {_brief(length)}" if length < DAY else clock(moment_ms, now_ms)
    return f"{_brief(-distance)} ago" if -distance < HOUR else clock(moment_ms, now_ms)


def _rounded(length: int) -> int:
    """To the nearest second or, from an hour on, minute: what was asked to start in 3 hours starts in 3 hours."""
    unit = MINUTE if length >= HOUR - MINUTE // 2 else 1000
    return (length + unit // 2) // unit * unit


def _brief(length: int) -> str:
    if MINUTE <= length < HOUR:
        return f"{length // MINUTE} min"
    return format_duration(length // 1000 * 1000)


def midnight(now_ms: int) -> int:
    """When the reader's day began, in milliseconds UTC."""
    now = _wall[0](now_ms // 1000)
    since = (now.tm_hour * 3600 + now.tm_min * 60 + now.tm_sec) * 1000 + now_ms % 1000
    # On a day on which the clock was changed this is not midnight yet.
    then = _wall[0]((now_ms - since) // 1000)
    changed = (now.tm_gmtoff or 0) - (then.tm_gmtoff or 0)
    return now_ms - since + changed * 1000


def clock(moment_ms: int, now_ms: int) -> str:
    """`12:21`, `Tue 09:00`, `Dec 24 09:00`, `2027-12-24`: a time on the reader's wall clock."""
    then, now = (_wall[0](each // 1000) for each in (moment_ms, now_ms))
    hour = f"{then.tm_hour:02}:{then.tm_min:02}"
    if then[:3] == now[:3]:
        return hour
    if abs(moment_ms - now_ms) < WEEK_DAYS * DAY:
        return f"{DAYS[then.tm_wday]} {hour}"
    if abs(moment_ms - now_ms) < MONTHS_AWAY:
        return f"{MONTHS[then.tm_mon - 1]} {then.tm_mday} {hour}"
    return f"{then.tm_year:04}-{then.tm_mon:02}-{then.tm_mday:02}"


def exact(text: str, now_ms: int) -> str:
    """What `both` makes of a time that `rfc3339` wrote; any other text as it is."""
    import re

    from agentq_cli.base.clock import from_rfc3339

    return both(from_rfc3339(text), now_ms) if re.fullmatch(EXACT, text) else text


def both(moment_ms: int, now_ms: int) -> str:
    """A time of the clock, and how far away it is if that is soon: `12:21 (3 min ago)`."""
    at, away = clock(moment_ms, now_ms), short(moment_ms, now_ms)
    return at if away == at else f"{at} ({away})"


def spoken(words: str, now_ms: int) -> str:
    """agentq's own words with each exact time in them on the reader's wall clock."""
    import re

    from agentq_cli.base.clock import from_rfc3339

    return re.sub(EXACT, lambda found: clock(from_rfc3339(found[0]), now_ms), words)


def in_zone(moment_ms: int, zone: str) -> str:
    """A time on the wall clock of a zone, with its offset: `2026-03-29 09:00:00+02:00 Europe/Berlin`."""
    return f"{there(moment_ms, zone).replace('T', ' ')} {zone}"


def agrees(moment_ms: int, zone: str) -> bool:
    """Whether the wall clock of a zone and the reader's show the same minute then."""
    then = _wall[0](moment_ms // 1000)
    here = f"{then.tm_year:04}-{then.tm_mon:02}-{then.tm_mday:02}T{then.tm_hour:02}:{then.tm_min:02}"
    return there(moment_ms, zone).startswith(here)


def there(moment_ms: int, zone: str) -> str:
    """A time on the wall clock of a zone, as RFC 3339 with its offset."""
    from datetime import datetime
    from zoneinfo import ZoneInfo

    return datetime.fromtimestamp(moment_ms / 1000, ZoneInfo(zone)).isoformat(timespec="seconds")


def waiting(why: WaitingFor, now_ms: int | None) -> str:
    """Why a task waits, in a few words: `claude held until 15:00 (rate_limited)`, `retry in 40s`, `after docs/3`.

    `now_ms` is the current time if a person reads it; None gives exact times. Empty if the task only waits its turn.
    """
    when = ""
    if why.until is not None and why.kind == "retry":
        when = f" at {rfc3339(why.until)}" if now_ms is None else f" {short(why.until, now_ms)}"
    elif why.until is not None:
        when = f" until {rfc3339(why.until) if now_ms is None else clock(why.until, now_ms)}"
    if why.kind == "paused":
        return why.brief + (f": {why.note}" if why.note else "")
    return why.brief and f"{why.brief}{when}" + (f" ({why.note})" if why.note else "")
