"""Which hosts are lost, by what this process has seen of their beats.

No clock is compared with another one: a beat is a number, and how long it has stood still is measured by the
observer's own clock, milliseconds since boot, sleep included. A beat that was first seen at a time was committed before
it, and sent before that: so a host whose lease counts from its sending is over it before anybody finds it lost.
"""

from __future__ import annotations

from agentq_cli.base.dataclass import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import TypeAlias

    Seen: TypeAlias = "Mapping[int, Sighting]"
    """What an observer has seen of each host."""


class Beat(NamedTuple):
    """What a host's row says: which beat it is, and for how long it is good."""

    host: int
    beat: int
    lease_ms: int


class Sighting(NamedTuple):
    """A beat, and when this observer saw it first."""

    beat: int
    since: int


def seen(before: Seen, beats: Iterable[Beat], now: int) -> dict[int, Sighting]:
    """What has been seen after one more look. `now` is read after the answer: a beat was committed before it counts."""
    return {
        each.host: known
        if (known := before.get(each.host)) is not None and known.beat == each.beat
        else Sighting(each.beat, now)
        for each in beats
    }


def lost(seen: Seen, beats: Iterable[Beat], now: int) -> list[Beat]:
    """The hosts whose beat has stood still for as long as their lease."""
    return [each for each in beats if (until := _until(seen, each)) is not None and until <= now]


def next_loss(seen: Seen, beats: Iterable[Beat]) -> int | None:
    """When the next of these hosts is lost, if none of them gives a sign; None if there is none."""
    return min((until for each in beats if (until := _until(seen, each)) is not None), default=None)


def _until(seen: Seen, each: Beat) -> int | None:
    known = seen.get(each.host)
    return None if known is None or known.beat != each.beat else known.since + each.lease_ms
