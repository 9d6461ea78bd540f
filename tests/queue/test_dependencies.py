"""Tasks that wait for others: released, cancelled, held, reopened; within a session and over several."""

from __future__ import annotations

from typing import Any

import pytest
from queue_driver import Clock, Engine, command, edited, ended, finish, prompt, start, submit

from agentq_cli.base.errors import NotFound, Usage, WrongState
from agentq_cli.engines.door import Queue
from agentq_cli.model.actions import Actor
from agentq_cli.model.addresses import Address
from agentq_cli.model.statuses import FailureClass, RunStatus, Status
from agentq_cli.model.tasks import NewTask
from agentq_cli.model.work import Condition, Dependency


def on(*others: Address | int, condition: Condition = Condition.SUCCESS) -> tuple[Dependency, ...]:
    """What to wait for: tasks that exist, or lines of the same batch by their position."""
    return tuple(
        Dependency(None, condition, ref=other) if isinstance(other, int) else Dependency(other, condition)
        for other in others
    )


def waiting(session: str, *others: Address | int, condition: Condition = Condition.SUCCESS, **fields: Any) -> NewTask:
    return command(session, after=on(*others, condition=condition), **fields)


def settle(queue: Queue) -> list[str]:
    return [str(task.address) for task in queue.settle_dependents(actor=Actor.SWEEP)]


def statuses(queue: Queue, *addresses: Address) -> list[str]:
    return [str(queue.task(address).status) for address in addresses]


def startable(queue: Queue) -> set[str]:
    return {f"{head.session}/{head.seq}" for head in queue.snapshot().heads}


def why(queue: Queue, address: Address) -> tuple[str, str | None]:
    task = queue.task(address)
    return str(task.status), task.reason


def test_it_is_blocked_until_the_other_completed(queue: Queue) -> None:
    (first,) = submit(queue, command())
    (second,) = submit(queue, waiting("default", first))
    assert queue.task(second).work.after == on(first)
    assert statuses(queue, second) == ["blocked"]
    assert startable(queue) == {str(first)}
    found = queue.waiting_for(queue.task(second), jobs=1, parallel=None)
    assert found is not None and (found.kind, found.ids) == ("dependency", (str(first),))
    run = start(queue, first)
    assert statuses(queue, second) == ["blocked"]
    finish(queue, run)
    assert startable(queue) == {str(second)}
    events = [(event.event, event.from_status, event.to_status) for event in queue.events(address=second)]
    assert events == [("release", "blocked", "queued"), ("submit", None, "blocked")]


CONDITIONS = [
    (condition, how, met)
    for condition, met_by in (
        (Condition.SUCCESS, {"completed"}),
        (Condition.ANY, {"completed", "failed", "cancelled", "expired", "skipped"}),
        (Condition.FAILURE, {"failed"}),
    )
    for how in ("completed", "failed", "cancelled", "expired", "skipped")
    for met in (how in met_by,)
]


def end(queue: Queue, clock: Clock, address: Address, how: str) -> None:
    """Bring a task that waits to this end."""
    if how == "cancelled":
        queue.cancel(address)
    elif how == "expired":
        clock.forward(10_000)
        assert queue.expire(address, actor=Actor.SWEEP) is not None
    else:
        outcome = {"completed": RunStatus.SUCCESS, "failed": RunStatus.ERROR, "skipped": RunStatus.SKIPPED}[how]
        ended(queue, address, outcome)


@pytest.mark.parametrize("elsewhere", [False, True])
@pytest.mark.parametrize("before", [False, True])
@pytest.mark.parametrize(("condition", "how", "met"), CONDITIONS)
@pytest.mark.dear
def test_each_condition_against_each_end(
    queue: Queue, clock: Clock, condition: Condition, how: str, met: bool, before: bool, elsewhere: bool
) -> None:
    (first,) = submit(queue, command("a", expires_at=queue.now + 9_000))
    session = "b" if elsewhere else "a"
    if before:
        end(queue, clock, first, how)
    (second,) = submit(queue, waiting(session, first, condition=condition))
    if not before:
        end(queue, clock, first, how)
        settle(queue)
    expected = ("queued", None) if met else ("cancelled", f"dependency {first} failed")
    assert why(queue, second) == expected


def test_a_diamond_in_a_batch_with_forward_references(queue: Queue) -> None:
    tasks = [waiting("default", 1, 2), waiting("default", 3), waiting("default", 3), command()]
    d, b, c, a = submit(queue, *tasks)
    ended(queue, a)
    assert startable(queue) >= {str(b)} and statuses(queue, d, b, c) == ["blocked", "queued", "queued"]
    ended(queue, b)
    assert statuses(queue, d) == ["blocked"]
    ended(queue, c)
    assert startable(queue) == {str(d)}
    ended(queue, d)
    assert not list(queue.tasks())


def test_a_diamond_over_several_sessions(queue: Queue) -> None:
    d, b, c, a = submit(queue, waiting("d", 1, 2), waiting("b", 3), waiting("c", 3), command("a"))
    assert statuses(queue, d, b, c, a) == ["blocked", "blocked", "blocked", "queued"]
    ended(queue, a)
    settle(queue)
    assert statuses(queue, d, b, c) == ["blocked", "queued", "queued"]
    ended(queue, b)
    assert settle(queue) == []
    ended(queue, c)
    settle(queue)
    assert statuses(queue, d) == ["queued"]
    assert settle(queue) == []


def chain(session: str, length: int) -> list[NewTask]:
    return [command(session), *(waiting(session, position) for position in range(length - 1))]


@pytest.mark.dear
def test_a_failure_cancels_the_whole_closure_in_its_own_commit(queue: Queue) -> None:
    addresses = submit(queue, *chain("a", 500))
    ended(queue, addresses[0], RunStatus.ERROR)
    assert not list(queue.tasks())
    found = [why(queue, address) for address in addresses[1:]]
    assert set(found) == {("cancelled", f"dependency {addresses[0]} failed")}
    assert queue.task(addresses[-1]).last_run is None
    assert not list(queue.runs(address=addresses[-1]))


def test_a_failure_cancels_the_closure_over_sessions(queue: Queue) -> None:
    tasks = [command("a"), waiting("b", 0), waiting("c", 1), waiting("a", 2), waiting("z", 3)]
    a, *others = submit(queue, *tasks)
    ended(queue, a, RunStatus.ERROR)
    settle(queue)
    assert {why(queue, address) for address in others} == {("cancelled", f"dependency {a} failed")}
    assert settle(queue) == []


def test_a_failure_that_is_retried_keeps_them_blocked(queue: Queue, clock: Clock) -> None:
    (first,) = submit(queue, prompt())
    (second,) = submit(queue, waiting("default", first))
    task = finish(queue, start(queue, first), RunStatus.ERROR, failure_class=FailureClass.NETWORK)
    assert task is not None and task.shown_status(queue.now) is Status.RETRYING
    assert statuses(queue, second) == ["blocked"]
    clock.forward(10_000)
    ended(queue, first)
    assert statuses(queue, second) == ["queued"]


def test_the_policies_hold_and_run(queue: Queue) -> None:
    (first,) = submit(queue, command())
    held, run = submit(
        queue,
        waiting("default", first, on_dep_failure="hold"),
        waiting("default", first, on_dep_failure="run"),
    )
    ended(queue, first, RunStatus.ERROR)
    assert why(queue, held) == ("paused", f"dependency {first} failed")
    assert why(queue, run) == ("queued", None)
    resumed = queue.resume(held)
    assert (resumed.status, resumed.reason) == (Status.QUEUED, None)


def test_retry_reopens_what_it_had_cancelled_or_held_and_nothing_else(queue: Queue) -> None:
    (first,) = submit(queue, command())
    tasks = [waiting("default", first), waiting("default", first, on_dep_failure="hold"), waiting("other", first)]
    near, held, far = submit(queue, *tasks)
    (below,) = submit(queue, waiting("third", far))
    (by_hand,) = submit(queue, waiting("default", first))
    queue.cancel(by_hand)
    ended(queue, first, RunStatus.ERROR)
    settle(queue)
    assert statuses(queue, near, held, far, below) == ["cancelled", "paused", "cancelled", "cancelled"]
    again = queue.retry(first)
    assert again.address == first
    settle(queue)
    assert statuses(queue, near, held, far, below, by_hand) == ["blocked"] * 4 + ["cancelled"]
    assert why(queue, near) == ("blocked", None)
    reopened = next(queue.events(address=near))
    assert (reopened.event, reopened.from_status, reopened.to_status) == ("reopen", "cancelled", "blocked")
    ended(queue, first)
    settle(queue)
    assert statuses(queue, near, held, far, below) == ["queued", "queued", "queued", "blocked"]
    ended(queue, far)
    settle(queue)
    assert statuses(queue, below) == ["queued"]


def test_what_was_retried_and_has_completed_before_anybody_looked_releases_at_once(queue: Queue) -> None:
    (first,) = submit(queue, command("a"))
    (second,) = submit(queue, waiting("b", first))
    ended(queue, first, RunStatus.ERROR)
    settle(queue)
    queue.retry(first)
    ended(queue, first)
    settle(queue)
    assert statuses(queue, second) == ["queued"]


def test_a_key_that_was_taken_meanwhile_keeps_a_cancelled_one_closed(queue: Queue) -> None:
    (first,) = submit(queue, command("a"))
    (second,) = submit(queue, waiting("a", first, key="nightly"))
    ended(queue, first, RunStatus.ERROR)
    submit(queue, command("a", key="nightly"))
    queue.retry(first)
    assert statuses(queue, second) == ["cancelled"]
    event = next(queue.events(address=second))
    assert event.event == "not_reopened" and "holds the key" in (event.reason or "")


def test_a_person_who_retries_or_resumes_it_knows_better_than_a_failed_dependency(queue: Queue) -> None:
    (first,) = submit(queue, command())
    (second,) = submit(queue, waiting("default", first))
    ended(queue, first, RunStatus.ERROR)
    assert queue.retry(second).status is Status.QUEUED


def test_retry_of_one_waits_for_what_is_still_open(queue: Queue) -> None:
    (first,) = submit(queue, command())
    (second,) = submit(queue, waiting("default", first))
    queue.cancel(second)
    assert queue.retry(second).status is Status.BLOCKED
    ended(queue, first)
    assert statuses(queue, second) == ["queued"]


def test_pausing_a_blocked_one_and_resuming_it(queue: Queue) -> None:
    (first,) = submit(queue, command())
    second, third, fourth = submit(queue, *[waiting("default", first)] * 3)
    for address in (second, third, fourth):
        assert queue.pause(address, reason="not yet").status is Status.PAUSED
    assert queue.resume(second).status is Status.BLOCKED
    ended(queue, first)
    assert statuses(queue, second, third) == ["queued", "paused"]
    assert queue.resume(third).status is Status.QUEUED
    queue.retry(first)
    ended(queue, first, RunStatus.ERROR)
    assert why(queue, fourth) == ("cancelled", f"dependency {first} failed")


def test_an_unknown_dependency_stores_nothing(queue: Queue, engine: Engine) -> None:
    submit(queue, command("a"))
    before = engine.content()
    for unknown in (Address("a", 2), Address("b", 1)):
        with pytest.raises(NotFound, match=str(unknown)):
            submit(queue, command("new"), waiting("new", unknown))
        with pytest.raises(NotFound, match=str(unknown)):
            submit(queue, command("new"), waiting("newer", unknown))
    assert engine.content() == before
    assert len(list(queue.tasks())) == 1


def after(*others: Address) -> Any:
    return edited(after=on(*others))


def test_an_edit_changes_what_it_waits_for_and_makes_no_cycle(queue: Queue) -> None:
    first, second, third = submit(queue, command("a"), waiting("b", 0), waiting("c", 1))
    with pytest.raises(Usage, match="itself"):
        queue.edit(first, after(first))
    with pytest.raises(Usage, match="itself"):
        queue.edit(first, after(third))
    assert queue.task(first).work.after == ()
    assert queue.edit(third, after()).status is Status.QUEUED
    assert queue.edit(first, after(third)).status is Status.BLOCKED
    ended(queue, third)
    settle(queue)
    assert statuses(queue, first) == ["queued"]
    assert queue.edit(second, after(third)).status is Status.QUEUED


def test_a_replaced_task_makes_no_cycle_through_new_ones(queue: Queue) -> None:
    (first,) = submit(queue, command("a", key="k"))
    (second,) = submit(queue, waiting("a", first))
    behind = [waiting("a", second), waiting("a", 0, key="k", replace=True)]
    for tasks in (behind, [waiting("a", 1, key="k", replace=True), waiting("a", second)]):
        with pytest.raises(Usage, match="itself"):
            submit(queue, *tasks)
    assert len(list(queue.tasks())) == 2


@pytest.mark.dear
def test_many_dependents_in_another_session_are_told_together(queue: Queue) -> None:
    (first,) = submit(queue, command("a"))
    many = submit(queue, *[waiting("b", first)] * 1200)
    run = start(queue, first)
    last = queue.last_event()
    finish(queue, run)
    assert len(settle(queue)) in (0, 1200), "in the same commit, or a few"
    assert len(startable(queue)) == 1 and statuses(queue, *many[-1:]) == ["queued"]
    assert queue.unsettled_sessions() == []
    assert queue.last_event() == last + 1201


def test_what_a_live_task_waits_for_is_not_pruned(queue: Queue) -> None:
    (first,) = submit(queue, command("a"))
    ended(queue, first)
    (other,) = submit(queue, command("a"))
    (second,) = submit(queue, waiting("b", first, other))
    with pytest.raises(WrongState, match=str(second)):
        queue.prune(first)
    assert queue.ended_before(queue.now + 1) == []
    queue.cancel(second)
    assert queue.ended_before(queue.now + 1, session="a") == [first]
    queue.prune(first)
    assert queue.retry(second).status is Status.BLOCKED  # for the other one


def test_a_series_waits_before_its_first_occurrence_only(queue: Queue, clock: Clock) -> None:
    from agentq_cli.policy.schedule import Kind, Missed, Overlap, Schedule

    (first,) = submit(queue, command())
    every = Schedule(
        type=Kind.EVERY,
        expr=None,
        every_ms=60_000,
        tz="UTC",
        start=queue.now,
        until=None,
        max_runs=None,
        missed=Missed.LATEST,
        overlap=Overlap.SKIP,
        pause_after=8,
    )
    (second,) = submit(queue, waiting("default", first)._replace(schedule=every, due_at=queue.now))
    assert statuses(queue, second) == ["blocked"]
    ended(queue, first)
    assert statuses(queue, second) == ["queued"]
    clock.forward(60_000)
    ended(queue, second)
    (following,) = list(queue.tasks())
    assert (following.status, following.work.after, following.series) == (Status.QUEUED, (), second.seq)


def test_a_blocked_task_that_expires_takes_its_dependents_along(queue: Queue, clock: Clock) -> None:
    (first,) = submit(queue, command("a"))
    (second,) = submit(queue, waiting("b", first, expires_at=queue.now + 5))
    (third,) = submit(queue, waiting("b", second))
    clock.forward(5)
    assert queue.expired() == [second]
    queue.expire(second, actor=Actor.SWEEP)
    assert statuses(queue, second, third) == ["expired", "cancelled"]


def test_what_one_session_owes_another_survives_a_lost_process(queue: Queue, clock: Clock, engine: Engine) -> None:
    (first,) = submit(queue, command("a"))
    (second,) = submit(queue, waiting("b", first))
    ended(queue, first)
    queue.close()
    with engine.open(clock) as other:
        settle(other)
        assert statuses(other, second) == ["queued"]


def test_a_dependent_of_a_running_task_follows_it_when_it_is_cancelled(queue: Queue) -> None:
    (first,) = submit(queue, command())
    (second,) = submit(queue, waiting("default", first))
    run = start(queue, first)
    queue.request_stop(run, reason="cancelled", cancel=True, actor=Actor.USER)
    assert statuses(queue, second) == ["blocked"]
    finish(queue, run)
    assert why(queue, second) == ("cancelled", f"dependency {first} failed")


def test_replacing_a_keyed_task_replaces_what_it_waits_for(queue: Queue) -> None:
    (first,) = submit(queue, command())
    (second,) = submit(queue, waiting("default", first, key="k"))
    assert submit(queue, command("default", key="k", replace=True)) == [second]
    assert (queue.task(second).status, queue.task(second).work.after) == (Status.QUEUED, ())
    assert submit(queue, waiting("default", first, key="k", replace=True)) == [second]
    assert (queue.task(second).status, queue.task(second).work.after) == (Status.BLOCKED, on(first))


def test_a_batch_over_sessions_sees_what_has_ended_before_it(queue: Queue) -> None:
    done, failed = submit(queue, command("a"), command("a"))
    ended(queue, done)
    ended(queue, failed, RunStatus.ERROR)
    tasks = [waiting("b", done), waiting("c", failed), waiting("b", 1), waiting("c", 0)]
    found = submit(queue, *tasks)
    settle(queue)
    assert statuses(queue, *found) == ["queued", "cancelled", "cancelled", "blocked"]
