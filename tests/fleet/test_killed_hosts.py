"""A process that is killed at any message to the database leaves what another one completes, once."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping

import pytest
from fleet_machines import LEASE, Fleet, Machine
from queue_driver import claim, command, finish, head_of, start, submit

from agentq_cli.model.addresses import Address, RunId


class Killed(BaseException):
    """The end of a process in the middle of what it does."""


def kill(machine: Machine, number: int, *, before: bool) -> Callable[[], int]:
    """End the machine's process at the message of that number: before it is sent, or once it was answered, of which
    the process then knows nothing. Returns how many messages there were."""
    database, sent = machine.queue.database, 0
    execute = database._execute

    def executed(message: bytes | str) -> None:
        nonlocal sent
        sent += 1
        if sent != number or not before:
            execute(message)
        if sent == number:
            database.close()
            raise Killed

    database._execute = executed  # type: ignore[method-assign]
    return lambda: sent


Deed = Callable[[Machine, Address, RunId | None], object]

DEEDS: Mapping[str, Deed] = {
    "join": lambda machine, address, run: machine.join(),
    "renew": lambda machine, address, run: machine.renew(),
    "take over": lambda machine, address, run: machine.rescue(),
    "claim": lambda machine, address, run: claim(
        machine.queue, head_of(machine.queue, address), supervisor=machine.identity
    ),
    "finish": lambda machine, address, run: finish(machine.queue, run) if run else None,
}


@pytest.mark.slow
@pytest.mark.parametrize("deed", DEEDS)
def test_who_is_killed_at_any_message_leaves_what_another_process_completes(fleet: Fleet, deed: str) -> None:
    survivor = fleet.machine("survivor")
    survivor.join()
    for moment in range(2, 60):
        lost, victim = fleet.machine(f"lost{moment}"), fleet.machine(f"victim{moment}")
        lost.join()
        addresses = submit(lost.queue, command("s"), command("s"))
        runs = [start(lost.queue, each, supervisor=lost.identity, parallel=lambda _: None) for each in addresses]
        (extra,) = submit(survivor.queue, command("t"))
        if deed != "join":
            victim.join()
            victim.renew()
        own = start(victim.queue, extra, supervisor=victim.identity) if deed == "finish" else None
        survivor.renew()

        number = moment // 2
        sent = kill(victim, number, before=moment % 2 == 0)
        victim.now = LEASE
        with contextlib.suppress(Killed):
            DEEDS[deed](victim, extra, own)
        survivor.now += LEASE
        survivor.renew()
        survivor.rescue()
        survivor.now += LEASE
        survivor.renew()
        survivor.rescue()

        assert [each.name for each in survivor.queue.hosts()] == ["survivor"]
        assert survivor.queue.workers() == []
        for run in runs:
            assert survivor.queue.run(run).error == f"host '{lost.name}' was lost"
        ends = "SELECT 1 FROM agentq.events WHERE event = 'finish' GROUP BY session, seq, attempt HAVING count(*) > 1"
        assert fleet.ask(ends) == []
        survivor.queue.cancel_each([*addresses, extra])
        for each in (lost, victim):
            each.queue.close()
        if sent() < number:
            return
    raise AssertionError("it sends more messages than that")
