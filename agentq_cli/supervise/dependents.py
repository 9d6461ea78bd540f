"""Releasing or stopping the tasks of other sessions that wait for something that has ended."""

from __future__ import annotations

from collections.abc import Iterator

from agentq_cli.model.actions import Actor
from agentq_cli.model.addresses import RunId
from agentq_cli.supervise.duty import Duty, Happening

STEP = "dependents"


class Dependents:
    """What one supervisor does about them. `undecided`: in some session that could not be done yet."""

    def __init__(self, duty: Duty) -> None:
        self.undecided = False
        self._duty = duty

    def step(self, *, any_left: bool) -> Iterator[Happening]:
        """Go through the sessions with such tasks, if there may be `any_left`, until there are no new ones."""
        self.undecided = False
        tried: set[str] = set()
        while any_left and (waiting := [name for name in self._duty.queue.unsettled_sessions() if name not in tried]):
            tried.update(waiting)
            for session in waiting:
                yield from self._settle(session)

    def _settle(self, session: str) -> Iterator[Happening]:
        duty = self._duty
        if duty.guard.may_run(session, STEP):
            with duty.guard.guarding(session, STEP):
                for task in duty.queue.settle_dependents_in(session, actor=Actor.SUPERVISOR):
                    yield duty.tell("depend", RunId(*task.address, 0), after=task.status, reason=task.reason)
                    yield from duty.tell_stopped(task)
                return
        # Trouble that a person has to fix must not keep a drain from ending.
        decided = duty.outside(session) or session in duty.guard.lasting(STEP)
        self.undecided = self.undecided or not decided
