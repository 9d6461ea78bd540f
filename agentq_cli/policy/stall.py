"""Whether a run has been silent for too long. Pure: takes what two checks saw and when; returns the silence.

A silence is the time between two checks that found the same sizes and times of a run's output and heartbeat files.
These are only compared with each other, never with a clock. So a heartbeat whose time was set to the future counts
once, and setting the clock never ends a run. Times are milliseconds of `clock.awake_ms`, which stops while the machine
sleeps.
"""

from __future__ import annotations

from agentq_cli.base.dataclass import NamedTuple

LONGEST_INTERVAL_MS = 5_000
SHORTEST_INTERVAL_MS = 20
HELD_UP_MS = 10_000
"""If a process checks only after this long, and at least four intervals, the process was itself held up: stopped, or
frozen together with the run."""

Sign = tuple[int, int] | None
"""Size and modification time (nanoseconds) of a file; None if it does not exist."""


class Signs(NamedTuple):
    """Evidence that a run is alive."""

    stdout: Sign
    stderr: Sign
    heartbeat: Sign


class Silence(NamedTuple):
    """These signs were first seen at `since`; `looked` is the last check by this process, None before its first."""

    signs: Signs
    since: int
    boot_id: str
    looked: int | None = None


def observe(before: Silence | None, signs: Signs, *, now: int, boot_id: str, limit_ms: int) -> Silence:
    """The silence as of this check: the previous one continues if nothing has changed; otherwise a new one begins.

    Time in which this process was held up and did not check does not count: it may have slept together with the run, as
    in a frozen container. Between checks by different processes (`looked` None) all of the time counts.
    """
    if before is None or before.signs != signs or before.boot_id != boot_id or before.since > now:
        return Silence(signs, now, boot_id, now)
    since = before.since
    if before.looked is not None:
        every = interval(limit_ms)
        unseen = now - before.looked
        if unseen > max(HELD_UP_MS, 4 * every):
            since += unseen - every
    return before._replace(since=since, looked=now)


def stalled(silence: Silence, *, now: int, limit_ms: int) -> bool:
    """Whether the silence has reached the limit."""
    return now - silence.since >= limit_ms


def interval(limit_ms: int) -> int:
    """How far apart the checks are: a stall is detected at most this long after its limit."""
    return min(max(limit_ms // 4, SHORTEST_INTERVAL_MS), LONGEST_INTERVAL_MS)


def next_check(silence: Silence, *, now: int, limit_ms: int) -> int:
    """Milliseconds until the next check: an interval, or less if the limit will be reached sooner."""
    return max(1, min(interval(limit_ms), silence.since + limit_ms - now))
