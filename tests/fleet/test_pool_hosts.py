"""A pool on two machines: a line has one run in the whole fleet, and a conversation goes on where its files are."""

from __future__ import annotations

from fleet_machines import LEASE, Fleet, Machine
from queue_driver import claim_next, finish, prompt, submit, widths

from agentq_cli.engines.nouns import Claim
from agentq_cli.model.statuses import RunStatus
from agentq_cli.model.work import Launch

POOL = widths(p=2)


def task(machine: Machine, key: str | None = None, **fields: object) -> None:
    submit(machine.queue, prompt("p", launch=Launch(conversation_key=key), context="session", **fields))


def begin(machine: Machine) -> Claim | None:
    return claim_next(machine.queue, parallel=POOL, supervisor=machine.identity)


def end(machine: Machine, claim: Claim | None, conversation: str) -> None:
    assert claim is not None
    assert finish(machine.queue, claim.run, conversation=conversation) is not None


def at(claim: Claim | None) -> tuple[str | None, str | None] | None:
    """In which line a run is, and which conversation it goes on in."""
    return None if claim is None else (claim.task.conversation_key, claim.plan.conversation)


def test_a_line_has_one_run_in_a_fleet_and_a_new_one_is_no_other_hosts(fleet: Fleet) -> None:
    a, b = fleet.machine("a"), fleet.machine("b")
    a.join(), b.join()
    task(a)
    end(a, begin(a), "A")
    task(b)
    on_b = begin(b)
    assert at(on_b) == ("2", None), "line 1 is host a's, and another number is free"
    task(a)
    on_a = begin(a)
    assert at(on_a) == ("1", "A")
    end(b, on_b, "B")
    task(b, "1")
    assert begin(b) is None, "it runs on the other host"
    end(a, on_a, "A")
    assert at(begin(b)) == ("1", None), "its files are on the other host"
    task(a)
    task(b, "2")
    assert at(begin(b)) == ("2", "B")
    assert begin(a) is None


def test_a_run_of_a_lost_host_goes_on_in_its_line_on_another(fleet: Fleet) -> None:
    a, b = fleet.machine("a"), fleet.machine("b")
    a.join(), b.join()
    task(a, "x", priority=1)
    lost = begin(a)
    assert lost is not None
    a.queue.seen_conversation(lost.run, "demo", "X")
    task(b, "x")
    b.renew()
    b.now += LEASE
    b.rescue()
    again = begin(b)
    assert at(again) == ("x", None)
    assert again is not None
    assert (again.run.seq, again.run.attempt) == (1, 2)
    end(b, again, "Y")
    assert at(begin(b)) == ("x", "Y")
    assert finish(a.queue, lost.run, RunStatus.SUCCESS, conversation="X") is None
    assert [each.conversation for each in b.queue.pool("p")] == ["Y"]
