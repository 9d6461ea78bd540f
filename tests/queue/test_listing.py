"""What reading shows: tasks, sessions, runs, events, why a task waits; and an empty queue."""

from __future__ import annotations

from collections import Counter

import pytest
from queue_driver import NOON, Clock, Engine, OpenQueue, command, edited, ended, finish, prompt, start, submit

from agentq_cli.base.errors import NotFound
from agentq_cli.engines.door import Queue
from agentq_cli.model.actions import Actor
from agentq_cli.model.addresses import Address, RunId
from agentq_cli.model.statuses import RunStatus, Status

# Tasks


def names(tasks: object) -> list[str]:
    return [str(task.address) for task in tasks]  # type: ignore[attr-defined]


def test_live_tasks_are_listed_soonest_first_then_the_ended_newest_end_first(queue: Queue, clock: Clock) -> None:
    submit(queue, *[command("b", due_at=NOON + after) for after in (5, 1, 0)], *[command("a") for _ in range(3)])
    for address in (Address("b", 3), Address("a", 2)):
        ended(queue, address)
        clock.forward(1)
    assert names(queue.tasks()) == ["a/1", "a/3", "b/2", "b/1"]
    assert names(queue.tasks(ended=True)) == ["a/1", "a/3", "b/2", "b/1", "a/2", "b/3"]


@pytest.mark.usefixtures("small_pages")
def test_more_tasks_than_a_page_are_all_listed_once_and_in_order(queue: Queue, clock: Clock) -> None:
    submit(queue, *[command("b" if n % 3 else "a", due_at=NOON + n // 10) for n in range(52)])
    found = list(queue.tasks())
    assert len({task.address for task in found}) == len(found) == 52
    assert [(t.due_at, *t.address) for t in found] == sorted((t.due_at, *t.address) for t in found)
    for task in found:
        queue.cancel(task.address)
        clock.forward(1)
    assert names(queue.tasks(ended=True)) == names(reversed(found))


@pytest.mark.parametrize("status", list(Status))
@pytest.mark.dear
def test_a_status_selects_the_tasks_that_are_shown_with_it(queue: Queue, clock: Clock, status: Status) -> None:
    made = {
        Status.QUEUED: ["default/1"],
        Status.SCHEDULED: ["default/2"],
        Status.PAUSED: ["default/3"],
        Status.RUNNING: ["default/4"],
        Status.COMPLETED: ["default/5"],
        Status.FAILED: ["default/6"],
        Status.CANCELLED: ["default/7"],
        Status.SKIPPED: ["default/8"],
        Status.EXPIRED: ["default/9"],
    }
    addresses = submit(queue, *[command(due_at=NOON + 99 if n == 2 else None) for n in range(1, 9)])
    addresses += submit(queue, command(expires_at=NOON))
    queue.pause(addresses[2], reason=None)
    start(queue, addresses[3])
    ended(queue, addresses[4])
    ended(queue, addresses[5], RunStatus.ERROR)
    queue.cancel(addresses[6])
    ended(queue, addresses[7], RunStatus.SKIPPED)
    queue.expire(addresses[8], actor=Actor.SWEEP)
    assert names(queue.tasks(statuses={status})) == made.get(status, [])
    clock.forward(99)
    if status is Status.QUEUED:
        assert names(queue.tasks(statuses={status})) == ["default/1", "default/2"]


def test_several_statuses_live_and_ended_are_listed_together(queue: Queue) -> None:
    first, second, third = submit(queue, command(), command(), command())
    ended(queue, first)
    queue.pause(second, reason=None)
    assert names(queue.tasks(statuses={Status.COMPLETED, Status.PAUSED})) == [str(second), str(first)]
    assert names(queue.tasks(statuses={Status.PAUSED}, ended=True)) == [str(second)]
    assert names(queue.tasks(ended=True, limit=1)) == [str(third)] or names(queue.tasks(ended=True, limit=1)) == [
        str(second)
    ]


def test_filters_come_before_the_limit(queue: Queue) -> None:
    submit(queue, *[command("a") for _ in range(700)])
    submit(queue, command("a", labels=("x", "y")), command("a", labels=("y",)), command("b", labels=("x",)))
    assert names(queue.tasks(label="x", limit=2)) == ["a/701", "b/1"]
    assert names(queue.tasks(label="y", limit=1)) == ["a/701"]
    assert names(queue.tasks(session="b", limit=1)) == ["b/1"]
    queue.pause(Address("a", 700), reason=None)
    assert names(queue.tasks(statuses={Status.PAUSED}, limit=1)) == ["a/700"]
    assert names(queue.tasks(limit=0)) == []
    with pytest.raises(NotFound):
        queue.tasks(session="c")


def test_tasks_that_change_while_they_are_listed_are_listed_once(queue: Queue) -> None:
    submit(queue, *[command("a") for _ in range(1200)])
    listing = queue.tasks()
    first = next(listing)
    for seq in (2, 600, 1100):
        queue.cancel(Address("a", seq))
    found = [first.seq] + [task.seq for task in listing]
    assert len(found) == len(set(found))
    assert set(found) >= set(range(1, 1201)) - {2, 600, 1100}


# Sessions


def test_sessions_show_their_counts_by_shown_status(queue: Queue, clock: Clock) -> None:
    addresses = submit(queue, *[command("a") for _ in range(5)], command("b", due_at=NOON + 7))
    ended(queue, addresses[0])
    ended(queue, addresses[1], RunStatus.ERROR)
    queue.pause(addresses[2], reason=None)
    start(queue, addresses[3])
    a, b = queue.sessions()
    assert (a.name, b.name) == ("a", "b")
    assert dict(a.counts) == {"completed": 1, "failed": 1, "paused": 1, "running": 1, "queued": 1}
    assert (dict(b.counts), b.next_due_at) == ({"scheduled": 1}, NOON + 7)
    assert a.next_due_at == NOON
    clock.forward(7)
    assert dict(list(queue.sessions())[1].counts) == {"queued": 1}
    assert queue.session_names() == ["a", "b"]


def test_many_sessions_are_all_listed(queue: Queue) -> None:
    submit(queue, *[command(f"s{n}") for n in range(60)])
    assert [session.name for session in queue.sessions()] == sorted(f"s{n}" for n in range(60))


# Runs, events


@pytest.mark.usefixtures("small_pages")
def test_runs_are_listed_newest_first_and_filtered_before_the_limit(queue: Queue, clock: Clock) -> None:
    for n, address in enumerate(submit(queue, *[command(name) for name in ("a", "b") for _ in range(25)])):
        finish(queue, start(queue, address), RunStatus.ERROR if n in (3, 7) else RunStatus.SUCCESS)
        clock.forward(1)
    found = list(queue.runs())
    assert [run.started_at for run in found] == list(range(NOON + 49, NOON - 1, -1))
    assert [run.started_at for run in queue.runs(statuses=["error"], limit=2)] == [NOON + 7, NOON + 3]
    assert [run.id for run in queue.runs(session="b")] == [run.id for run in found if run.session == "b"]
    assert len(list(queue.runs(since=NOON + 40))) == 10
    assert [run.id for run in queue.runs(address=Address("a", 2))] == [RunId("a", 2, 1)]
    assert list(queue.runs(address=Address("a", 2), statuses=["error"], since=NOON + 40)) == []
    for ask in (lambda: queue.runs(session="c"), lambda: queue.runs(address=Address("a", 9999))):
        with pytest.raises(NotFound):
            ask()
    with pytest.raises(NotFound, match=r"a/1\.9"):
        queue.run(RunId("a", 1, 9))


def test_events_are_listed_newest_first_and_can_be_followed(queue: Queue, clock: Clock) -> None:
    addresses = submit(queue, *[command("a") for _ in range(700)])
    position = queue.last_event()
    assert position == 700
    clock.forward(5)
    queue.pause(addresses[3], reason="r")
    queue.cancel(addresses[3])
    assert [event.event for event in queue.events(address=addresses[3])] == ["cancel", "pause", "submit"]
    assert [event.id for event in queue.events()] == list(range(702, 0, -1))
    assert len(list(queue.events(limit=10))) == 10
    assert [event.event for event in queue.events(since=NOON + 1)] == ["cancel", "pause"]
    assert [event.event for event in queue.events_after(position)] == ["pause", "cancel"]
    assert [event.event for event in queue.events_after(position, address=addresses[4])] == []
    page = queue.events_after(0)
    assert [event.id for event in page] == list(range(1, len(page) + 1))
    assert queue.events_after(702) == []
    with pytest.raises(NotFound):
        queue.events(address=Address("a", 9999))


# Why a task waits


def why(queue: Queue, address: Address, *, jobs: int = 2, parallel: int | None = 1) -> tuple[str | None, str]:
    found = queue.waiting_for(queue.task(address), jobs=jobs, parallel=parallel)
    return (None, "") if found is None else (found.kind, found.detail)


def test_what_a_task_waits_for_is_named(queue: Queue, clock: Clock) -> None:
    first, second, later = submit(queue, prompt("a"), prompt("a"), prompt("a", due_at=NOON + 9))
    assert why(queue, first, jobs=0) == ("slot", "no supervisor is running; start one with `agentq run`")
    assert why(queue, first)[0] == "slot"
    assert why(queue, later)[0] == "time"
    assert queue.waiting_for(queue.task(later), jobs=2, parallel=1).until == NOON + 9  # type: ignore[union-attr]
    run = start(queue, first)
    assert why(queue, first) == (None, "")
    assert why(queue, second) == ("session", "a/1 is using the conversation of 'a'")
    finish(queue, run)
    assert why(queue, first) == (None, "")
    queue.pause(second, reason="not now")
    kind, detail = why(queue, second)
    assert (kind, "(not now)" in detail, "agentq resume a/2" in detail) == ("paused", True, True)
    queue.resume(second)
    queue.pause_session("a", reason="quiet", paused=True)
    assert "session 'a' is paused (quiet)" in why(queue, second)[1]
    queue.pause_agent("demo", reason=None)
    assert "agent 'demo' is paused" in why(queue, second)[1]
    queue.pause_agent(None, reason=None)
    assert "the queue is paused" in why(queue, second)[1]


def test_a_full_lane_names_what_runs_in_it(queue: Queue) -> None:
    first, second = submit(queue, command("a"), command("a"))
    start(queue, first)
    found = queue.waiting_for(queue.task(second), jobs=2, parallel=1)
    assert found is not None
    assert (found.kind, found.ids) == ("session", ("a/1",))
    assert why(queue, second, parallel=2)[0] == "slot"
    assert why(queue, second, parallel=None)[0] == "slot"


def test_a_full_house_names_its_numbers_and_who_is_ahead(queue: Queue) -> None:
    addresses = submit(queue, command(), command(), command(priority=5), command())
    start(queue, addresses[0])
    start(queue, addresses[1])
    detail = why(queue, addresses[3], parallel=None)[1]
    assert "2 of 2 slots" in detail
    assert "1 due before it" in detail


# What a drain waits for


def test_due_tasks_are_unfinished_but_scheduled_and_paused_ones_are_not(queue: Queue, clock: Clock) -> None:
    paused, _, _, _ = submit(
        queue, command("p"), command("s", due_at=NOON + 5), prompt("q", agent="demo"), command("q")
    )
    queue.pause(paused, reason=None)
    assert queue.unfinished() == {("q", "demo"), ("q", "")}
    clock.forward(5)
    assert ("s", "") in queue.unfinished()
    queue.edit(Address("q", 1), edited(due_at=queue.now + 1))
    assert queue.unfinished() == {("s", ""), ("q", "")}


# Nothing there


def test_a_queue_that_does_not_exist_reads_as_empty_and_leaves_no_file(
    open_queue: OpenQueue, clock: Clock, engine: Engine
) -> None:
    queue = open_queue(clock, create=False)
    assert list(queue.tasks(ended=True)) == list(queue.runs()) == list(queue.events()) == list(queue.sessions()) == []
    assert queue.workers() == queue.supervisors() == queue.holds() == queue.expired() == queue.session_names() == []
    assert queue.unfinished() == set()
    assert (queue.ahead().due, queue.last_sweep(), queue.last_event()) == (None, None, 0)
    assert (queue.snapshot().heads, list(queue.upkeep.faults()), set(queue.upkeep.leftovers())) == ((), [], {0})
    for ask in (
        lambda: queue.task(Address("a", 1)),
        lambda: queue.run(RunId("a", 1, 1)),
        lambda: queue.cancel(Address("a", 1)),
        lambda: list(queue.messages("a")),
    ):
        with pytest.raises(NotFound, match="'a'"):
            ask()
    assert not engine.content()


def test_reading_changes_nothing(open_queue: OpenQueue, clock: Clock, engine: Engine) -> None:
    queue = open_queue(clock)
    first, second = submit(queue, prompt("a"), prompt("a"))
    ended(queue, first)
    start(queue, second)
    queue.close()
    before = engine.content()
    reader = open_queue(clock, create=False)
    task = reader.task(second)
    reader.waiting_for(task, jobs=1, parallel=1)
    assert len(list(reader.tasks(ended=True))) == 2
    assert len(list(reader.sessions())) == 1
    assert len(list(reader.runs())) == 2
    assert Counter(e.event for e in reader.events()) == {"submit": 2, "start": 2, "finish": 1}
    assert len(list(reader.messages("a"))) == 1
    assert reader.snapshot().workers == len(reader.workers()) == 1
    assert engine.content() == before
