"""The turns of a supervisor: all ended runs of a session, and what it claims next there, are one commit.

What is claimed, and in which order, is as if each were a commit of its own: the tasks are picked from what the turn has
made of the whole queue, once everything that has ended by now is finished, and the turn is over when the next task is
another session's. How a run ended is found out before; the processes of the claims are started after the commit.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterator, Sequence

from agentq_cli.base.clock import monotonic_ms
from agentq_cli.model.actions import Actor
from agentq_cli.model.statuses import Status
from agentq_cli.supervise.duty import Duty, Happening
from agentq_cli.supervise.guard import Tried
from agentq_cli.supervise.starting import START, Starter
from agentq_cli.supervise.watched_runs import WatchedRuns, settling

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.engines.nouns import Claim
    from agentq_cli.engines.subdoors import Turn
    from agentq_cli.model.addresses import RunId
    from agentq_cli.model.tasks import Task
    from agentq_cli.policy import order

    MayClaim = Callable[[Turn], bool]

TURN = "turn"


class Turns:
    """`may_claim` tells whether a turn that has ended runs may claim as well: nothing is to be done before that.
    `unhindered`: so it was in the last such turn; `exhausted`: the last turn found that nothing more may start now;
    `coming`: what it picked that is another session's."""

    def __init__(self, duty: Duty, runs: WatchedRuns, starter: Starter, may_claim: MayClaim) -> None:
        self._duty = duty
        self._runs = runs
        self._starter = starter
        self.unhindered = False
        self._may_claim = may_claim
        self.doubt()

    def begin(self) -> None:
        """Begin a round."""
        self.unhindered = False
        self.doubt()

    def doubt(self) -> None:
        """Note that something may have changed since the last turn, or is about to."""
        self.exhausted = False
        self.coming: order.Head | None = None

    def settle(self) -> Iterator[Happening]:
        """Finish the runs that have ended, and start what comes next in the session of the last one."""
        ended: dict[str, list[RunId]] = {}
        for run in (yield from self._runs.conclude()):
            ended.setdefault(run.session, []).append(run)
        while ended:
            session = next(iter(ended))
            yield from self._end(session, ended.pop(session), last=not ended)

    def start(self, head: order.Head) -> Generator[Happening, None, bool]:
        """Start a task that was picked, and what comes next in its session. False: it may no longer be taken, or its
        session is busy or faulty (see the guard)."""
        claims: list[Claim] = []
        self.doubt()
        guard, queue = self._duty.guard, self._duty.queue
        with (
            guard.guarding(head.session, TURN) as whole,
            queue.turn(head.session, actor=Actor.SUPERVISOR, background=True) as turn,
        ):
            self._claim(turn, head.session, claims, head)
        if whole.error is not None:
            guard.note(head.session, START, whole.error)
            self._forget()
            return False
        self._launch(claims)
        yield from self._tell(claims)
        return bool(claims)

    def _end(self, session: str, runs: Sequence[RunId], *, last: bool) -> Iterator[Happening]:
        done, failed, claims, awaited = self._commit(session, runs, claiming=last)
        # Reported once they are on their way: no start need wait for what is printed.
        self._launch(claims)
        for run in runs:
            if run in done:
                yield from self._runs.finished(run, done[run], awaited=run in awaited)
            else:
                yield from self._runs.unfinished(run, failed[run])
        yield from self._tell(claims)

    def _commit(
        self, session: str, runs: Sequence[RunId], *, claiming: bool
    ) -> tuple[dict[RunId, Task | None], dict[RunId, Tried], list[Claim], Collection[RunId]]:
        """The tasks of the runs that were finished, why the others were not, the claims, and those of the runs whose
        tasks others waited for."""
        guard, queue, outcomes = self._duty.guard, self._duty.queue, self._runs.outcomes(runs)
        while True:
            done: dict[RunId, Task | None] = {}
            failed: dict[RunId, Tried] = {}
            claims: list[Claim] = []
            began = monotonic_ms()
            self.doubt()
            with (
                guard.guarding(session, TURN) as whole,
                queue.turn(session, outcomes, actor=Actor.SUPERVISOR, background=True) as turn,
            ):
                for run in runs:
                    with guard.guarding(session, settling(run)) as tried, turn.step():
                        done[run] = turn.finish(run)
                    if tried.error is not None:
                        failed[run] = tried
                        if turn.lost:
                            raise tried.error
                if claiming:
                    self._starter.foresee(turn, session)
                claiming = claiming and self._may_claim(turn)
                if claiming:
                    self._claim(turn, session, claims, ended=len(done))
            if whole.error is None:
                self._runs.commit_ms = monotonic_ms() - began
                self.unhindered = claiming
                return done, failed, claims, turn.awaited
            self._forget()
            if not claiming:
                for run in runs:
                    guard.note(session, settling(run), whole.error)
                return {}, dict.fromkeys(runs, whole), [], ()
            # No end waits for what prevents a start.
            claiming = False

    def _claim(
        self, turn: Turn, session: str, claims: list[Claim], head: order.Head | None = None, *, ended: int = 0
    ) -> None:
        """Claim a head, and then what comes next, as long as that is in the session and a slot is free."""
        while head is not None or self._room(ended, claims):
            head = head or self._starter.pick(turn)
            if head is None or head.session != session:
                self.exhausted, self.coming = head is None, head
                return
            claim = self._starter.claim(turn, head)
            if claim is None:
                return
            claims.append(claim)
            if self._starter.was_last(turn, session):
                self.exhausted = True
                return
            head = None

    def _forget(self) -> None:
        """A turn was undone."""
        self._starter.forget()
        self.doubt()

    def _room(self, ended: int, claims: Sequence[Claim]) -> bool:
        """Whether another task may start, as far as this process can tell without asking the queue."""
        started, most = len(claims), self._duty.settings.max_tasks
        running = len(self._runs.by_id) - ended + started
        few = most is None or self._runs.started + started < most
        return few and running < self._duty.jobs and self._starter.open

    def _launch(self, claims: Sequence[Claim]) -> None:
        for watched in self._starter.launch(claims):
            self._runs.start(watched)

    def _tell(self, claims: Sequence[Claim]) -> Iterator[Happening]:
        for claim in claims:
            yield self._duty.tell("start", claim.run, before=Status.QUEUED, after=Status.RUNNING)
