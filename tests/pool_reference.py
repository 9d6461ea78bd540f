"""A second, plain account of a session's pool of conversations, and every state that some tasks of it can come to.

It shares no code with `policy`: which lines are open, which one a task is given, and what ends for that, are said here
in sets, and the states are found one from the other by everything that can happen to a session.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import NamedTuple


class Known(NamedTuple):
    """A conversation of an agent; a session's are in the order of their last use, the newest last."""

    agent: str
    key: str
    stale: bool = False


class Spec(NamedTuple):
    """A task as submitted: the key that was given, the number of the task before it; `line` is whether it is in one."""

    agent: str = "x"
    given: str | None = None
    after: int | None = None
    line: bool = True


class Now(NamedTuple):
    """A task as it is: blocked, queued, waiting for its retry (and not due), paused, running, or ended."""

    status: str
    key: str | None
    tries: int = 0


class State(NamedTuple):
    """A session; `left` is how often a person and the clock may still interfere."""

    n: int
    tasks: tuple[Now, ...]
    known: tuple[Known, ...] = ()
    left: int = 1


class Choice(NamedTuple):
    """The line of a run, and the keys of its agent whose conversations end for it."""

    key: str
    ended: frozenset[str]


class Asked(NamedTuple):
    """What a choice is made from: `taken` are the lines (agent and key) in which something runs or waits for its retry,
    `wanted` the keys that waiting tasks of the agent have, `held` those in which one waits for its retry."""

    agent: str
    key: str | None
    known: tuple[Known, ...]
    taken: frozenset[tuple[str, str]]
    n: int
    wanted: frozenset[str] = frozenset()
    held: frozenset[str] = frozenset()

    @property
    def busy(self) -> frozenset[str]:
        """The keys in which the agent itself is."""
        return frozenset(key for agent, key in self.taken if agent == self.agent)

    @property
    def closed(self) -> frozenset[str]:
        """The keys that the task cannot be in: in a pool those of all agents, as a line is a tree."""
        return frozenset(key for _, key in self.taken) if self.n > 1 else self.busy


def has_room(asked: Asked) -> bool:
    """Whether a task may be in its line, or in some line."""
    return len(asked.busy) < asked.n and asked.key not in asked.closed


def chosen(asked: Asked) -> Choice:
    """The line of a task that may start."""
    own = [each for each in asked.known if each.agent == asked.agent]
    in_use = asked.busy | asked.held
    ended = {each.key for each in own if each.stale and each.key not in in_use}
    fresh = [each.key for each in own if each.key not in ended]
    key = asked.key
    if key is None:
        idle = [each for each in fresh if each not in asked.closed]
        free = (str(number) for number in count(1))
        not_free = {*fresh, *asked.closed}
        key = idle[-1] if idle else next(number for number in free if number not in not_free)
    kept = {*fresh, *asked.busy, key}
    idle = [each for each in fresh if each not in in_use and each != key]
    for each in sorted(idle, key=lambda name: (name in asked.wanted, fresh.index(name))):
        if len(kept) > asked.n:
            kept.discard(each)
            ended.add(each)
    return Choice(key, frozenset(ended))


class Session:
    """What can happen to the tasks of one session. `unlimited`: it is `default`, without a width of its own."""

    def __init__(self, specs: tuple[Spec, ...], *, unlimited: bool = False) -> None:
        self.specs = specs
        self.unlimited = unlimited

    def begin(self, n: int) -> State:
        """All tasks submitted."""
        return self._released(State(n, tuple(Now("blocked", spec.given if spec.line else None) for spec in self.specs)))

    def width(self, n: int) -> int | None:
        return None if self.unlimited and n == 1 else n

    def taken(self, state: State, *, retry: bool) -> frozenset[tuple[str, str]]:
        """The lines in which something runs or, for what is no retry, waits for its retry."""
        holds = not retry and self.width(state.n) is not None
        return frozenset(
            (spec.agent, task.key)
            for spec, task in zip(self.specs, state.tasks, strict=True)
            if task.key is not None
            and (task.status == "running" or (holds and task.tries and task.status in ("queued", "waiting")))
        )

    def asked(self, state: State, number: int) -> Asked:
        spec, task = self.specs[number], state.tasks[number]
        wanted = frozenset(
            other.key
            for which, other in enumerate(state.tasks)
            if which != number and other.key and other.status != "ended" and self.specs[which].agent == spec.agent
        )
        taken = self.taken(state, retry=task.tries > 0)
        held = self.taken(state, retry=False) - self.taken(state, retry=True)
        keys = frozenset(key for agent, key in held if agent == spec.agent)
        return Asked(spec.agent, task.key, state.known, taken, state.n, wanted, keys)

    def is_open(self, state: State, number: int) -> bool:
        """Whether a queued task may start."""
        task = state.tasks[number]
        running = sum(other.status == "running" for other in state.tasks)
        retrying = sum(
            other.tries > 0 and other.status in ("queued", "waiting") for other in state.tasks if not task.tries
        )
        width = self.width(state.n)
        if width is not None and running + retrying >= width:
            return False
        return not self.specs[number].line or has_room(self.asked(state, number))

    def choose(self, asked: Asked) -> Choice:
        """The line of a task that may start."""
        return chosen(asked)

    def next(self, state: State) -> int | None:
        """The task that starts next."""
        queued = (number for number, task in enumerate(state.tasks) if task.status == "queued")
        return next((number for number in queued if self.is_open(state, number)), None)

    def started(self, state: State, number: int) -> State:
        task, known, key = state.tasks[number], state.known, None
        if self.specs[number].line:
            asked = self.asked(state, number)
            key, ended = self.choose(asked)
            known = tuple(each for each in known if each.agent != asked.agent or each.key not in ended)
        return self._with(state, number, Now("running", key, task.tries + 1))._replace(known=known)

    def followers(self, state: State) -> Iterator[tuple[str, State]]:
        """Everything that can happen next, each with a word for it."""
        if (number := self.next(state)) is not None:
            yield f"start {number}", self.started(state, number)
        for number, task in enumerate(state.tasks):
            if task.status == "running":
                kept = self._kept(state, number)
                yield f"finish {number}", self._released(self._with(kept, number, task._replace(status="ended")))
                if task.tries < 2:
                    yield f"fail {number}", self._with(kept, number, task._replace(status="waiting"))
            elif task.status == "waiting":
                yield f"due {number}", self._with(state, number, task._replace(status="queued"))
            elif task.status == "paused":
                yield f"resume {number}", self._with(state, number, task._replace(status="queued"))
        if not state.left:
            return
        fewer = state._replace(left=state.left - 1)
        for number, task in enumerate(state.tasks):
            if task.status in ("queued", "waiting"):
                yield f"pause {number}", self._with(fewer, number, task._replace(status="paused"))
            elif task.status == "running":
                key = self._entry_key(state, number) if task.tries == 1 else task.key
                yield f"undo {number}", self._with(fewer, number, Now("queued", key, task.tries - 1))
        yield "age", fewer._replace(known=tuple(each._replace(stale=True) for each in state.known))
        yield "reset", fewer._replace(known=())
        for n in {1, 2, 3} - {state.n}:
            yield f"parallel {n}", fewer._replace(n=n)

    def _with(self, state: State, number: int, task: Now) -> State:
        tasks = list(state.tasks)
        tasks[number] = task
        return state._replace(tasks=tuple(tasks))

    def _kept(self, state: State, number: int) -> State:
        """The conversation of a run that ends is its agent's in that line, and was used last."""
        key = state.tasks[number].key
        if key is None:
            return state
        own = Known(self.specs[number].agent, key)
        return state._replace(known=(*(each for each in state.known if each[:2] != own[:2]), own))

    def _entry_key(self, state: State, number: int) -> str | None:
        spec = self.specs[number]
        before = state.tasks[spec.after].key if spec.after is not None else None
        return (spec.given or before) if spec.line else None

    def _released(self, state: State) -> State:
        for number, task in enumerate(state.tasks):
            after = self.specs[number].after
            if task.status == "blocked" and (after is None or state.tasks[after].status == "ended"):
                state = self._with(state, number, Now("queued", self._entry_key(state, number)))
        return state


def troubles(session: Session, before: State, what: str, state: State) -> Iterator[str]:
    """What must never be, after a step."""
    lines = [
        (spec.agent, task.key)
        for spec, task in zip(session.specs, state.tasks, strict=True)
        if task.status == "running" and spec.line
    ]
    if len(set(lines)) < len(lines):
        yield "two runs are in one conversation"
    if any(key is None for _, key in lines):
        yield "a run is in no line"
    word, _, number = what.partition(" ")
    if word != "start":
        return
    spec, task = session.specs[int(number)], state.tasks[int(number)]
    beside = [
        other.key
        for which, other in enumerate(state.tasks)
        if other.status == "running" and session.specs[which].line and which != int(number)
    ]
    if spec.line and state.n > 1 and task.key in beside:
        yield "two agents of a pool are in one line"
    if spec.line and before.tasks[int(number)].key not in (None, task.key):
        yield "a task has left its line"
    if len([key for agent, key in lines if agent == spec.agent]) > state.n:
        yield "more lines than N are in use"
    asked = session.asked(before, int(number))
    gone = set(before.known) - set(state.known)
    if any(each.agent != spec.agent or (each.key in asked.busy and not each.stale) for each in gone):
        yield "a conversation was ended that is another's, or in use"
    if {each.key for each in gone} & asked.held - {task.key}:
        yield "a conversation was ended in which a task waits for its retry"
    own = {each.key for each in state.known if each.agent == spec.agent} | asked.busy | {task.key}
    if spec.line and len(own) > state.n and len(asked.busy | asked.held | {task.key}) <= state.n:
        yield "more conversations than N are kept, though one was idle"


def stuck(session: Session, state: State) -> bool:
    """Whether nothing runs and nothing will be due, and yet something waits that nobody has paused."""
    quiet = all(task.status not in ("running", "waiting") for task in state.tasks)
    return quiet and any(task.status == "queued" for task in state.tasks) and session.next(state) is None


def explore(session: Session, n: int) -> int:
    """Go through every state that the tasks can come to; their number. Raises AssertionError with the way to a bad
    one."""
    first = session.begin(n)
    ways: dict[State, tuple[State | None, str]] = {first: (None, "begin")}
    unseen = [first]
    while unseen:
        state = unseen.pop()
        found = ["it is stuck"] if stuck(session, state) else []
        for what, after in session.followers(state):
            found += troubles(session, state, what, after)
            if found or after not in ways:
                ways.setdefault(after, (state, what))
                unseen.append(after)
            assert not found, f"{found} after {_way(ways, state)} {what}: {after}"
    return len(ways)


def _way(ways: dict[State, tuple[State | None, str]], state: State | None) -> str:
    words = []
    while state is not None:
        state, what = ways[state]
        words.append(what)
    return ", ".join(reversed(words))
