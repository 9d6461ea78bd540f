"""What the keeper does to land work, whatever comes of each step."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agentq_cli.model.trees import Came
from agentq_cli.policy import landing_steps
from agentq_cli.policy.landing_steps import AGAIN, DONE, MOST_ROUNDS, Do, Reply, Step

STOP = "stop"


class Played:
    """One landing: git, checks and people answer as the draws say, and as git can; `steps` are those taken."""

    def __init__(self, data: st.DataObject, checked: str | None, pushes: bool) -> None:
        self.data = data
        self.passed = {checked}
        self.steps: list[Step] = []
        self.ends: list[str] = []
        step = landing_steps.begin("main", checked, pushes=pushes)
        while step.do is not Do.END:
            self.steps.append(step)
            step = self.after(step)
        self.end = step

    def after(self, step: Step) -> Step:
        if step.do is not Do.HOME and self.draw(st.integers(0, 9)) == 0:
            self.ends.append(STOP)
            return landing_steps.stopped(step)
        if step.do is Do.CHECK:
            passed = self.draw(st.booleans())
            if passed and not step.visiting:
                self.passed.add(step.tree)
            return landing_steps.checked(step, passed)
        answers = [Came.HELD, DONE]
        if step.do is Do.LAND:
            answers = [
                Came.LANDED,
                *([] if step.checked is None else [AGAIN] * 5),
                Came.NOTHING,
                Came.CONFLICT,
                Came.HELD,
            ]
        came = self.draw(st.sampled_from(answers))
        tree = (
            f"tree {len(self.steps)}" if came == AGAIN else (step.checked or "merged") if came == Came.LANDED else None
        )
        return landing_steps.replied(step, Reply(came, "commit" if came == Came.LANDED else None, tree, "onto"))

    def draw(self, strategy: st.SearchStrategy):
        return self.data.draw(strategy)

    @property
    def done(self) -> list[Do]:
        return [step.do for step in self.steps]


ANY = given(st.data(), st.sampled_from([None, "", "own"]), st.booleans())


@ANY
def test_only_a_tree_that_the_check_passed_on_is_asked_to_land(data, checked, pushes) -> None:
    played = Played(data, checked, pushes)
    for step in played.steps:
        if step.do is Do.LAND:
            assert step.checked == checked or (checked is not None and step.checked in played.passed)
    landing = played.end.landing
    if landing is not None and landing.came == Came.LANDED and checked is not None:
        assert landing.tree == "merged" if played.steps[-1].checked == "" else landing.tree in played.passed


@ANY
def test_it_ends_and_has_been_home_since_its_last_visit(data, checked, pushes) -> None:
    played = Played(data, checked, pushes)
    assert len(played.steps) <= 3 * (MOST_ROUNDS + 2)
    visited = False
    for step, following in zip(played.steps, [*played.steps[1:], played.end], strict=True):
        visited = visited or (step.do is Do.VISIT and following.visiting)
        visited = visited and step.do is not Do.HOME
    assert not visited


@ANY
def test_how_it_ended_follows_from_what_came(data, checked, pushes) -> None:
    played = Played(data, checked, pushes)
    landing = played.end.landing
    if STOP in played.ends and Do.PUSH not in played.done and Do.HOME not in played.done:
        assert landing is None
    if landing is None:
        assert STOP in played.ends
    elif landing.came in (Came.UNFIT, Came.FAILING):
        assert played.done[-5:] == [Do.CHECK, Do.CHECK, Do.VISIT, Do.CHECK, Do.HOME]
    elif landing.came == Came.REFUSED:
        assert pushes and landing.commit == "commit" and played.done[-1] is Do.PUSH
    elif landing.came == Came.LANDED and pushes:
        assert played.done[-1] is Do.PUSH


def test_a_check_that_fails_once_is_run_once_more_and_what_passes_lands() -> None:
    step = landing_steps.replied(landing_steps.begin("main", "own"), Reply(AGAIN, tree="merged", onto="c1"))
    assert (step.do, step.tree, step.onto) == (Do.CHECK, "merged", "c1")
    step = landing_steps.checked(step, False)
    assert (step.do, step.tree, step.visiting) == (Do.CHECK, "merged", False)
    assert landing_steps.checked(step, False, absent=True).do is Do.VISIT, "no program is no pass"
    assert landing_steps.checked(step, True)[:3] == (Do.LAND, "main", "merged")


def test_whose_fault_a_failed_check_is_the_branch_alone_tells() -> None:
    step = landing_steps.replied(landing_steps.begin("main", "own"), Reply(AGAIN, tree="merged", onto="c1"))
    step = landing_steps.checked(landing_steps.checked(step, False), False)
    assert (step.do, step.onto) == (Do.VISIT, "c1")
    step = landing_steps.replied(step, Reply(DONE))
    assert (step.do, step.visiting) == (Do.CHECK, True)
    for passed, absent, came in ((True, False, Came.UNFIT), (False, True, Came.UNFIT), (False, False, Came.FAILING)):
        home = landing_steps.checked(step, passed, absent=absent)
        assert home.do is Do.HOME
        end = landing_steps.replied(home, Reply(DONE))
        assert end.do is Do.END and end.landing is not None and end.landing[:2] == ("main", came)
    home = landing_steps.stopped(step)
    assert home.do is Do.HOME, "whoever stops it during the visit"
    assert landing_steps.replied(home, Reply(DONE))[-1] is None


def test_a_branch_that_moves_during_every_check_is_given_up_by_name() -> None:
    step = landing_steps.begin("main", "own")
    for number in range(MOST_ROUNDS):
        step = landing_steps.replied(step, Reply(AGAIN, tree=f"tree {number}", onto="c"))
        step = landing_steps.checked(step, True)
    end = landing_steps.replied(step, Reply(AGAIN, tree="one more", onto="c"))
    assert end.do is Do.END and end.landing is not None
    assert end.landing.came == Came.HELD and "moved 20 times" in (end.landing.why or "")
