"""Which hooks an event triggers, and what is known about a call. Pure.

* `task.finished`: a task has ended, in any way.
* `task.failed`: a task ended as `failed`.
* `series.paused`: a series has paused itself.
* `agent.held`: the tasks of an agent are held because of a usage limit, its login or its account.
* `task.landed`: the work of a task has landed on its branch.
* `task.conflict`: it cannot, because both have changed the same lines.
* `session.drained`: the last due task of a session has ended, and nothing else is due there.

A pause by a person triggers no hook.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from agentq_cli.base.dataclass import dataclass
from agentq_cli.model.addresses import Address, RunId
from agentq_cli.model.statuses import ENDED, Status
from agentq_cli.model.trees import Came

DRAINED = "session.drained"

OF_LANDING: Mapping[str, tuple[str, str]] = {
    Came.LANDED: ("land", "task.landed"),
    Came.CONFLICT: ("conflict", "task.conflict"),
}
"""The event and the hook of a landing that ended so."""

OLDEST_MS = 24 * 3_600_000
"""An event older than this triggers no hook: nobody wants yesterday's news of a queue that was left alone."""


@dataclass(frozen=True, slots=True)
class HookEvent:
    """An event that may trigger hooks. `status` is what it made of its task, `named` is the hook that it names itself,
    and `due` says whether the task was running or could have been."""

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
    """One hook to run: which hook, and the event that triggered it. `status` is what the event made of the task."""

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
        """The task that the call is about. For a drained session it is the task that ended last; for an agent it is
        None."""
        return None if self.session is None or self.seq is None else Address(self.session, self.seq)

    @property
    def run(self) -> RunId | None:
        """The run that the call is about, or None."""
        address = self.address
        return None if address is None or self.attempt is None else RunId(*address, self.attempt)


@dataclass(frozen=True, slots=True)
class Ran:
    """How the run of a hook ended: `failure` describes what went wrong, None if nothing did."""

    call: Call
    failure: str | None


@dataclass(frozen=True, slots=True)
class Failure:
    """A hook whose last run failed, the last of `count` failures in a row."""

    hook: str
    at: int
    reason: str
    count: int


def called(
    told: Iterable[HookEvent], names: Collection[str], *, drained: Collection[str]
) -> Iterator[tuple[str, HookEvent]]:
    """Each hook of `names` that the events trigger, in the order of the events. A session in `drained` triggers its
    hook once."""
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


def emptied(told: Iterable[HookEvent]) -> set[str]:
    """The sessions in which a due task has ended: each of them may have drained."""
    return {each.session for each in told if each.due and _ended(each) and each.session is not None}


def _ended(told: HookEvent) -> bool:
    return told.status in ENDED
