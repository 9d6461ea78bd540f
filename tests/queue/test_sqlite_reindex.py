"""The index is rebuilt from the sessions' files, which are the truth about tasks."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from queue_driver import (
    Clock,
    OpenQueue,
    claim_next,
    command,
    edited,
    ended,
    finish,
    only_worker,
    prompt,
    start,
    started,
    submit,
    widths,
)
from queue_model import Histories, histories

from agentq_cli.base.errors import Busy
from agentq_cli.engines.door import Queue
from agentq_cli.model.actions import Actor
from agentq_cli.model.addresses import Address, RunId
from agentq_cli.model.statuses import RunStatus, Status
from agentq_cli.model.work import Condition, Dependency

TABLES = ("sessions", "tasks", "workers", "task_runs", "events", "holds", "supervisors", "batches", "dependencies")


def dump(place: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Every table of the index, whole."""
    with closing(sqlite3.connect(place / "agentq.db")) as database:
        return {name: database.execute(f"SELECT * FROM {name} ORDER BY 1, 2, 3").fetchall() for name in TABLES}


def on_index(place: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(place / "agentq.db")) as database, database:
        database.execute(statement, values)


def put_off(place: Path, address: Address, due: int) -> None:
    """What a failed attempt leaves, at a time of the test's choice: the task waits for its next one."""
    with closing(sqlite3.connect(place / "sessions" / address.session / "inbound.db")) as database, database:
        statement = (
            "UPDATE messages_in SET attempts = attempts + 1, tries = tries + 1, due_at = ?"
            " WHERE seq = ? AND status = 'queued'"
        )
        assert database.execute(statement, (due, address.seq)).rowcount == 1
    on_index(
        place, "UPDATE tasks SET retry = 1, expires_at = NULL, due_at = ? WHERE session = ? AND seq = ?", due, *address
    )


class Reindexed(Histories):
    """At the end of each history the index is thrown away and rebuilt, and is what it was."""

    def teardown(self) -> None:
        try:
            before = dump(self.engine.state_dir)
            self.clock.forward(1000)
            for session in self.queue.upkeep.stored_sessions():
                assert self.queue.upkeep.reindex(session, host="here") == []
            assert dump(self.engine.state_dir) == before
            on_index(self.engine.state_dir, "DELETE FROM tasks")
            for session in self.queue.upkeep.stored_sessions():
                self.queue.upkeep.reindex(session, host="here")
            assert dump(self.engine.state_dir) == before
            self.clock.forward(-1000)
        finally:
            super().teardown()


Reindexed.TestCase.settings = histories(8, 30)


class TestReindex(Reindexed.TestCase):  # type: ignore[misc,name-defined]
    """Rebuilt identically after any history."""


def test_what_a_paused_session_says_is_rebuilt_too(queue: Queue, clock: Clock, state_dir: Path) -> None:
    submit(queue, command("a"), command("b"), command("c"))
    queue.pause_session("a", reason="because", paused=True)
    queue.pause_session("b", reason=None, paused=True)
    before = dump(state_dir)
    clock.forward(99)
    on_index(state_dir, "DELETE FROM sessions")
    for name in ("a", "b", "c"):
        queue.upkeep.reindex(name, host="here")
    assert [(s.name, s.paused, s.reason) for s in queue.sessions()] == [
        ("a", True, "because"),
        ("b", True, None),
        ("c", False, None),
    ]
    assert [row[4] for row in dump(state_dir)["sessions"]] == [row[4] for row in before["sessions"]]


def test_rows_that_only_the_index_has_go_and_missing_ones_come(queue: Queue, state_dir: Path) -> None:
    submit(queue, *[command("a") for _ in range(3)], command("b"))
    before = dump(state_dir)
    on_index(state_dir, "DELETE FROM tasks WHERE seq = 2")
    on_index(state_dir, "UPDATE tasks SET status = 'completed', ended_at = 1 WHERE session = 'a' AND seq = 3")
    on_index(
        state_dir,
        "INSERT INTO tasks (session, seq, status, agent, priority, due_at, retry, shares)"
        " VALUES ('a', 99, 'queued', '', 0, 1, 0, 0)",
    )
    queue.upkeep.reindex("a", host="here")
    assert dump(state_dir) == before


def test_a_lost_index_is_rebuilt_from_the_sessions(open_queue: OpenQueue, clock: Clock, state_dir: Path) -> None:
    with open_queue(clock) as queue:
        addresses = submit(
            queue, *[prompt("a") for _ in range(4)], *[command("b", due_at=clock.now + n) for n in (5, 9)]
        )
        ended(queue, addresses[0], RunStatus.ERROR)
        queue.pause(addresses[1], reason="r")
        start(queue, addresses[2])
        tasks = list(queue.tasks(ended=True))
        before = dump(state_dir)
    (state_dir / "agentq.db").unlink()
    with open_queue(clock, rebuild=True) as queue:
        assert list(queue.tasks(ended=True)) == []
        assert queue.upkeep.stored_sessions() == ["a", "b"]
        for name in queue.upkeep.stored_sessions():
            queue.upkeep.reindex(name, host="here")
        assert list(queue.tasks(ended=True)) == tasks
        assert dump(state_dir)["tasks"] == before["tasks"]
        worker = only_worker(queue)
        assert (worker.id, worker.supervisor) == (RunId("a", 3, 1), None)
        assert queue.run(worker.id).status is RunStatus.RUNNING
        assert claim_next(queue) is None
        finish(queue, worker.id)
        assert submit(queue, command("a")) == [Address("a", 5)]
        claimed = claim_next(queue)
        assert claimed is not None
        assert claimed.task.address == Address("a", 4)


def test_a_worker_whose_task_does_not_run_goes(queue: Queue, state_dir: Path) -> None:
    running, waiting = submit(queue, command("a"), command("a"))
    run = start(queue, running)
    on_index(
        state_dir,
        "INSERT INTO workers (session, seq, attempt, agent, shares, claimed_at) VALUES ('a', ?, 7, '', 0, 1)",
        waiting.seq,
    )
    (mended,) = queue.upkeep.reindex("a", host="here")
    assert "a/2.7" in mended
    assert [worker.id for worker in queue.workers()] == [run]


def test_a_claim_mends_what_the_index_has_wrong_so_that_the_pick_does_not_come_again(
    queue: Queue, state_dir: Path
) -> None:
    addresses = submit(queue, *[command(name) for name in ("a", "b", "c", "d")])
    queue.pause(addresses[0], reason=None)
    queue.edit(addresses[1], edited(due_at=queue.now + 100))
    queue.cancel(addresses[2])
    queue.prune(addresses[2])
    mended = dump(state_dir)["tasks"]
    on_index(state_dir, "DELETE FROM tasks WHERE session <> 'd'")
    for address in addresses[:3]:
        on_index(
            state_dir,
            "INSERT INTO tasks (session, seq, status, agent, priority, due_at, retry, shares)"
            " VALUES (?, ?, 'queued', '', 50, 1, 0, 0)",
            *address,
        )
    assert [claim_next(queue) for _ in range(3)] == [None] * 3
    assert dump(state_dir)["tasks"] == mended
    claimed = claim_next(queue)
    assert claimed is not None
    assert claimed.task.address == addresses[3]


def test_a_busy_session_is_reported_and_left(queue: Queue, state_dir: Path) -> None:
    submit(queue, command("a"))
    before = dump(state_dir)
    with closing(sqlite3.connect(state_dir / "sessions" / "a" / "inbound.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Busy, match=r"a/inbound\.db"):
            queue.upkeep.reindex("a", host="here")
    assert dump(state_dir) == before


# Retries that wait; a retry policy is still to come, so their rows are written here


def test_a_retry_that_waits_holds_the_later_tasks_of_a_named_session(
    queue: Queue, clock: Clock, state_dir: Path
) -> None:
    first, second, _ = submit(queue, command("a"), command("a"), command("b"))
    put_off(state_dir, first, clock.now + 10)
    assert queue.task(first).shown_status(queue.now) is Status.RETRYING
    assert started(queue) == ["b/1"]
    found = queue.waiting_for(queue.task(second), jobs=1, parallel=1)
    assert found is not None
    assert (found.kind, found.ids) == ("session", ("a/1",))
    clock.forward(10)
    assert started(queue) == ["a/1"]
    finish(queue, RunId("a", 1, 1))
    assert started(queue) == ["a/2"]


def test_a_retry_in_the_default_session_holds_nobody(queue: Queue, clock: Clock, state_dir: Path) -> None:
    first, _ = submit(queue, command(), command())
    put_off(state_dir, first, clock.now + 10)
    assert started(queue) == ["default/2"]


def test_a_retry_holds_one_place_of_a_wider_lane(queue: Queue, clock: Clock, state_dir: Path) -> None:
    first, *_ = submit(queue, *[command("a") for _ in range(4)])
    put_off(state_dir, first, clock.now + 10)
    assert started(queue, parallel=widths(a=2)) == ["a/2"]
    clock.forward(10)
    assert started(queue, parallel=widths(a=2)) == ["a/1"]


@pytest.mark.parametrize("held", ["paused task", "paused agent"])
def test_a_retry_that_is_held_itself_holds_nobody(queue: Queue, clock: Clock, state_dir: Path, held: str) -> None:
    first, second = submit(queue, prompt("a", agent="demo"), command("a"))
    put_off(state_dir, first, clock.now + 10)
    if held == "paused task":
        queue.pause(first, reason=None)
    else:
        queue.pause_agent("demo", reason=None)
    found = queue.waiting_for(queue.task(second), jobs=1, parallel=1)
    assert found is not None
    assert found.kind == "slot"
    assert started(queue) == ["a/2"]


def test_two_retries_in_one_lane_start_one_after_the_other(queue: Queue, clock: Clock, state_dir: Path) -> None:
    """They can come to wait together where one was paused, or the lane was wider once."""
    first, second, third = submit(queue, *[command("a") for _ in range(3)])
    put_off(state_dir, first, clock.now + 10)
    put_off(state_dir, second, clock.now + 5)
    clock.forward(5)
    assert started(queue) == ["a/2"]
    finish(queue, RunId("a", 2, 1))
    assert claim_next(queue) is None, f"{third} comes after {first}"
    clock.forward(5)
    assert started(queue) == ["a/1"]
    finish(queue, RunId("a", 1, 1))
    assert started(queue) == ["a/3"]


def test_a_drain_waits_for_retries(queue: Queue, clock: Clock, state_dir: Path) -> None:
    (address,) = submit(queue, prompt("a"))
    put_off(state_dir, address, clock.now + 10)
    assert queue.unfinished() == set(), "a clock that stands never comes to it"
    clock.fixed = False
    assert queue.unfinished() == {("a", "demo")}


def test_a_rebuilt_index_knows_who_waits_for_whom(queue: Queue) -> None:
    (first,) = submit(queue, command("a"))
    (second,) = submit(queue, command("b", after=(Dependency(first, Condition.SUCCESS),)))
    with closing(sqlite3.connect(queue.state.index)) as database, database:
        for table in ("tasks", "dependencies", "unsettled"):
            database.execute(f"DELETE FROM {table}")
    for session in ("a", "b"):
        queue.upkeep.reindex(session, host="here")
    ended(queue, first)
    list(queue.settle_dependents(actor=Actor.SWEEP))
    assert queue.task(second).status is Status.QUEUED
