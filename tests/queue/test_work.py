"""Whatever passes a task's work on passes on all of it: every declared field, at a value that is not its default.

The fields are those of the declaration: a new one fails here until somebody gives it a value.
"""

from __future__ import annotations

import pytest
from queue_driver import NOON, Clock, changed, command, ended, finish, start, submit, swept

from agentq_cli.base.dataclass import replace
from agentq_cli.engines.door import Queue
from agentq_cli.model.actions import Actor
from agentq_cli.model.addresses import Address
from agentq_cli.model.statuses import RunStatus, Status
from agentq_cli.model.tasks import NewTask
from agentq_cli.model.work import Condition, Dependency, Launch, Work
from agentq_cli.policy.schedule import Kind, Schedule

MINUTE = 60_000
HOURLY = Schedule(Kind.EVERY, every_ms=60 * MINUTE, start=NOON, tz="UTC")
SLOT = NOON + 60 * MINUTE
OTHER = Address("other", 1)
PLAIN = Work("exec", "/", argv=("true",), context="isolated")


@pytest.fixture
def work(queue: Queue) -> Work:
    """Work of which no field is as in `PLAIN`; what it waits for has ended."""
    ended(queue, *submit(queue, command("other")))
    found = Work(
        kind="prompt",
        cwd="/tmp",
        prompt="mach\n'das' \N{SNOWMAN}",
        argv=("sh", "-c", ""),
        agent="demo",
        priority=-7,
        labels=("x", 'y "z"'),
        key="k",
        context="session",
        launch=Launch(env={"A": ""}, umask=0o77, retries=3, max_cost_usd=2.5),
        after=(Dependency(OTHER, Condition.ANY),),
        on_dep_failure="hold",
        expires_at=SLOT + 7 * MINUTE,
        shared=True,
        environment=9,
    )
    same = [name for name in Work.__slots__ if getattr(found, name) == getattr(PLAIN, name)]
    assert same == [], "each field is at another value"
    return found


def test_a_submit_stores_it_and_a_rebuilt_index_and_a_retry_keep_it(queue: Queue, work: Work) -> None:
    (address,) = submit(queue, NewTask("a", work))
    assert queue.task(address).work == work
    swept(queue, rebuild=True)
    assert [task.work for task in queue.tasks(session="a")] == [work]
    ended(queue, address)
    assert queue.retry(address).work == work
    assert queue.task(address).work == work


def test_a_batch_over_several_sessions_stores_it(queue: Queue, work: Work) -> None:
    addresses = submit(queue, NewTask("a", work), NewTask("b", work))
    assert [queue.task(address).work for address in addresses] == [work, work]
    assert sorted((head.session, head.agent, head.priority, head.shares) for head in queue.snapshot().heads) == [
        ("a", "demo", -7, True),
        ("b", "demo", -7, True),
    ]


def test_an_edit_stores_it(queue: Queue, work: Work) -> None:
    (address,) = submit(queue, NewTask("a", PLAIN))
    assert queue.edit(address, lambda task: replace(task, work=work)).work == work
    assert queue.task(address).work == work


def test_one_that_replaces_another_stores_it(queue: Queue, work: Work) -> None:
    (address,) = submit(queue, NewTask("a", replace(PLAIN, key="k")))
    assert submit(queue, NewTask("a", work, replace=True)) == [address]
    assert queue.task(address).work == work


def test_an_occurrence_hands_its_work_on(queue: Queue, clock: Clock, work: Work) -> None:
    (first,) = submit(queue, NewTask("a", work, due_at=SLOT, schedule=HOURLY))
    clock.now = SLOT
    extra = queue.trigger(first)
    assert extra.work == replace(work, key=None, expires_at=None, after=())
    ended(queue, extra.address)
    ended(queue, first)
    following = queue.live(first)
    assert following.address != first
    # What a run has waited for is not waited for again; it expires as long after its slot as the first one.
    later = SLOT + 67 * MINUTE
    assert following.work == replace(work, after=(), expires_at=later)
    clock.now = following.due_at
    ended(queue, following.address)
    assert queue.live(first).work == replace(work, after=(), expires_at=later + 60 * MINUTE)


def test_what_is_changed_while_an_occurrence_runs_is_the_work_of_the_next_one(
    queue: Queue, clock: Clock, work: Work
) -> None:
    (first,) = submit(queue, NewTask("a", PLAIN, due_at=SLOT, schedule=HOURLY))
    clock.now = SLOT
    run = start(queue, first)
    queue.edit(first, lambda task: replace(task, work=work))
    queue.edit(first, lambda task: changed(task, priority=8))
    assert queue.task(first).work == PLAIN
    finish(queue, run)
    following = queue.live(first)
    assert following.address != first
    assert following.work == replace(work, priority=8, expires_at=SLOT + 67 * MINUTE)
    assert following.status is Status.QUEUED, "what it waits for has ended"


def test_an_occurrence_whose_run_alone_was_cancelled_is_retried_as_if_it_had_never_been(
    queue: Queue, clock: Clock
) -> None:
    (first,) = submit(queue, NewTask("a", PLAIN, due_at=SLOT, schedule=HOURLY))
    clock.now = SLOT
    run = start(queue, first)
    queue.request_stop(run, reason="cancelled", cancel=True, run_only=True, actor=Actor.USER)
    finish(queue, run, RunStatus.CANCELLED)
    assert queue.task(first).status is Status.CANCELLED
    assert not queue.retry(first).cancel_requested
    assert not queue.task(first).cancel_requested
    assert ended(queue, first).status is Status.COMPLETED
