"""Intervals stay on their grid, in constant time."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st

from agentq_cli.policy.interval import count_interval, newest_interval, next_interval

moments = st.integers(-(10**18), 10**18)
lengths = st.integers(1, 10**13)


@settings(max_examples=300, derandomize=True)
@given(anchor=moments, every=lengths, after=moments)
@example(anchor=0, every=1, after=10**12)
@example(anchor=0, every=5, after=5)
@example(anchor=7, every=5, after=6)
def test_the_next_time_is_the_first_of_the_grid_strictly_after(anchor: int, every: int, after: int) -> None:
    slot = next_interval(anchor, every, after)
    assert slot > after
    assert slot >= anchor
    assert (slot - anchor) % every == 0
    assert slot == anchor or slot - every <= after


@settings(max_examples=300, derandomize=True)
@given(anchor=st.integers(-50, 50), every=st.integers(1, 20), after=st.integers(-90, 90), upto=st.integers(-90, 90))
def test_counts_and_newest_are_those_of_the_enumerated_grid(anchor: int, every: int, after: int, upto: int) -> None:
    slots = [slot for slot in range(anchor, 200, every) if after < slot <= upto]
    assert count_interval(anchor, every, after, upto) == len(slots)
    for limit in (1, 3, 200):
        assert newest_interval(anchor, every, after, upto, limit) == slots[-limit:]
    assert newest_interval(anchor, every, after, upto, 0) == []


def test_a_million_million_missed_periods_cost_no_more_than_one() -> None:
    periods, every = 10**12, 300_000
    assert count_interval(0, every, 0, periods * every) == periods
    assert next_interval(0, every, periods * every) == (periods + 1) * every
    assert newest_interval(0, every, 0, periods * every, 2) == [(periods - 1) * every, periods * every]
