"""Lost hosts by what an observer has seen of their beats: never before their own deadline, always soon after."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agentq_cli.policy import observation, timelines
from agentq_cli.policy.observation import Beat

LEASE = 60_000
DEADLINE = 0.8 * LEASE + 1_000
"""Of the host's own clock after it sent a renewal, everything of it is dead: its timer, and that timer's second."""


@given(
    renewals=st.lists(st.tuples(st.integers(1, LEASE), st.integers(0, 9_000)), min_size=1, max_size=12),
    looks=st.lists(st.integers(1, 9_000), min_size=40, max_size=40),
    host_rate=st.floats(0.99, 1.01),
    observer_rate=st.floats(0.99, 1.01),
    offset=st.integers(-(10**12), 10**12),
)
def test_nothing_of_a_lost_host_is_alive(
    renewals: list[tuple[int, int]], looks: list[int], host_rate: float, observer_rate: float, offset: int
) -> None:
    """Renewals are sent after some time each and committed after some more; the observer looks at any times, by a clock
    that has nothing to do with the host's."""
    commits: list[tuple[float, float]] = []
    moment = 0.0
    for pause, delay in renewals:
        moment = max(moment + pause, commits[-1][1] if commits else 0.0)
        commits.append((moment, moment + delay))
    seen: dict[int, observation.Sighting] = {}
    now = 0.0
    for look in looks:
        now += look
        if not (committed := [each for each in commits if each[1] <= now]):
            continue
        beats = [Beat(7, len(committed), LEASE)]
        clock = offset + int(now * observer_rate)
        seen = observation.seen(seen, beats, clock)
        if observation.lost(seen, beats, clock):
            dead = committed[-1][0] + DEADLINE / host_rate
            assert now > dead + 0.1 * LEASE
            return


@given(looks=st.lists(st.integers(1, 10_000), max_size=20), beat=st.integers(0, 9), lease=st.integers(1_000, LEASE))
def test_a_beat_that_stands_still_is_lost_after_its_lease_and_no_sooner(
    looks: list[int], beat: int, lease: int
) -> None:
    beats, now = [Beat(7, beat, lease)], 5
    seen = observation.seen({}, beats, now)
    assert observation.next_loss(seen, beats) == 5 + lease
    for look in looks:
        now += look
        seen = observation.seen(seen, beats, now)
        assert bool(observation.lost(seen, beats, now)) == (now >= 5 + lease)
    seen = observation.seen(seen, [Beat(7, beat + 1, lease)], now)
    assert not observation.lost(seen, [Beat(7, beat + 1, lease)], now + lease - 1)


def test_a_host_that_went_is_forgotten_and_begins_anew() -> None:
    seen = observation.seen({}, [Beat(1, 4, LEASE), Beat(2, 4, LEASE)], 0)
    seen = observation.seen(seen, [Beat(2, 4, LEASE)], 1_000)
    assert set(seen) == {2}
    again = [Beat(1, 4, LEASE), Beat(2, 4, LEASE)]
    seen = observation.seen(seen, again, LEASE)
    assert [each.host for each in observation.lost(seen, again, LEASE)] == [2]
    assert observation.next_loss({}, again) is None


def test_a_lease_that_was_raised_counts_at_once() -> None:
    """Before a planned outage: it holds from the renewal that brings it."""
    seen = observation.seen({}, [Beat(1, 4, LEASE)], 0)
    raised = [Beat(1, 5, 10 * LEASE)]
    seen = observation.seen(seen, raised, 1_000)
    assert not observation.lost(seen, raised, 5 * LEASE)
    assert observation.next_loss(seen, raised) == 1_000 + 10 * LEASE


def test_another_timeline_waits_for_one_lease_and_is_then_recorded() -> None:
    wait = timelines.look(timelines.SETTLED, known="A", current="B", lease_ms=LEASE, now=100)
    assert (wait.until, wait.record) == (100 + LEASE, False)
    wait = timelines.look(wait, known="A", current="B", lease_ms=LEASE, now=99 + LEASE)
    assert (wait.until, wait.record) == (100 + LEASE, False)
    later = timelines.look(wait, known="A", current="B", lease_ms=LEASE, now=100 + LEASE)
    assert (later.until, later.record) == (None, True)
    assert timelines.look(wait, known="B", current="B", lease_ms=LEASE, now=101) == timelines.SETTLED
    # A second failover while it waits for the first.
    third = timelines.look(wait, known="A", current="C", lease_ms=LEASE, now=50_000)
    assert third.until == 50_000 + LEASE


def test_a_new_database_waits_for_nothing() -> None:
    wait = timelines.look(timelines.SETTLED, known=None, current="A", lease_ms=LEASE, now=100)
    assert (wait.until, wait.record) == (None, True)
    assert timelines.look(wait, known="A", current="A", lease_ms=LEASE, now=101) == timelines.SETTLED
