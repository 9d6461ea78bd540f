"""What the landing of a run means for its task, and what the next attempt is told of it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_retry_policy import NOW, attempted

from agentq_cli.model.runs import Check, Outcome
from agentq_cli.model.statuses import FailureClass, RunStatus
from agentq_cli.model.trees import WAITS, Came, Landing
from agentq_cli.policy import checked, landed, retry

DONE = Outcome(RunStatus.SUCCESS, finished_at=NOW, duration_ms=1, exit_code=0)
FAILED = Check(1, None, None, None, 10, 3)
PASSED = FAILED._replace(exit_code=0)

LANDED = Landing("main", Came.LANDED, "c1", "t1")
CONFLICT = Landing("main", Came.CONFLICT, paths=("a.py", "b.py"))
UNCOMMITTED = Landing("main", Came.UNCOMMITTED, paths=tuple(f"file {number}" for number in range(7)))


def judged(landing: Landing | None, outcome: Outcome = DONE, stopped: str | None = None) -> Outcome:
    return landed.judged(outcome, landing, "main", stopped=stopped)


@pytest.mark.parametrize(
    ("came", "failure"),
    [
        (Came.LANDED, None),
        (Came.NOTHING, None),
        (Came.UNCOMMITTED, "land"),
        (Came.CONFLICT, "conflict"),
        (Came.HELD, "land"),
        (Came.FAILING, "land"),
        (Came.UNFIT, "check"),
        (Came.REFUSED, "land"),
    ],
)
def test_only_what_has_landed_or_changes_nothing_is_a_success(came: Came, failure: str | None) -> None:
    outcome = judged(Landing("main", came))
    assert (outcome.status is RunStatus.SUCCESS, outcome.failure_class) == (failure is None, failure)
    assert outcome.landing == Landing("main", came)


@given(
    st.sampled_from([RunStatus.ERROR, RunStatus.TIMEOUT, RunStatus.CANCELLED, RunStatus.CRASHED, RunStatus.SKIPPED]),
    st.none() | st.sampled_from([LANDED, CONFLICT]),
)
def test_a_run_that_was_no_success_before_is_none_by_landing(status, landing) -> None:
    outcome = replace(DONE, status=status, failure_class=FailureClass.ERROR, error="why")
    assert judged(landing, outcome) == replace(outcome, landing=landing)
    assert landed.judged(DONE, None, None) == DONE


def test_a_landing_that_came_to_no_end_is_never_a_success() -> None:
    assert judged(None).status is RunStatus.CRASHED
    cancelled, late = judged(None, stopped="cancelled"), judged(None, stopped="timeout")
    assert (cancelled.status, cancelled.error) == (RunStatus.CANCELLED, "cancelled during its landing")
    assert (late.status, late.failure_class) == (RunStatus.TIMEOUT, FailureClass.TIMEOUT)


def test_an_error_names_the_branch_and_the_first_files() -> None:
    assert judged(CONFLICT).error == "cannot land on 'main': conflict: 'a.py', 'b.py'"
    found = "'file 0', 'file 1', 'file 2', 'file 3', 'file 4' and 2 more"
    assert judged(UNCOMMITTED).error == f"cannot land on 'main': files are not committed: {found}"
    assert judged(Landing("main", Came.FAILING)).error == "waits to land: 'main' itself fails its check"
    refused = judged(Landing("main", Came.REFUSED, "c1", "t1", why="non-fast-forward"))
    assert refused.error == "landed on 'main' and not pushed: non-fast-forward"
    unfit = judged(Landing("main", Came.UNFIT), checked.judged(DONE, FAILED, "make test"))
    assert unfit.error == "check 'make test': exit code 1, once merged with 'main'"


def test_the_next_attempt_is_told_what_its_agent_can_do() -> None:
    told = landed.told(CONFLICT)
    assert told is not None
    assert "cannot land on main" in told and "    a.py\n    b.py\n" in told and "Merge main into this branch" in told
    told = landed.told(UNCOMMITTED)
    assert told is not None and all(f"    {path}\n" in told for path in UNCOMMITTED.paths) and "Commit" in told
    assert "merged into your branch" in (landed.told(Landing("main", Came.UNFIT)) or "")
    for came in WAITS | {Came.LANDED, Came.NOTHING}:
        assert landed.told(Landing("main", came)) is None
        assert landed.lands_alone(Landing("main", came)) is (came in WAITS)
    assert not landed.lands_alone(CONFLICT) and not landed.lands_alone(None)


def again(came: Came, *, attempts: int = 1, waits: int = 0, **launch: object) -> retry.Again | None:
    outcome = judged(Landing("main", came))
    return retry.again(attempted(attempts, **launch), outcome, now=NOW, hold=None, jitter=0, waits=waits)


def test_work_that_does_not_land_is_retried_as_a_failed_check_is() -> None:
    for came in (Came.UNCOMMITTED, Came.CONFLICT, Came.UNFIT):
        assert again(came) == retry.Again(NOW + 5_000, counted=True)
        assert again(came, attempts=retry.CHECK_RETRIES) is not None
        assert again(came, attempts=retry.CHECK_RETRIES + 1) is None
        assert again(came, retries=0) is None
        assert again(came, attempts=6, retries=6) is not None


def test_what_waits_for_a_person_ends_unless_retries_are_asked_for() -> None:
    for came in (Came.HELD, Came.REFUSED):
        assert again(came) is None
        assert again(came, retries=1) is not None
        assert again(came, attempts=2, retries=1) is None


def test_a_branch_that_fails_its_check_is_waited_for_without_an_attempt() -> None:
    minutes = [again(Came.FAILING, attempts=1, waits=waits, retries=0) for waits in range(9)]
    assert minutes == [retry.Again(NOW + minute * 60_000, counted=False) for minute in (1, 2, 4, 8, 16, 32, 60, 60, 60)]
