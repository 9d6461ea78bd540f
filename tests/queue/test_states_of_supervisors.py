"""What supervisors say of themselves: legal changes of their states, one event each, and the last that have ended."""

from __future__ import annotations

from itertools import pairwise

import pytest
from queue_driver import ANOTHER, NOON, SUPERVISOR, Clock

from agentq_cli.base.errors import WrongState
from agentq_cli.base.identity import Identity
from agentq_cli.engines.door import Queue
from agentq_cli.engines.steps.supervisors import ENDED_KEPT
from agentq_cli.host import process
from agentq_cli.model.actions import Actor
from agentq_cli.model.sessions import Event
from agentq_cli.model.statuses import Status
from agentq_cli.model.workers import KILLED, Supervisor, SupervisorState
from agentq_cli.policy.states import SUPERVISOR_TRANSITIONS, allowed_supervisor

IDLE, RUNNING, PAUSED, DRAINING, ENDED = SupervisorState
LIVE = (IDLE, RUNNING, PAUSED, DRAINING)


def join(queue: Queue, identity: Identity = SUPERVISOR, *sessions: str) -> None:
    queue.join(Supervisor(identity, 2, sessions, queue.now, 0))


def changes(queue: Queue) -> list[Event]:
    """Of the states of supervisors, oldest first."""
    return [event for event in queue.events() if event.event == "supervisor"][::-1]


def test_the_legal_changes() -> None:
    legal = {(before, after) for before, afters in SUPERVISOR_TRANSITIONS.items() for after in afters}
    among = {(before, after) for before in (IDLE, RUNNING, PAUSED) for after in LIVE[:3] if before is not after}
    stopping = {(before, after) for before in (IDLE, RUNNING, PAUSED) for after in (DRAINING, ENDED)}
    assert legal == {(None, IDLE), *among, *stopping, (DRAINING, ENDED)}
    assert not any(allowed_supervisor(state, state) for state in SupervisorState)


def test_each_change_is_one_event_and_the_same_state_again_is_none(queue: Queue, clock: Clock) -> None:
    join(queue)
    clock.forward(5)
    for _ in range(2):
        assert queue.set_state(SUPERVISOR, RUNNING, last_result=None)
    clock.forward(5)
    assert queue.set_state(SUPERVISOR, IDLE, last_result=Status.COMPLETED)
    # Only the result has changed.
    assert queue.set_state(SUPERVISOR, IDLE, last_result=Status.FAILED)
    (found,) = queue.supervisors()
    assert (found.state, found.since, found.last_result) == (IDLE, NOON + 10, Status.FAILED)
    clock.forward(5)
    queue.leave(SUPERVISOR, reason="drained", last_result=Status.FAILED)
    queue.leave(SUPERVISOR)
    told = changes(queue)
    assert [(event.at - NOON, event.from_status, event.to_status) for event in told] == [
        (0, None, IDLE),
        (5, IDLE, RUNNING),
        (10, RUNNING, IDLE),
        (15, IDLE, ENDED),
    ]
    assert {(event.session, event.seq, event.attempt, event.actor) for event in told} == {
        (None, None, None, Actor.SUPERVISOR)
    }
    named = {str(event.reason).partition(":")[0] for event in told}
    assert len(named) == 1
    assert named.pop().startswith(f"supervisor {SUPERVISOR.pid} on ")
    assert str(told[-1].reason).endswith(": drained")
    (ended,) = queue.ended_supervisors()
    assert (ended.identity, ended.state, ended.since, ended.ended_at) == (SUPERVISOR, ENDED, NOON + 15, NOON + 15)
    assert (ended.reason, ended.last_result, ended.started_at) == ("drained", Status.FAILED, NOON)
    assert queue.supervisors() == []
    assert not queue.set_state(SUPERVISOR, RUNNING, last_result=None), "it is not on record"
    assert len(changes(queue)) == len(told)


@pytest.mark.parametrize("before", LIVE)
@pytest.mark.parametrize("after", SupervisorState)
def test_the_engine_refuses_what_is_not_legal(queue: Queue, before: SupervisorState, after: SupervisorState) -> None:
    join(queue)
    if before is not IDLE:
        queue.set_state(SUPERVISOR, before, last_result=None)
    known = changes(queue)
    if after is before or allowed_supervisor(before, after):
        assert queue.set_state(SUPERVISOR, after, last_result=Status.COMPLETED)
        assert len(changes(queue)) == len(known) + (after is not before)
        return
    with pytest.raises(WrongState, match=f"{SUPERVISOR.pid}: it is {before}, and cannot become {after}"):
        queue.set_state(SUPERVISOR, after, last_result=Status.COMPLETED)
    assert changes(queue) == known
    assert queue.supervisors()[0].last_result is None, "nothing of it was written"


@pytest.mark.parametrize("state", LIVE)
def test_one_that_is_found_dead_has_ended_and_how_it_ran_last_nobody_knows(
    queue: Queue, state: SupervisorState
) -> None:
    join(queue)
    queue.set_state(SUPERVISOR, state, last_result=Status.FAILED)
    known = Status.FAILED if state is IDLE else None
    (dead,) = queue.ended_supervisors()
    assert (dead.state, dead.reason, dead.since, dead.ended_at) == (ENDED, KILLED, None, None)
    assert dead.last_result is known
    queue.leave(SUPERVISOR, actor=Actor.SWEEP)
    (dead,) = queue.ended_supervisors()
    assert (dead.state, dead.reason, dead.since, dead.last_result) == (ENDED, KILLED, NOON, known)
    assert (changes(queue)[-1].from_status, changes(queue)[-1].actor) == (state, Actor.SWEEP)


def test_the_last_ten_that_have_ended_are_listed_newest_first_and_none_that_lives(queue: Queue, clock: Clock) -> None:
    join(queue, process.current())
    for number in range(ENDED_KEPT + 3):
        clock.forward(1)
        join(queue, Identity(5_000_000 + number, 1, "boot"))
        queue.leave(Identity(5_000_000 + number, 1, "boot"), reason=f"{number}", last_result=None)
    assert [each.reason for each in queue.ended_supervisors()] == [str(n) for n in range(ENDED_KEPT + 2, 2, -1)]
    queue.leave(process.current(), reason="last", last_result=None)
    assert queue.ended_supervisors()[0].reason == "last"
    # The same process may go on duty again.
    join(queue, process.current())
    assert [(a.to_status, b.from_status, b.to_status) for a, b in pairwise(changes(queue)[-3:])] == [
        (ENDED, IDLE, ENDED),
        (ENDED, None, IDLE),
    ]


def test_a_supervisor_hears_that_all_that_it_serves_is_paused(queue: Queue) -> None:
    for session in ("a", "b", "c"):
        queue.pause_session(session, reason=None, paused=True)
        queue.pause_session(session, reason=None, paused=False)
    join(queue)
    join(queue, ANOTHER, "a", "b")

    def paused() -> tuple[bool, bool]:
        return queue.calls(SUPERVISOR).paused, queue.calls(ANOTHER).paused

    assert paused() == (False, False)
    queue.pause_session("a", reason=None, paused=True)
    queue.pause_session("c", reason=None, paused=True)
    queue.pause_agent("demo", reason=None)
    assert paused() == (False, False)
    queue.pause_session("b", reason=None, paused=True)
    assert paused() == (False, True)
    queue.pause_session("a", reason=None, paused=False)
    queue.pause_agent(None, reason=None)
    assert paused() == (True, True)
    queue.resume_agent(None)
    assert paused() == (False, False)


def test_changes_of_states_are_forgotten_and_no_other_event(queue: Queue, clock: Clock) -> None:
    join(queue)
    queue.pause_agent(None, reason=None)
    clock.forward(1)
    queue.set_state(SUPERVISOR, PAUSED, last_result=None)
    assert queue.forget_states(NOON) == 0
    assert queue.forget_states(NOON + 1) == 1
    assert [event.event for event in queue.events()] == ["supervisor", "pause_queue"]
    assert queue.forget_states(NOON + 1) == 0
