"""The states of supervisors on many machines: told by each, and by whoever takes a lost one over."""

from __future__ import annotations

from contextlib import closing

from fleet_machines import LEASE, Fleet, Machine
from queue_driver import command, start, submit

from agentq_cli.base.identity import Identity
from agentq_cli.engines.steps.supervisors import ENDED_KEPT
from agentq_cli.model.statuses import Status
from agentq_cli.model.workers import Supervisor, SupervisorState

IDLE, RUNNING, _, _, ENDED = SupervisorState


def ended(machine: Machine) -> list[tuple[str | None, bool, str | None, Status | None]]:
    """The supervisors that have ended, as a machine sees them: host, whether that is another one, reason, result."""
    found = [each for each in machine.queue.ended_supervisors() if each.ended_at is not None]
    assert {each.state for each in found} <= {ENDED}
    return [(each.host, each.elsewhere, each.reason, each.last_result) for each in found]


def changes(fleet: Fleet) -> list[tuple[str | None, str, str, str]]:
    """The changes of states: before, after, who told, and the reason."""
    return fleet.ask(
        "SELECT from_status, to_status, actor, reason FROM agentq.events WHERE event = 'supervisor' ORDER BY id"
    )


def test_the_supervisors_of_a_lost_host_end_with_it_and_come_back_as_new_ones(fleet: Fleet) -> None:
    a, b = fleet.machine("a"), fleet.machine("b")
    a.join(), b.join()
    start(a.queue, submit(a.queue, command("s"))[0], supervisor=a.identity)
    a.queue.set_state(a.identity, RUNNING, last_result=Status.COMPLETED)
    (seen,) = [each for each in b.queue.living() if each.host == "a"]
    assert (seen.state, seen.last_result, seen.elsewhere) == (RUNNING, Status.COMPLETED, True)
    b.renew()
    b.now = LEASE
    b.rescue()
    pid = a.identity.pid
    assert changes(fleet)[2:] == [
        ("idle", "running", "supervisor", f"supervisor {pid} on a"),
        ("running", "ended", "supervisor", f"supervisor {pid} on a: host 'a' was lost"),
    ]
    assert ended(b) == [("a", True, "host 'a' was lost", None)]
    # It comes back, and says what it does only once it is on duty again.
    assert not a.queue.set_state(a.identity, IDLE, last_result=Status.FAILED)
    assert a.renew().superseded
    a.join()
    assert changes(fleet)[4:] == [(None, "idle", "supervisor", f"supervisor {pid} on a")]
    assert ended(a) == [("a", False, "host 'a' was lost", None)]
    a.queue.leave(a.identity, reason="drained", last_result=Status.COMPLETED)
    assert ended(b)[0] == ("a", True, "drained", Status.COMPLETED)


def test_a_change_of_state_wakes_nobody(fleet: Fleet) -> None:
    a = fleet.machine("a")
    a.join()
    with closing(fleet.cluster.connect()) as listening:
        listening.autocommit = True
        listening.cursor().execute(f'LISTEN "{fleet.schema}"')
        a.queue.set_state(a.identity, RUNNING, last_result=None)
        submit(a.queue, command())
        # Rings come in the order of the commits.
        while not listening.notifies:
            listening.cursor().execute("SELECT 1")
            listening.poll()
        assert [ring.payload for ring in listening.notifies] == ["default"]


def test_the_last_ten_of_each_host_are_kept_and_those_of_a_host_that_is_forgotten_for_a_week(fleet: Fleet) -> None:
    machines = [fleet.machine(name) for name in ("a", "b")]
    for machine in machines:
        machine.join()
        for number in range(ENDED_KEPT + 2):
            identity = Identity(number + 1, 1, machine.name)
            machine.queue.join(Supervisor(identity, 1, (), machine.queue.now, machine.now))
            machine.queue.leave(identity, reason=str(number), last_result=None)
    a, b = machines
    kept = [str(number) for number in range(ENDED_KEPT + 1, 1, -1)]
    assert [reason for host, _, reason, _ in ended(a) if host == "b"] == kept
    assert [reason for host, _, reason, _ in ended(a) if host == "a"] == kept
    b.queue.leave(b.identity, reason="off", last_result=None)
    fleet.ask("DELETE FROM agentq.hosts WHERE name = 'b'")
    list(a.queue.upkeep.begin(lambda *_: None, host="a"))
    assert len(ended(a)) == 2 * ENDED_KEPT
    assert ended(a)[0] == ("a", False, "killed", None), "the sweep has taken its own dead one off the record"
    fleet.ask("UPDATE agentq.ended_supervisors SET ended_at = ended_at - 8 * 86400000")
    list(a.queue.upkeep.begin(lambda *_: None, host="a"))
    assert {host for host, *_ in ended(a)} == {"a"}
