"""When silence is a stall: what two looks saw, and nothing else, decides."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentq_cli.policy import stall
from agentq_cli.policy.stall import Signs, Silence

BOOT = "boot"
QUIET = Signs((0, 1), (0, 1), None)
LIMITS = st.integers(1, 3_600_000)


def seen(number: int) -> Signs:
    return Signs((number, number), (0, 1), None)


def watch(looks: list[tuple[int, Signs]], limit: int, *, before: Silence | None = None) -> tuple[Silence, int | None]:
    """One process's looks, in order; the last silence, and the time at which it was a stall first."""
    found: int | None = None
    for now, signs in looks:
        before = stall.observe(before, signs, now=now, boot_id=BOOT, limit_ms=limit)
        if found is None and stall.stalled(before, now=now, limit_ms=limit):
            found = now
    assert before is not None
    return before, found


@given(LIMITS, st.integers(0, 1 << 40), st.lists(st.integers(0, 7_200_000), min_size=1, max_size=30))
def test_what_shows_a_sign_at_every_look_never_stalls(limit: int, begin: int, gaps: list[int]) -> None:
    now, looks = begin, []
    for number, gap in enumerate(gaps):
        now += gap
        looks.append((now, seen(number)))
    assert watch(looks, limit)[1] is None


@given(LIMITS, st.integers(0, 1 << 40), st.integers(0, 20), st.integers(0, 999))
def test_a_silence_is_found_within_an_interval_and_never_early(limit: int, begin: int, busy: int, late: int) -> None:
    """A supervisor that looks when it is told to, some milliseconds late each time."""
    silence, now, last_sign = None, begin, begin
    for number in range(10_000):
        signs = seen(min(number, busy))
        if number <= busy:
            last_sign = now
        silence = stall.observe(silence, signs, now=now, boot_id=BOOT, limit_ms=limit)
        if stall.stalled(silence, now=now, limit_ms=limit):
            break
        now += stall.next_check(silence, now=now, limit_ms=limit) + late
    assert limit <= now - last_sign <= limit + stall.interval(limit) + late
    assert limit <= now - silence.since <= limit + late


@given(LIMITS)
def test_looks_are_a_quarter_of_the_limit_apart_and_five_seconds_at_most(limit: int) -> None:
    assert 1 <= stall.interval(limit) <= 5_000
    assert stall.interval(limit) <= max(limit // 4, stall.SHORTEST_INTERVAL_MS)


@given(LIMITS, st.integers(0, 1 << 40), st.integers(0, 1 << 40))
def test_two_looks_of_different_processes_are_enough(limit: int, first: int, gap: int) -> None:
    left = stall.observe(None, QUIET, now=first, boot_id=BOOT, limit_ms=limit)._replace(looked=None)
    now = first + gap
    again = stall.observe(left, QUIET, now=now, boot_id=BOOT, limit_ms=limit)
    assert stall.stalled(again, now=now, limit_ms=limit) is (gap >= limit)
    assert again.since == first


@given(LIMITS, st.integers(0, 1 << 40))
def test_one_look_is_never_enough(limit: int, now: int) -> None:
    assert not stall.stalled(stall.observe(None, QUIET, now=now, boot_id=BOOT, limit_ms=limit), now=now, limit_ms=limit)


@pytest.mark.parametrize(
    "after",
    [
        QUIET._replace(stdout=(1, 1)),
        QUIET._replace(stderr=(1, 1)),
        QUIET._replace(heartbeat=(0, 5)),
        # Cut to its head and grown again; a heartbeat set back, or dated into the future.
        QUIET._replace(stdout=(0, 2)),
        QUIET._replace(heartbeat=(0, -(10**18))),
        QUIET._replace(heartbeat=(0, 10**19)),
    ],
)
def test_any_change_begins_anew_and_counts_once(after: Signs) -> None:
    _, found = watch([(0, QUIET), (900, QUIET), (990, after), (1_900, after), (1_990, after)], 1_000)
    assert found == 1_990


def test_a_look_of_another_boot_begins_anew() -> None:
    before = Silence(QUIET, 100, "earlier")
    silence = stall.observe(before, QUIET, now=1_000_000, boot_id=BOOT, limit_ms=1_000)
    assert (silence.since, silence.boot_id) == (1_000_000, BOOT)


def test_a_look_that_lies_ahead_begins_anew() -> None:
    """A run directory copied, or a `looks` that somebody wrote."""
    silence = stall.observe(Silence(QUIET, 5_000, BOOT), QUIET, now=1_000, boot_id=BOOT, limit_ms=1)
    assert silence.since == 1_000


def test_what_slept_together_with_its_looker_has_not_been_silent() -> None:
    """A frozen container, a stopped machine: the clock went on, and neither the run nor who looks after it did."""
    looks = [(number * 5_000, QUIET) for number in range(6)]
    asleep = looks[-1][0] + 8 * 3_600_000
    silence, found = watch([*looks, (asleep, QUIET)], 60_000)
    assert found is None
    assert asleep - silence.since == looks[-1][0] + stall.interval(60_000)
    rest = [(asleep + number * 5_000, QUIET) for number in range(1, 10)]
    assert watch(rest, 60_000, before=silence)[1] == asleep + 30_000


@given(LIMITS, st.lists(st.integers(1, 9_999), min_size=1, max_size=50))
def test_a_looker_that_is_only_slow_counts_all_time(limit: int, gaps: list[int]) -> None:
    now, looks = 0, [(0, QUIET)]
    for gap in gaps:
        now += gap
        looks.append((now, QUIET))
    silence, found = watch(looks, limit)
    assert silence.since == 0
    reached = [at for at, _ in looks if at >= limit]
    assert found == (reached[0] if reached else None)


def test_a_looker_that_is_always_held_up_finds_it_in_the_end() -> None:
    looks = [(number * 60_000, QUIET) for number in range(50)]
    assert watch(looks, 20_000)[1] is not None
