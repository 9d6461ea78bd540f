"""Which conversation of its session a task continues: the pool of a session's lines of work. Pure.

A line of work has a key. It keeps one conversation with each agent, and one tree. A session keeps up to N of them. A
task that names no line continues the idle conversation used last, or begins one while there are fewer than N.
"""

from __future__ import annotations

from itertools import chain, count

from agentq_cli.base.dataclass import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from typing import TypeAlias

    Line: TypeAlias = tuple[str, str]
    """An agent ('' for commands, which work in the line's tree) and the key of a line of work."""

STALE = "idle for longer than conversation_ttl"
REPLACED = "it was used longest ago, and line '{key}' takes its place"
"""Why a conversation ends."""


class Pool(NamedTuple):
    """The width of a session (`waiting.width`), and after how many milliseconds an idle conversation of it is no longer
    continued (None: never)."""

    parallel: int | None = 1
    ttl_ms: int | None = None

    @property
    def size(self) -> int:
        """How many conversations the session keeps with each agent."""
        return size(self.parallel)


ONE = Pool()
"""What a session keeps for which nothing is configured."""


class Known(NamedTuple):
    """A conversation of an agent that can be continued here: the key of its line, its id, and when it was last used."""

    key: str
    id: str
    used_at: int


class End(NamedTuple):
    """A conversation that ends, and why."""

    known: Known
    why: str


class Choice(NamedTuple):
    """The line that a task is in, and the conversations that end as it starts. `known` is the conversation of that line
    that its agent can continue; None if there is none."""

    key: str
    known: Known | None = None
    ends: tuple[End, ...] = ()


def size(parallel: int | None) -> int:
    """How many conversations a session keeps with each agent, by its width. In `default`, whose tasks are independent,
    that is one unless its width is configured."""
    return parallel or 1


def has_room(agent: str, key: str, taken: Collection[Line], most: int) -> bool:
    """Whether a task of an agent may be in its line ('': in some line), while those `taken` are in use.

    No two runs of one agent are ever in one line, nor its runs in more than `most` of them. If there are several lines,
    no two runs of any agents are in one, because a line is a tree as well.
    """
    own = {line for of, line in taken if of == agent}
    return len(own) < most and key not in _busy(own, taken, most)


def _busy(own: Collection[str], taken: Collection[Line], most: int) -> Collection[str]:
    return own if most == 1 else {line for _, line in taken}


def choose(
    agent: str,
    key: str | None,
    known: Sequence[Known],
    taken: Collection[Line],
    pool: Pool,
    now: int,
    *,
    goes_on: str | None = None,
    held: Collection[str] = (),
    elsewhere: Collection[str] = (),
    wanted: Collection[str] = (),
) -> Choice | None:
    """The line of a task that starts now; None if none is free for it.

    `key` is the line that it is bound to, None if any will do; `known` are the conversations of its agent. `goes_on` is
    the one that the task itself began: it is not idle, however long the agent was held. Nor are those of the lines that
    are `held`, in which a task of the agent waits for its retry, even if this one does not wait for that. `elsewhere`
    are the lines of which another host has the conversation: a new line is none of these as long as another number is
    free. The lines that tasks of the agent wait for are `wanted`: they make room last.
    """
    if not has_room(agent, key or "", taken, pool.size):
        return None
    own = {line for of, line in taken if of == agent}
    busy, in_use = _busy(own, taken, pool.size), {*own, *held}
    stale = [each for each in known if each.key not in in_use and each.id != goes_on and _is_stale(each, pool, now)]
    ends = [End(each, STALE) for each in stale]
    left = sorted(
        (each for each in known if each not in stale), key=lambda each: (each.id != goes_on, -each.used_at, each.key)
    )
    if key is None:
        lines = {*busy, *(each.key for each in left)}
        numbers = (str(number) for number in count(1) if str(number) not in lines)
        fresh = (str(number) for number in range(1, pool.size + 1) if str(number) not in {*lines, *elsewhere})
        idle = (each.key for each in left if each.key not in busy)
        key = next(chain(idle, fresh, numbers))
    surplus = len({*own, key, *(each.key for each in left)}) - pool.size
    spare = [each for each in reversed(left) if each.key not in in_use and each.key != key]
    spare.sort(key=lambda each: each.key in wanted)
    ends += [End(each, REPLACED.format(key=key)) for each in spare[: max(0, surplus)]]
    return Choice(key, next((each for each in left if each.key == key), None), tuple(ends))


def _is_stale(known: Known, pool: Pool, now: int) -> bool:
    return pool.ttl_ms is not None and now - known.used_at > pool.ttl_ms
