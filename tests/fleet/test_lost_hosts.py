"""A host is lost: its work runs elsewhere, and never in two places."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import postgres
import pytest
from lost_hosts import BUSY_MS, FREEZERS, Freezer, LostHosts, Machine, Network, Relay, never_two, taken_in_time, until
from postgres import Cluster

from agentq_cli.base.clock import monotonic_ms
from agentq_cli.host import process
from agentq_cli.policy import leases

SHORT_MS = 1_200
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
    """The host on which a task runs, and another one that has nothing to do."""
    hosts = {name: fleet.machine(name) for name in ("a", "b")}
    for each in hosts.values():
        each.start()
    for each in hosts.values():
        until(each.lease, f"{each.name} is on duty; {fleet.told()}")
    fleet.submit(hosts["a"])
    until(fleet.lines, f"it runs; {fleet.told()}")
    a = hosts.pop(fleet.lines()[0].host)
    fleet.runs_on(a, 1)
    return a, *hosts.values()


def begin(fleet: LostHosts, a: Machine, b: Machine) -> None:
    """Start both, so that the first one gets the task."""
    a.start()
    fleet.submit(a)
    fleet.runs_on(a, 1)
    b.supervise()


def lost(fleet: LostHosts, a: Machine, b: Machine, lose: Callable[[], object]) -> None:
    """Lose a host: its work goes on at the other one, once it is dead here."""
    lose()
    lease = a.lease()
    assert lease is not None
    fleet.runs_on(b, 2)
    taken_in_time(a, lease, fleet.lines())


def ended_once(fleet: LostHosts, a: Machine, *, thawed_at: int | None = None, agents: bool = False) -> None:
    """In the end each attempt has ended once, none has written beside another, and nothing of it is left."""
    until(lambda: not a.lives("shim", "other"), "the end of all of it")
    fleet.end()
    assert fleet.outcomes() == [(1, "crashed"), (2, "success")]
    never_two(fleet.lines(), thawed_at=thawed_at, agents=agents)


def test_work_of_a_dead_host_runs_elsewhere(fleet: LostHosts) -> None:
    a, b = two(fleet)
    lost(fleet, a, b, lambda: a.send(signal.SIGKILL))
    ended_once(fleet, a)


def test_a_host_that_was_stopped_as_a_whole_comes_back_to_nothing(fleet: LostHosts) -> None:
    a, b = two(fleet)
    lost(fleet, a, b, lambda: a.send(signal.SIGSTOP, *reversed(EVERYTHING)))
    thawed_at = a.send(signal.SIGCONT, *EVERYTHING)
    ended_once(fleet, a, thawed_at=thawed_at)


@pytest.mark.slow
@pytest.mark.parametrize("kinds", [("supervisor",), ("supervisor", "shim"), ("supervisor", "launcher")])
def test_what_is_stopped_of_a_host_does_not_keep_its_agents_alive(fleet: LostHosts, kinds: tuple[str, ...]) -> None:
    a, b = two(fleet)
    lost(fleet, a, b, lambda: a.send(signal.SIGSTOP, *kinds))
    a.send(signal.SIGCONT, *EVERYTHING)
    ended_once(fleet, a)


@pytest.mark.slow
def test_agents_die_without_a_supervisor_and_live_on_with_a_new_one(fleet: LostHosts) -> None:
    a, b = two(fleet)
    a.send(signal.SIGKILL, "supervisor")
    a.supervise()
    adopted_at = monotonic_ms()
    until(lambda: fleet.lines()[-1].at > adopted_at + 2 * LEASE_MS, "two leases")
    assert {line[1:3] for line in fleet.lines()} == {(a.name, 1)}
    lost(fleet, a, b, lambda: a.send(signal.SIGKILL, "supervisor"))
    ended_once(fleet, a)
    assert not a.lives("launcher")


@pytest.mark.slow
@pytest.mark.parametrize("kind", FREEZERS)
def test_a_host_that_slept_wakes_to_nothing(fleet: LostHosts, kind: str) -> None:
    freezer = privileged(lambda: Freezer(kind))
    try:
        a, b = fleet.machine("a"), fleet.machine("b")
        a.inside = freezer.inside
        begin(fleet, a, b)
        lost(fleet, a, b, lambda: freezer.set(frozen=True))
        thawed_at = monotonic_ms()
        freezer.set(frozen=False)
        # What wakes at the same instant as its keeper may run until the kernel has buried that.
        ended_once(fleet, a, thawed_at=thawed_at, agents=kind == "old")
        until(lambda: is_host(fleet, "a"), "it is another host now")
    finally:
        fleet.close()
        freezer.remove()


@pytest.mark.slow
@pytest.mark.parametrize("way", ["in", "out", "both"])
def test_a_host_whose_network_froze_comes_back_as_another(fleet: LostHosts, way: str) -> None:
    network = privileged(lambda: Network(1))
    relay = Relay(fleet.cluster.port, network.address)
    try:
        a, b = fleet.machine("a", relay.url()), fleet.machine("b")
        a.inside = network.inside
        begin(fleet, a, b)
        lost(fleet, a, b, lambda: network.freeze(way))
        assert not is_host(fleet, "a")
        network.thaw()
        until(lambda: is_host(fleet, "a"), f"it is another host now; {fleet.told()}")
        ended_once(fleet, a)
    finally:
        fleet.close()
        network.remove()
        relay.close()


def privileged(make: Callable[[], Any]) -> Any:
    """What only root can make, and not in every container."""
    try:
        return make()
    except (OSError, subprocess.SubprocessError) as error:
        pytest.skip(f"it takes a right that is not given here: {error}")


def is_host(fleet: LostHosts, name: str) -> bool:
    return fleet.ask(f"SELECT name FROM agentq.hosts WHERE name = '{name}'") != []


# The database fails


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[LostHosts]:
    """A fleet whose database no other test has."""
    why = postgres.why_not()
    if why is not None:
        pytest.skip(why)
    with postgres.cluster() as cluster:
        made = LostHosts(cluster, "agentq", tmp_path, LEASE_MS)
        yield made
        made.close()


@pytest.mark.slow
def test_a_database_that_is_away_for_a_moment_changes_nothing_and_for_long_ends_everything(alone: LostHosts) -> None:
    a, _ = two(alone)
    alone.cluster.stop(signal.SIGINT)
    alone.cluster.start()
    goes_on(alone, 2)

    alone.cluster.stop(signal.SIGINT)
    lease = a.lease()
    assert lease is not None
    until(lambda: not a.lives("shim", "other"), "the end of all of it")
    died_at = alone.lines()[-1].at
    assert lease.deadline - 100 <= died_at <= leases.kernel_at(lease.deadline, LEASE_MS) + 100
    until(lambda: monotonic_ms() > died_at + 2 * LEASE_MS, "two leases")
    assert alone.lines()[-1].at == died_at
    alone.cluster.start()
    until(lambda: alone.lines()[-1].attempt == 2, f"it runs again; {alone.told()}")
    alone.end()
    assert alone.outcomes() == [(1, "crashed"), (2, "success")]
    never_two(alone.lines())


@pytest.mark.slow
def test_the_clock_of_the_database_decides_nothing(alone: LostHosts, monkeypatch: pytest.MonkeyPatch) -> None:
    library = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
    if library is None:
        pytest.skip("no faketime (Debian: apt-get install faketime)")
    clock = alone.cluster.directory / "clock"
    clock.write_text("+0")
    faked = {"LD_PRELOAD": library, "FAKETIME_TIMESTAMP_FILE": clock}
    faked |= {"FAKETIME_NO_CACHE": 1, "FAKETIME_DONT_FAKE_MONOTONIC": 1, "FAKETIME_DISABLE_SHM": 1}
    variables = " ".join(f"{name}={value}" for name, value in faked.items())
    # Set only once it runs as the user that it is to run as: the library shares a semaphore by the process's number.
    server = alone.cluster.directory / "postgres"
    server.write_text(f'#!/bin/sh\nexec env {variables} {postgres.binaries()}/postgres "$@"\n')
    server.chmod(0o755)
    monkeypatch.setenv(postgres.BINARIES, str(server.parent))
    alone.cluster.stop(signal.SIGINT)
    alone.cluster.start()
    monkeypatch.undo()
    two(alone)
    before = its_clock(alone)
    for hour in (1, -1):
        clock.write_text(f"{hour:+}h")
        assert abs(its_clock(alone) - before - hour * 3600) < 60
        goes_on(alone, 2)
    alone.end()
    assert alone.outcomes() == [(1, "success")]


def its_clock(fleet: LostHosts) -> float:
    return float(fleet.ask("SELECT extract(epoch FROM clock_timestamp())")[0][0])


def goes_on(fleet: LostHosts, for_leases: int) -> None:
    """The first attempt goes on, on its host."""
    since = monotonic_ms()
    until(lambda: fleet.lines()[-1].at > since + for_leases * LEASE_MS, f"it goes on; {fleet.told()}")
    assert len({line[1:3] for line in fleet.lines()}) == 1


@pytest.mark.slow
def test_a_standby_that_has_not_seen_a_claim_and_is_promoted_does_not_run_it_twice(alone: LostHosts) -> None:
    relay = Relay(alone.cluster.port)
    standby = copy_of(alone.cluster)
    try:
        a, b = alone.machine("a", relay.url()), alone.machine("b", relay.url())
        a.supervise()
        assert a.agentq("x", "--wait", "--", "true").returncode == 0
        alone.submit(a, "--in", "6s")
        b.supervise()
        standby.start()
        seen = "SELECT count(*) FROM agentq.tasks, agentq.hosts"
        until(lambda: standby.ask(seen) == [(4,)], "the standby is up to date")
        standby.stop(signal.SIGINT)
        until(alone.lines, "it runs")
        where = alone.machines[[each.name for each in alone.machines].index(alone.lines()[0].host)]
        alone.cluster.stop(signal.SIGQUIT)
        standby.start()
        standby.run("pg_ctl", "promote", "-D", standby.data)
        relay.lead(standby.port)
        alone.cluster, primary = standby, alone.cluster
        first = alone.lines()[0].life
        until(lambda: alone.lines()[-1].life != first, f"it runs again; {alone.told()}")
        assert not where.agentq("health").stdout.startswith("unhealthy")
        alone.end()
        assert [status for _, status in alone.outcomes()][-1] == "success"
        never_two(alone.lines())
        alone.cluster = primary
    finally:
        alone.close()
        relay.close()
        standby.stop(signal.SIGQUIT)
        shutil.rmtree(standby.directory)


def copy_of(primary: Cluster) -> Cluster:
    """A standby of a server, not started."""
    made = Cluster(Path(tempfile.mkdtemp(prefix="agentq-pg-", dir=primary.directory.parent)))
    give_away(made.directory)
    source = f"host={primary.sockets} port={primary.port} user={postgres.OWNER}"
    primary.run("pg_basebackup", "-D", made.data, "-R", "--no-sync", "--checkpoint=fast", "-d", source)
    return made


@pytest.mark.slow
@pytest.mark.parametrize("names", ["a", "ab"])
def test_a_database_that_was_set_back_has_no_run_that_it_does_not_know(alone: LostHosts, names: str) -> None:
    a, *_ = [alone.machine(name) for name in names]
    for each in alone.machines:
        each.supervise()
    assert a.agentq("x", "--wait", "--", "true").returncode == 0
    alone.submit(a, "--in", "5s")
    server, copy = alone.cluster, alone.cluster.directory / "copy"
    server.stop(signal.SIGINT)
    shutil.copytree(server.data, copy)
    server.start()
    until(alone.lines, f"it runs; {alone.told()}")
    first = alone.lines()[0].life
    server.stop(signal.SIGQUIT)
    shutil.rmtree(server.data)
    os.rename(copy, server.data)
    give_away(server.data)
    server.start()
    # Whoever claims first may be faster than the host that has to find out: by one renewal at most.
    until(lambda: not is_alive(first), "the end of what nobody knows", (LEASE_MS / 6 + BUSY_MS) / 1000)
    until(lambda: alone.lines()[-1].life != first, f"it runs again; {alone.told()}")
    alone.end()
    assert alone.outcomes() == [(1, "success"), (1, "success")]


def is_alive(pid: int) -> bool:
    found = process.identity_of(pid)
    return found is not None and process.alive(found)


def give_away(directory: Path) -> None:
    """Make a directory that of the user that runs the server."""
    if os.geteuid() == 0:
        subprocess.run(["chown", "-R", postgres.UNPRIVILEGED, directory], check=True)
