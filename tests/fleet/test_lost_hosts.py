"""A host is lost: its work runs elsewhere, and never in two places."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import postgres
import pytest
from lost_hosts import LostHosts, Machine, never_two, taken_in_time, until

from agentq_cli.base.clock import monotonic_ms

SHORT_MS = 2_000
LEASE_MS = 5_000
EVERYTHING = ("other", "shim", "launcher", "supervisor")


@pytest.fixture
def fleet(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LostHosts]:
    why = postgres.why_not()
    if why is not None:
        pytest.skip(why)
    lease_ms = LEASE_MS if request.node.get_closest_marker("slow") else SHORT_MS
    with postgres.schema() as schema:
        made = LostHosts(postgres.shared(), schema, tmp_path, lease_ms)
        yield made
        made.close()


def two(fleet: LostHosts) -> tuple[Machine, Machine]:
    """A host on which a task runs, and another one that has nothing to do."""
    a, b = fleet.machine("a"), fleet.machine("b")
    a.supervise()
    fleet.submit(a)
    fleet.runs_on(a, 1)
    b.supervise()
    return a, b


def lost(fleet: LostHosts, a: Machine, b: Machine, lose: Callable[[], None]) -> None:
    """Lose a host: its work goes on at the other one, once it is dead here."""
    lose()
    lease = a.lease()
    assert lease is not None
    fleet.runs_on(b, 2)
    taken_in_time(a, lease, fleet.lines())


def ended_once(fleet: LostHosts, a: Machine, *, thawed_at: int | None = None) -> None:
    """In the end each attempt has ended once, none has written beside another, and nothing of it is left."""
    until(lambda: not a.lives("shim", "other"), "the end of all of it")
    fleet.end()
    assert fleet.outcomes() == [(1, "crashed"), (2, "success")]
    never_two(fleet.lines(), thawed_at=thawed_at)


def test_work_of_a_dead_host_runs_elsewhere(fleet: LostHosts) -> None:
    a, b = two(fleet)
    lost(fleet, a, b, lambda: a.send(signal.SIGKILL))
    ended_once(fleet, a)


def test_a_host_that_was_stopped_as_a_whole_comes_back_to_nothing(fleet: LostHosts) -> None:
    a, b = two(fleet)
    lost(fleet, a, b, lambda: a.send(signal.SIGSTOP, *reversed(EVERYTHING)))
    thawed_at = monotonic_ms()
    a.send(signal.SIGCONT, *EVERYTHING)
    ended_once(fleet, a, thawed_at=thawed_at)


@pytest.mark.slow
@pytest.mark.parametrize("kinds", [("supervisor",), ("supervisor", "shim"), ("supervisor", "launcher", "shim")])
def test_what_is_stopped_of_a_host_does_not_keep_its_agents_alive(fleet: LostHosts, kinds: tuple[str, ...]) -> None:
    a, b = two(fleet)
    lost(fleet, a, b, lambda: a.send(signal.SIGSTOP, *kinds))
    thawed_at = monotonic_ms()
    a.send(signal.SIGCONT, *EVERYTHING)
    ended_once(fleet, a, thawed_at=thawed_at if "launcher" in kinds else None)


@pytest.mark.slow
def test_agents_die_without_a_supervisor_and_live_on_with_a_new_one(fleet: LostHosts) -> None:
    a, b = two(fleet)
    a.send(signal.SIGKILL, "supervisor")
    a.supervise()
    adopted_at = monotonic_ms()
    until(lambda: fleet.lines()[-1].at > adopted_at + 2 * LEASE_MS, "two leases")
    assert {line[1:3] for line in fleet.lines()} == {("a", 1)}
    lost(fleet, a, b, lambda: a.send(signal.SIGKILL, "supervisor"))
    ended_once(fleet, a)
    assert not a.lives("launcher")
