"""How a run ends, once and for all, and what it says afterwards."""

from __future__ import annotations

import pytest
from queue_driver import (
    NOON,
    Clock,
    Engine,
    OpenQueue,
    claim_next,
    command,
    ended,
    finish,
    prompt,
    start,
    submit,
    together,
)
from sampling import WIDE

from agentq_cli.base.errors import NotFound, WrongState
from agentq_cli.engines.door import Queue
from agentq_cli.model.actions import Actor
from agentq_cli.model.addresses import Address, RunId
from agentq_cli.model.runs import Outcome
from agentq_cli.model.statuses import ENDED, FailureClass, RunStatus, Status
from agentq_cli.model.trees import Came, Landing, Left

OTHERS = sorted(set(RunStatus) - {RunStatus.RUNNING, RunStatus.SUCCESS, RunStatus.SKIPPED, RunStatus.CANCELLED})


def test_a_run_that_succeeded_completes_its_task_with_exit_code_zero(queue: Queue, clock: Clock) -> None:
    (address,) = submit(queue, command("a"))
    run = start(queue, address)
    clock.forward(50)
    task = finish(queue, run)
    assert task == queue.task(address)
    assert (task.status, task.exit_code, task.ended_at, task.reason) == (Status.COMPLETED, 0, NOON + 50, None)
    assert queue.run(run).exit_code == 0
    assert not queue.workers()
    event = next(queue.events(address=address))
    assert (event.event, event.from_status, event.to_status, event.attempt, event.at, event.actor) == (
        "finish",
        "running",
        "completed",
        1,
        NOON + 50,
        "supervisor",
    )


@pytest.mark.parametrize("status", OTHERS)
@pytest.mark.dear
def test_a_run_that_did_not_succeed_fails_its_task(queue: Queue, status: RunStatus) -> None:
    (address,) = submit(queue, command("a"))
    task = finish(queue, start(queue, address), status, exit_code=3, error="it went wrong")
    assert task is not None
    assert (task.status, task.exit_code, task.reason) == (Status.FAILED, 3, "it went wrong")
    assert queue.run(RunId("a", 1, 1)).status is status


def test_a_skipped_run_skips_and_a_cancelled_one_cancels_its_task(queue: Queue) -> None:
    first, second = submit(queue, command(), command())
    assert ended(queue, first, RunStatus.SKIPPED).status is Status.SKIPPED
    assert ended(queue, second, RunStatus.CANCELLED).status is Status.CANCELLED


def test_a_run_has_its_own_part_of_what_its_whole_conversation_used(queue: Queue) -> None:
    def used(session: str, conversation: str, tokens_in: int | None, **fields: object) -> tuple[object, object]:
        (address,) = submit(queue, prompt(session))
        run = start(queue, address)
        told = {"tokens_in": tokens_in, "tokens_out": tokens_in, "tokens_of_conversation": True} | fields
        finish(queue, run, conversation=conversation, **told)
        found = queue.run(run)
        return found.tokens_in, found.tokens_out

    assert used("a", "c-1", 120) == (120, 120)
    assert used("a", "c-1", None) == (None, None), "this one failed"
    assert used("a", "c-1", 300, tokens_out=150) == (180, 30)
    assert used("a", "c-1", 301, tokens_out=150) == (1, 0)
    assert used("a", "c-1", 60) == (60, 60), "it has begun to count anew"
    assert used("a", "c-2", 500) == (500, 500), "another conversation"
    assert used("b", "c-1", 500) == (500, 500), "another session"
    assert used("a", "c-1", 500, tokens_of_conversation=False) == (500, 500)
    assert used("default", "c-1", 70) == (70, 70)
    assert used("default", "c-1", 90) == (90, 90), "isolated tasks begin a conversation each"


def test_every_field_of_an_outcome_comes_back_unchanged(queue: Queue, clock: Clock) -> None:
    (address,) = submit(queue, prompt("a"))
    run = start(queue, address)
    clock.forward(1000)
    fields = {
        "finished_at": NOON + 900,
        "duration_ms": 899,
        "exit_code": 137,
        "signal": 9,
        "failure_class": FailureClass.OOM,
        "error": "killed\n\N{SNOWMAN}",
        "result": {"answer": [1, None, "ä", 1.5]},
        "conversation": "c",
        "tokens_in": 0,
        "tokens_out": 2,
        "cost_usd": 0.25,
        "peak_rss_bytes": 1 << 40,
        "stdout_bytes": 7,
        "stderr_bytes": 0,
        "left": Left("/r", "/t", "b\N{SNOWMAN}", "0" * 40, None, 2, 3, 120, 8, True, "1" * 40, "cut"),
        "landing": Landing("main", Came.CONFLICT, paths=("a", "b c"), why="they meet"),
    }
    queue.finish(run, Outcome(RunStatus.OOM, **fields), actor=Actor.SWEEP)  # type: ignore[arg-type]
    stored = queue.run(run)
    assert {name: getattr(stored, name) for name in fields} == fields
    assert stored.checked is None
    assert stored.started_at == NOON


@pytest.mark.parametrize("result", [None, 0, False, "", [], {}, "text", {"a": None}])
def test_a_result_comes_back_as_the_value_that_it_was(queue: Queue, result: object) -> None:
    (address,) = submit(queue, command("a"))
    run = start(queue, address)
    finish(queue, run, result=result)
    assert queue.run(run).result == result
    assert type(queue.run(run).result) is type(result)
    (message,) = queue.messages("a")
    assert message.content["result"] == result


# An ended task stays as it ended


@pytest.mark.parametrize("end", [RunStatus.SUCCESS, RunStatus.ERROR, RunStatus.CANCELLED, RunStatus.SKIPPED])
def test_a_late_finish_changes_nothing_and_is_recorded(queue: Queue, clock: Clock, end: RunStatus) -> None:
    (address,) = submit(queue, prompt("a"))
    run = start(queue, address)
    finish(queue, run, end, conversation="first")
    before = (queue.task(address), queue.run(run), list(queue.sessions()), list(queue.messages("a")))
    events = list(queue.events())
    clock.forward(1)
    assert finish(queue, run, RunStatus.CRASHED, exit_code=9, conversation="late", result="late") is None
    assert (queue.task(address), queue.run(run), list(queue.sessions()), list(queue.messages("a"))) == before
    late, *older = queue.events()
    assert older == events
    assert (late.event, late.attempt, late.from_status, late.to_status) == ("late", 1, None, None)
    assert "crashed" in (late.reason or "")


def test_a_finish_of_an_earlier_attempt_leaves_the_running_one_alone(queue: Queue) -> None:
    (address,) = submit(queue, command("a"))
    first = start(queue, address)
    finish(queue, first, RunStatus.ERROR)
    queue.retry(address)
    second = start(queue, address)
    assert finish(queue, first) is None
    assert queue.task(address).status is Status.RUNNING
    assert [str(worker.id) for worker in queue.workers()] == [str(second)]
    assert queue.run(first).status is RunStatus.ERROR


def test_a_finish_after_the_claim_was_undone_is_late(queue: Queue) -> None:
    (address,) = submit(queue, command("a"))
    run = start(queue, address)
    queue.undo_claim(run, actor=Actor.SWEEP, reason="x")
    assert finish(queue, run) is None
    assert queue.task(address).status is Status.QUEUED
    assert not list(queue.messages("a")), "a run that never was has no result"


def test_of_two_finishers_at_once_one_wins(open_queue: OpenQueue, clock: Clock, engine: Engine) -> None:
    queue = open_queue(clock)
    for n in range(1, 2 * WIDE + 1):
        (address,) = submit(queue, command("a"))
        run = str(start(queue, address))
        outcomes = ["success", "error", "crashed"]
        won = together(engine, [["finishes", run, status] for status in outcomes])
        assert won.count(True) == 1
        stored = queue.run(RunId("a", n, 1))
        assert stored.status == outcomes[won.index(True)]
        assert [event.event for event in queue.events(address=address)] == ["late", "late", "finish", "start", "submit"]
        assert list(queue.upkeep.end()) == []
        (message,) = [message for message in queue.messages("a") if message.id == run]
        assert message.content["status"] == stored.status


def test_nothing_but_retry_changes_an_ended_task(queue: Queue, clock: Clock) -> None:
    endings = {
        Status.COMPLETED: RunStatus.SUCCESS,
        Status.FAILED: RunStatus.ERROR,
        Status.CANCELLED: RunStatus.CANCELLED,
        Status.SKIPPED: RunStatus.SKIPPED,
    }
    addresses = submit(queue, *[command(expires_at=NOON + 1) for _ in range(5)])
    for address, run_status in zip(addresses, endings.values(), strict=False):
        ended(queue, address, run_status)
    clock.forward(1)
    queue.expire(addresses[4], actor=Actor.SWEEP)
    before = [queue.task(address) for address in addresses]
    assert {task.status for task in before} == ENDED
    events = queue.last_event()
    for address in addresses:
        for change in (
            queue.cancel,
            queue.resume,
            lambda a: queue.pause(a, reason=None),
            lambda a: queue.edit(a, lambda task: task),
        ):
            with pytest.raises(WrongState, match=str(address)):
                change(address)
        run = RunId(*address, 1)
        assert queue.expire(address, actor=Actor.SWEEP) is None
        assert not queue.request_stop(run, reason="cancelled", cancel=True, actor=Actor.USER)
        assert not queue.undo_claim(run, actor=Actor.SWEEP, reason="x")
    assert [queue.task(address) for address in addresses] == before
    assert queue.last_event() == events
    for address in addresses:
        assert queue.retry(address).status is Status.QUEUED


# Cancelled while it ran


@pytest.mark.parametrize("status", [RunStatus.SUCCESS, RunStatus.ERROR, RunStatus.CRASHED])
def test_a_task_cancelled_while_it_ran_is_cancelled_whatever_its_agent_exits_with(
    queue: Queue, status: RunStatus
) -> None:
    (address,) = submit(queue, command("a"))
    run = start(queue, address)
    assert queue.request_stop(run, reason="cancelled", cancel=True, actor=Actor.USER)
    task = finish(queue, run, status)
    assert task is not None
    assert task.status is Status.CANCELLED


def test_a_run_stopped_by_its_time_limit_fails_its_task(queue: Queue) -> None:
    (address,) = submit(queue, command("a"))
    run = start(queue, address)
    assert queue.request_stop(run, reason="timeout", cancel=False, actor=Actor.SUPERVISOR)
    task = finish(queue, run, RunStatus.TIMEOUT)
    assert task is not None
    assert task.status is Status.FAILED


# What the session says


def test_each_run_says_its_result_once(queue: Queue, clock: Clock) -> None:
    (address,) = submit(queue, command("a"))
    finish(queue, start(queue, address), RunStatus.ERROR, result={"n": 1})
    clock.forward(5)
    queue.retry(address)
    finish(queue, start(queue, address), result={"n": 2})
    newest, oldest = queue.messages("a")
    assert (newest.id, newest.kind, newest.session, newest.created_at) == ("a/1.2", "result", "a", NOON + 5)
    assert newest.content == {"run": "a/1.2", "task": "a/1", "status": "success", "result": {"n": 2}}
    assert oldest.content == {"run": "a/1.1", "task": "a/1", "status": "error", "result": {"n": 1}}
    assert list(queue.upkeep.end()) == []


def test_messages_can_be_followed_from_a_position(queue: Queue) -> None:
    (address,) = submit(queue, command("a"))
    assert queue.last_message("a") == 0
    finish(queue, start(queue, address))
    position = queue.last_message("a")
    found, after = queue.messages_after("a", 0)
    assert [message.id for message in found] == ["a/1.1"]
    assert after == position
    assert queue.messages_after("a", position) == ([], position)
    queue.retry(address)
    finish(queue, start(queue, address))
    found, _ = queue.messages_after("a", position)
    assert [message.id for message in found] == ["a/1.2"]


def test_messages_since_a_time_and_of_an_unknown_session(queue: Queue, clock: Clock) -> None:
    for _ in range(3):
        (address,) = submit(queue, command("a"))
        ended(queue, address)
        clock.forward(10)
    assert [message.id for message in queue.messages("a", since=NOON + 10)] == ["a/3.1", "a/2.1"]
    assert [message.id for message in queue.messages("a", limit=1)] == ["a/3.1"]
    with pytest.raises(NotFound):
        list(queue.messages("b"))


def test_a_slot_and_its_lane_are_free_once_the_run_is_finished(queue: Queue) -> None:
    first, _ = submit(queue, command("a"), command("a"))
    run = start(queue, first)
    assert claim_next(queue) is None
    finish(queue, run)
    claimed = claim_next(queue)
    assert claimed is not None
    assert claimed.task.address == Address("a", 2)
