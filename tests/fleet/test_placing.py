"""Where tasks of a fleet run: caps, what fits, sessions bound to a host and moved, and what stays on its machine."""

from __future__ import annotations

from typing import Any

import pytest
from fleet_machines import LEASE, Fleet, Machine
from queue_driver import claim, command, edited, finish, new_task, prompt, submit, widths

from agentq_cli.base.dataclass import replace
from agentq_cli.engines.nouns import Claim, Past, Plan
from agentq_cli.model.actions import Actor
from agentq_cli.model.addresses import Address
from agentq_cli.model.statuses import RunStatus
from agentq_cli.model.tasks import Task
from agentq_cli.model.work import Condition, Dependency, Launch
from agentq_cli.policy import order, placement
from agentq_cli.policy.placement import PassedOver

Found = order.Head | None


@pytest.fixture
def hosts(fleet: Fleet) -> tuple[Machine, Machine]:
    """Two hosts on duty."""
    a, b = fleet.machine("a"), fleet.machine("b")
    a.join(), b.join()
    return a, b


def pick(of: Machine, *, jobs: int = 9, fleet_jobs: int | None = None, fits: order.Fits = order.anywhere) -> Found:
    """What a host would start next, to a look of its own."""
    values: Any = {"now": of.queue.now, "ageing_ms": None, "parallel": widths(), "place": edited_by}
    return of.queue.heads().pick(jobs=jobs, fleet_jobs=fleet_jobs, fits=fits, **values)


def edited_by(head: order.Head) -> str | None:
    """Where the agent of a head edits."""
    return head.directory if head.directory.startswith("/") else None


def bind(task: Task, past: Past) -> Plan:
    """A plan of a session that lives on one host."""
    return Plan(argv=("true",), conversation=past.conversation, binds=True)


def start(of: Machine, **options: Any) -> Claim:
    """Start the next task there."""
    head = pick(of)
    assert head is not None
    claimed = claim(of.queue, head, **{"supervisor": of.identity, "planner": bind} | options)
    assert claimed is not None
    return claimed


def bound(head: Found) -> placement.Bound | None:
    assert head is not None
    return placement.bound(head.bound)


def test_a_host_has_its_own_cap_and_all_together_have_theirs(hosts: tuple[Machine, Machine]) -> None:
    a, b = hosts
    submit(a.queue, *(command() for _ in range(4)))
    start(a), start(a)
    assert pick(a, jobs=2) is None
    last = pick(b, jobs=1, fleet_jobs=3)
    assert last is not None
    assert pick(b, jobs=1, fleet_jobs=2) is None
    # The claim asks again.
    options: Any = {"supervisor": b.identity, "jobs": 1}
    assert claim(b.queue, last, fleet_jobs=2, **options) is None
    assert claim(b.queue, last, fleet_jobs=3, **options) is not None
    assert pick(b, jobs=1) is None


def test_a_directory_is_of_one_host_and_so_is_who_edits_in_it(hosts: tuple[Machine, Machine]) -> None:
    a, b = hosts

    def editing(task: Task, past: Past) -> Plan:
        return Plan(argv=("claude",), directory=task.work.directory)

    submit(a.queue, *(prompt(name, agent="claude", cwd="/src/app") for name in ("s", "t", "u")))
    start(a, planner=editing)
    assert pick(a) is None
    waits = pick(b)
    assert waits is not None
    assert claim(a.queue, waits, planner=editing, supervisor=a.identity) is None
    assert claim(b.queue, waits, planner=editing, supervisor=b.identity) is not None
    assert pick(b) is None
    (third,) = (task for task in a.queue.tasks() if task.session not in ("s", waits.session))
    behind = {"jobs": 9, "parallel": 1, "directory": "/src/app"}
    found = a.queue.waiting_for(third, **behind)
    assert found is not None
    assert (found.kind, found.ids) == ("directory", ("s/1",))
    found = b.queue.waiting_for(third, **behind)
    assert found is not None
    assert found.ids == (f"{waits.session}/1",)


def test_what_one_host_cannot_run_hides_nothing_that_needs_something_else(hosts: tuple[Machine, Machine]) -> None:
    a, _ = hosts
    launches = [Launch(on=("x",)), Launch(stdin="/nowhere"), Launch(script="/nowhere"), Launch(), Launch()]
    submit(a.queue, *(command(launch=launch) for launch in launches), command(cwd="/nowhere"))
    asked: list[placement.Needs] = []

    def fits(head: order.Head) -> bool:
        asked.append(placement.read(head.needs or ""))
        return False

    assert pick(a, fits=fits) is None
    # One look at each kind, however many tasks are of it.
    assert sorted(asked, key=str) == sorted(
        [
            *(placement.needs(command(launch=launch).work) for launch in launches[:4]),
            placement.Needs((), "/nowhere"),
        ],
        key=str,
    )


def test_what_a_task_needs_follows_its_edits_its_replies_and_the_lines_of_its_batch(
    fleet: Fleet, hosts: tuple[Machine, Machine]
) -> None:
    a, _ = hosts
    tree = Launch(repository="/src/.git")
    batch = submit(
        a.queue,
        prompt("s", launch=tree),
        prompt("s", launch=tree, after=(Dependency(None, Condition.SUCCESS, 0),))._replace(base_of=0),
    )

    def needs(address: Address) -> placement.Needs:
        ((text,),) = fleet.ask(f"SELECT needs FROM agentq.tasks WHERE session = 's' AND seq = {address.seq}")
        assert placement.read(text) == placement.needs(a.queue.task(address).work)
        return placement.read(text)

    assert needs(batch[1]).base == "@s/1"
    a.queue.edit(batch[0], edited(launch=replace(tree, on=("gpu",))))
    assert needs(batch[0]).on == ("gpu",)
    run = start(a, planner=bind).run
    assert finish(a.queue, run, conversation="talk") is not None
    a.queue.reply(batch[0], "and now?")
    assert needs(batch[0]).continues == "talk"


def test_a_session_is_bound_at_its_first_start_and_moves_when_its_host_does_not_come(
    fleet: Fleet, hosts: tuple[Machine, Machine]
) -> None:
    a, b = hosts
    submit(a.queue, prompt("s"), prompt("s"), prompt("s"))
    assert bound(pick(b)) is None
    run = start(a).run
    assert finish(a.queue, run, conversation="talk") is not None
    found = bound(pick(b))
    assert found is not None
    assert (found.name, found.here) == ("a", False)
    assert bound(pick(a)) == found._replace(here=True)
    assert [each.host for each in b.queue.sessions()] == ["a"]
    assert b.queue.placing.bound("s") == found
    # It is expected as long as it is not lost, and for a lease after it has left.
    assert b.queue.placing.expected(found.key)
    a.queue.leave(a.identity)
    assert b.queue.placing.expected(found.key)
    fleet.ask("UPDATE agentq.hosts SET left_at = left_at - lease_ms - 1000 WHERE left_at IS NOT NULL RETURNING 1")
    assert not b.queue.placing.expected(found.key)
    a.join()
    assert b.queue.placing.expected(found.key)
    b.now = 1
    b.renew()
    b.now += LEASE
    b.renew(), b.rescue()
    assert not b.queue.placing.expected(found.key)

    moved = start(b, planner=lambda *given: replace(bind(*given), moved="from 'a' to 'b'"))
    assert moved.plan.conversation is None, "its conversation stayed behind"
    assert fleet.events("moved") == ["from 'a' to 'b'"]
    assert finish(b.queue, moved.run, conversation="other") is not None
    assert [each.host for each in b.queue.sessions()] == ["b"]
    # The first host comes back, as another one: the session stays where it is.
    a.renew(), a.join()
    assert bound(pick(a)) != found
    assert start(b).plan.conversation == "other"


def test_of_two_hosts_that_would_bind_a_session_at_once_one_does(hosts: tuple[Machine, Machine]) -> None:
    a, b = hosts
    submit(a.queue, command("s"), command("s"))
    wide: Any = {"parallel": widths(s=2), "planner": bind}
    first = pick(a)
    assert first is not None
    assert claim(a.queue, first, supervisor=a.identity, **wide) is not None
    second = replace(first, seq=2)  # as the other one sees it, which looked at the same moment
    assert claim(b.queue, second, supervisor=b.identity, **wide) is None
    again = pick_of(a, Address("s", 2))
    assert claim(b.queue, replace(again, bound=None), supervisor=b.identity, **wide) is None
    assert claim(a.queue, again, supervisor=a.identity, **wide) is not None


def test_a_conversation_is_continued_only_where_its_files_are(hosts: tuple[Machine, Machine]) -> None:
    a, b = hosts

    def anywhere(task: Task, past: Past) -> Plan:
        return Plan(argv=("demo",), conversation=past.conversation)

    submit(a.queue, prompt("s"), prompt("s"), prompt("s"))
    for of, before in ((a, None), (b, None), (b, "on b")):
        claimed = start(of, planner=anywhere)
        assert claimed.plan.conversation == before
        assert finish(of.queue, claimed.run, conversation=f"on {of.name}") is not None
    # The same for a task that was interrupted in a conversation of its own.
    (address,) = submit(a.queue, prompt(context="isolated"))
    run = start(a, planner=anywhere).run
    assert finish(a.queue, run, RunStatus.CRASHED, failure_class="crashed", conversation="own") is not None
    head = pick_of(b, address)
    candidate = b.queue.candidate(head)
    assert candidate is not None
    assert (candidate.past.conversation, candidate.past.interrupted) == (None, None)
    candidate = a.queue.candidate(head)
    assert candidate is not None
    assert candidate.past.conversation == "own"
    ran = b.queue.placing.ran_on(address)
    assert ran is not None
    assert not ran.here
    assert a.queue.placing.ran_on(address) == ran._replace(here=True)
    assert b.queue.placing.ran_on(Address("default", 99)) is None


def pick_of(of: Machine, address: Address) -> order.Head:
    """The head of a task, due or not."""
    found = {(head.session, head.seq): head for head in of.queue.snapshot().heads}
    return found[address.session, address.seq]


def test_what_hosts_pass_over_is_there_for_all_until_it_fits_starts_or_they_are_gone(
    fleet: Fleet, hosts: tuple[Machine, Machine]
) -> None:
    a, b = hosts
    submit(a.queue, command("s"), command("s", cwd="/x"))

    def noted() -> list[tuple[int, str, str | None]]:
        return [(each.seq, each.host, each.reason) for each in a.queue.placing.passed_over("s")]

    for of in hosts:
        of.queue.placing.note([PassedOver("s", 1, "no"), PassedOver("s", 2, f"not \udcff on {of.name}\0")])
    a.queue.placing.note([PassedOver("s", 1, None), PassedOver("s", 99, "gone"), PassedOver("s", 2, "not on a")])
    assert noted() == [(1, "b", "no"), (2, "a", "not on a"), (2, "b", "not \\udcff on b\ufffd")]
    (of_task,) = {each.needs for each in a.queue.placing.passed_over("s") if each.seq == 2}
    assert of_task == placement.needs(command(cwd="/x").work).text
    # It starts, and waits again: what was noted before is of no interest.
    assert a.queue.undo_claim(start(a).run, actor=Actor.SUPERVISOR, reason="it never began")
    assert [seq for seq, _, _ in noted()] == [2, 2]
    b.queue.leave(b.identity)
    assert noted() == [(2, "a", "not on a")]
    fleet.ask(f"UPDATE agentq.unfit SET at = at - {placement.COUNTS_MS} RETURNING 1")
    assert noted() == []


def test_the_environment_of_a_shell_stays_on_the_machine_that_captured_it(hosts: tuple[Machine, Machine]) -> None:
    a, b = hosts
    new = new_task("s", kind="exec", argv=("true",))._replace(captured={"PATH": "/opt", "WORD": "x"})
    (address,) = submit(a.queue, new)
    task = a.queue.task(address)
    assert a.queue.environment(task) == {"PATH": "/opt", "WORD": "x"}
    assert b.queue.environment(task) is None
    head = pick(b)
    assert head is not None
    assert b.queue.candidate(head).environment is None  # type: ignore[union-attr]
    a.queue.placing.forget_environments()
    assert a.queue.environment(task) is not None
