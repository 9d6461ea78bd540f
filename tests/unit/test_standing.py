"""When a supervisor tells its state and its last result: over rounds, whatever starts and ends between them."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from agentq_cli.base.errors import Busy
from agentq_cli.model.statuses import Status
from agentq_cli.model.workers import SupervisorState
from agentq_cli.policy.states import allowed_supervisor
from agentq_cli.supervise.guard import Guard
from agentq_cli.supervise.lease import Lease
from agentq_cli.supervise.standing import BROKEN, Standing

IDLE, RUNNING, PAUSED, DRAINING, ENDED = SupervisorState
COMPLETED, FAILED = Status.COMPLETED, Status.FAILED


class World:
    """A supervisor of which there is only what its standing asks; `told` is what its row said, one after the other."""

    def __init__(self, *, drain: bool = False) -> None:
        self.told: list[tuple[SupervisorState, Status | None]] = [(IDLE, None)]
        self.left: tuple[str, Status | None] | None = None
        self.busy = 0
        self.runs = SimpleNamespace(by_id={}, ended=0, failed=0)
        self.stopping = SimpleNamespace(how=None, why=None)
        duty: Any = SimpleNamespace(
            queue=self, guard=Guard(), identity=None, settings=SimpleNamespace(drain=drain, sessions=())
        )
        self.lease = Lease(duty)
        self.lease.joined = True
        self.standing = Standing(duty, self.runs, self.lease, self.stopping)  # type: ignore[arg-type]

    def set_state(self, identity: object, state: SupervisorState, *, last_result: Status | None) -> bool:
        if self.busy:
            self.busy -= 1
            raise Busy("locked")
        self.told.append((state, last_result))
        return True

    def leave(self, identity: object, *, reason: str, last_result: Status | None) -> None:
        self.left = reason, last_result

    def begin(self, count: int = 1) -> None:
        for _ in range(count):
            self.runs.by_id[object()] = None

    def end(self, *failed: bool) -> None:
        for each in failed:
            self.runs.by_id.popitem()
            self.runs.ended += 1
            self.runs.failed += each

    def round(self, *, over: bool = False, again: bool = False, claiming: bool = True) -> None:
        self.standing.tell(over=over, again=again, claiming=claiming)

    @property
    def new(self) -> list[tuple[SupervisorState, Status | None]]:
        """What was told since the last call."""
        found, self.told = self.told[1:], self.told[-1:]
        return found


def test_a_result_is_that_of_a_whole_period() -> None:
    world = World()
    world.begin(2), world.round()
    assert world.new == [(RUNNING, None)]
    world.end(True), world.round()
    world.begin(), world.round()
    assert world.new == [], "a busy queue tells nothing, and no result before the end"
    world.end(False, False), world.round()
    assert world.new == [(IDLE, FAILED)]
    world.begin(), world.round(), world.end(False), world.round()
    assert world.new == [(RUNNING, FAILED), (IDLE, COMPLETED)]


def test_a_period_within_one_round_is_told_and_one_that_goes_on_at_once_is_one() -> None:
    world = World()
    world.begin(), world.end(False), world.round()
    assert world.new == [(RUNNING, None), (IDLE, COMPLETED)]
    world.begin(), world.round(), world.end(True), world.round(again=True)
    world.begin(), world.round(), world.end(False), world.round(again=True), world.round()
    assert world.new == [(RUNNING, COMPLETED), (IDLE, FAILED)]


def test_what_runs_out_while_it_is_paused_ends_the_period() -> None:
    world = World()
    world.begin(2), world.round()
    world.standing.paused = True
    world.round(), world.round()
    assert world.new == [(RUNNING, None), (PAUSED, None)]
    world.end(True), world.round(), world.end(False), world.round()
    assert world.new == [(PAUSED, FAILED)]
    world.standing.paused = False
    world.round()
    assert world.new == [(IDLE, FAILED)]


def test_its_end_says_why_with_the_result_of_what_it_saw() -> None:
    for over, claiming, drain, why in (
        ({"over": True}, True, True, "drained"),
        ({"over": True}, True, False, "idle"),
        ({"over": True}, False, True, "max tasks"),
        ({}, True, True, BROKEN),
    ):
        world = World(drain=drain)
        world.begin(2), world.round(), world.end(False)
        world.round(**over, claiming=claiming)
        world.standing.leave()
        assert world.new == [(RUNNING, None)], "nothing is told just before the end"
        assert world.left == (why, COMPLETED)
    world = World()
    world.begin(), world.round()
    world.stopping.how, world.stopping.why = "wait", "stopped by SIGINT"
    world.round(), world.end(True), world.round(over=True)
    world.standing.leave()
    assert world.new == [(RUNNING, None), (DRAINING, None)]
    assert world.left == ("stopped by SIGINT", FAILED)


def test_what_could_not_be_told_is_told_later() -> None:
    world = World()
    world.busy = 1
    world.begin(), world.round()
    assert world.new == []
    world.round()
    assert world.new == [], "not before the guard allows it"
    world.standing._duty.guard.clear(None, "state")
    world.end(True), world.round()
    assert world.new == [(RUNNING, None), (IDLE, FAILED)]


@given(st.lists(st.sampled_from(["begin", "good", "bad", "pause", "resume", "again", "stop", "busy"]), max_size=40))
def test_whatever_happens_each_change_is_legal_and_each_result_is_of_what_has_ended(steps: list[str]) -> None:
    world = World()
    known: list[bool] = []
    for step in steps:
        if step == "begin" and world.stopping.how is None:
            world.begin()
        elif step in ("good", "bad") and world.runs.by_id:
            world.end(step == "bad")
            known.append(step == "bad")
        elif step in ("pause", "resume"):
            world.standing.paused = step == "pause"
        elif step == "stop":
            world.stopping.how = world.stopping.how or "wait"
        world.busy = step == "busy"
        world.round(again=step == "again")
        world.standing._duty.guard.clear(None, "state")
        state, result = world.told[-1]
        assert state is not RUNNING or world.runs.by_id or step in ("again", "busy")
        assert result is not FAILED or any(known)
        assert result is not COMPLETED or not all(known)
    for (before, _), (after, _) in pairwise(world.told):
        assert before is after or allowed_supervisor(before, after)
    assert all(a != b for a, b in pairwise(world.told)), "nothing is told twice"
