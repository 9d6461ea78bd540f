"""Lines of work: which one a task is in, against a plain account of it, and everything that a session can come to."""

from __future__ import annotations

from itertools import chain, combinations, permutations, product

import pytest
from pool_reference import Asked, Choice, Known, Session, Spec, State, chosen, explore, has_room
from sampling import some

from agentq_cli.policy import order, pool

NOW = 100
TTL = 50


def in_code(asked: Asked) -> pool.Choice | None:
    """What the code chooses: the account's order of use as times, of which those that are too long ago are stale."""
    stale = [each for each in asked.known if each.stale]
    known = [
        pool.Known(each.key, f"id of {each.key}", (0 if each in stale else TTL) + number)
        for number, each in enumerate(asked.known)
        if each.agent == asked.agent
    ]
    how = {"wanted": asked.wanted, "held": asked.held}
    return pool.choose(asked.agent, asked.key, known, asked.taken, pool.Pool(asked.n, TTL - 1), NOW - 1, **how)


def by_code(asked: Asked) -> Choice:
    found = in_code(asked)
    assert found is not None, f"what may start finds no line: {asked}"
    return Choice(found.key, frozenset(end.known.key for end in found.ends))


class InCode(Session):
    """A session in which the code decides."""

    def is_open(self, state: State, number: int) -> bool:
        inside = list(zip(self.specs, state.tasks, strict=True))
        lines = [(spec.agent, task.key or "") for spec, task in inside]
        running = [which for which, (_, task) in enumerate(inside) if task.status == "running"]
        retrying = {
            which: lines[which]
            for which, (_, task) in enumerate(inside)
            if task.tries and task.status in ("queued", "waiting")
        }
        lane = order.Lane(len(running), retrying, frozenset(lines[which] for which in running if lines[which][1]))
        spec, task = inside[number]
        head = order.Head("s", number, spec.agent, 0, 0, None, task.tries > 0, spec.line, 0, "", task.key or "")
        return order.lane_open(head, lane, self.width(state.n))

    def choose(self, asked: Asked) -> Choice:
        return by_code(asked)


def powerset(items: list[tuple[str, str]], most: int) -> chain[tuple[tuple[str, str], ...]]:
    return chain.from_iterable(combinations(items, size) for size in range(most + 1))


def every_question() -> list[Asked]:
    """Everything that can be asked of a choice in a small world."""
    orders = [order for size in range(4) for order in permutations(("1", "2", "a"), size)]
    known = [
        tuple(Known("x", key, stale=place < stale) for place, key in enumerate(order))
        for order in orders
        for stale in range(len(order) + 1)
    ]
    lines = [(agent, key) for agent in "xy" for key in ("1", "2", "a")]
    return [
        Asked("x", key, each, frozenset(taken), n, wanted, held)
        for key, each, taken, n, wanted, held in product(
            (None, "1", "a", "b"),
            known,
            powerset(lines, 2),
            (1, 2, 3),
            (frozenset(), frozenset("1")),
            (frozenset(), frozenset("2")),
        )
    ]


def test_a_choice_is_the_one_that_a_plain_account_makes() -> None:
    for asked in some(every_question(), 3000, "questions"):
        room = has_room(asked)
        assert pool.has_room(asked.agent, asked.key or "", asked.taken, asked.n) is room, asked
        if not room:
            assert in_code(asked) is None, asked
        elif len(asked.closed) < asked.n:  # what the width of a session sees to
            assert by_code(asked) == chosen(asked), asked


KINDS = (Spec(), Spec(given="a"), Spec(given="b"), Spec("y"), Spec("y", "a"), Spec("", None), Spec(line=False))
BEHIND = tuple(spec._replace(after=0) for spec in (Spec(), Spec("y"), Spec(given="b")))
TASKS = [
    *product(KINDS, repeat=3),
    *((first, second, third) for first in KINDS for second in BEHIND for third in (*KINDS, *BEHIND)),
]


PARALLEL = (None, 1, 2, 3)
"""How wide the session is configured; None: it is `default`, and nothing is."""


def test_in_every_state_of_a_pool_no_line_is_used_twice_and_something_starts() -> None:
    for specs, parallel in some(list(product(TASKS, PARALLEL)), 4, "pools"):
        explore(InCode(specs, unlimited=parallel is None), parallel or 1)


@pytest.mark.slow
def test_the_same_with_four_tasks() -> None:
    for specs, parallel in some(list(product(product(KINDS, repeat=4), PARALLEL)), 4, "wide pools"):
        explore(InCode(specs, unlimited=parallel is None), parallel or 1)


def open_before_there_were_pools(
    head: order.Head, running: int, retrying: int, talking: set[str], parallel: int | None
) -> bool:
    """The rule of a session with one conversation an agent, as it was: `talking` are the agents whose own is in use."""
    if head.shares and head.agent in talking:
        return False
    if parallel is None:
        return True
    first = 0 if head.retry else retrying
    return running + first < parallel


def test_with_one_line_all_is_as_before_there_were_several() -> None:
    """Also in a wide session, for what is in no line."""
    for talking, retrying, parallel, retry, shares, agent, alone in product(
        powerset([("x", "1"), ("y", "1")], 2), range(3), (None, 1, 3), (True, False), (True, False), "xy", range(2)
    ):
        if parallel == 3 and shares:
            continue
        head = order.Head("s", 9, agent, 0, 0, None, retry, shares, 0, "", "1" if retry and shares else "")
        lane = order.Lane(len(talking) + alone, dict.fromkeys(range(retrying), (agent, "1")), frozenset(talking))
        before = open_before_there_were_pools(head, lane.running, retrying, {of for of, _ in talking}, parallel)
        assert order.lane_open(head, lane, parallel) is before, (head, lane, parallel)


def test_with_one_line_nobody_gets_another() -> None:
    for known, now in product(((), (pool.Known("1", "id", 0),)), (0, TTL, TTL + 1)):
        found = pool.choose("x", None, known, {("y", "1")}, pool.Pool(None, TTL), now)
        assert found is not None
        stale = now > TTL
        assert found == pool.Choice("1", known[0] if known and not stale else None, found.ends)
        assert [end.known for end in found.ends] == (list(known) if stale else [])
