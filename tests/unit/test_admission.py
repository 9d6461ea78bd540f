"""The gates before a start: what each weighs, what it says, and when it lets go."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentq_cli.options.values import LONGEST
from agentq_cli.policy import admission
from agentq_cli.policy.admission import MIB, Room, Wanted

NOW = 1_774_785_600_000
WANTED = Wanted(512 * MIB, 512 * MIB)
GIB = 1 << 30

sizes = st.integers(0, 1 << 42)
rooms = st.lists(st.builds(Room, sizes, sizes, st.sampled_from([None, "/a"])), min_size=1, max_size=4)
wants = st.builds(Wanted, st.integers(1, 1 << 41), st.integers(1, 1 << 41))
holdings = st.lists(st.integers(0, 1 << 42), max_size=6)


def machine(available: int, total: int = 24 * GIB) -> list[Room]:
    return [Room(total, available)]


# Cap


def test_the_cap_holds_once_every_slot_is_taken() -> None:
    assert [admission.cap(workers, 2).holding for workers in (0, 1, 2, 3)] == [False, False, True, True]
    assert admission.cap(2, 2).detail == "2 of 2 slots in use"


# Memory


def test_memory_holds_until_agent_and_reserve_fit() -> None:
    need = 1024 * MIB
    assert admission.memory(machine(need - 1), (), WANTED, holding=False).holding
    assert not admission.memory(machine(need), (), WANTED, holding=False).holding


def test_memory_says_its_numbers() -> None:
    gate = admission.memory(machine(380 * MIB), [0], WANTED, holding=False)
    assert (gate.name, gate.holding) == ("memory", True)
    assert gate.detail == (
        "380 MiB available, less 512 MiB that 1 young worker may still take; "
        "1,024 MiB wanted (512 MiB for the agent, 512 MiB reserve)"
    )
    again = admission.memory([*machine(GIB), Room(2 * GIB, 3 * MIB, "/x/y")], [511 * MIB, MIB], WANTED, holding=True)
    assert again.detail == (
        "3 MiB available in cgroup '/x/y', less 512 MiB that 2 young workers may still take; "
        "1,088 MiB wanted (512 MiB for the agent, 512 MiB reserve, 64 MiB more to resume)"
    )


def test_a_young_worker_counts_with_what_it_has_not_taken_yet() -> None:
    spare = [admission.spare(machine(GIB), [held * MIB], 512 * MIB) for held in (0, 200, 512, 900)]
    assert spare == [512 * MIB, 712 * MIB, GIB, GIB]


def test_memory_that_cannot_be_read_holds_nobody() -> None:
    gate = admission.memory((), [0, 0], Wanted(1 << 60, 1 << 60), holding=True)
    assert (gate.holding, gate.detail) == (False, "available memory cannot be read here")


def test_a_held_start_goes_on_only_a_little_above_where_it_was_held() -> None:
    need = 1024 * MIB
    for available, holding in ((need, True), (need + 64 * MIB - 1, True), (need + 64 * MIB, False)):
        assert admission.memory(machine(available), (), WANTED, holding=True).holding is holding
    tight = machine(1075 * MIB, total=1100 * MIB)
    assert not admission.memory(tight, (), WANTED, holding=True).holding
    # On a small machine a tenth is less, so that the mark stays within what there is.
    small = Wanted(50, 50)
    assert [admission.memory(machine(free), (), small, holding=True).holding for free in (109, 110)] == [True, False]


@given(rooms, holdings, wants, st.booleans())
def test_memory_never_lets_a_start_eat_into_the_reserve(
    rooms: list[Room], young: list[int], wanted: Wanted, holding: bool
) -> None:
    gate = admission.memory(rooms, young, wanted, holding=holding)
    promised = sum(max(0, wanted.per_agent - held) for held in young)
    for room in rooms:
        assert gate.holding or room.available - promised - wanted.per_agent >= wanted.reserve


@given(rooms, holdings, wants)
def test_memory_lets_go_when_there_is_enough(rooms: list[Room], young: list[int], wanted: Wanted) -> None:
    enough = wanted.per_agent * (len(young) + 1) + wanted.reserve + admission.MORE_MEMORY
    plenty = [room._replace(available=room.available + enough) for room in rooms]
    assert not admission.memory(plenty, young, wanted, holding=True).holding


@given(rooms, holdings, wants, st.booleans(), st.integers(0, 1 << 42))
def test_more_memory_never_closes_the_gate_and_one_that_holds_is_the_stricter(
    rooms: list[Room], young: list[int], wanted: Wanted, holding: bool, more: int
) -> None:
    before = admission.memory(rooms, young, wanted, holding=holding).holding
    richer = [room._replace(available=room.available + more) for room in rooms]
    assert before or not admission.memory(richer, young, wanted, holding=holding).holding
    fewer = admission.memory(rooms, young[1:], wanted, holding=holding).holding
    assert before or not fewer
    assert admission.memory(rooms, young, wanted, holding=True).holding or not before


@given(st.integers(0, 1 << 40), wants)
def test_starts_one_after_the_other_never_promise_more_than_there_is(available: int, wanted: Wanted) -> None:
    young: list[int] = []
    while not admission.memory(machine(available), young, wanted, holding=False).holding and len(young) < 50:
        young.append(0)
    assert not young or len(young) * wanted.per_agent <= available - wanted.reserve


# What the limits ask for


def test_defaults_fit_themselves_to_a_small_machine() -> None:
    both = {"per_agent", "reserve"}
    sums = {total: sum(admission.fitted(WANTED, both, total * MIB)) // MIB for total in (128, 512, 1024, 2048, 4096)}
    assert sums == {128: 64, 512: 256, 1024: 512, 2048: 1024, 4096: 1024}
    assert admission.fitted(WANTED, both, None) == WANTED


def test_a_limit_that_was_set_stays_and_the_other_fits_beside_it() -> None:
    wanted = Wanted(512 * MIB, 900 * MIB)
    assert admission.fitted(wanted, {"per_agent"}, 1000 * MIB) == Wanted(50 * MIB, 900 * MIB)
    assert admission.fitted(wanted, (), 1000 * MIB) == wanted


@pytest.mark.parametrize(
    ("default", "total", "impossible"),
    [
        ((), 1024, False),
        ((), 1023, True),
        (("reserve",), 513, False),
        (("reserve",), 512, True),
        (("per_agent",), 512, True),
        (("reserve", "per_agent"), 0, False),
    ],
)
def test_only_what_was_set_can_be_impossible(default: tuple[str, ...], total: int, impossible: bool) -> None:
    assert admission.impossible(WANTED, default, total * MIB if total != 513 else 512 * MIB + 1) is impossible


def test_nothing_is_impossible_where_the_memory_is_not_known() -> None:
    assert not admission.impossible(WANTED, (), None)
    assert admission.total(()) is None
    assert admission.total([Room(5, 1), Room(3, 2, "/a")]) == 3


@given(wants, st.sets(st.sampled_from(["per_agent", "reserve"])), sizes)
def test_whatever_is_not_impossible_lets_an_empty_machine_start_one(
    wanted: Wanted, default: set[str], total: int
) -> None:
    if not admission.impossible(wanted, default, total):
        fitted = admission.fitted(wanted, default, total)
        assert not admission.memory(machine(total, total), (), fitted, holding=False).holding
        assert all(
            new == old for name, new, old in zip(wanted._fields, fitted, wanted, strict=True) if name not in default
        )


# Load


def test_load_is_off_by_default_and_shows_its_number() -> None:
    gate = admission.load(99.0, None, holding=False)
    assert (gate.holding, gate.detail) == (False, "load average 99.00; no limit is set")


def test_load_holds_above_its_limit_until_it_is_a_tenth_below() -> None:
    held = [admission.load(average, 2.0, holding=False).holding for average in (1.0, 2.0, 2.01)]
    assert held == [False, False, True]
    held = [admission.load(average, 2.0, holding=True).holding for average in (2.0, 1.81, 1.8, 0.0)]
    assert held == [True, True, False, False]
    assert admission.load(2.5, 2.0, holding=False).detail == "load average 2.50; the limit is 2.00"
    assert "resume at 1.80" in admission.load(2.5, 2.0, holding=True).detail


def test_load_that_cannot_be_read_holds_nobody() -> None:
    for holding in (False, True):
        gate = admission.load(None, 0.01, holding=holding)
        assert not gate.holding
        assert "cannot be read" in gate.detail


# Stagger


def test_stagger_holds_until_its_time_is_over_and_says_when() -> None:
    gate = admission.stagger(400, 1500, now=NOW)
    assert gate == admission.Gate(
        "stagger", True, "starts are 1.5 s apart; the next is at 2026-03-29T12:00:01.100Z", NOW + 1100
    )
    assert [admission.stagger(since, 1500, now=NOW).holding for since in (0, 1499, 1500, 9999)] == [
        *(True, True),
        *(False, False),
    ]
    assert [admission.stagger_left(since, 1500) for since in (0, 1499, 1500)] == [1500, 1, 0]


def test_stagger_without_a_start_before_or_without_a_limit_holds_nobody() -> None:
    assert not admission.stagger(None, 1500, now=NOW).holding
    assert not admission.stagger(0, 0, now=NOW).holding
    assert "no minimum time" in admission.stagger(0, 0, now=NOW).detail


@given(st.integers(-(1 << 50), 1 << 50), st.integers(0, LONGEST))
def test_stagger_never_holds_for_longer_than_it_is(since: int, least: int) -> None:
    """Also by a clock that has stepped back."""
    left = admission.stagger_left(since, least)
    assert 0 <= left <= least
    assert admission.stagger(since, least, now=NOW).holding is (left > 0)
    assert left == 0 or not admission.stagger(since + left, least, now=NOW).holding
