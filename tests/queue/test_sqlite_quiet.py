"""A supervisor that has nothing to watch looks again if something may have changed, and not otherwise."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from queue_driver import ANOTHER, NOON, Clock, OpenQueue, command, start, submit

from agentq_cli.base import clock as file_clock
from agentq_cli.engines.door import Queue
from agentq_cli.supervise import quiet as module
from agentq_cli.supervise.guard import Guard
from agentq_cli.supervise.quiet import SAFETY_NET_MS, SOON_MS, Quiet

HOUR = 3_600_000


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> Clock:
    """The clock, of a supervisor that waits for wall time; the others stand still, and what a file has is old."""
    monkeypatch.setattr(module, "monotonic_ms", lambda: 1_000)
    monkeypatch.setattr(file_clock, "settled", lambda _: True)
    clock.fixed = False
    return clock


@pytest.fixture
def quiet(open_queue: OpenQueue, wall: Clock) -> Quiet:
    duty: Any = SimpleNamespace(queue=open_queue(wall), clock=wall, guard=Guard())
    return Quiet(duty)


def looked(quiet: Quiet, *, strangers: bool = False) -> int:
    """A look and what follows it: how long it sleeps."""
    quiet.look()
    quiet.looked(strangers=strangers)
    return quiet.patience()


def test_it_looks_again_only_after_a_commit(quiet: Quiet, queue: Queue) -> None:
    submit(queue, command(due_at=NOON + HOUR))
    assert looked(quiet) == SAFETY_NET_MS
    assert quiet.holds
    submit(queue, command("a", due_at=NOON + HOUR))  # nothing rings for a test
    assert not quiet.holds
    looked(quiet)
    assert quiet.holds


def test_it_looks_again_soon_if_it_was_disturbed_but_not_each_second(quiet: Quiet, queue: Queue) -> None:
    for patience in (SOON_MS, SAFETY_NET_MS, SOON_MS):
        quiet.look()
        submit(queue, command(due_at=NOON + HOUR))
        quiet.looked(strangers=False)
        assert quiet.patience() == patience
        assert not quiet.holds


def test_a_file_that_was_just_written_is_looked_at_again(
    quiet: Quiet, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be written once more at the same time."""
    submit(queue, command(due_at=NOON + HOUR))
    with monkeypatch.context() as young:
        young.setattr(file_clock, "settled", lambda _: False)
        assert looked(quiet) == SOON_MS
    assert not quiet.holds


def test_it_looks_on_while_something_is_due_or_others_run_something(quiet: Quiet, queue: Queue, wall: Clock) -> None:
    (address,) = submit(queue, command(due_at=NOON + 1))
    assert looked(quiet) == SAFETY_NET_MS
    assert quiet.holds
    wall.forward(1)
    assert looked(quiet) == SAFETY_NET_MS
    assert not quiet.holds, "nothing may tell when what is due can be started"
    start(queue, address, supervisor=ANOTHER)
    assert looked(quiet, strangers=True) == SAFETY_NET_MS
    assert not quiet.holds, "their supervisor may die"


def test_it_looks_once_the_clock_was_set(quiet: Quiet, wall: Clock) -> None:
    looked(quiet)
    wall.forward(-HOUR)
    assert not quiet.holds
