"""Hosts join, renew, are found lost and taken over: many machines on one database, each with a clock of its own."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from fleet_machines import LEASE, Fleet, another_boot
from queue_driver import claim, command, finish, head_of, start, submit

from agentq_cli.base import procfs
from agentq_cli.base.errors import Busy, Usage
from agentq_cli.host import lease_file
from agentq_cli.model.actions import Actor
from agentq_cli.model.hosts import HostState
from agentq_cli.model.statuses import FailureClass, RunStatus, Status
from agentq_cli.model.workers import Sign
from agentq_cli.policy import leases


def test_a_supervisor_makes_its_machine_a_host_and_renews_it(fleet: Fleet) -> None:
    a, b = fleet.machine("a", 1_000_000), fleet.machine("b", 5)
    joined = a.join()
    assert joined.deadline == leases.deadline(1_000_000, LEASE)
    assert joined.again_at == 1_000_000 + leases.renewal_ms(LEASE)
    assert lease_file.read(a.queue.here.lease) == lease_file.Lease(a.host, procfs.boot_id(), joined.deadline, LEASE, 1)
    b.join()
    a.now += 9_000
    renewed = a.renew()
    assert renewed.deadline == joined.deadline + 9_000
    assert renewed.known == frozenset()
    assert not renewed.superseded
    found = {each.name: each for each in b.queue.hosts()}
    assert [(each.name, each.state, each.here) for each in found.values()] == [
        ("a", HostState.UP, False),
        ("b", HostState.UP, True),
    ]
    assert found["a"].labels == ("a-label",)
    assert [(each.host, each.elsewhere) for each in b.queue.living()] == [("a", True)]
    assert [(each.host, each.elsewhere) for each in b.queue.supervisors()] == [("a", True), ("b", False)]
    a.queue.leave(a.identity)
    assert {each.name: each.state for each in b.queue.hosts()} == {"a": HostState.LEFT, "b": HostState.UP}
    before = a.host
    a.join()
    assert a.host == before
    assert {each.state for each in b.queue.hosts()} == {HostState.UP}


def test_work_of_a_lost_host_is_due_at_once_and_the_host_comes_back_as_another(fleet: Fleet) -> None:
    a, b = fleet.machine("a", 10**9), fleet.machine("b")
    a.join(), b.join()
    (address,) = submit(a.queue, command("s"))
    start(a.queue, submit(a.queue, command("t"))[0], supervisor=a.identity)
    fleet.ask("DELETE FROM agentq.tasks WHERE session = 't'")
    run = start(a.queue, address, supervisor=a.identity)
    a.renew(signs={run: Sign(4711, 1 << 20, 77)})
    assert b.renew().again_at == leases.renewal_ms(LEASE)
    worker = b.queue.worker(address)
    assert worker is not None
    assert (worker.host, worker.elsewhere, worker.sign) == ("a", True, Sign(4711, 1 << 20, 77))
    assert b.queue.watched(worker)
    assert b.queue.orphaned() == []

    b.now = LEASE - 1
    assert b.renew().again_at == LEASE, "it looks again when the other one is lost"
    assert b.rescue() == []
    b.now = LEASE
    told = b.rescue()
    assert [(each.reason, each.run) for each in told] == [("host 'a' was lost", None), ("host 'a' was lost", run)]
    assert fleet.events("lost") == ["host 'a' was lost"]
    assert b.queue.workers() == []
    ended = b.queue.run(run)
    assert (ended.status, ended.failure_class, ended.error) == (
        RunStatus.CRASHED,
        FailureClass.CRASHED,
        "host 'a' was lost",
    )
    task = b.queue.task(address)
    assert task.status is Status.QUEUED
    assert task.due_at <= b.queue.now
    assert [each.name for each in b.queue.hosts()] == ["b"]

    # It comes back and knows of nothing: no write of it changes anything.
    assert finish(a.queue, run) is None
    assert fleet.events("late") == ["it had ended already; success was not recorded"]
    assert claim(a.queue, head_of(a.queue, address), supervisor=a.identity) is None
    assert a.queue.task(address).status is Status.QUEUED
    before = a.host
    assert a.renew().superseded
    a.join()
    assert a.host not in (before, b.host)
    assert start(a.queue, address, supervisor=a.identity).attempt == 2


def test_a_host_that_gives_a_sign_in_time_is_not_lost(fleet: Fleet) -> None:
    a, b = fleet.machine("a"), fleet.machine("b")
    a.join(), b.join()
    b.renew()
    b.now = LEASE
    a.renew()  # after the observer's last look
    assert b.rescue() == []
    assert len(b.queue.hosts()) == 2
    b.renew()
    b.now += LEASE - 1
    assert b.rescue() == []
    b.now += 1
    assert [each.reason for each in b.rescue()] == ["host 'a' was lost"]
    assert b.rescue() == []


def test_a_host_that_left_is_taken_over_only_with_runs(fleet: Fleet) -> None:
    a, b, c = fleet.machine("a"), fleet.machine("b"), fleet.machine("c")
    for each in (a, b, c):
        each.join()
    start(b.queue, submit(b.queue, command())[0], supervisor=b.identity)
    b.queue.leave(b.identity)
    c.queue.leave(c.identity)
    a.renew()
    a.now += LEASE
    assert [str(each.run) for each in a.rescue() if each.run] == ["default/1.1"]
    assert {each.name for each in a.queue.hosts()} == {"a", "c"}


def test_a_lease_that_was_lowered_does_not_end_before_what_was_promised(fleet: Fleet) -> None:
    a = fleet.machine("a", 1000)
    a.join()
    a.queue.settings = type(a.queue.settings)(host="a", lease_ms=6_000, schema=fleet.schema)
    promised = leases.deadline(1000, LEASE)
    for a.now in (2000, promised - 4801):
        renewed = a.renew()
        assert (renewed.lease_ms, renewed.deadline) == (LEASE, promised)
        assert fleet.ask("SELECT lease_ms FROM agentq.hosts") == [(LEASE,)]
    a.now = promised - 4800
    renewed = a.renew()
    assert (renewed.lease_ms, renewed.deadline) == (6_000, promised)
    again = fleet.machine("a", a.now)
    again.join()
    assert again.host == a.host


@pytest.mark.parametrize("forged", [{"lease_ms": 10**25, "deadline": 10**25}, {"deadline": 10**17}, {"host": 10**25}])
def test_a_lease_that_an_agent_has_made_longer_than_any_is_none(fleet: Fleet, forged: dict[str, int]) -> None:
    a = fleet.machine("a", 1000)
    a.join()
    held = lease_file.read(a.queue.here.lease)
    assert held is not None
    a.now = 2000
    Path(a.queue.here.lease).write_text(json.dumps(held._replace(**forged)._asdict()))
    assert lease_file.read(a.queue.here.lease) is None
    renewed = a.renew()
    assert (renewed.lease_ms, renewed.deadline) == (LEASE, leases.deadline(2000, LEASE))
    assert lease_file.read(a.queue.here.lease) == held._replace(
        deadline=leases.deadline(2000, LEASE), beat=held.beat + 1
    )


def test_a_copied_state_dir_is_refused_while_the_other_machine_renews(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    a = fleet.machine("a", lease_ms=6_000)
    a.join()
    copy = a.state_dir.parent / "copy"
    shutil.copytree(a.state_dir, copy)
    another_boot(monkeypatch)  # the other machine's
    a.renew()
    stranger = fleet.machine("a2", place=copy)
    asked, renewed = stranger.queue.reading.ask, 0

    def ask(name: str, *values: object) -> list[tuple[object, ...]]:
        nonlocal renewed
        found = asked(name, *values)
        if name == "hosts.mine":
            renewed += 1
            a.renew()
        return found

    stranger.queue.reading.ask = ask  # type: ignore[method-assign]
    with pytest.raises(Usage, match="copied"):
        stranger.join()
    assert renewed == 2
    assert len(a.queue.hosts()) == 1


def test_a_supervisor_that_was_killed_before_it_heard_of_its_renewal_makes_way_for_another(fleet: Fleet) -> None:
    a = fleet.machine("a")
    a.join()
    fleet.ask("UPDATE agentq.hosts SET beat = beat + 1")
    again = fleet.machine("a", 5)
    again.queue.boottime = lambda: 5  # it would wait for ever
    again.join()
    assert again.host == a.host


def test_a_machine_that_was_started_anew_is_the_same_host_and_settles_what_ran(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    a = fleet.machine("a", 10**9)
    a.join()
    run = start(a.queue, submit(a.queue, command())[0], supervisor=a.identity)
    before = a.host
    another_boot(monkeypatch)
    again = fleet.machine("a", 50)
    again.join()
    assert again.host == before
    assert lease_file.read(again.queue.here.lease).deadline == leases.deadline(50, LEASE)  # type: ignore[union-attr]
    assert [worker.id for worker in again.queue.orphaned()] == [run]


def test_a_place_that_was_put_back_from_a_copy_is_another_host(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody can tell whether the machine that renewed it since is this one: its runs are still to be taken over."""
    a = fleet.machine("a", lease_ms=2_000)
    a.join()
    copy = a.state_dir.parent / "copy"
    shutil.copytree(a.state_dir, copy)
    a.renew()
    another_boot(monkeypatch)
    again = fleet.machine("a", place=copy)
    moments = iter(range(0, 10_000, 300))
    again.queue.boottime = lambda: next(moments)
    again.join()
    assert again.host != a.host
    assert len(again.queue.hosts()) == 2


def test_a_new_timeline_waits_for_one_lease(fleet: Fleet) -> None:
    a = fleet.machine("a")
    a.join()
    first, second = submit(a.queue, command(), command())
    start(a.queue, first, supervisor=a.identity)
    fleet.ask("UPDATE agentq.meta SET value = 'FFFFFFFF' WHERE name = 'timeline'")
    for moment in (10, 10 + LEASE - 1):
        a.now = moment
        with pytest.raises(Busy, match="standby"):
            claim(a.queue, head_of(a.queue, second), supervisor=a.identity)
    a.now = 10 + LEASE
    start(a.queue, second, supervisor=a.identity)
    assert fleet.ask("SELECT value FROM agentq.meta WHERE name = 'timeline'") != [("FFFFFFFF",)]


def test_sweeps_renew_and_observe_for_a_machine_without_a_supervisor(fleet: Fleet) -> None:
    a, b = fleet.machine("a"), fleet.machine("b")
    a.join(), b.join()

    def swept(now: int) -> list[str]:
        sweep = fleet.machine("a", now)
        return [each.reason for each in sweep.queue.tend(actor=Actor.SWEEP)]

    beat = "SELECT beat FROM agentq.hosts WHERE name = 'a'"
    assert swept(1_000) == []
    assert fleet.ask(beat) == [(1,)], "it was renewed lately"
    assert swept(11_000) == []
    assert fleet.ask(beat) == [(2,)]
    assert swept(1_000 + LEASE) == ["host 'b' was lost"]
    assert b.renew().superseded


def test_a_host_tells_what_it_brings(fleet: Fleet) -> None:
    a = fleet.machine("a")
    settings = type(a.queue.settings)
    a.queue.bring(settings(host="a", labels=("gpu",), schema=fleet.schema), ("codex",))
    a.join()
    (host,) = a.queue.hosts()
    assert (host.labels, host.agents, host.lease_ms, host.jobs) == (("gpu",), ("codex",), LEASE, 4)
    a.queue.bring(settings(host="anna", labels=(), lease_ms=10 * LEASE, schema=fleet.schema), ("codex", "claude"))
    assert a.renew().deadline == leases.deadline(0, 10 * LEASE)
    (host,) = a.queue.hosts()
    assert (host.name, host.labels, host.agents, host.lease_ms) == ("anna", (), ("codex", "claude"), 10 * LEASE)
    for labels, agents in (("{", "5"), ('{"a": 1}', '[["b"], "c"]')):
        fleet.ask(f"UPDATE agentq.hosts SET labels = '{labels}', agents = '{agents}'")
        (host,) = a.queue.hosts()
        assert (host.labels, host.agents) == ((), ("c",) if "c" in agents else ())


def test_a_run_whose_claim_the_database_has_lost_does_not_end_the_one_that_has_its_name_again(fleet: Fleet) -> None:
    a, b = fleet.machine("a"), fleet.machine("b")
    a.join(), b.join()
    (address,) = submit(a.queue, command("s"))
    run = start(b.queue, address, supervisor=b.identity)  # in a database that knows nothing of the same run on a
    assert finish(a.queue, run) is None
    assert not a.queue.undo_claim(run, actor=Actor.SUPERVISOR, reason="it was claimed and never started")
    a.queue.seen_conversation(run, "demo", "of the other one")
    assert a.renew().known == frozenset()
    assert fleet.events("late") == ["it is a run of host 'b'; success was not recorded"]
    assert fleet.ask("SELECT conversation FROM agentq.task_runs") == [(None,)]
    ended = finish(b.queue, run)
    assert ended is not None
    assert ended.status is Status.COMPLETED


def test_a_renewal_tells_whether_there_is_anything_to_do(fleet: Fleet) -> None:
    a = fleet.machine("a")
    a.join()
    assert a.renew().idle
    (address,) = submit(a.queue, command())
    assert not a.renew().idle
    run = start(a.queue, address, supervisor=a.identity)
    assert not a.renew().idle
    finish(a.queue, run)
    assert a.renew().idle
