"""Pools: which line of work of its session a task goes on in; what the histories do not come to."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from queue_driver import Clock, claim_next, edited, finish, head_of, outcome, prompt, start, started, submit, widths

from agentq_cli.engines.door import Queue
from agentq_cli.model.actions import Actor
from agentq_cli.model.addresses import Address, RunId
from agentq_cli.model.statuses import FailureClass, RunStatus, Status
from agentq_cli.model.tasks import NewTask
from agentq_cli.model.work import Condition, Dependency, Launch
from agentq_cli.policy.pool import Pool

POOL = widths(p=2)
BACKOFF = 1_000
AGAIN = Launch(retries=3, backoff_ms=BACKOFF, max_backoff_ms=BACKOFF)


def talk(line: str | None = None, *, session: str = "p", **fields: Any) -> NewTask:
    return prompt(session, launch=replace(AGAIN, conversation_key=line), context="session", **fields)


def begin(queue: Queue, address: Address) -> RunId:
    return start(queue, address, parallel=POOL)


def end(queue: Queue, clock: Clock, run: RunId, conversation: str | None = None, **fields: Any) -> None:
    """A run ends in a conversation, which was never used at the same moment as another."""
    clock.forward(1)
    assert finish(queue, run, conversation=conversation, **fields) is not None


def ran(queue: Queue, clock: Clock, new: NewTask, conversation: str) -> Address:
    (address,) = submit(queue, new)
    end(queue, clock, begin(queue, address), conversation)
    return address


def fail(queue: Queue, clock: Clock, run: RunId, conversation: str | None = None) -> None:
    end(queue, clock, run, conversation, status=RunStatus.ERROR, failure_class=FailureClass.NETWORK)


def line(queue: Queue, address: Address) -> str | None:
    return queue.task(address).conversation_key


def pool(queue: Queue, session: str = "p") -> dict[tuple[str, str], str | None]:
    return {(each.agent, each.key): each.conversation for each in queue.pool(session)}


def events(queue: Queue, name: str) -> list[str]:
    return [event.reason or "" for event in queue.events() if event.event == name][::-1]


# Retries


def test_two_retries_of_one_line_do_not_wait_for_each_other(queue: Queue, clock: Clock) -> None:
    first, second = submit(queue, talk("a"), talk("a"))
    fail(queue, clock, begin(queue, first), "A")
    queue.pause(first, reason=None)
    fail(queue, clock, begin(queue, second), "A")
    queue.resume(first)
    clock.forward(2 * BACKOFF)
    assert started(queue, parallel=POOL) == [str(first)]
    why = queue.waiting_for(queue.task(second), jobs=9, parallel=2)
    assert why is not None
    assert (why.kind, why.ids) == ("session", (str(first),)), "one of the two runs, and the other waits for it alone"
    end(queue, clock, RunId(*first, 2), "A")
    assert started(queue, parallel=POOL) == [str(second)]


def test_a_waiting_retry_holds_its_line_and_no_other(queue: Queue, clock: Clock) -> None:
    first, named, any_line = submit(queue, talk(), talk("1"), talk())
    fail(queue, clock, begin(queue, first), "A")
    assert line(queue, first) == "1"
    assert started(queue, parallel=POOL) == [str(any_line)]
    assert line(queue, any_line) == "2"
    end(queue, clock, RunId(*any_line, 1), "B")
    assert claim_next(queue, parallel=POOL) is None
    why = queue.waiting_for(queue.task(named), jobs=9, parallel=2)
    assert why is not None
    assert (why.kind, why.ids) == ("session", (str(first),))
    clock.forward(2 * BACKOFF)
    assert started(queue, parallel=POOL) == [str(first)]


def test_a_conversation_that_waits_for_its_retry_is_not_idle(queue: Queue, clock: Clock) -> None:
    """However long its agent is held, and also if what goes on first is a retry as well, which waits for no other."""
    addresses = submit(queue, talk("a"), talk("b"))
    for run, name in [(begin(queue, each), str(each.seq)) for each in addresses]:
        end(queue, clock, run, name, status=RunStatus.RATE_LIMITED, failure_class=FailureClass.RATE_LIMITED)
    clock.forward(1_000_000)
    for number, address in enumerate(addresses, 1):
        candidate = queue.candidate(head_of(queue, address), Pool(2, 10))
        assert candidate is not None
        assert (candidate.past.conversation, candidate.past.ends) == (str(number), ())


def test_in_the_default_session_a_waiting_retry_holds_nothing(queue: Queue, clock: Clock) -> None:
    first, second = submit(queue, talk(session="default"), talk(session="default"))
    fail(queue, clock, begin(queue, first), "A")
    assert started(queue) == [str(second)]
    assert line(queue, second) == "1"


def test_a_limited_agent_holds_no_line_of_the_others(queue: Queue, clock: Clock) -> None:
    limited, other = submit(queue, talk("a"), talk("a", agent="other"))
    run = begin(queue, limited)
    end(queue, clock, run, "A", status=RunStatus.RATE_LIMITED, failure_class=FailureClass.RATE_LIMITED)
    assert started(queue, parallel=POOL) == [str(other)]


# Which conversations are kept


def test_fewer_are_kept_once_fewer_are_configured(queue: Queue, clock: Clock) -> None:
    for key in "abc":
        (address,) = submit(queue, talk(key))
        end(queue, clock, start(queue, address, parallel=widths(p=3)), key.upper())
    (address,) = submit(queue, talk())
    run = start(queue, address, parallel=widths(p=1))
    assert pool(queue) == {("demo", "c"): "C"}
    assert [text.split("'")[1] for text in events(queue, "conversation_ended")] == ["A", "B"]
    end(queue, clock, run, "C")
    assert line(queue, address) == "c"


@pytest.mark.parametrize("waits", ["queued", "paused", "scheduled"])
def test_a_line_that_somebody_waits_for_makes_room_last(queue: Queue, clock: Clock, waits: str) -> None:
    for key in "ab":
        ran(queue, clock, talk(key), key.upper())
    waiting, new = submit(queue, talk("a", due_at=queue.now + BACKOFF if waits == "scheduled" else None), talk("c"))
    if waits == "paused":
        queue.pause(waiting, reason=None)
    begin(queue, new)
    assert pool(queue) == {("demo", "a"): "A", ("demo", "c"): None}


def test_a_pool_is_of_each_agent_and_a_line_of_one_run(queue: Queue, clock: Clock) -> None:
    for agent in ("demo", "other"):
        for key in "ab":
            ran(queue, clock, talk(key, agent=agent), f"{agent}{key}")
    assert len(pool(queue)) == 4
    first, same, free = submit(queue, talk("b"), talk("b", agent="other"), talk(agent="other"))
    begin(queue, first)
    assert started(queue, parallel=POOL) == [str(free)], "'b' is in use, if by another agent"
    assert line(queue, free) == "a"
    end(queue, clock, RunId(*first, 1), "demob")
    assert started(queue, parallel=POOL) == [str(same)]


# Claims that come to nothing


def test_an_undone_claim_gives_its_line_back(queue: Queue, clock: Clock) -> None:
    any_line, named = submit(queue, talk(), talk("a"))
    for address, before in ((any_line, None), (named, "a")):
        run = begin(queue, address)
        assert queue.undo_claim(run, actor=Actor.SWEEP, reason="void")
        assert line(queue, address) == before
    fail(queue, clock, begin(queue, any_line), "A")
    clock.forward(2 * BACKOFF)
    assert queue.undo_claim(begin(queue, any_line), actor=Actor.SWEEP, reason="void")
    assert line(queue, any_line) == "1", "its retry stays in its line"


def test_a_claim_made_from_another_line_than_is_free_by_now_is_none(queue: Queue, clock: Clock) -> None:
    from queue_driver import claim, head_of, the_plan

    ran(queue, clock, talk(), "A")
    first, second = submit(queue, talk(), talk())

    def meanwhile(task: Any, past: Any) -> Any:
        begin(queue, second)
        return the_plan(task, past)

    assert claim(queue, head_of(queue, first), parallel=POOL, planner=meanwhile) is None
    assert line(queue, second) == "1"
    assert started(queue, parallel=POOL) == [str(first)]
    assert line(queue, first) == "2"


# What keeps, leaves and inherits a line


def test_what_waits_for_another_task_by_now_follows_that_one(queue: Queue, clock: Clock) -> None:
    first, second = submit(queue, talk("a"), talk("b"))
    (behind,) = submit(queue, talk(after=(Dependency(first, Condition.ANY),)))
    queue.cancel(first)
    assert line(queue, behind) == "a"
    queue.edit(behind, edited(after=(Dependency(second, Condition.ANY),)))
    assert line(queue, behind) is None
    queue.cancel(second)
    assert line(queue, behind) == "b"
    queue.edit(behind, edited(after=()))
    assert line(queue, behind) is None


def test_what_replaces_a_task_is_in_the_line_that_it_names(queue: Queue, clock: Clock) -> None:
    (first,) = submit(queue, talk("a", key="k"))
    fail(queue, clock, begin(queue, first), "A")
    for key in ("b", None):
        submit(queue, talk(key, key="k", text=f"other {key}")._replace(replace=True))
        assert line(queue, first) == key


@pytest.mark.parametrize("ended", [False, True], ids=["before", "after"])
def test_a_dependent_goes_on_in_the_line_of_the_first_that_has_one(queue: Queue, clock: Clock, ended: bool) -> None:
    alone, first = submit(queue, talk()._replace(work=replace(talk().work, context="isolated")), talk("a"))
    after = tuple(Dependency(each, Condition.SUCCESS) for each in (alone, first))
    new = [talk(after=after), talk(after=after, agent="other"), talk("b", after=after)]
    dependents = [] if ended else submit(queue, *new)
    for address in (alone, first):
        end(queue, clock, begin(queue, address), str(address.seq))
    dependents = dependents or submit(queue, *new)
    assert [line(queue, each) for each in dependents] == ["a", "a", "b"]
    assert started(queue, parallel=POOL) == [str(dependents[0]), str(dependents[2])]


def test_an_edit_of_something_else_leaves_the_line(queue: Queue, clock: Clock) -> None:
    first, named = submit(queue, talk(), talk("a"))
    (behind,) = submit(queue, talk(after=(Dependency(first, Condition.ANY),)))
    fail(queue, clock, begin(queue, first), "A")
    for address, key in ((first, "1"), (named, "a")):
        queue.edit(address, edited(priority=5))
        assert line(queue, address) == key
    queue.cancel(first)
    assert line(queue, behind) == "1"
    queue.edit(behind, edited(priority=5))
    assert line(queue, behind) == "1"
    for key in ("b", None):
        queue.edit(named, edited(launch=replace(AGAIN, conversation_key=key)))
        assert line(queue, named) == key
    queue.edit(behind, edited(context="isolated"))
    assert line(queue, behind) is None


def test_what_is_alone_from_now_on_does_not_go_on_in_its_line(queue: Queue, clock: Clock) -> None:
    first, other = submit(queue, talk("a"), talk("a"))
    fail(queue, clock, begin(queue, first), "A")
    queue.edit(first, edited(context="isolated"))
    begin(queue, other)
    clock.forward(2 * BACKOFF)
    claimed = claim_next(queue, parallel=POOL)
    assert claimed is not None
    assert (claimed.run.address, claimed.plan.conversation) == (first, None)


def test_what_is_replied_runs_in_the_line_of_its_conversation(queue: Queue, clock: Clock) -> None:
    first = ran(queue, clock, talk(), "A")
    running, waiting = submit(queue, talk(), talk())
    begin(queue, running)
    queue.reply(first, "go on")
    assert line(queue, first) == "1"
    assert started(queue, parallel=POOL) == [str(waiting)], "the reply waits for its line"
    end(queue, clock, RunId(*running, 1), "A")
    claimed = claim_next(queue, parallel=POOL)
    assert claimed is not None
    assert (claimed.run.address, claimed.plan.conversation) == (first, "A")


def test_a_reply_in_an_ended_conversation_ends_no_other(queue: Queue, clock: Clock) -> None:
    first = ran(queue, clock, talk("a"), "A")
    for key in "bc":
        ran(queue, clock, talk(key), key.upper())
    queue.reply(first, "go on")
    claimed = claim_next(queue, parallel=POOL)
    assert claimed is not None
    assert claimed.plan.conversation == "A"
    end(queue, clock, claimed.run, "A")
    assert pool(queue) == {("demo", "b"): "B", ("demo", "c"): "C"}


def test_another_line_is_another_conversation(queue: Queue, clock: Clock) -> None:
    first = ran(queue, clock, talk("a"), "A")
    queue.reply(first, "go on")
    end(queue, clock, begin(queue, first), "A")
    queue.retry_each([first], edited(launch=replace(AGAIN, continues="A", conversation_key="b")))
    claimed = claim_next(queue, parallel=POOL)
    assert claimed is not None
    assert (claimed.task.conversation_key, claimed.plan.conversation) == ("b", None)


def test_what_runs_while_its_line_is_reset_is_not_kept_and_the_others_are(queue: Queue, clock: Clock) -> None:
    first, second = submit(queue, talk("a"), talk("b"))
    runs = [begin(queue, first), begin(queue, second)]
    for run, name in zip(runs, "AB", strict=True):
        queue.seen_conversation(run, "demo", name)
    assert queue.reset_conversation("p", "demo", "a") == ["demo"]
    for run, name in zip(runs, "AB", strict=True):
        end(queue, clock, run, name)
    assert pool(queue) == {("demo", "b"): "B"}


def test_a_lost_conversation_is_that_of_its_line_alone(queue: Queue, clock: Clock) -> None:
    for key in "ab":
        ran(queue, clock, talk(key), key.upper())
    (again,) = submit(queue, talk("a"))
    run = begin(queue, again)
    lost = outcome(queue, RunStatus.ERROR, failure_class=FailureClass.ERROR, conversation_lost=True, nothing_done=True)
    assert queue.finish(run, lost, actor=Actor.SUPERVISOR) is not None
    assert pool(queue) == {("demo", "b"): "B"}
    assert queue.task(again).status is Status.QUEUED
