"""A time in a session's file that is no number: reported, and the task paused, never silently not due."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from queue_driver import NOON, Clock, claim, claim_next, command, edited, ended, head_of, start, submit

from agentq_cli.engines.door import Queue
from agentq_cli.model.actions import Actor
from agentq_cli.model.addresses import Address
from agentq_cli.model.statuses import Status

FIRST = Address("a", 1)
UNREADABLE = ["soon", "", 1.5, "2026-03-29T12:00:00Z", b"\xff\x00"]


def spoil(place: Path, column: str, value: object) -> None:
    with closing(sqlite3.connect(place / "sessions" / "a" / "inbound.db")) as database, database:
        database.execute(f"UPDATE messages_in SET {column} = ? WHERE seq = 1", (value,))


def stored(place: Path) -> tuple[object, ...]:
    with closing(sqlite3.connect(place / "sessions" / "a" / "inbound.db")) as database:
        found = database.execute("SELECT status, typeof(due_at), typeof(expires_at) FROM messages_in WHERE seq = 1")
        return tuple(found.fetchone())


@pytest.fixture
def place(queue: Queue, state_dir: Path) -> Path:
    submit(queue, command("a"), command("a"), command("b"))
    return state_dir


@pytest.mark.parametrize("value", UNREADABLE)
@pytest.mark.parametrize("column", ["due_at", "expires_at"])
def test_a_time_that_cannot_be_read_pauses_the_task_with_the_reason_at_its_claim(
    queue: Queue, place: Path, column: str, value: object
) -> None:
    head = head_of(queue, FIRST)
    spoil(place, column, value)
    assert claim(queue, head) is None
    task = queue.task(FIRST)
    word = {"due_at": "due time", "expires_at": "expiry"}[column]
    shown = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    assert (task.status, task.reason) == (Status.PAUSED, f"its {word} '{shown}' cannot be read")
    event = next(queue.events(address=FIRST))
    assert (event.event, event.from_status, event.to_status, event.reason) == (
        "pause",
        "queued",
        "paused",
        task.reason,
    )
    assert stored(place) == ("paused", "integer", "null")
    start(queue, Address("a", 2))  # the lane goes on


@pytest.mark.parametrize("value", UNREADABLE)
def test_reindex_finds_and_pauses_it(queue: Queue, place: Path, value: object) -> None:
    spoil(place, "due_at", value)
    (mended,) = queue.upkeep.reindex("a", host="here")
    assert mended.startswith("a/1 is paused: its due time")
    assert stored(place) == ("paused", "integer", "null")
    assert queue.upkeep.reindex("a", host="here") == []
    assert [event.event for event in queue.events(address=FIRST)] == ["pause", "submit"]


@pytest.mark.parametrize("value", UNREADABLE)
@pytest.mark.parametrize("column", ["due_at", "expires_at"])
def test_reading_shows_it_paused_with_the_reason_and_writes_nothing(
    queue: Queue, place: Path, column: str, value: object
) -> None:
    spoil(place, column, value)
    before = {path: path.read_bytes() for path in place.rglob("*.db")}
    task = queue.task(FIRST)
    assert task.status is Status.PAUSED
    assert "cannot be read" in (task.reason or "")
    assert [each.address for each in queue.tasks()] == [FIRST, Address("a", 2), Address("b", 1)]
    assert [each.address for each in queue.tasks(statuses={Status.PAUSED})] == [FIRST]
    why = queue.waiting_for(task, jobs=1, parallel=1)
    assert why is not None
    assert why.kind == "paused"
    assert {path: path.read_bytes() for path in place.rglob("*.db")} == before


CHANGES: dict[str, tuple[Callable[[Queue], object], Status]] = {
    "cancel": (lambda queue: queue.cancel(FIRST), Status.CANCELLED),
    "pause": (lambda queue: queue.pause(FIRST, reason=None), Status.PAUSED),
    "resume": (lambda queue: queue.resume(FIRST), Status.QUEUED),
    "edit": (lambda queue: queue.edit(FIRST, edited(due_at=NOON + 5)), Status.PAUSED),
}


@pytest.mark.parametrize("change", CHANGES)
def test_people_can_still_change_it(queue: Queue, place: Path, change: str) -> None:
    spoil(place, "due_at", "soon")
    verb, status = CHANGES[change]
    verb(queue)
    assert queue.task(FIRST).status is status
    assert stored(place) == (status, "integer", "null")


def test_a_resumed_one_is_due_at_once(queue: Queue, place: Path, clock: Clock) -> None:
    spoil(place, "due_at", "soon")
    clock.forward(5)
    queue.resume(FIRST)
    assert queue.task(FIRST).due_at == NOON + 5
    claimed = claim_next(queue)
    assert claimed is not None


def test_one_that_has_ended_stays_as_it_ended(queue: Queue, place: Path) -> None:
    ended(queue, FIRST)
    spoil(place, "due_at", "soon")
    assert queue.task(FIRST).status is Status.COMPLETED
    assert queue.expire(FIRST, actor=Actor.SWEEP) is None
    queue.upkeep.reindex("a", host="here")
    assert queue.task(FIRST).status is Status.COMPLETED
    assert stored(place)[:2] == ("completed", "integer")
    assert queue.retry(FIRST).status is Status.QUEUED
