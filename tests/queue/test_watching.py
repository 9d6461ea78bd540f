"""Live runs and who watches them: supervisors, adoption, requests to stop, slots given up."""

from __future__ import annotations

from dataclasses import replace

import pytest
from queue_driver import (
    ANOTHER,
    NOON,
    SUPERVISOR,
    Clock,
    Engine,
    OpenQueue,
    claim,
    command,
    finish,
    head_of,
    only_worker,
    prompt,
    start,
    submit,
    swept,
    together,
)

from agentq_cli.base.errors import NotFound
from agentq_cli.base.identity import Identity
from agentq_cli.engines.door import Queue
from agentq_cli.model.actions import Actor
from agentq_cli.model.addresses import RunId
from agentq_cli.model.statuses import RunStatus, Status
from agentq_cli.model.workers import LastStart, Supervisor
from agentq_cli.policy.admission import Gate

THIRD = Identity(4_100_004, 44, "boot")


def on_duty(queue: Queue) -> list[Supervisor]:
    """The supervisors, wherever they are."""
    return [replace(each, host=None, since=None) for each in queue.supervisors()]


def test_supervisors_come_and_go(queue: Queue) -> None:
    first = Supervisor(SUPERVISOR, 2, (), NOON, 100)
    second = Supervisor(ANOTHER, 8, ("a", "b"), NOON + 1, 200)
    queue.join(first)
    queue.join(second)
    assert on_duty(queue) == [first, second]
    queue.renew(ANOTHER, jobs=3, renewed_at=300)
    assert on_duty(queue) == [first, Supervisor(ANOTHER, 3, ("a", "b"), NOON + 1, 300)]
    queue.leave(SUPERVISOR)
    queue.leave(SUPERVISOR)
    queue.renew(SUPERVISOR, jobs=1, renewed_at=400)
    assert [each.identity for each in queue.supervisors()] == [ANOTHER]


def test_a_supervisor_says_which_gates_hold_until_none_does(queue: Queue) -> None:
    first = Supervisor(SUPERVISOR, 2, (), NOON, 100)
    second = replace(first, identity=ANOTHER)
    queue.join(first)
    queue.join(second)
    gates = (Gate("memory", True, "3 MiB available"), Gate("stagger", True, "1 s apart", NOON + 5))
    queue.set_gates(SUPERVISOR, gates)
    queue.renew(SUPERVISOR, jobs=3, renewed_at=200)
    assert on_duty(queue) == [replace(first, jobs=3, renewed_at=200, gates=gates), second]
    queue.set_gates(SUPERVISOR, ())
    assert [each.gates for each in queue.supervisors()] == [(), ()]


def test_the_newest_start_is_kept_after_its_end(queue: Queue) -> None:
    assert queue.last_start() == LastStart()
    first, second = submit(queue, command("a"), command("b"))
    run = start(queue, first, monotonic=700)
    assert queue.last_start() == LastStart(700, SUPERVISOR.boot_id, str(run))
    finish(queue, run)
    assert queue.last_start() == LastStart(700, SUPERVISOR.boot_id, str(run))
    start(queue, second, supervisor=ANOTHER, monotonic=900)
    assert queue.last_start() == LastStart(900, ANOTHER.boot_id, "b/1.1")


def test_a_claim_may_ask_to_be_the_next_start(queue: Queue) -> None:
    first, second = submit(queue, command("a"), command("b"))
    seen = queue.last_start()
    assert claim(queue, head_of(queue, first), newest=seen, monotonic=1) is not None
    assert claim(queue, head_of(queue, second), newest=seen, monotonic=1) is None
    assert queue.task(second).status is Status.QUEUED
    assert claim(queue, head_of(queue, second), newest=queue.last_start(), monotonic=1) is not None


def test_a_pid_used_again_is_another_supervisor(queue: Queue) -> None:
    for identity in (Identity(7, 1, "x"), Identity(7, 2, "x"), Identity(7, 1, "y")):
        queue.join(Supervisor(identity, 1, (), NOON, 0))
    queue.leave(Identity(7, 1, "x"))
    assert {each.identity for each in queue.supervisors()} == {Identity(7, 2, "x"), Identity(7, 1, "y")}


def test_a_worker_is_there_exactly_while_its_task_runs(queue: Queue) -> None:
    first, second = submit(queue, command(), prompt())
    assert queue.worker(first) is None
    run = start(queue, first)
    start(queue, second)
    assert [(worker.id, worker.agent) for worker in queue.workers()] == [(run, None), (RunId("default", 2, 1), "demo")]
    finish(queue, run)
    assert queue.worker(first) is None
    assert [worker.seq for worker in queue.workers()] == [2]


# Adoption


def test_a_run_is_adopted_by_another_supervisor(queue: Queue) -> None:
    (address,) = submit(queue, command("a"))
    run = start(queue, address)
    assert queue.adopt(only_worker(queue), ANOTHER)
    worker = only_worker(queue)
    assert (worker.id, worker.supervisor, worker.adopted) == (run, ANOTHER, True)
    assert queue.run(run).adopted
    event = next(queue.events())
    assert (event.event, event.from_status, event.to_status, event.attempt) == ("adopt", "running", "running", 1)
    assert queue.task(address).status is Status.RUNNING


def test_a_run_is_adopted_only_by_the_first(queue: Queue) -> None:
    (address,) = submit(queue, command("a"))
    start(queue, address)
    seen = only_worker(queue)
    assert queue.adopt(seen, ANOTHER)
    assert not queue.adopt(seen, THIRD)
    assert only_worker(queue).supervisor == ANOTHER
    assert [event.event for event in queue.events()].count("adopt") == 1


def test_of_six_processes_that_adopt_at_once_one_does(open_queue: OpenQueue, clock: Clock, engine: Engine) -> None:
    queue = open_queue(clock)
    (address,) = submit(queue, command("a"))
    start(queue, address)
    won = together(engine, [["adopts", str(5_000_000 + n)] for n in range(6)])
    assert won.count(True) == 1
    adopter = only_worker(queue).supervisor
    assert adopter is not None
    assert adopter.pid == 5_000_000 + won.index(True)
    assert [event.event for event in queue.events()].count("adopt") == 1


def test_an_ended_run_or_an_earlier_attempt_is_not_adopted(queue: Queue) -> None:
    (address,) = submit(queue, command("a"))
    run = start(queue, address)
    seen = only_worker(queue)
    finish(queue, run, RunStatus.ERROR)
    assert not queue.adopt(seen, ANOTHER)
    queue.retry(address)
    start(queue, address)
    assert not queue.adopt(seen, ANOTHER)
    assert only_worker(queue).supervisor == SUPERVISOR


# Requests to stop


def test_a_stop_is_requested_once(queue: Queue) -> None:
    (address,) = submit(queue, command("a"))
    run = start(queue, address)
    assert queue.request_stop(run, reason="timeout", cancel=False, actor=Actor.SUPERVISOR)
    assert queue.request_stop(run, reason="stalled", cancel=False, actor=Actor.SWEEP)
    assert only_worker(queue).stop == "timeout"
    assert [(e.event, e.reason, e.actor) for e in queue.events()][:2] == [
        ("stop", "timeout", "supervisor"),
        ("start", None, "supervisor"),
    ]


def test_a_cancel_is_recorded_once_with_who_asked(queue: Queue) -> None:
    (address,) = submit(queue, command("a"))
    run = start(queue, address)
    assert queue.request_stop(run, reason="cancelled", cancel=True, actor=Actor.USER)
    assert queue.request_stop(run, reason="cancelled", cancel=True, actor=Actor.USER)
    assert queue.task(address).cancel_requested
    assert only_worker(queue).stop == "cancelled"
    stops = [event for event in queue.events() if event.event == "stop"]
    assert [(e.from_status, e.to_status, e.actor, e.reason) for e in stops] == [
        ("running", "running", "user", "cancelled")
    ]


def test_a_cancel_after_a_time_limit_still_cancels_the_task(queue: Queue) -> None:
    (address,) = submit(queue, command("a"))
    run = start(queue, address)
    queue.request_stop(run, reason="timeout", cancel=False, actor=Actor.SUPERVISOR)
    assert queue.request_stop(run, reason="cancelled", cancel=True, actor=Actor.USER)
    assert only_worker(queue).stop == "timeout", "the first intent is the one that is carried out"
    task = finish(queue, run, RunStatus.TIMEOUT)
    assert task is not None
    assert task.status is Status.CANCELLED


def test_a_run_that_is_not_there_any_more_cannot_be_stopped(queue: Queue) -> None:
    (address,) = submit(queue, command("a"))
    first = start(queue, address)
    finish(queue, first, RunStatus.ERROR)
    assert not queue.request_stop(first, reason="cancelled", cancel=True, actor=Actor.USER)
    queue.retry(address)
    second = start(queue, address)
    assert not queue.request_stop(first, reason="cancelled", cancel=True, actor=Actor.USER)
    assert not queue.task(address).cancel_requested
    assert only_worker(queue).stop is None
    assert queue.request_stop(second, reason="cancelled", cancel=True, actor=Actor.USER)
    with pytest.raises(NotFound):
        queue.request_stop(RunId("a", 9, 1), reason="x", cancel=True, actor=Actor.USER)


# Upkeep


def test_when_somebody_swept_last_is_remembered(queue: Queue, clock: Clock) -> None:
    assert queue.last_sweep() is None
    swept(queue)
    clock.forward(5)
    swept(queue)
    assert queue.last_sweep() == NOON + 5
