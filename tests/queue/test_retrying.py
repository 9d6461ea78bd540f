"""A run that failed: tried again within its budget, or its agent held, with nothing forgotten on the way."""

from __future__ import annotations

from typing import Any

import pytest
from queue_driver import NOON, Clock, Engine, claim_next, command, finish, prompt, start, started, submit

from agentq_cli.engines.door import Queue
from agentq_cli.model.actions import Actor, Trigger
from agentq_cli.model.addresses import Address
from agentq_cli.model.statuses import FailureClass, RunStatus, Status
from agentq_cli.model.tasks import Task
from agentq_cli.model.work import Launch
from agentq_cli.policy.schedule import Kind, Missed, Overlap, Schedule

MINUTE = 60_000


def fail(queue: Queue, address: Address, failure: FailureClass = FailureClass.NETWORK, **fields: Any) -> Task:
    status = RunStatus.RATE_LIMITED if failure is FailureClass.RATE_LIMITED else RunStatus.ERROR
    task = finish(queue, start(queue, address), status, failure_class=failure, **fields)
    assert task is not None
    return task


def limit(queue: Queue, address: Address, reset: int | None = None) -> Task:
    return fail(queue, address, FailureClass.RATE_LIMITED, reset_at=reset, error="5-hour limit reached")


def kinds(queue: Queue, address: Address) -> list[tuple[str, str | None]]:
    return [(event.event, event.to_status) for event in queue.events(address=address)][::-1]


def test_it_waits_longer_each_time_and_fails_after_its_last_run(queue: Queue, clock: Clock) -> None:
    (address,) = submit(queue, command("a", launch=Launch(retries=3, backoff_ms=1000, max_backoff_ms=3000)))
    for number, delay in enumerate((1000, 2000, 3000), start=1):
        task = fail(queue, address, FailureClass.ERROR, error="exit code 1")
        assert (task.status, task.shown_status(queue.now), task.exit_code) == (Status.QUEUED, Status.RETRYING, None)
        assert delay <= task.due_at - queue.now <= min(delay * 1.1, 3000)
        assert task.reason == f"exit code 1; retry {number} of 3"
        assert claim_next(queue) is None
        clock.forward(task.due_at - queue.now)
    task = fail(queue, address, FailureClass.ERROR, error="exit code 1")
    assert (task.status, task.runs, task.attempts, task.reason) == (Status.FAILED, 4, 4, "exit code 1")
    runs = list(queue.runs(address=address))[::-1]
    assert [(run.attempt, run.trigger) for run in runs] == [
        (1, Trigger.SUBMIT),
        (2, Trigger.RETRY),
        (3, Trigger.RETRY),
        (4, Trigger.RETRY),
    ]
    assert kinds(queue, address)[:4] == [
        ("submit", "queued"),
        ("start", "running"),
        ("finish", "retrying"),
        ("start", "running"),
    ]


def test_the_next_attempt_is_on_disk(queue: Queue, clock: Clock, engine: Engine) -> None:
    (address,) = submit(queue, prompt("a"))
    due = fail(queue, address).due_at
    queue.close()
    with engine.open(clock) as other:
        assert other.ahead().due == due
        task = other.task(address)
        why = other.waiting_for(task, jobs=1, parallel=1)
        assert why is not None and (why.kind, why.until) == ("retry", due)


def test_the_delay_counts_from_the_end_of_the_run_however_late_it_is_settled(queue: Queue, clock: Clock) -> None:
    (address,) = submit(queue, prompt("a"))
    run = start(queue, address)
    ended_at = queue.now
    clock.forward(10 * MINUTE)
    task = finish(queue, run, RunStatus.CRASHED, failure_class=FailureClass.CRASHED, finished_at=ended_at)
    assert task is not None and task.due_at - ended_at < 6000
    assert started(queue) == [str(address)]


def test_a_task_that_is_to_be_retried_holds_the_later_ones_of_its_session_alone(queue: Queue) -> None:
    first, later, other = submit(queue, prompt("a"), command("a"), command("b"))
    fail(queue, first)
    assert started(queue) == [str(other)]
    why = queue.waiting_for(queue.task(later), jobs=5, parallel=1)
    assert why is not None and (why.kind, why.ids) == ("session", (str(first),))


def test_a_cancel_while_it_waits_prevents_the_next_attempt(queue: Queue, clock: Clock) -> None:
    (address,) = submit(queue, prompt("a"))
    fail(queue, address)
    queue.cancel(address)
    clock.forward(10 * MINUTE)
    assert started(queue) == []
    assert queue.task(address).status is Status.CANCELLED


def test_a_cancel_while_it_runs_prevents_it_too(queue: Queue) -> None:
    (address,) = submit(queue, prompt("a"))
    run = start(queue, address)
    queue.request_stop(run, reason="cancelled", cancel=True, actor=Actor.USER)
    task = finish(queue, run, RunStatus.CRASHED, failure_class=FailureClass.CRASHED)
    assert task is not None and task.status is Status.CANCELLED


def test_two_that_settle_one_run_make_one_retry(queue: Queue) -> None:
    (address,) = submit(queue, prompt("a"))
    run = start(queue, address)
    assert finish(queue, run, RunStatus.ERROR, failure_class=FailureClass.NETWORK) is not None
    before = queue.task(address)
    assert finish(queue, run, RunStatus.ERROR, failure_class=FailureClass.NETWORK) is None
    assert queue.task(address) == before
    assert len(list(queue.runs(address=address))) == 1


def test_retry_by_hand_gives_a_whole_new_budget_and_counts_on(queue: Queue, clock: Clock) -> None:
    (address,) = submit(queue, command("a", launch=Launch(retries=1, backoff_ms=1)))
    for _ in range(2):
        task = fail(queue, address, FailureClass.ERROR)
        clock.forward(10)
    assert task.status is Status.FAILED
    queue.retry(address)
    assert fail(queue, address, FailureClass.ERROR).status is Status.QUEUED
    clock.forward(10)
    task = fail(queue, address, FailureClass.ERROR)
    assert (task.status, task.runs, task.attempts) == (Status.FAILED, 4, 2)


def test_what_has_been_started_does_not_expire_while_it_waits_for_its_next_attempt(queue: Queue, clock: Clock) -> None:
    (address,) = submit(queue, prompt("a", expires_at=NOON + 1000))
    fail(queue, address)
    clock.forward(MINUTE)
    assert queue.expired() == []
    assert queue.expire(address, actor=Actor.SWEEP) is None
    assert started(queue) == [str(address)]
    assert queue.task(address).work.expires_at == NOON + 1000


def test_a_lost_conversation_is_begun_anew_once(queue: Queue) -> None:
    (address,) = submit(queue, prompt("a", launch=Launch(retries=0)))
    first = fail(queue, address, FailureClass.ERROR, conversation_lost=True)
    assert (first.status, first.due_at <= queue.now, first.attempts) == (Status.QUEUED, True, 0)
    second = fail(queue, address, FailureClass.ERROR, conversation_lost=True)
    assert (second.status, second.runs) == (Status.FAILED, 2)
    assert queue.retry(address).fresh is False


# Holds


def test_a_limit_holds_every_task_of_that_agent_and_no_other(queue: Queue, clock: Clock) -> None:
    reset = NOON + 30 * MINUTE
    tasks = [prompt("a"), prompt("b"), prompt("c", agent="other"), command("d")]
    limited, same, other, plain = submit(queue, *tasks)
    task = limit(queue, limited, reset)
    assert (task.status, task.attempts, task.due_at) == (Status.QUEUED, 0, NOON)
    assert set(started(queue)) == {str(other), str(plain)}
    for address in (limited, same):
        why = queue.waiting_for(queue.task(address), jobs=5, parallel=1)
        assert why is not None and (why.kind, why.until) == ("limit", reset)
        assert "5-hour limit" in why.detail
    assert queue.limited_until() == {"a": reset, "b": reset}
    assert queue.ahead().lift == reset
    clock.forward(30 * MINUTE - 1)
    assert started(queue) == []
    clock.forward(1)
    assert set(started(queue)) == {str(limited), str(same)}
    assert queue.ahead().lift is None and queue.limited_until() == {}


def test_six_that_meet_one_limit_together_all_run_after_it(queue: Queue, clock: Clock) -> None:
    addresses = submit(queue, *[prompt() for _ in range(6)])
    runs = [start(queue, address) for address in addresses]
    for run in runs:
        finish(
            queue,
            run,
            RunStatus.RATE_LIMITED,
            failure_class=FailureClass.RATE_LIMITED,
            reset_at=NOON + 5 * MINUTE,
        )
    assert started(queue) == []
    assert [event.event for event in queue.events()].count("hold") == 1
    clock.forward(5 * MINUTE)
    assert len(started(queue)) == 6
    assert {run.trigger for run in queue.runs() if run.attempt == 2} == {Trigger.RETRY}


def test_a_hold_survives_and_is_lifted_by_hand(queue: Queue, clock: Clock, engine: Engine) -> None:
    (address,) = submit(queue, prompt("a"))
    limit(queue, address)
    queue.close()
    with engine.open(clock) as other:
        assert started(other) == []
        assert [(hold.name, hold.kind, hold.until) for hold in other.holds()] == [
            ("demo", "rate_limited", NOON + 5 * MINUTE)
        ]
        other.resume_agent("demo")
        assert other.holds() == []
        assert started(other) == [str(address)]


def test_limits_in_a_row_hold_longer_and_a_success_ends_the_row(queue: Queue, clock: Clock) -> None:
    first, second = submit(queue, prompt("a"), prompt("b"))
    held = []
    for _ in range(3):
        limit(queue, first)
        held.append((queue.ahead().lift or 0) - queue.now)
        clock.forward(held[-1])
    assert held == [5 * MINUTE, 10 * MINUTE, 20 * MINUTE]
    finish(queue, start(queue, second))
    limit(queue, first)
    assert queue.ahead().lift == queue.now + 5 * MINUTE


def test_a_success_beside_a_limit_ends_the_row_of_limits_too(queue: Queue, clock: Clock) -> None:
    first, second = submit(queue, prompt("a"), prompt("b"))
    limit(queue, first)
    clock.forward(5 * MINUTE)
    run = start(queue, second)
    limit(queue, first)
    assert queue.ahead().lift == queue.now + 10 * MINUTE
    finish(queue, run)
    clock.forward(10 * MINUTE)
    limit(queue, first)
    assert queue.ahead().lift == queue.now + 5 * MINUTE


def test_a_success_beside_a_limit_does_not_lift_it(queue: Queue) -> None:
    first, second, third = submit(queue, prompt("a"), prompt("b"), prompt("c"))
    run = start(queue, second)
    limit(queue, first, NOON + MINUTE)
    finish(queue, run)
    assert [hold.until for hold in queue.holds()] == [NOON + MINUTE]
    assert started(queue) == []
    assert queue.task(third).status is Status.QUEUED


def test_after_twelve_limits_in_a_row_an_attempt_is_used(queue: Queue, clock: Clock) -> None:
    (address,) = submit(queue, prompt("a", launch=Launch(retries=0)))
    for _ in range(12):
        assert limit(queue, address).status is Status.QUEUED
        clock.forward(31 * MINUTE)
    task = limit(queue, address)
    assert (task.status, task.runs) == (Status.FAILED, 13)


@pytest.mark.parametrize("failure", [FailureClass.AUTH, FailureClass.BILLING])
def test_who_is_not_let_in_fails_and_its_agent_is_held_until_resumed(
    queue: Queue, clock: Clock, failure: FailureClass
) -> None:
    first, second, plain = submit(queue, prompt("a", launch=Launch(retries=9)), prompt("b"), command("c"))
    assert fail(queue, first, failure, error="not logged in").status is Status.FAILED
    clock.forward(365 * 24 * 60 * MINUTE)
    assert started(queue) == [str(plain)]
    why = queue.waiting_for(queue.task(second), jobs=5, parallel=1)
    assert why is not None and (why.kind, why.until) == ("limit", None)
    assert "resume --agent demo" in why.detail
    assert queue.limited_until() == {}
    queue.resume_agent("demo")
    assert started(queue) == [str(second)]


def test_what_a_limit_holds_holds_no_lane(queue: Queue) -> None:
    limited, later = submit(queue, prompt("a"), command("a"))
    limit(queue, limited)
    assert started(queue) == [str(later)]


def every_hour(**fields: Any) -> Schedule:
    """A schedule whose first slot is an hour after noon."""
    values: dict[str, Any] = {"type": Kind.EVERY, "expr": None, "every_ms": 60 * MINUTE, "tz": "UTC", "start": NOON}
    values |= {"until": None, "max_runs": None, "missed": Missed.LATEST, "overlap": Overlap.SKIP, "pause_after": 8}
    return Schedule(**(values | fields))


def series(queue: Queue, clock: Clock, launch: Launch | None = None, **fields: Any) -> Address:
    """A series whose first occurrence is due now."""
    (address,) = submit(queue, prompt("a", schedule=every_hour(**fields), due_at=NOON, launch=launch or Launch()))
    clock.forward(60 * MINUTE)
    return address


def test_a_pause_of_a_running_series_holds_its_next_attempt(queue: Queue, clock: Clock) -> None:
    address = series(queue, clock)
    run = start(queue, address)
    queue.pause(address, reason="later")
    task = finish(queue, run, RunStatus.ERROR, failure_class=FailureClass.NETWORK)
    assert task is not None and (task.status, task.attempts) == (Status.PAUSED, 1)
    clock.forward(MINUTE)
    assert started(queue) == []
    assert queue.resume(address).status is Status.QUEUED
    assert started(queue) == [str(address)]


def test_what_has_begun_is_no_missed_slot_however_long_it_was_paused(queue: Queue, clock: Clock) -> None:
    address = series(queue, clock, missed=Missed.SKIP)
    fail(queue, address)
    queue.pause(address, reason="later")
    clock.forward(30 * MINUTE)
    queue.resume(address)
    assert queue.arriving() == []
    assert started(queue) == [str(address)]


def test_the_last_occurrence_is_retried_after_the_end_of_its_series(queue: Queue, clock: Clock) -> None:
    launch = Launch(retries=1, backoff_ms=30 * MINUTE, max_backoff_ms=60 * MINUTE)
    address = series(queue, clock, launch, until=NOON + 60 * MINUTE)
    fail(queue, address)
    clock.forward(40 * MINUTE)
    finish(queue, start(queue, address))
    assert queue.task(address).status is Status.COMPLETED
    assert not list(queue.tasks())


def test_an_occurrence_that_is_retried_makes_the_next_one_once_it_has_ended(queue: Queue, clock: Clock) -> None:
    launch = Launch(retries=1, backoff_ms=MINUTE)
    address = series(queue, clock, launch, until=NOON + 120 * MINUTE)
    assert fail(queue, address, FailureClass.ERROR).status is Status.QUEUED
    assert len(list(queue.tasks())) == 1
    changed = queue.edit(address, lambda task: task)
    assert changed.address == address and changed.due_at > queue.now  # its next attempt stays when it is
    clock.forward(2 * MINUTE)
    assert fail(queue, address, FailureClass.ERROR).status is Status.FAILED
    (following,) = list(queue.tasks())
    assert (following.due_at, following.attempts, following.tries) == (NOON + 120 * MINUTE, 0, 0)
    assert following.recurrence is not None and following.recurrence.streak == 1
