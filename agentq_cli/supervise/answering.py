"""When a supervisor answers what agents request: while they run, and once more when they have ended."""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterator

from agentq_cli.model.addresses import RunId
from agentq_cli.supervise import requests
from agentq_cli.supervise.duty import Duty, Happening

STEP = "requests"


class Answering:
    """The answers of one supervisor. `due` are the sessions that may have requests although nothing runs in them."""

    def __init__(self, duty: Duty) -> None:
        self.due: set[str] = set()
        self._duty = duty
        self._unanswered: set[str] = set()

    def expect(self, session: str) -> None:
        """A run of a session has ended: its last requests are still to be read."""
        self.due.add(session)

    def asked(self, running: Collection[str]) -> bool:
        """Whether what runs in these sessions has requested something that may be answered now."""
        queue, guard = self._duty.queue, self._duty.guard
        return any(queue.voice.may_ask(session) and guard.may_run(session, STEP) for session in running)

    def quiet(self, running: Collection[str]) -> bool:
        """Whether `step` would find nothing to answer, now or later."""
        return not any(self._duty.queue.voice.may_ask(session) for session in {*running, *self.due, *self._unanswered})

    def step(self, running: Collection[str]) -> Iterator[Happening]:
        """Carry out what the agents that are running, or have just ended, requested; `running` are their sessions."""
        guard = self._duty.guard
        left: set[str] = set()
        for session in {*running, *self.due, *self._unanswered}:
            self._unanswered.discard(session)
            if not self._duty.queue.voice.may_ask(session):
                guard.clear(session, STEP)
                continue
            if not guard.may_run(session, STEP):
                self._unanswered.add(session)
                continue
            more = False
            with guard.guarding(session, STEP) as tried:
                more = yield from self._carry_out(session)
            if tried.error is not None:
                self._unanswered.add(session)
            if more:
                left.add(session)
        self.due = left

    def _carry_out(self, session: str) -> Generator[Happening, None, bool]:
        """Answer some of a session's requests; returns whether there may be more."""
        duty = self._duty
        answers = requests.apply(duty.queue, duty.config, duty.environ, session)
        while True:
            try:
                answer = next(answers)
            except StopIteration as end:
                return bool(end.value)
            run = None if answer.task is None else RunId(answer.task.session, answer.task.seq, 0)
            yield duty.tell("request", run, reason=f"{session}: {answer.status}: {answer.detail}")
