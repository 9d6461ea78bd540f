"""Which hooks an event calls, and what is known of a call. Pure.

`task.finished`: a task has ended, in whatever way. `task.failed`: it ended as `failed`. `series.paused`: a series has
paused itself. `agent.held`: the tasks of an agent are held by a usage limit, its login or its account.
`session.drained`: the last task of a session that was due has ended, and nothing is due there now. What a person pauses
calls none.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from agentq_cli.dataclass import dataclass
from agentq_cli.model import ENDED, Address, RunId, Status

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


@dataclass(frozen=True, slots=True)
class Call:
    """One hook to be run: which, and the event that calls for it. `status` is what the event made of the task."""

    id: int
    event: int
    hook: str
    at: int
    session: str | None
    seq: int | None
    attempt: int | None
    status: str | None
    agent: str | None
    reason: str | None

    @property
    def address(self) -> Address | None:
        """The task that it is about: of a session that drained the one that ended last; None for an agent."""
        return None if self.session is None or self.seq is None else Address(self.session, self.seq)

    @property
    def run(self) -> RunId | None:
        """The run that it is about."""
        address = self.address
        return None if address is None or self.attempt is None else RunId(*address, self.attempt)


@dataclass(frozen=True, slots=True)
class Ran:
    """How the run of a hook ended: `failure` says what was wrong with it, None nothing."""

    call: Call
    failure: str | None


@dataclass(frozen=True, slots=True)
class Failure:
    """A hook whose last run failed, `count` of them in a row."""

    hook: str
    at: int
    reason: str
    count: int


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
