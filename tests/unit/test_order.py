"""Which task starts next, against a plain account of the contract's order."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentq_cli.policy import admission, order, waiting
from agentq_cli.policy.order import Head, Lane, Snapshot

NOW = 1000
SESSIONS = ("default", "a", "b")
AGENTS = ("", "demo", "other")


def head(session: str = "a", seq: int = 1, **fields: object) -> Head:
    values: dict[str, object] = {
        "agent": "demo",
        "priority": 0,
        "due_at": NOW,
        "expires_at": None,
        "retry": False,
        "shares": False,
        "last_start_at": 0,
    }
    return Head(session, seq, **(values | fields))  # type: ignore[arg-type]


def contract(session: str) -> int | None:
    return waiting.width(session, None)


def picked(*heads: Head, now: int = NOW, ageing_ms: int | None = None, **look: object) -> tuple[str, int] | None:
    found = order.pick(Snapshot(heads, **look), now=now, ageing_ms=ageing_ms, parallel=contract)  # type: ignore[arg-type]
    return None if found is None else (found.session, found.seq)


# Order


def test_nothing_to_start_is_nothing() -> None:
    assert picked() is None


def test_priority_goes_before_all_else() -> None:
    assert picked(head("a", 1), head("b", 9, priority=1, due_at=NOW - 1, last_start_at=99)) == ("b", 9)


def test_then_the_session_whose_last_start_is_longest_ago() -> None:
    assert picked(head("a", 1, due_at=1, last_start_at=5), head("b", 9, due_at=2, last_start_at=4)) == ("b", 9)


def test_then_due_time_then_seq() -> None:
    assert picked(head("a", 1, due_at=7), head("b", 9, due_at=6)) == ("b", 9)
    assert picked(head("a", 2), head("b", 1)) == ("b", 1)


@pytest.mark.parametrize(("waited", "first"), [(499, "high"), (500, "low"), (501, "low")])
def test_a_task_due_for_the_ageing_time_goes_before_every_priority(waited: int, first: str) -> None:
    low = head("low", priority=-100, due_at=NOW - waited)
    found = picked(low, head("high", priority=100), ageing_ms=500)
    assert found is not None
    assert found[0] == first


def test_among_aged_tasks_priority_no_longer_counts() -> None:
    aged = [head("a", 1, priority=-100, due_at=1), head("b", 1, priority=100, due_at=2)]
    assert picked(*aged, ageing_ms=5) == ("a", 1)


def test_no_ageing_time_means_no_ageing() -> None:
    assert picked(head("a", priority=-1, due_at=0), head("b"), ageing_ms=None) == ("b", 1)


# Filters


@pytest.mark.parametrize(("due", "starts"), [(NOW - 1, True), (NOW, True), (NOW + 1, False)])
def test_a_task_starts_at_its_due_time(due: int, starts: bool) -> None:
    assert (picked(head(due_at=due)) is not None) is starts


@pytest.mark.parametrize(("expires", "starts"), [(NOW - 1, False), (NOW, False), (NOW + 1, True), (None, True)])
def test_a_task_does_not_start_at_its_expiry(expires: int | None, starts: bool) -> None:
    assert (picked(head(expires_at=expires)) is not None) is starts


def test_a_paused_session_agent_or_queue_starts_nothing_of_its_own() -> None:
    heads = (head("a", 1, agent="demo"), head("b", 1, agent="other"))
    assert picked(*heads, paused_sessions={"a"}) == ("b", 1)
    assert picked(*heads, held_agents={"demo"}) == ("b", 1)
    assert picked(*heads, queue_paused=True) is None


@pytest.mark.parametrize(
    ("lane", "parallel", "is_open"),
    [
        (Lane(), 1, True),
        (Lane(running=1), 1, False),
        (Lane(running=1), 2, True),
        (Lane(running=2), 2, False),
        (Lane(running=99), None, True),
        (Lane(retrying={7: ("demo", "")}), 1, False),
        (Lane(retrying={7: ("demo", "")}), 2, True),
        (Lane(running=1, retrying={7: ("demo", "")}), 2, False),
        (Lane(retrying={7: ("demo", ""), 8: ("demo", "")}), 2, False),
        (Lane(retrying={7: ("demo", "")}), None, True),
        (Lane(running=1, lines={("other", "1")}), 2, True),
    ],
)
def test_a_lane_has_room_for_what_runs_and_what_is_retried_first(lane: Lane, parallel: int | None, is_open: bool):
    assert order.lane_open(head(seq=9), lane, parallel) is is_open


@pytest.mark.parametrize("parallel", [1, 5, None])
def test_a_conversation_is_used_by_one_task_at_a_time(parallel: int | None) -> None:
    lane = Lane(running=0, lines={("demo", "1")})
    assert not order.lane_open(head(shares=True, conversation_key="1"), lane, parallel)
    assert order.lane_open(head(shares=True), lane, parallel) is (parallel == 5), "in another one"
    assert order.lane_open(head(shares=False), lane, parallel)
    assert order.lane_open(head(shares=True, agent="other"), lane, parallel)
    beside = head(shares=True, agent="other", conversation_key="1")
    assert order.lane_open(beside, lane, parallel) is (parallel != 5), "a line of several is a tree of its own"


def test_retries_that_came_to_wait_together_do_not_wait_for_each_other() -> None:
    lanes = {"a": Lane(retrying={1: ("demo", ""), 2: ("demo", "")})}
    heads = (head("a", 1, retry=True, due_at=NOW + 1), head("a", 2, retry=True), head("a", 3))
    assert picked(*heads, lanes=lanes) == ("a", 2)
    assert picked(*heads, now=NOW + 1, lanes={"a": Lane(retrying={1: ("demo", "")})}) == ("a", 2)


def test_a_retry_waits_while_its_lane_is_busy() -> None:
    assert picked(head("a", 1, retry=True), lanes={"a": Lane(running=1, retrying={1: ("demo", "")})}) is None


@pytest.mark.parametrize(
    ("session", "configured", "width"), [("default", None, None), ("a", None, 1), ("a", 3, 3), ("default", 2, 2)]
)
def test_a_session_is_as_wide_as_configured_a_named_one_else_one_wide(
    session: str, configured: int | None, width: int | None
) -> None:
    assert waiting.width(session, configured) == width


@pytest.mark.parametrize(("workers", "jobs", "holding"), [(0, 1, False), (1, 1, True), (1, 2, False), (3, 2, True)])
def test_the_cap_holds_when_all_slots_are_in_use_and_says_so(workers: int, jobs: int, holding: bool) -> None:
    gate = admission.cap(workers, jobs)
    assert gate.holding is holding
    assert f"{workers} of {jobs}" in gate.detail


# All of it


heads = st.lists(
    st.builds(
        Head,
        session=st.sampled_from(SESSIONS),
        seq=st.integers(1, 4),
        agent=st.sampled_from(AGENTS),
        priority=st.sampled_from([-100, 0, 1, 100]),
        due_at=st.integers(NOW - 6, NOW + 2),
        expires_at=st.one_of(st.none(), st.integers(NOW - 1, NOW + 2)),
        retry=st.booleans(),
        shares=st.booleans(),
        last_start_at=st.integers(0, 2),
    ),
    max_size=12,
    unique_by=lambda head: (head.session, head.seq),
).map(tuple)
lanes = st.dictionaries(
    st.sampled_from(SESSIONS),
    st.builds(
        Lane,
        running=st.integers(0, 2),
        retrying=st.dictionaries(st.integers(1, 4), st.just(("demo", "")), max_size=2),
        lines=st.frozensets(st.tuples(st.sampled_from(AGENTS[1:]), st.just("1")), max_size=2),
    ),
)
looks = st.builds(
    Snapshot,
    heads=heads,
    lanes=lanes,
    paused_sessions=st.frozensets(st.sampled_from(SESSIONS), max_size=1),
    held_agents=st.frozensets(st.sampled_from(AGENTS[1:]), max_size=1),
    queue_paused=st.sampled_from([False, False, False, True]),
)


def may_start(snapshot: Snapshot, head: Head, widths: dict[str, int | None]) -> bool:
    """The contract's words once more, one condition after the other."""
    lane = snapshot.lanes.get(head.session, Lane())
    room = widths[head.session]
    taken = lane.running if head.retry else lane.running + len(lane.retrying)
    return not (
        snapshot.queue_paused
        or head.session in snapshot.paused_sessions
        or head.agent in snapshot.held_agents
        or head.due_at > NOW
        or (head.expires_at is not None and head.expires_at <= NOW)
        or (head.shares and len([line for line in lane.lines if line[0] == head.agent]) >= (room or 1))
        or (room is not None and taken >= room)
    )


@settings(deadline=None)
@given(snapshot=looks, width=st.sampled_from([1, 2, None]), ageing=st.sampled_from([None, 0, 3]))
def test_the_pick_is_the_first_of_all_that_may_start(snapshot: Snapshot, width: int | None, ageing: int | None) -> None:
    widths: dict[str, int | None] = {"default": None, "a": 1, "b": width}
    may = [head for head in snapshot.heads if may_start(snapshot, head, widths)]
    for by in ("session", "seq", "due_at", "last_start_at"):
        may.sort(key=lambda head, by=by: getattr(head, by))  # type: ignore[misc]
    aged = [head for head in may if ageing is not None and head.due_at + ageing <= NOW]
    fresh = [head for head in may if head not in aged]
    first = [*aged, *sorted(fresh, key=lambda head: -head.priority), None][0]
    assert order.pick(snapshot, now=NOW, ageing_ms=ageing, parallel=widths.__getitem__) == first


@settings(deadline=None)
@given(snapshot=looks)
def test_what_may_not_start_hides_nobody(snapshot: Snapshot) -> None:
    def pick(snapshot: Snapshot) -> Head | None:
        return order.pick(snapshot, now=NOW, ageing_ms=None, parallel=contract)

    widths = {name: contract(name) for name in SESSIONS}
    may = tuple(head for head in snapshot.heads if may_start(snapshot, head, widths))
    assert pick(snapshot) == pick(replace(snapshot, heads=may))
    assert (pick(snapshot) is None) == (not may)
