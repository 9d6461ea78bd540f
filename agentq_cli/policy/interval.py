"""When an interval fires: `anchor + n * every`, n = 0, 1, 2 …, in constant time for any distance.

The grid is fixed by its anchor, so nothing drifts: neither a slow run nor years without a run move it.
"""

from __future__ import annotations


def next_interval(anchor_ms: int, every_ms: int, after_ms: int) -> int:
    """The first time of the grid strictly after `after_ms`, and not before the anchor."""
    return anchor_ms + _upto(anchor_ms, every_ms, after_ms) * every_ms


def count_interval(anchor_ms: int, every_ms: int, after_ms: int, upto_ms: int) -> int:
    """How many times of the grid are in (after_ms, upto_ms]."""
    return max(0, _upto(anchor_ms, every_ms, upto_ms) - _upto(anchor_ms, every_ms, after_ms))


def newest_interval(anchor_ms: int, every_ms: int, after_ms: int, upto_ms: int, limit: int) -> list[int]:
    """The last `limit` times of the grid in (after_ms, upto_ms], oldest first."""
    end = _upto(anchor_ms, every_ms, upto_ms)
    begin = max(_upto(anchor_ms, every_ms, after_ms), end - limit)
    return [anchor_ms + index * every_ms for index in range(begin, end)]


def _upto(anchor: int, every: int, moment: int) -> int:
    """How many times of the grid are at or before `moment`."""
    return max(0, (moment - anchor) // every + 1)
