"""Hooks in the fleet: each call is one host's, and another's once that host is lost or has left."""

from __future__ import annotations

from fleet_machines import LEASE, Fleet, Machine
from queue_driver import command, finish, start, submit

HOOK = "task.finished"


def mine(of: Machine) -> list[str]:
    """The tasks whose hooks a machine has to run, once it has taken over what it may."""
    of.queue.hooks.inherit(of.identity)
    return [str(call.address) for call in of.queue.hooks.own(of.identity, limit=10)]


def test_the_hooks_of_a_lost_host_are_inherited_and_those_of_a_living_one_are_not(fleet: Fleet) -> None:
    a, b, c = fleet.machine("a"), fleet.machine("b"), fleet.machine("c")
    a.join(), b.join()
    for of in (a, b, c):
        assert of.queue.hooks.wait([HOOK], after=0, configured_at=0) is False
    (address,) = submit(c.queue, command("s"))
    assert finish(a.queue, start(a.queue, address, supervisor=a.identity)) is not None
    assert [of.queue.hooks.wait([HOOK], after=0, configured_at=0) for of in (a, b, c)] == [True, True, False], (
        "nobody could tell that a machine is lost which is no host"
    )
    for of in (c, a):
        of.queue.hooks.collect([HOOK], of.identity, configured_at=0)
    assert (mine(b), mine(c), mine(a)) == ([], [], [str(address)])
    b.renew()
    b.now = LEASE
    b.rescue()
    assert (mine(c), mine(b)) == ([], [str(address)])
    (call,) = a.queue.hooks.own(b.identity, limit=1)
    b.queue.leave(b.identity)
    a.join()
    assert mine(a) == [str(address)]
    assert call.address == address
