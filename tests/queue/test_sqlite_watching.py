"""Slots that are given up because a session's file cannot be read, and a look for orphans between two reads."""

from __future__ import annotations

import pytest
from queue_driver import (
    ANOTHER,
    NOON,
    Clock,
    OpenQueue,
    claim_next,
    command,
    finish,
    only_worker,
    prompt,
    start,
    submit,
    swept,
)

from agentq_cli.base.clock import monotonic_ms
from agentq_cli.engines.door import Queue
from agentq_cli.host import process
from agentq_cli.model.addresses import Address
from agentq_cli.model.statuses import RunStatus, Status
from agentq_cli.model.workers import Supervisor, Worker


def test_a_slot_given_up_is_free_for_other_sessions(queue: Queue) -> None:
    first, _ = submit(queue, command("a"), command("b"))
    run = start(queue, first)
    assert claim_next(queue, jobs=1) is None
    queue.upkeep.give_up(run)
    assert queue.workers() == []
    claimed = claim_next(queue, jobs=1)
    assert claimed is not None
    assert claimed.task.address == Address("b", 1)
    assert queue.task(first).status is Status.RUNNING


def test_a_run_whose_slot_was_given_up_can_still_be_finished(queue: Queue) -> None:
    (address,) = submit(queue, command("a"))
    run = start(queue, address)
    queue.upkeep.give_up(run)
    task = finish(queue, run)
    assert task is not None
    assert task.status is Status.COMPLETED
    assert queue.run(run).status is RunStatus.SUCCESS
    assert list(queue.upkeep.end()) == []
    assert [message.id for message in queue.messages("a")] == [str(run)]


def test_a_rebuilt_index_has_the_run_again_whose_slot_was_given_up(queue: Queue) -> None:
    (address,) = submit(queue, prompt("a"))
    run = start(queue, address)
    before = only_worker(queue)
    queue.upkeep.give_up(run)
    swept(queue, rebuild=True)
    worker = only_worker(queue)
    assert worker == Worker(
        "a",
        1,
        1,
        agent=before.agent,
        claimed_at=NOON,
        conversation_key="1",
        directory="/",  # what a rebuilt index cannot know, it takes for an agent that edits
        supervisor=None,
        adopted=False,
        stop=None,
    )
    assert queue.adopt(worker, ANOTHER)


def test_a_slot_is_not_given_up_for_another_attempt(queue: Queue) -> None:
    (address,) = submit(queue, command("a"))
    first = start(queue, address)
    finish(queue, first, RunStatus.ERROR)
    queue.retry(address)
    second = start(queue, address)
    queue.upkeep.give_up(first)
    assert only_worker(queue).id == second


@pytest.mark.parametrize("first", ["supervisors", "workers"])
def test_a_supervisor_that_claims_while_somebody_looks_for_orphans_keeps_its_run(
    queue: Queue, open_queue: OpenQueue, clock: Clock, monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    """It comes between the two reads, whichever is the first."""
    (address,) = submit(queue, command())
    other = open_queue(clock)

    def read_and_then() -> object:
        found = getattr(other, first)()
        me = process.current()
        if queue.worker(address) is None:
            queue.join(Supervisor(me, 1, (), NOON, monotonic_ms()))
            start(queue, address, supervisor=me)
        return found

    looking = open_queue(clock)
    monkeypatch.setattr(looking, first, read_and_then)
    assert looking.orphaned() == []
    assert queue.worker(address) is not None
    monkeypatch.undo()
    queue.leave(process.current())
    assert [worker.id.address for worker in looking.orphaned()] == [address]
