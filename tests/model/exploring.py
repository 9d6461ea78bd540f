"""Explores a state machine: every state that any order of steps leads to."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import Generic, NamedTuple, TypeVar

State = TypeVar("State", bound=Hashable)


class Explored(NamedTuple, Generic[State]):
    """What was found. `wrong` says what is, and `trace` the steps that lead there; both are empty if all is well."""

    states: int
    wrong: str
    trace: tuple[str, ...]


def explore(
    first: State,
    steps: Callable[[State], Iterable[tuple[str, State]]],
    faults: Callable[[State], Iterable[tuple[str, State]]],
    *,
    wrong: Callable[[State], str],
    done: Callable[[State], bool],
) -> Explored[State]:
    """Look at every state that can be reached from the first, breadth first, so that a trace is a shortest one.

    A state is wrong if `wrong` says so, or if no `steps` lead from it to one that is `done`: a fault may happen, but
    nothing may wait for one.
    """
    numbers: dict[State, int] = {first: 0}
    states = [first]
    came: list[tuple[int, str]] = [(-1, "")]
    before: list[list[int]] = [[]]
    good = []
    for number, state in enumerate(states):
        if found := wrong(state):
            return Explored(len(states), found, _trace(came, number))
        if done(state):
            good.append(number)
        for of_process, following in ((True, steps(state)), (False, faults(state))):
            for label, after in following:
                known = numbers.setdefault(after, len(states))
                if known == len(states):
                    states.append(after)
                    came.append((number, label))
                    before.append([])
                if of_process:
                    before[known].append(number)
    reaching = set(good)
    while good:
        for number in before[good.pop()]:
            if number not in reaching:
                reaching.add(number)
                good.append(number)
    stuck = next((number for number in range(len(states)) if number not in reaching), None)
    if stuck is not None:
        return Explored(len(states), "nothing leads to the end", _trace(came, stuck))
    return Explored(len(states), "", ())


def _trace(came: list[tuple[int, str]], number: int) -> tuple[str, ...]:
    labels = []
    while number > 0:
        number, label = came[number]
        labels.append(label)
    return tuple(reversed(labels))
