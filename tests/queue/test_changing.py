"""What people and the clock do to tasks: cancel, pause, resume, edit, retry, expire, prune."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from queue_driver import (
    NOON,
    Clock,
    changed,
    claim_next,
    command,
    edited,
    ended,
    finish,
    prompt,
    start,
    submit,
)

from agentq_cli.base.errors import NotFound, WrongState
from agentq_cli.engines.door import Queue
from agentq_cli.model.actions import Actor, Trigger
from agentq_cli.model.addresses import Address, RunId
from agentq_cli.model.statuses import RunStatus, Status
from agentq_cli.model.tasks import Task
from agentq_cli.model.work import Launch


def last(queue: Queue) -> tuple[str, str | None, str | None, str, str | None]:
    """The newest event."""
    event = next(queue.events())
    return event.event, event.from_status, event.to_status, event.actor, event.reason


CHANGES: dict[str, Callable[[Queue, Address], Any]] = {
    "cancel": lambda queue, address: queue.cancel(address),
    "pause": lambda queue, address: queue.pause(address, reason=None),
    "resume": lambda queue, address: queue.resume(address),
    "edit": lambda queue, address: queue.edit(address, lambda task: task),
    "retry": lambda queue, address: queue.retry(address),
    "prune": lambda queue, address: queue.prune(address),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_task_or_session_that_does_not_exist_is_not_found(queue: Queue, change: str) -> None:
    submit(queue, command("a"))
    for address in (Address("a", 2), Address("b", 1)):
        with pytest.raises(NotFound, match=address.session):
            CHANGES[change](queue, address)
    assert queue.session_names() == ["a"]
    assert queue.last_event() == 1


@pytest.mark.parametrize("change", ["pause", "resume", "edit", "retry", "prune"])
def test_what_a_running_task_does_not_allow_is_refused_and_changes_nothing(queue: Queue, change: str) -> None:
    (address,) = submit(queue, command("a"))
    start(queue, address)
    before, events = queue.task(address), queue.last_event()
    with pytest.raises(WrongState, match=r"'a/1': it is running"):
        CHANGES[change](queue, address)
    assert (queue.task(address), queue.last_event()) == (before, events)


# Cancel


@pytest.mark.parametrize("state", ["queued", "scheduled", "paused"])
def test_a_waiting_task_is_cancelled_at_once(queue: Queue, state: str) -> None:
    (address,) = submit(queue, command("a", due_at=NOON + 9 if state == "scheduled" else None))
    if state == "paused":
        queue.pause(address, reason=None)
    task = queue.cancel(address)
    assert task == queue.task(address)
    assert (task.status, task.ended_at, task.exit_code) == (Status.CANCELLED, NOON, None)
    assert last(queue)[:4] == ("cancel", state, "cancelled", "user")
    assert claim_next(queue) is None


def test_cancel_leaves_a_running_task_to_be_stopped(queue: Queue) -> None:
    (address,) = submit(queue, command("a"))
    start(queue, address)
    events = queue.last_event()
    assert queue.cancel(address).status is Status.RUNNING
    assert queue.last_event() == events


def test_a_second_cancel_is_refused(queue: Queue) -> None:
    (address,) = submit(queue, command("a"))
    queue.cancel(address)
    with pytest.raises(WrongState, match="already cancelled"):
        queue.cancel(address)


# Pause, resume


def test_pause_and_resume_are_one_event_each_with_the_reason(queue: Queue) -> None:
    (address,) = submit(queue, command("a"))
    task = queue.pause(address, reason="not today")
    assert task == queue.task(address)
    assert (task.status, task.reason) == (Status.PAUSED, "not today")
    assert last(queue) == ("pause", "queued", "paused", "user", "not today")
    assert queue.pause(address, reason="again").reason == "not today"
    assert queue.last_event() == 2
    task = queue.resume(address)
    assert task == queue.task(address)
    assert (task.status, task.reason) == (Status.QUEUED, None)
    assert last(queue) == ("resume", "paused", "queued", "user", None)


def test_a_task_paused_before_its_time_comes_back_scheduled(queue: Queue, clock: Clock) -> None:
    (address,) = submit(queue, command("a", due_at=NOON + 10))
    queue.pause(address, reason=None)
    assert last(queue)[1:3] == ("scheduled", "paused")
    clock.forward(3)
    assert queue.resume(address).shown_status(queue.now) is Status.SCHEDULED
    assert last(queue)[1:3] == ("paused", "scheduled")


def test_resume_of_what_is_not_paused_is_refused(queue: Queue) -> None:
    (address,) = submit(queue, command("a", due_at=NOON + 10))
    with pytest.raises(WrongState, match="scheduled, not paused"):
        queue.resume(address)


def test_a_session_is_paused_and_resumed_once(queue: Queue) -> None:
    submit(queue, command("a"))
    assert queue.pause_session("a", reason="quiet", paused=True)
    (session,) = queue.sessions()
    assert (session.paused, session.reason) == (True, "quiet")
    assert last(queue) == ("pause_session", None, None, "user", "quiet")
    assert not queue.pause_session("a", reason="quiet", paused=True)
    assert queue.pause_session("a", reason=None, paused=False)
    (session,) = queue.sessions()
    assert (session.paused, session.reason) == (False, None)
    assert not queue.pause_session("a", reason=None, paused=False)
    assert [event.event for event in queue.events()] == ["resume_session", "pause_session", "submit"]
    assert queue.pause_session("b", reason=None, paused=True)
    assert [(each.name, each.paused) for each in queue.sessions()] == [("a", False), ("b", True)]
    with pytest.raises(NotFound):
        queue.pause_session("c", reason=None, paused=False)


def test_a_pause_of_an_agent_or_the_queue_is_a_hold(queue: Queue) -> None:
    queue.pause_agent("demo", reason="too dear")
    assert last(queue) == ("pause_agent", None, None, "user", "demo (too dear)")
    queue.pause_agent(None, reason=None)
    assert last(queue)[0] == "pause_queue"
    assert {(h.scope, h.name, h.kind, h.reason) for h in queue.holds()} == {
        ("agent", "demo", "paused", "too dear"),
        ("queue", "", "paused", None),
    }
    queue.pause_agent("demo", reason="other")
    assert [h.reason for h in queue.holds() if h.scope == "agent"] == ["other"]
    queue.resume_agent("demo")
    queue.resume_agent(None)
    assert queue.holds() == []


# Edit


def test_an_edit_changes_what_it_names_and_nothing_else(queue: Queue) -> None:
    new = prompt("a", "old", key="k", labels=("x",), expires_at=NOON + 9, launch=Launch(env={"A": "1"}))
    (address,) = submit(queue, new)
    before = queue.task(address)
    fields: dict[str, Any] = {
        "prompt": "new",
        "agent": "other",
        "priority": -7,
        "labels": ("y", "z"),
        "key": "k2",
        "context": "isolated",
        "cwd": "/tmp",
        "due_at": NOON + 5,
        "expires_at": None,
        "launch": Launch(env={"B": "2"}, umask=0o077, timeout_ms=1),
    }
    for name, value in fields.items():
        queue.edit(address, edited(**{name: value}))
        before = changed(before, **{name: value})
        assert queue.task(address) == before, name
        assert [task.address for task in queue.tasks()] == [address]
    assert last(queue)[:4] == ("edit", "scheduled", "scheduled", "user")
    assert len(list(queue.events())) == 1 + len(fields)


def test_an_edit_is_decided_on_what_the_task_is_under_the_lock(queue: Queue) -> None:
    (address,) = submit(queue, command("a", priority=1))
    queue.edit(address, edited(priority=5))

    def one_more(task: Task) -> Task:
        return changed(task, priority=task.work.priority + 1)

    queue.edit(address, one_more)
    assert queue.task(address).work.priority == 6


def test_an_edit_that_raises_changes_nothing(queue: Queue) -> None:
    (address,) = submit(queue, command("a"))

    def refuse(task: Task) -> Task:
        raise WrongState("no")

    with pytest.raises(WrongState, match="no"):
        queue.edit(address, refuse)
    assert queue.last_event() == 1


def test_an_edited_task_is_picked_as_edited(queue: Queue, clock: Clock) -> None:
    first, second = submit(queue, command("a"), command("a"))
    queue.edit(second, edited(priority=9))
    assert [head.seq for head in queue.snapshot().heads if head.priority == 9] == [2]
    queue.edit(first, edited(due_at=NOON + 9))
    queue.edit(second, edited(due_at=NOON + 8))
    assert queue.ahead().due == NOON + 8


def test_a_paused_task_can_be_edited_and_stays_paused(queue: Queue) -> None:
    (address,) = submit(queue, command("a"))
    queue.pause(address, reason="r")
    queue.edit(address, edited(priority=3))
    task = queue.task(address)
    assert (task.status, task.reason, task.work.priority) == (Status.PAUSED, "r", 3)


def test_an_edit_frees_the_old_key_and_takes_the_new(queue: Queue) -> None:
    (address,) = submit(queue, command("a", key="old"))
    queue.edit(address, edited(key="new"))
    assert submit(queue, command("a", key="new"), command("a", key="old")) == [address, Address("a", 2)]


# Retry


@pytest.mark.parametrize("end", ["completed", "failed", "cancelled", "expired", "skipped"])
def test_an_ended_task_is_queued_again_under_its_address(queue: Queue, clock: Clock, end: str) -> None:
    (address,) = submit(queue, command("a", expires_at=NOON + 1 if end == "expired" else None))
    if end == "expired":
        clock.forward(1)
        queue.expire(address, actor=Actor.SWEEP)
    elif end == "cancelled":
        queue.cancel(address)
    else:
        status = {"completed": RunStatus.SUCCESS, "failed": RunStatus.ERROR, "skipped": RunStatus.SKIPPED}[end]
        ended(queue, address, status)
    runs = queue.task(address).runs
    clock.forward(100)
    task = queue.retry(address)
    assert task == queue.task(address)
    assert (task.status, task.attempts, task.runs, task.trigger) == (Status.QUEUED, 0, runs, Trigger.RETRY)
    assert (task.due_at, task.ended_at, task.exit_code, task.reason) == (queue.now, None, None, None)
    assert last(queue)[:4] == ("retry", end, "queued", "user")
    again = claim_next(queue)
    assert again is not None
    assert again.run == RunId("a", 1, runs + 1)
    finish(queue, again.run)
    assert queue.task(address).status is Status.COMPLETED
    assert [run.attempt for run in queue.runs(address=address)] == list(range(runs + 1, 0, -1))


@pytest.mark.parametrize("state", ["queued", "scheduled", "paused"])
def test_retry_of_a_live_task_is_refused(queue: Queue, state: str) -> None:
    (address,) = submit(queue, command("a", due_at=NOON + 9 if state == "scheduled" else None))
    if state == "paused":
        queue.pause(address, reason=None)
    with pytest.raises(WrongState, match=f"it is {state}"):
        queue.retry(address)


def test_a_task_cancelled_while_it_ran_can_be_retried_and_complete(queue: Queue) -> None:
    (address,) = submit(queue, command("a"))
    run = start(queue, address)
    queue.request_stop(run, reason="cancelled", cancel=True, actor=Actor.USER)
    finish(queue, run)
    queue.retry(address)
    assert ended(queue, address).status is Status.COMPLETED


def test_a_retry_keeps_an_expiry_that_is_still_to_come(queue: Queue) -> None:
    (address,) = submit(queue, command("a", expires_at=NOON + 10))
    ended(queue, address, RunStatus.ERROR)
    assert queue.retry(address).work.expires_at == NOON + 10


# Expire


def test_a_task_not_started_in_time_expires_once(queue: Queue, clock: Clock) -> None:
    (address,) = submit(queue, command("a", expires_at=NOON + 10))
    clock.forward(9)
    assert queue.expired() == []
    assert queue.expire(address, actor=Actor.SWEEP) is None
    clock.forward(1)
    assert queue.expired() == [address]
    task = queue.expire(address, actor=Actor.SWEEP)
    assert task == queue.task(address)
    assert task is not None
    assert (task.status, task.ended_at) == (Status.EXPIRED, NOON + 10)
    assert last(queue)[:4] == ("expire", "queued", "expired", "sweep")
    assert queue.expire(address, actor=Actor.SWEEP) is None
    assert queue.expired() == []


def test_a_paused_or_scheduled_task_expires_too_but_a_running_one_does_not(queue: Queue, clock: Clock) -> None:
    paused, scheduled, running = submit(
        queue, *[command(expires_at=NOON + 1, due_at=due) for due in (None, NOON + 5, None)]
    )
    queue.pause(paused, reason=None)
    run = start(queue, running)
    clock.forward(1)
    assert sorted(queue.expired()) == [paused, scheduled]
    assert queue.expire(running, actor=Actor.SWEEP) is None
    finish(queue, run)
    assert queue.task(running).status is Status.COMPLETED


def test_many_expired_tasks_of_one_session_hide_no_other(queue: Queue, clock: Clock) -> None:
    submit(queue, *[command("a", expires_at=NOON + 1) for _ in range(600)])
    (other,) = submit(queue, command("b", expires_at=NOON + 2))
    clock.forward(2)
    assert other in queue.expired()


# Prune


def test_prune_removes_an_ended_task_with_its_runs_and_events(queue: Queue) -> None:
    first, second = submit(queue, command("a"), command("a"))
    ended(queue, first, RunStatus.ERROR)
    ended(queue, second)
    queue.retry(first)
    ended(queue, first)
    assert queue.prune(first).address == first
    with pytest.raises(NotFound):
        queue.task(first)
    with pytest.raises(NotFound):
        queue.run(RunId("a", 1, 1))
    assert [str(run.id) for run in queue.runs()] == ["a/2.1"]
    assert {event.seq for event in queue.events()} == {2}
    assert [task.address for task in queue.tasks(ended=True)] == [second]
    with pytest.raises(NotFound):
        queue.prune(first)


@pytest.mark.parametrize("state", ["queued", "scheduled", "paused"])
def test_a_live_task_is_not_pruned(queue: Queue, state: str) -> None:
    (address,) = submit(queue, command("a", due_at=NOON + 9 if state == "scheduled" else None))
    if state == "paused":
        queue.pause(address, reason=None)
    with pytest.raises(WrongState, match=f"it is {state}"):
        queue.prune(address)


def test_tasks_that_ended_before_a_time_are_found_oldest_first(queue: Queue, clock: Clock) -> None:
    addresses = submit(queue, command("b"), command("a"), command("b"), command("a"))
    for address in addresses[:3]:
        ended(queue, address)
        clock.forward(10)
    assert queue.ended_before(NOON + 20) == [Address("b", 1), Address("a", 1)]
    assert queue.ended_before(NOON + 21) == [Address("b", 1), Address("a", 1), Address("b", 2)]
    assert queue.ended_before(NOON + 21, session="b") == [Address("b", 1), Address("b", 2)]
