"""Which hooks are to be run, found in the events: each once, by one process."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from queue_driver import NOON, command, submit

from agentq_cli.base.identity import Identity
from agentq_cli.config.schema import HOOKS
from agentq_cli.engines.door import Queue
from agentq_cli.model.actions import Actor
from agentq_cli.policy.hooks import Ran

ONE, OTHER = Identity(1, 2, "boot"), Identity(3, 4, "boot")
EVENT = (
    "INSERT INTO events (at, session, seq, from_status, to_status, event, actor) VALUES (?, 'a', 1, ?, ?, 'x', 'user')"
)


def test_what_two_look_for_at_once_is_given_to_one(queue: Queue) -> None:
    queue.hooks.collect(HOOKS, ONE, configured_at=0)
    for address in submit(queue, command("a"), command("b")):
        queue.cancel(address)
    assert queue.hooks.wait(HOOKS, after=0, configured_at=0)
    queue.hooks.collect(HOOKS, ONE, configured_at=0)
    queue.hooks.collect(HOOKS, OTHER, configured_at=0)
    assert queue.hooks.own(OTHER, limit=9) == []
    found = queue.hooks.own(ONE, limit=9)
    assert sorted((call.hook, str(call.address)) for call in found) == [
        ("session.drained", "a/1"),
        ("session.drained", "b/1"),
        ("task.finished", "a/1"),
        ("task.finished", "b/1"),
    ]
    assert not queue.hooks.wait(HOOKS, after=0, configured_at=0)
    queue.hooks.take([ONE], OTHER)
    assert queue.hooks.owners() == [OTHER]
    # Of what another one has taken nothing is recorded.
    queue.hooks.record([Ran(call, "late") for call in found], ONE, actor=Actor.SWEEP)
    assert len(queue.hooks.own(OTHER, limit=9)) == 4 and queue.hooks.failures() == []
    queue.hooks.record([Ran(call, None) for call in found], OTHER, actor=Actor.SWEEP)
    assert queue.hooks.owners() == []


def test_only_an_end_is_one(queue: Queue, state_dir: Path) -> None:
    """A retry, and a note about a task that had ended before, are none; nor is a pause the end of a session."""
    (address,) = submit(queue, command("a"))
    (later,) = submit(queue, command("a", due_at=NOON + 1000))
    queue.cancel(address)
    queue.hooks.collect(HOOKS, ONE, configured_at=0)
    queue.pause(later, reason=None)
    with closing(sqlite3.connect(state_dir / "agentq.db")) as index, index:
        index.execute(EVENT, (NOON, "cancelled", "cancelled"))
        index.execute(EVENT, (NOON, "cancelled", "queued"))
    assert queue.hooks.called(HOOKS, configured_at=0) == []
    queue.cancel(later)
    assert [hook for hook, _ in queue.hooks.called(HOOKS, configured_at=0)] == ["task.finished"]


def test_a_session_with_something_due_or_to_be_retried_has_not_drained(queue: Queue) -> None:
    queue.hooks.collect(HOOKS, ONE, configured_at=0)
    first, second = submit(queue, command("a"), command("a"))
    submit(queue, command("a", due_at=NOON + 10_000))
    queue.cancel(first)
    assert [hook for hook, _ in queue.hooks.called(HOOKS, configured_at=0)] == ["task.finished"]
    queue.hooks.collect(HOOKS, ONE, configured_at=0)
    queue.cancel(second)
    assert [hook for hook, _ in queue.hooks.called(HOOKS, configured_at=0)] == ["task.finished", "session.drained"]


def test_what_is_older_than_a_day_calls_nothing_any_more(queue: Queue, state_dir: Path) -> None:
    day = 24 * 3_600_000
    queue.hooks.collect(HOOKS, ONE, configured_at=0)
    for address in submit(queue, *[command("a") for _ in range(3)]):
        queue.cancel(address)
    with closing(sqlite3.connect(state_dir / "agentq.db")) as index, index:
        index.execute("UPDATE events SET at = ? WHERE seq < 3", (queue.now - day - 1,))
    assert [str(task) for _, task in queue.hooks.called(["task.finished"], configured_at=0)] == ["a/3"]


def test_what_was_before_the_hooks_were_configured_calls_none(queue: Queue) -> None:
    for address in submit(queue, command("a")):
        queue.cancel(address)
    assert not queue.hooks.begun()
    assert queue.hooks.called(HOOKS, configured_at=queue.now + 1) == []
    assert len(queue.hooks.called(HOOKS, configured_at=queue.now)) == 2
    queue.hooks.collect(HOOKS, ONE, configured_at=queue.now + 1)
    assert queue.hooks.begun() and queue.hooks.owners() == []
