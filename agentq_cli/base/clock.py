"""The source of time: the wall clock for due times and records, the monotonic clock for durations.

`AGENTQ_NOW` (RFC 3339) stops the wall clock of a process, for tests and rehearsals.
"""

from __future__ import annotations

import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


class Clock:
    """A wall clock in integer milliseconds UTC. If `fixed_ms` is set, the clock stands still."""

    __slots__ = ("fixed_ms",)

    def __init__(self, fixed_ms: int | None = None) -> None:
        self.fixed_ms = fixed_ms

    def now_ms(self) -> int:
        """Milliseconds since the epoch, UTC."""
        return time.time_ns() // 1_000_000 if self.fixed_ms is None else self.fixed_ms

    @property
    def fixed(self) -> bool:
        """Whether the clock stands still, so that waiting for wall time would never end."""
        return self.fixed_ms is not None


def monotonic_ms() -> int:
    """Milliseconds since boot, including sleep; only comparable within one boot."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000


def awake_ms() -> int:
    """Milliseconds since boot that the machine was awake. Used for silences, since a sleeping machine does not count
    as silence."""
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1_000_000


def from_environment(environ: Mapping[str, str] = os.environ) -> Clock:
    """The process's clock, fixed if `AGENTQ_NOW` is set. Raises Usage for an invalid value."""
    text = environ.get("AGENTQ_NOW")
    if not text:
        return Clock()
    # Imported here because every shim loads this module.
    from datetime import datetime

    from agentq_cli.base.errors import Usage

    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise Usage(f"AGENTQ_NOW '{text}': not an RFC 3339 time, such as 2026-03-29T01:00:00Z")
    return Clock(round(moment.timestamp() * 1000))


def rfc3339(milliseconds: int) -> str:
    """`2026-03-29T01:00:00.000Z`: the only form in which times leave the program."""
    day, rest = divmod(milliseconds, 86_400_000)
    if day not in _dates:
        if not FIRST_DAY <= day <= LAST_DAY:
            raise ValueError(f"{milliseconds}: not within the years 1 to 9999")
        if len(_dates) >= MOST_DATES:
            _dates.clear()
        then = time.gmtime(day * 86_400)  # `datetime` takes longer to load than a listing to write
        _dates[day] = f"{then.tm_year:04}-{then.tm_mon:02}-{then.tm_mday:02}"
    seconds, rest = divmod(rest, 1000)
    return f"{_dates[day]}T{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{rest:03}Z"


def from_rfc3339(text: str) -> int:
    """The milliseconds of a time that `rfc3339` wrote."""
    from datetime import datetime

    return round(datetime.fromisoformat(text).timestamp() * 1000)


FIRST_DAY, LAST_DAY = -719_162, 2_932_896
"""0001-01-01 and 9999-12-31, in days since 1970-01-01."""

MOST_DATES = 1000
_dates: dict[int, str] = {}
"""Days that were formatted before: a listing contains the same ones again and again."""


TICK_NS = 20_000_000
"""Twice the longest tick of the clock that sets file times (100 ticks per second)."""

SECOND_NS = 1_000_000_000


def file_time_ns() -> int:
    """The time that a file written now would get, in nanoseconds, or up to one tick later."""
    return time.time_ns()


def settled(ctime_ns: int) -> bool:
    """Whether any later change will give a file that was changed at this time a different time.

    A file may be changed twice within one tick; git treats the entries of its index in the same way. If the file system
    stores whole seconds, a tick is up to two of them (vfat).
    """
    tick = TICK_NS if ctime_ns % SECOND_NS else 2 * SECOND_NS
    return abs(file_time_ns() - ctime_ns) >= tick
