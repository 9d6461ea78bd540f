"""A host is lost: its work runs elsewhere, and never in two places."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import postgres
import pytest
from lost_hosts import LostHosts, Machine, never_two

SHORT_MS = 2_000
LEASE_MS = 5_000


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


def test_work_of_a_dead_host_runs_elsewhere(fleet: LostHosts) -> None:
    a, b = two(fleet)
    lease = a.lease()
    a.send(signal.SIGKILL)
    fleet.runs_on(b, 2)
    fleet.end()
    assert fleet.outcomes() == [(1, "crashed"), (2, "success")]
    never_two(fleet.lines())
