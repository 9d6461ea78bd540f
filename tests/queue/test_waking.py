"""Commits ring the bells of those who wait; whoever commits, and a rehearsal, ring none of their own."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from queue_driver import (
    OWNER,
    SUPERVISOR,
    Clock,
    OpenQueue,
    command,
    edited,
    ended,
    finish,
    head_of,
    start,
    submit,
    the_plan,
    widths,
)

from agentq_cli.engines.door import Queue
from agentq_cli.host.bells import Bell
from agentq_cli.model.actions import Actor
from agentq_cli.model.addresses import Address
from agentq_cli.model.work import Condition, Dependency
from agentq_cli.model.workers import Supervisor


def waiting(queue: Queue) -> Address:
    return submit(queue, command("default"))[0]


def again(queue: Queue) -> Callable[[], object]:
    address = waiting(queue)
    ended(queue, address)
    return lambda: queue.retry_each([address])


def stop(queue: Queue) -> Callable[[], object]:
    run = start(queue, waiting(queue))
    return lambda: queue.request_stop(run, reason="cancelled", cancel=True, actor=Actor.USER)


def undo(queue: Queue) -> Callable[[], object]:
    run = start(queue, waiting(queue))
    return lambda: queue.undo_claim(run, actor=Actor.SWEEP, reason="never started")


def end(queue: Queue) -> Callable[[], object]:
    run = start(queue, waiting(queue))
    return lambda: finish(queue, run)


def late(queue: Queue) -> Callable[[], object]:
    (address,) = submit(queue, command("default", expires_at=queue.now))
    return lambda: queue.expire(address, actor=Actor.SWEEP)


def known(act: Callable[[Queue, Address], object]) -> Callable[[Queue], Callable[[], object]]:
    def ready(queue: Queue) -> Callable[[], object]:
        address = waiting(queue)
        return lambda: act(queue, address)

    return ready


RINGING: dict[str, Callable[[Queue], Callable[[], object]]] = {
    "submit": lambda queue: lambda: waiting(queue),
    "cancel": known(lambda queue, address: queue.cancel_each([address])),
    "pause": known(lambda queue, address: queue.pause_each([address], reason=None)),
    "edit": known(lambda queue, address: queue.edit(address, edited(priority=3))),
    "pause session": known(lambda queue, address: queue.pause_session("default", reason=None, paused=True)),
    "pause agent": known(lambda queue, address: queue.pause_agent(None, reason=None)),
    "resume agent": known(lambda queue, address: queue.resume_agent(None)),
    "retry": again,
    "stop": stop,
    "undo": undo,
    "finish": end,
    "expire": late,
    "leave": known(lambda queue, address: queue.leave(SUPERVISOR)),
}

SILENT: dict[str, Callable[[Queue], Callable[[], object]]] = {
    "claim": known(lambda queue, address: start(queue, address)),
    "snapshot": known(lambda queue, address: queue.snapshot()),
    "renew": known(lambda queue, address: queue.renew(SUPERVISOR, jobs=1, renewed_at=1)),
}


def listen(bell: Bell) -> None:
    """Begin to listen; what happened before may ring."""
    bell.fileno()
    bell.empty()


def rang(bell: Bell) -> bool:
    """Whether somebody has rung. A server tells of what was committed before, before it answers."""
    listening = getattr(bell, "_listening", None)
    if listening is not None:
        with listening.cursor() as cursor:
            cursor.execute("SELECT 1")
    return bell.wait(0)


@pytest.mark.parametrize("act", RINGING)
def test_a_commit_that_may_concern_somebody_rings(queue: Queue, open_queue: OpenQueue, clock: Clock, act: str) -> None:
    deed = RINGING[act](queue)
    with open_queue(clock).bell() as bell:
        listen(bell)
        deed()
        assert rang(bell)
        with queue.rehearsal() as rehearsed:
            RINGING[act](rehearsed)()
        assert not rang(bell), "nobody is woken by what was not done"


def test_who_watches_is_told_that_a_supervisor_has_come(queue: Queue, open_queue: OpenQueue, clock: Clock) -> None:
    with open_queue(clock).bell() as bell:
        listen(bell)
        queue.join(Supervisor(OWNER, 1, (), queue.now, 1))
        assert rang(bell)


@pytest.mark.parametrize("act", SILENT)
def test_what_concerns_nobody_else_does_not(queue: Queue, open_queue: OpenQueue, clock: Clock, act: str) -> None:
    deed = SILENT[act](queue)
    with open_queue(clock).bell() as bell:
        listen(bell)
        deed()
        assert not rang(bell)


def test_who_commits_is_not_woken_by_it(queue: Queue) -> None:
    with queue.bell() as bell:
        listen(bell)
        waiting(queue)
        assert not rang(bell)


def test_a_claim_that_finds_its_task_taken_does_nothing(queue: Queue) -> None:
    address = waiting(queue)
    candidate = queue.candidate(head_of(queue, address))
    assert candidate is not None
    plan = the_plan(candidate.task, candidate.past)
    how = {"supervisor": SUPERVISOR, "jobs": 9, "parallel": widths(), "host": "here"}
    claimed = [queue.claim(candidate, plan, **how) for _ in range(2)]  # type: ignore[arg-type]
    assert [each is None for each in claimed] == [False, True]
    assert len(queue.workers()) == 1


def test_what_no_ring_tells_has_a_time(queue: Queue, clock: Clock) -> None:
    """The next due time, and before that the end of what waits for something else."""
    now = clock.now
    (first, _) = submit(queue, command(due_at=now + 2), command("a", due_at=now + 9))
    submit(queue, command("b", after=(Dependency(first, Condition.SUCCESS),), expires_at=now + 1))
    found = []
    for _ in range(4):
        ahead = queue.ahead()
        found.append((min((at for at in ahead if at is not None), default=None), queue.any_due()))
        clock.now = found[-1][0] or clock.now
    assert found == [(now + 1, False), (now + 2, False), (now + 9, True), (None, True)]
