"""Whether a run has fallen silent for too long. Pure: what two looks saw and when, in; the silence, out.

A silence is what lies between two looks that saw the same sizes and times of a run's output and heartbeat. These are
only ever compared with one another, never with a clock, so a heartbeat dated by hand into the future counts once and
no clock that is set ends a run. Times are milliseconds of `clock.awake_ms`, which a closed lid stops.
"""

from __future__ import annotations

from agentq_cli.dataclass import NamedTuple

LONGEST_INTERVAL_MS = 5_000
SHORTEST_INTERVAL_MS = 20
HELD_UP_MS = 10_000
"""A looker that looks again only after so long, four intervals at least, was itself held up: stopped, or frozen
together with the run."""

Sign = tuple[int, int] | None
"""Size and time of change (nanoseconds) of a file, None where there is none."""


class Signs(NamedTuple):
    """What shows that a run lives."""

    stdout: Sign
    stderr: Sign
    heartbeat: Sign


class Silence(NamedTuple):
    """These signs were seen first at `since`; `looked` is this process's own last look, None before there is one."""

    signs: Signs
    since: int
    boot_id: str
    looked: int | None = None


def look(before: Silence | None, signs: Signs, *, now: int, boot_id: str, limit_ms: int) -> Silence:
    """The silence as of this look: the one before goes on where nothing has changed, else a new one begins.

    Time that no look of this process watched over does not count where it was held up: it may have slept together
    with the run, as in a frozen container. Between looks of different processes (`looked` None) all of it counts.
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
    """How far apart looks are: a stall is found so much after its limit at the latest."""
    return min(max(limit_ms // 4, SHORTEST_INTERVAL_MS), LONGEST_INTERVAL_MS)


def next_look(silence: Silence, *, now: int, limit_ms: int) -> int:
    """Milliseconds until the next look: an interval, or less where the limit is reached before."""
    return max(1, min(interval(limit_ms), silence.since + limit_ms - now))
