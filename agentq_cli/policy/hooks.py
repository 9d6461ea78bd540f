"""Which hooks an event calls. Pure.

`task.finished`: a task has ended, in whatever way. `task.failed`: it ended as `failed`. `series.paused`: a series has
paused itself. `agent.held`: the tasks of an agent are held by a usage limit, its login or its account.
`session.drained`: the last task of a session that was due has ended, and nothing is due there now. What a person pauses
calls none.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from agentq_cli.model import ENDED, Status

DRAINED = "session.drained"

OLDEST_MS = 24 * 3_600_000
"""What happened longer ago than this calls no hook any more: nobody wants yesterday's news of a queue left alone."""


@dataclass(frozen=True, slots=True)
class Told:
    """An event that may call hooks. `status` is what it made of its task, `named` the hook that it names itself, `due`
    whether the task was running, or might have been."""

    event: int
    at: int
    session: str | None
    seq: int | None
    attempt: int | None
    status: str | None
    agent: str | None
    reason: str | None
    named: str | None
    due: bool


def called(told: Iterable[Told], names: Collection[str], *, drained: Collection[str]) -> Iterator[tuple[str, Told]]:
    """Each hook of `names` that the events call, in their order; of the sessions that `drained`, once a session."""
    known = list(told)
    last = {each.session: each.event for each in known if each.due and _ended(each)}
    for each in known:
        hooks = [] if each.named is None else [each.named]
        if _ended(each):
            hooks.append("task.finished")
            if each.status == Status.FAILED:
                hooks.append("task.failed")
            if each.session in drained and last.get(each.session) == each.event:
                hooks.append(DRAINED)
        yield from ((hook, each) for hook in hooks if hook in names)


def emptied(told: Iterable[Told]) -> set[str]:
    """The sessions of which something that was due has ended: each may have drained."""
    return {each.session for each in told if each.due and _ended(each) and each.session is not None}


def _ended(told: Told) -> bool:
    return told.status in ENDED
