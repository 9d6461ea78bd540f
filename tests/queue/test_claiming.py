"""Picking and claiming: what may start, in which order, and what a claim tests again under its lock."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest
from queue_driver import (
    NOON,
    SUPERVISOR,
    Clock,
    Engine,
    OpenQueue,
    claim,
    claim_next,
    command,
    edited,
    ended,
    finish,
    head_of,
    only_worker,
    prompt,
    start,
    started,
    submit,
    the_plan,
    together,
    widths,
)
from sampling import WIDE

from agentq_cli.base.errors import WrongState
from agentq_cli.engines.door import Queue
from agentq_cli.engines.nouns import Past, Plan
from agentq_cli.model.actions import Actor, Trigger
from agentq_cli.model.addresses import Address, RunId
from agentq_cli.model.statuses import FailureClass, RunStatus, Status
from agentq_cli.model.tasks import NewTask, Task
from agentq_cli.model.work import Launch

HOUR = 3_600_000


def starts(queue: Queue, **options: object) -> list[str]:
    """Run everything that may start, one at a time; the addresses in the order of their starts."""
    found = []
    while (claimed := claim_next(queue, **options)) is not None:  # type: ignore[arg-type]
        found.append(str(claimed.task.address))
        finish(queue, claimed.run)
    return found


# One claim


def test_a_claim_makes_a_run_and_a_worker(queue: Queue) -> None:
    (address,) = submit(queue, prompt("a", "say it"))
    claimed = claim_next(queue)
    assert claimed is not None
    assert (claimed.run, claimed.task, claimed.plan.argv) == (
        RunId("a", 1, 1),
        queue.task(address),
        ("demo", "say it"),
    )
    task = queue.task(address)
    assert (task.status, task.attempts, task.runs, task.last_run) == (Status.RUNNING, 1, 1, 1)
    run = queue.run(claimed.run)
    assert (run.status, run.trigger, run.agent, run.argv, run.cwd) == (
        RunStatus.RUNNING,
        Trigger.SUBMIT,
        "demo",
        ("demo", "say it"),
        "/",
    )
    assert (run.scheduled_for, run.started_at, run.finished_at, run.host) == (NOON, NOON, None, "here")
    worker = only_worker(queue)
    assert (worker.id, worker.agent, worker.supervisor, worker.claimed_at) == (claimed.run, "demo", SUPERVISOR, NOON)
    assert (worker.adopted, worker.stop, worker.conversation_key) == (False, None, "1")
    assert queue.worker(address) == worker
    event = next(queue.events())
    assert (event.event, event.from_status, event.to_status, event.attempt, event.actor) == (
        "start",
        "queued",
        "running",
        1,
        "supervisor",
    )


def test_a_task_is_claimed_once(queue: Queue) -> None:
    (address,) = submit(queue, command("a"))
    head = head_of(queue, address)
    assert claim(queue, head) is not None
    assert claim(queue, head, parallel=widths(a=9)) is None
    assert len(queue.workers()) == 1
    assert len(list(queue.runs())) == 1


@pytest.mark.dear
def test_claims_of_six_processes_are_distinct(open_queue: OpenQueue, clock: Clock, engine: Engine) -> None:
    queue = open_queue(clock)
    count = 100 * WIDE
    submit(queue, *[command() for _ in range(count)])
    found = together(engine, [["claims", str(count + 20)]] * 6)
    runs = [run for of_one in found for run in of_one["runs"]]
    assert sorted(runs) == sorted(f"default/{n}.1" for n in range(1, count + 1))
    assert {str(worker.id) for worker in queue.workers()} == set(runs)
    assert Counter(task.status for task in queue.tasks()) == {Status.RUNNING: count}
    assert Counter((e.seq, e.event) for e in queue.events()) == Counter(
        (n, event) for n in range(1, count + 1) for event in ("submit", "start")
    )


def test_six_processes_keep_a_session_to_its_width(open_queue: OpenQueue, clock: Clock, engine: Engine) -> None:
    queue = open_queue(clock)
    submit(queue, *[command(name) for name in ("a", "b", "c") for _ in range(10)])
    found = together(engine, [["claims", "10"]] * 6)
    assert sorted(run for of_one in found for run in of_one["runs"]) == ["a/1.1", "b/1.1", "c/1.1"]
    assert len(queue.workers()) == 3


def test_a_planner_that_fails_leaves_the_task_unclaimed(queue: Queue) -> None:
    def broken(task: Task, past: Past) -> Plan:
        raise RuntimeError("no plan")

    (address,) = submit(queue, command("a"))
    with pytest.raises(RuntimeError, match="no plan"):
        claim(queue, head_of(queue, address), planner=broken)
    assert queue.task(address).status is Status.QUEUED
    assert not queue.workers()
    assert not list(queue.runs())
    assert claim_next(queue) is not None


CHANGES: dict[str, Callable[[Queue, Address], object]] = {
    "edited": lambda queue, address: queue.edit(address, edited(prompt="something else")),
    "cancelled": lambda queue, address: queue.cancel(address),
    "paused": lambda queue, address: queue.pause(address, reason=None),
    "moved up": lambda queue, address: queue.edit(address, edited(priority=7)),
    "taken": lambda queue, address: start(queue, address),
    "gone on from": lambda queue, address: finish(queue, start(queue, *submit(queue, prompt("a"))), conversation="c-2"),
    "pruned": lambda queue, address: (queue.cancel(address), queue.prune(address)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_changes_between_plan_and_claim_is_not_taken(queue: Queue, open_queue: OpenQueue, change: str) -> None:
    finish(queue, start(queue, *submit(queue, prompt("a"))), conversation="c-1")
    (address,) = submit(queue, prompt("a"))
    other = open_queue(Clock(queue.now + 1))

    def planner(task: Task, past: Past) -> Plan:
        CHANGES[change](other, address)
        return the_plan(task, past)

    head, before = head_of(queue, address), len(list(queue.runs()))
    assert claim(queue, head, planner=planner) is None
    assert len(list(queue.runs())) == before + (change in ("taken", "gone on from"))
    assert len(queue.workers()) == (change == "taken")
    assert claim(queue, head) is None or change in ("edited", "moved up", "gone on from")


def test_a_task_that_is_gone_is_no_candidate_and_forgotten(queue: Queue) -> None:
    (address,) = submit(queue, command("a"))
    head = head_of(queue, address)
    queue.cancel(address)
    queue.prune(address)
    assert queue.candidate(head) is None


# The cap


def test_no_more_than_jobs_run_at_once_over_all_sessions(queue: Queue) -> None:
    submit(queue, *[command(f"s{n}") for n in range(5)])
    assert len(started(queue, jobs=3)) == 3
    assert claim_next(queue, jobs=4) is not None
    assert claim_next(queue, jobs=4) is None


def test_a_finished_run_frees_its_slot(queue: Queue) -> None:
    submit(queue, command(), command())
    claimed = claim_next(queue, jobs=1)
    assert claimed is not None
    assert claim_next(queue, jobs=1) is None
    finish(queue, claimed.run)
    assert claim_next(queue, jobs=1) is not None


# Lanes


def test_a_named_session_runs_one_task_at_a_time_in_order(queue: Queue) -> None:
    submit(queue, command("a"), prompt("a", context="isolated"), command("a"))
    first = claim_next(queue)
    assert first is not None
    assert claim_next(queue) is None
    finish(queue, first.run, RunStatus.ERROR)
    assert starts(queue) == ["a/2", "a/3"]


def test_the_default_session_is_as_wide_as_the_cap(queue: Queue) -> None:
    submit(queue, *[command() for _ in range(7)])
    assert started(queue, jobs=7) == [f"default/{n}" for n in range(1, 8)]


def test_a_session_configured_wider_runs_as_many(queue: Queue) -> None:
    submit(queue, *[command("a") for _ in range(5)])
    assert started(queue, parallel=widths(a=3)) == ["a/1", "a/2", "a/3"]


def test_the_default_session_can_be_configured_narrow(queue: Queue) -> None:
    submit(queue, *[command() for _ in range(5)])
    assert started(queue, parallel=widths(default=2)) == ["default/1", "default/2"]


def test_a_claim_keeps_to_the_lane_whatever_was_picked(queue: Queue) -> None:
    first, second = submit(queue, command("a"), command("a"))
    stale = head_of(queue, second)
    start(queue, first)
    assert claim(queue, stale) is None
    assert claim(queue, stale, parallel=widths(a=2)) is not None


@pytest.mark.parametrize("session", ["a", "default"])
def test_tasks_that_share_a_conversation_never_overlap(queue: Queue, session: str) -> None:
    one = {"context": "session", "launch": Launch(conversation_key="k")}
    first, second = submit(queue, prompt(session, "1", **one), prompt(session, "2", **one))
    stale = head_of(queue, second)
    wide = widths(a=9, default=9)
    claimed = claim_next(queue, parallel=wide)
    assert claimed is not None and claimed.task.address == first
    assert claim_next(queue, parallel=wide) is None
    assert claim(queue, stale, parallel=wide) is None
    finish(queue, claimed.run)
    assert claim(queue, stale, parallel=wide) is not None


def test_another_agent_another_session_and_isolated_tasks_run_beside_a_conversation(queue: Queue) -> None:
    submit(
        queue,
        prompt("a", agent="demo"),
        prompt("a", agent="other"),
        prompt("a", agent="demo", context="isolated"),
        command("a"),
        prompt("b", agent="demo"),
    )
    assert sorted(started(queue, parallel=widths(a=9))) == ["a/1", "a/2", "a/3", "a/4", "b/1"]


def test_a_task_that_waits_for_its_conversation_does_not_hide_an_isolated_one(queue: Queue) -> None:
    submit(
        queue,
        prompt("default", "1", context="session"),
        prompt("default", "2", context="session"),
        prompt("default", "3", context="isolated"),
    )
    assert started(queue) == ["default/1", "default/3"]


# Due, expired, paused: filters come before limits


def test_a_task_is_not_started_before_it_is_due(queue: Queue, clock: Clock) -> None:
    (address,) = submit(queue, command(due_at=NOON + 5))
    clock.forward(4)
    assert claim_next(queue) is None
    assert claim(queue, head_of(queue, address)) is None
    clock.forward(1)
    claimed = claim_next(queue)
    assert claimed is not None
    assert queue.run(claimed.run).scheduled_for == NOON + 5


def test_a_task_is_not_started_once_it_has_expired(queue: Queue, clock: Clock) -> None:
    (address,) = submit(queue, command(expires_at=NOON + 5))
    stale = head_of(queue, address)
    clock.forward(5)
    assert claim_next(queue) is None
    assert claim(queue, stale) is None
    assert claim(queue, replace(stale, expires_at=None)) is None


@pytest.mark.dear
def test_a_hundred_that_may_not_start_never_hide_one_that_may(queue: Queue, clock: Clock) -> None:
    for n in range(100):
        paused, _, _ = submit(
            queue,
            command("a", f"p{n}", priority=5),
            command("a", priority=5, due_at=NOON + HOUR),
            command("a", priority=5, expires_at=NOON + 1),
        )
        queue.pause(paused, reason=None)
    clock.forward(1)
    (address,) = submit(queue, command("a", priority=5))
    assert starts(queue) == [str(address)]


def test_an_expired_task_that_nobody_ended_yet_hides_nobody(queue: Queue, clock: Clock) -> None:
    submit(queue, command("a", expires_at=NOON + 1), command("a"))
    clock.forward(1)
    assert starts(queue) == ["a/2"]


def test_a_paused_task_is_not_started(queue: Queue) -> None:
    first, _ = submit(queue, command("a"), command("a"))
    stale = head_of(queue, first)
    queue.pause(first, reason=None)
    assert claim(queue, stale) is None
    assert starts(queue) == ["a/2"]
    queue.resume(first)
    assert starts(queue) == ["a/1"]


def test_nothing_of_a_paused_session_is_started(queue: Queue) -> None:
    (address,) = submit(queue, command("a"))
    submit(queue, command("b"))
    stale = head_of(queue, address)
    assert queue.pause_session("a", reason="quiet", paused=True)
    assert claim(queue, stale) is None
    assert starts(queue) == ["b/1"]
    assert queue.task(address).status is Status.QUEUED
    assert queue.pause_session("a", reason=None, paused=False)
    assert starts(queue) == ["a/1"]


def test_nothing_of_a_paused_agent_is_started(queue: Queue) -> None:
    demo, _, _ = submit(queue, prompt("a", agent="demo"), prompt("b", agent="other"), command("c"))
    stale = head_of(queue, demo)
    queue.pause_agent("demo", reason=None)
    assert claim(queue, stale) is None
    assert starts(queue) == ["b/1", "c/1"]
    queue.resume_agent("demo")
    assert starts(queue) == ["a/1"]


def test_nothing_of_a_paused_queue_is_started_not_even_of_later_sessions(queue: Queue) -> None:
    queue.pause_agent(None, reason=None)
    (address,) = submit(queue, command("a"))
    assert claim_next(queue) is None
    assert claim(queue, head_of(queue, address)) is None
    queue.resume_agent(None)
    assert starts(queue) == ["a/1"]


def test_a_queue_resumed_leaves_the_agents_paused_and_the_other_way_round(queue: Queue) -> None:
    submit(queue, prompt("a", agent="demo"))
    queue.pause_agent(None, reason=None)
    queue.pause_agent("demo", reason=None)
    queue.resume_agent(None)
    assert claim_next(queue) is None
    queue.pause_agent(None, reason=None)
    queue.resume_agent("demo")
    assert claim_next(queue) is None
    queue.resume_agent(None)
    assert claim_next(queue) is not None


def test_what_was_edited_between_pick_and_claim_counts(queue: Queue) -> None:
    (address,) = submit(queue, prompt("a", agent="demo", context="isolated"), prompt("a", agent="other"))[:1]
    stale = head_of(queue, address)
    queue.pause_agent("other", reason=None)
    queue.edit(address, edited(agent="other"))
    assert claim(queue, stale) is None, "its agent is paused"
    queue.resume_agent("other")
    start(queue, Address("a", 2))
    queue.edit(address, edited(context="session", launch=Launch(conversation_key="1")))
    assert claim(queue, stale, parallel=widths(a=9)) is None, "its conversation is taken"
    queue.edit(address, edited(agent="demo", due_at=NOON + 1))
    assert claim(queue, stale, parallel=widths(a=9)) is None, "it is not due"


def test_what_was_cancelled_or_pruned_between_pick_and_claim_is_not_started(queue: Queue) -> None:
    cancelled, pruned = submit(queue, command("a"), command("b"))
    heads = [head_of(queue, cancelled), head_of(queue, pruned)]
    queue.cancel(cancelled)
    queue.cancel(pruned)
    queue.prune(pruned)
    assert [claim(queue, head) for head in heads] == [None, None]


# Order


def test_higher_priority_goes_first(queue: Queue) -> None:
    submit(queue, *[command("a", priority=p) for p in (0, -100, 100, 5, 0)])
    assert starts(queue) == ["a/3", "a/4", "a/1", "a/5", "a/2"]


def test_earlier_due_time_goes_first_then_the_lower_address(queue: Queue, clock: Clock) -> None:
    submit(queue, *[command("a", due_at=NOON + after) for after in (3, 1, 2, 1)])
    clock.forward(5)
    assert starts(queue) == ["a/2", "a/4", "a/3", "a/1"]


@pytest.mark.dear
def test_two_sessions_with_ten_tasks_each_and_one_slot_alternate(queue: Queue) -> None:
    submit(queue, *[command("a") for _ in range(10)], *[command("b") for _ in range(10)])
    assert starts(queue, jobs=1) == [f"{name}/{n}" for n in range(1, 11) for name in ("a", "b")]


@pytest.mark.dear
def test_three_sessions_take_turns_while_the_clock_stands_or_goes_back(queue: Queue, clock: Clock) -> None:
    submit(queue, *[command(name) for name in ("a", "b", "c") for _ in range(4)])
    order = []
    for _ in range(12):
        claimed = claim_next(queue, jobs=1)
        assert claimed is not None
        order.append(claimed.task.session)
        finish(queue, claimed.run)
        if len(order) == 5:
            submit(queue, *[command(name, due_at=0) for name in ("a", "b", "c")])
            clock.forward(-1000)
            for address in list(queue.tasks(statuses={Status.SCHEDULED})):
                queue.edit(address.address, edited(due_at=0))
    assert order == ["a", "b", "c"] * 4


def test_priority_comes_before_whose_turn_it_is(queue: Queue) -> None:
    submit(queue, command("a", priority=1), command("a", priority=1), command("b"))
    assert starts(queue, jobs=1) == ["a/1", "a/2", "b/1"]


def test_between_new_sessions_due_time_then_the_number_decides(queue: Queue, clock: Clock) -> None:
    submit(queue, command("a", due_at=NOON + 9), command("a", due_at=NOON + 2), command("b", due_at=NOON + 2))
    submit(queue, command("c", due_at=NOON + 1))
    clock.forward(9)
    assert started(queue) == ["c/1", "b/1", "a/2"]


@pytest.mark.dear
def test_the_lowest_priority_starts_within_the_ageing_time_under_a_stream_of_higher_ones(
    queue: Queue, clock: Clock
) -> None:
    submit(queue, command("low", priority=-100))
    served = []
    for _ in range(62):
        submit(queue, command("high", priority=100))
        claimed = claim_next(queue, jobs=1, ageing_ms=HOUR)
        assert claimed is not None
        finish(queue, claimed.run)
        served.append(claimed.task.session)
        clock.forward(60_000)
    assert served == ["high"] * 60 + ["low", "high"]


def test_without_ageing_a_higher_priority_always_goes_first(queue: Queue, clock: Clock) -> None:
    submit(queue, command("low", priority=-100))
    clock.forward(100 * HOUR)
    submit(queue, command("high", priority=-99))
    assert started(queue) == ["high/1", "low/1"]


def test_a_look_at_some_sessions_offers_only_theirs(queue: Queue) -> None:
    submit(queue, command("a"), command("b"), command("c"))
    assert sorted(head.session for head in queue.snapshot(("a", "c")).heads) == ["a", "c"]
    start(queue, Address("b", 1))
    assert queue.snapshot(("a",)).workers == 1


# Taking a claim back


def test_a_claim_that_never_started_is_undone_without_using_an_attempt(queue: Queue) -> None:
    (address,) = submit(queue, command("a"), command("a"))[:1]
    run = start(queue, address)
    assert queue.undo_claim(run, actor=Actor.SWEEP, reason="never started")
    task = queue.task(address)
    assert (task.status, task.attempts, task.last_run) == (Status.QUEUED, 0, None)
    assert task.shown_status(queue.now) is Status.QUEUED
    assert not queue.workers()
    assert not list(queue.runs())
    event = next(queue.events())
    assert (event.event, event.from_status, event.to_status, event.reason) == (
        "undo",
        "running",
        "queued",
        "never started",
    )
    again = claim_next(queue)
    assert again is not None
    assert again.run == RunId("a", 1, 2), "a number that was handed out is not used again"


def test_a_claim_is_undone_once(queue: Queue) -> None:
    (address,) = submit(queue, command("a"))
    run = start(queue, address)
    assert queue.undo_claim(run, actor=Actor.SWEEP, reason="x")
    assert not queue.undo_claim(run, actor=Actor.SWEEP, reason="x")
    later = start(queue, address)
    assert not queue.undo_claim(run, actor=Actor.SWEEP, reason="x")
    assert only_worker(queue).id == later


def test_an_ended_run_is_not_undone(queue: Queue) -> None:
    (address,) = submit(queue, command("a"))
    run = start(queue, address)
    finish(queue, run)
    assert not queue.undo_claim(run, actor=Actor.SWEEP, reason="x")
    assert queue.task(address).status is Status.COMPLETED


def test_a_claim_undone_after_a_cancel_is_cancelled(queue: Queue) -> None:
    (address,) = submit(queue, command("a"))
    run = start(queue, address)
    queue.request_stop(run, reason="cancelled", cancel=True, actor=Actor.USER)
    assert queue.undo_claim(run, actor=Actor.SWEEP, reason="x")
    task = queue.task(address)
    assert (task.status, task.ended_at) == (Status.CANCELLED, NOON)
    assert not queue.workers()
    assert claim_next(queue) is None


def test_an_undone_claim_of_a_later_attempt_leaves_the_earlier_run(queue: Queue) -> None:
    (address,) = submit(queue, command("a"))
    ended(queue, address, RunStatus.ERROR)
    queue.retry(address)
    run = start(queue, address)
    assert run.attempt == 2
    assert queue.undo_claim(run, actor=Actor.SWEEP, reason="x")
    assert queue.task(address).last_run == 1
    assert [each.id for each in queue.runs()] == [RunId("a", 1, 1)]


def test_a_retry_is_claimed_as_one(queue: Queue) -> None:
    (address,) = submit(queue, command("a"))
    ended(queue, address, RunStatus.ERROR)
    queue.retry(address)
    run = start(queue, address)
    assert queue.run(run).trigger is Trigger.RETRY


# Conversations


def test_a_conversation_is_handed_to_the_next_task_that_shares_it(queue: Queue, clock: Clock) -> None:
    def told(new: NewTask) -> str | None:
        seen: list[str | None] = []

        def planner(task: Task, past: Past) -> Plan:
            seen.append(past.conversation)
            return Plan(("x",), conversation=past.conversation)

        (address,) = submit(queue, new)
        run = start(queue, address, planner=planner)
        finish(queue, run, conversation="c-9" if new.work.agent == "demo" else None)
        return seen[0]

    assert told(prompt("a")) is None
    clock.forward(7)
    assert told(prompt("a")) == told(prompt("a")) == "c-9"
    assert told(prompt("a", context="isolated")) is None
    assert told(prompt("a", agent="other")) is None
    assert told(prompt("b")) is None
    assert told(command("a")) is None


def test_a_conversation_that_is_bound_to_a_directory_goes_on_only_there(queue: Queue) -> None:
    def resumed(cwd: str, *, bound: bool = True) -> str | None:
        def planner(task: Task, past: Past) -> Plan:
            return Plan(("x",), conversation=None if bound and past.directory != task.work.cwd else past.conversation)

        (address,) = submit(queue, prompt("a", cwd=cwd))
        claimed = claim(queue, head_of(queue, address), planner=planner)
        assert claimed is not None
        finish(queue, claimed.run, conversation=claimed.plan.conversation or f"c-{address.seq}")
        return claimed.plan.conversation

    assert resumed("/") is None, "the first"
    assert resumed("/") == "c-1"
    assert resumed("/tmp") is None
    assert resumed("/tmp") == "c-3", "the new one is the session's now"
    assert resumed("/", bound=False) == "c-3"
    (isolated,) = submit(queue, prompt("a", context="isolated", cwd="/tmp"))
    finish(queue, start(queue, isolated), conversation="its own")
    assert resumed("/") == "c-3", "where it was last used"
    assert resumed("/tmp") is None


def test_the_run_of_an_isolated_task_leaves_the_sessions_conversation_alone(queue: Queue) -> None:
    shared, isolated = submit(queue, prompt("a"), prompt("a", context="isolated"))
    finish(queue, start(queue, shared), conversation="kept")
    run = start(queue, isolated)
    queue.seen_conversation(run, "demo", "its own")
    finish(queue, run, conversation="its own")
    (session,) = queue.sessions()
    assert (session.conversation, dict(session.conversations)) == ("kept", {"demo": "kept"})
    assert queue.run(run).conversation == "its own"


def test_a_conversation_is_kept_from_the_moment_it_is_seen(queue: Queue) -> None:
    (address,) = submit(queue, prompt("a"))
    run = start(queue, address)
    queue.seen_conversation(run, "demo", "c-1")
    assert queue.run(run).conversation == "c-1"
    assert next(queue.sessions()).conversation == "c-1"
    finish(queue, run, RunStatus.CRASHED)
    assert next(queue.sessions()).conversation == "c-1"
    assert queue.run(run).conversation == "c-1"


def test_a_conversation_seen_too_late_is_not_kept(queue: Queue) -> None:
    (address,) = submit(queue, prompt("a"))
    run = start(queue, address)
    finish(queue, run, conversation="c-1")
    queue.seen_conversation(run, "demo", "late")
    assert next(queue.sessions()).conversation == "c-1"
    assert queue.run(run).conversation == "c-1"


def test_a_lost_conversation_is_forgotten(queue: Queue) -> None:
    (address,) = submit(queue, prompt("a"))
    finish(queue, start(queue, address), conversation="c-1")
    queue.retry(address)
    finish(queue, start(queue, address), RunStatus.ERROR, conversation_lost=True)
    assert next(queue.sessions()).conversation is None


def test_the_conversation_last_used_is_the_sessions(queue: Queue, clock: Clock) -> None:
    for agent in ("demo", "other", "demo"):
        (address,) = submit(queue, prompt("a", agent=agent))
        finish(queue, start(queue, address), conversation=f"of {agent}")
        clock.forward(1)
    (session,) = queue.sessions()
    assert session.conversation == "of demo"
    assert dict(session.conversations) == {"demo": "of demo", "other": "of other"}


def test_a_retry_goes_on_in_the_conversation_that_its_run_before_began(queue: Queue, clock: Clock) -> None:
    def told(address: Address, status: RunStatus, failure: FailureClass | None, conversation: str | None) -> Past:
        seen: list[Past] = []

        def planner(task: Task, past: Past) -> Plan:
            seen.append(past)
            return Plan(("x",), conversation=past.conversation, begun=past.conversation is not None)

        run = start(queue, address, planner=planner)
        finish(queue, run, status, failure_class=failure, conversation=conversation)
        clock.forward(600_000)
        assert (seen[0].conversation is None) is (seen[0].directory is None)
        return replace(seen[0], directory=None)

    crashed, error = RunStatus.CRASHED, RunStatus.ERROR
    (isolated,) = submit(queue, prompt("a", context="isolated", launch=Launch(retries=9)))
    assert told(isolated, crashed, FailureClass.CRASHED, "c-1") == Past()
    assert told(isolated, error, FailureClass.NETWORK, "c-1") == Past("c-1", FailureClass.CRASHED)
    # It ended before it named its conversation: that is still the one it went on in.
    assert told(isolated, crashed, FailureClass.CRASHED, None) == Past("c-1", FailureClass.NETWORK)
    assert told(isolated, error, FailureClass.CONTEXT, "c-1").conversation == "c-1"
    assert told(isolated, error, FailureClass.ERROR, "c-2") == Past(), "its conversation was full"
    assert told(isolated, RunStatus.SUCCESS, None, "c-2").conversation == "c-2"
    queue.retry(isolated)
    assert told(isolated, RunStatus.CANCELLED, FailureClass.CANCELLED, "c-3") == Past(), "it was brought to its end"
    queue.retry(isolated)
    assert told(isolated, error, FailureClass.ERROR, "c-4") == Past(), "a person stopped it"
    queue.edit(isolated, edited(agent="other"))
    assert told(isolated, RunStatus.SUCCESS, None, "c-5") == Past(), "another agent knows nothing of it"

    (shared,) = submit(queue, prompt("b", launch=Launch(retries=9)))
    assert told(shared, error, FailureClass.ERROR, "c-6") == Past(conversation_key="1")
    assert told(shared, error, FailureClass.ERROR, "c-6").interrupted is FailureClass.ERROR
    queue.cancel(shared)
    (later,) = submit(queue, prompt("b"))
    assert told(later, RunStatus.SUCCESS, None, "c-7").interrupted is None, "another task was interrupted, not this one"
    queue.retry(shared)
    past = told(shared, RunStatus.SUCCESS, None, "c-7")
    assert (past.conversation, past.interrupted) == ("c-7", None), "its session has gone on elsewhere"


def test_a_conversation_that_was_lost_is_not_gone_on_in(queue: Queue, clock: Clock) -> None:
    (address,) = submit(queue, prompt("a", context="isolated", launch=Launch(retries=2, backoff_ms=1)))
    finish(queue, start(queue, address), RunStatus.CRASHED, failure_class=FailureClass.CRASHED, conversation="c-1")
    clock.forward(600_000)
    seen: list[Past] = []

    def planner(task: Task, past: Past) -> Plan:
        seen.append(past)
        return Plan(("x",), conversation=past.conversation or "chosen", begun=past.conversation is not None)

    run = start(queue, address, planner=planner)
    assert queue.run(run).conversation == "c-1"
    finish(queue, run, RunStatus.ERROR, failure_class=FailureClass.ERROR, conversation_lost=True)
    run = start(queue, address, planner=planner)
    assert [past.conversation for past in seen] == ["c-1", None]
    assert queue.run(run).conversation is None, "chosen for it, but not yet begun"


# Cost


def test_the_runs_of_a_task_cost_no_more_together_than_they_may(queue: Queue, clock: Clock) -> None:
    launch = Launch(retries=9, backoff_ms=1, max_cost_usd=1.0)
    (address,) = submit(queue, prompt("a", launch=launch))
    seen: list[float] = []

    def planner(task: Task, past: Past) -> Plan:
        seen.append(past.spent_usd)
        return Plan(("x",))

    costs = (0.25, None, 0.5, 0.25)
    for cost in costs:
        clock.forward(600_000)
        run = start(queue, address, planner=planner)
        task = finish(queue, run, RunStatus.ERROR, failure_class=FailureClass.NETWORK, cost_usd=cost, error="no route")
        assert task is not None
    assert seen == [0.0, 0.25, 0.25, 0.75]
    assert (task.status, task.reason) == (Status.FAILED, "no route; its runs cost 1.00 USD of 1.00 USD")
    assert queue.run(run).error == "no route"
    assert queue.spent(queue.task(address)) == 1.0
    with pytest.raises(WrongState, match=r"its runs cost 1\.00 USD of 1\.00 USD; submit it again"):
        queue.retry(address)


# Trees


def test_a_head_says_in_which_tree_its_task_works(queue: Queue) -> None:
    """Also a command's, and one that may edit beside others; two tasks in one tree are in one group."""
    tree = Launch(repository="/r/.git", checkout="/r")
    named = replace(tree, branch="topic")
    given = [
        new._replace(work=replace(new.work, launch=launch, shared=shared, context=context))
        for new in (prompt("a", "say it"), command("b"))
        for launch in (tree, named)
        for shared, context in ((False, "session"), (True, "isolated"))
    ]
    addresses = submit(queue, *given)
    found = {head.directory for head in queue.snapshot().heads}
    assert found == {queue.task(address).work.directory for address in addresses}
    assert found == {":/r/.git", ".:/r/.git", "topic:/r/.git"}
    for address in addresses:
        (head,) = (each for each in queue.snapshot().heads if (each.session, each.seq) == address)
        assert claim(queue, head) is not None
        finish(queue, only_worker(queue).id)
