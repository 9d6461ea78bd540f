"""Where time comes from: the wall clock for due times and records, the monotonic one for durations.

`AGENTQ_NOW` (RFC 3339) stops the wall clock of a process for tests and rehearsals.
"""

from __future__ import annotations

import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


class Clock:
    """A wall clock in integer milliseconds UTC; `fixed_ms` set means that it stands still."""

    __slots__ = ("fixed_ms",)

    def __init__(self, fixed_ms: int | None = None) -> None:
        self.fixed_ms = fixed_ms

    def now_ms(self) -> int:
        """Milliseconds since the epoch, UTC."""
        return time.time_ns() // 1_000_000 if self.fixed_ms is None else self.fixed_ms

    @property
    def fixed(self) -> bool:
        """Whether waiting for wall time would be waiting for ever."""
        return self.fixed_ms is not None


def monotonic_ms() -> int:
    """Milliseconds since boot, counting sleep; only comparable within one boot."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000


def awake_ms() -> int:
    """Milliseconds that the machine has been awake since boot, for silences: a closed lid is none."""
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1_000_000


def from_environment(environ: Mapping[str, str] = os.environ) -> Clock:
    """The process's clock, fixed where `AGENTQ_NOW` is set. Raises Usage on an unreadable value."""
    text = environ.get("AGENTQ_NOW")
    if not text:
        return Clock()
    # Here, as every run's shim carries this module.
    from datetime import datetime

    from agentq_cli.errors import Usage

    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise Usage(f"AGENTQ_NOW '{text}': not a time as RFC 3339 writes it, such as 2026-03-29T01:00:00Z")
    return Clock(round(moment.timestamp() * 1000))


def rfc3339(milliseconds: int) -> str:
    """`2026-03-29T01:00:00.000Z`: the one form in which times leave the program."""
    day, rest = divmod(milliseconds, 86_400_000)
    if day not in _dates:
        from datetime import date

        if len(_dates) >= MOST_DATES:
            _dates.clear()
        _dates[day] = date.fromordinal(EPOCH + day).isoformat()
    seconds, rest = divmod(rest, 1000)
    return f"{_dates[day]}T{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{rest:03}Z"


EPOCH = 719_163
"""The day 1970-01-01 as the standard library counts them."""

MOST_DATES = 1000
_dates: dict[int, str] = {}
"""Days that were written already: a listing writes the same ones again and again."""


TICK_NS = 20_000_000
"""Twice the longest tick of the clock by which a file gets its time (100 a second)."""

SECOND_NS = 1_000_000_000


def file_time_ns() -> int:
    """The time that a file would get that is written now, in nanoseconds, and up to a tick more."""
    return time.time_ns()


def settled(ctime_ns: int) -> bool:
    """Whether a file that was changed at this time gets another one with any change from now on.

    As git does with the entries of its index: a file may be changed twice within one tick. Where times are whole
    seconds, that is up to two of them (vfat).
    """
    tick = TICK_NS if ctime_ns % SECOND_NS else 2 * SECOND_NS
    return abs(file_time_ns() - ctime_ns) >= tick
