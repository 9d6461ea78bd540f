"""Whether tasks may be claimed when the database may have lost the last claims.

A server that was promoted in place of another one may not know what was claimed last: runs of which it knows nothing
may still be alive, for at most one lease. It counts another timeline, which is how it is told from a server that knows
all. Times are milliseconds since boot.
"""

from __future__ import annotations

from agentq_cli.base.dataclass import NamedTuple


class Wait(NamedTuple):
    """What comes of a look. `since` is when this process first saw this `timeline` where another one is on record, to
    be kept for its next look; `until` when claims are allowed again, None: they are. `record`: it is to be put on
    record now."""

    timeline: str | None = None
    since: int | None = None
    until: int | None = None
    record: bool = False


SETTLED = Wait()


def look(before: Wait, *, known: str | None, current: str, lease_ms: int, now: int) -> Wait:
    """What a process may do that sees the `current` timeline, with `known` on record (None: no claim was ever made).

    `lease_ms` is the longest lease of any host. A process that sees yet another timeline begins to wait anew.
    """
    if known == current:
        return SETTLED
    if known is None:
        return Wait(record=True)
    since = now if before.timeline != current or before.since is None else before.since
    if now >= since + lease_ms:
        return Wait(current, since, record=True)
    return Wait(current, since, until=since + lease_ms)
