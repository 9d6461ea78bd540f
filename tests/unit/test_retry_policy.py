"""What a failed run means for its task and its agent: the contract's table, the delays, the budget, the holds."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_waiting import TASK

from agentq_cli.model.runs import Outcome
from agentq_cli.model.statuses import FailureClass, RunStatus
from agentq_cli.model.tasks import Task
from agentq_cli.model.work import Launch
from agentq_cli.policy import retry
from agentq_cli.policy.retry import Again, AgentHold

NOW = 1_774_785_600_000
SECOND = 1000
MINUTE = 60 * SECOND

CONTRACT = """
crashed yes | stalled yes | timeout no | oom yes | network yes | overloaded yes | no_verdict yes | rate_limited yes
auth no | billing no | config no | spawn no | denied no | context no | budget no | check yes | error no | cancelled no
setup no | land yes | conflict yes
"""
BY_DEFAULT = {
    FailureClass(name): word == "yes"
    for name, word in (pair.split() for line in CONTRACT.strip().splitlines() for pair in line.split("|"))
}
NEVER = {"auth", "billing", "config", "budget", "setup", "cancelled"}
"""What an explicit `--retries` does not apply to."""


def failed(failure: FailureClass, **fields: object) -> Outcome:
    status = RunStatus.RATE_LIMITED if failure is FailureClass.RATE_LIMITED else RunStatus.ERROR
    return replace(Outcome(status, finished_at=NOW, duration_ms=1, failure_class=failure), **fields)  # type: ignore[arg-type]


def attempted(attempts: int, **launch: object) -> Task:
    work = replace(TASK.work, launch=replace(Launch(), **launch))  # type: ignore[arg-type]
    return replace(TASK, attempts=attempts, work=work)


def again(
    task: Task,
    failure: FailureClass = FailureClass.NETWORK,
    hold: AgentHold | None = None,
    jitter: float = 0,
    **fields: object,
) -> Again | None:
    return retry.again(task, failed(failure, **fields), now=NOW, hold=hold, jitter=jitter)


def test_every_class_of_the_contract_has_a_rule() -> None:
    assert set(retry.RULES) == set(FailureClass) == set(BY_DEFAULT)


@pytest.mark.parametrize("failure", list(FailureClass))
def test_what_is_retried_without_being_asked_for(failure: FailureClass) -> None:
    assert (again(attempted(1), failure) is not None) is BY_DEFAULT[failure]


@pytest.mark.parametrize("failure", list(FailureClass))
def test_explicit_retries_apply_to_every_class_but_those_that_no_retry_mends(failure: FailureClass) -> None:
    assert (again(attempted(1, retries=1), failure) is not None) is (failure not in NEVER)
    assert again(attempted(1, retries=0), failure) is None


def test_a_success_and_a_run_that_was_skipped_are_not_retried() -> None:
    for status in (RunStatus.SUCCESS, RunStatus.SKIPPED, RunStatus.CANCELLED):
        outcome = Outcome(status, finished_at=NOW, duration_ms=1)
        assert retry.again(attempted(1, retries=9), outcome, now=NOW, hold=None, jitter=0) is None


def test_a_crash_is_retried_or_not_as_on_crash_says_and_within_the_budget() -> None:
    assert again(attempted(1, on_crash="fail"), FailureClass.CRASHED) is None
    assert again(attempted(1, on_crash="fail", retries=3), FailureClass.CRASHED) is None
    assert again(attempted(1, on_crash="fail"), FailureClass.NETWORK) is not None
    assert again(attempted(1, on_crash="retry"), FailureClass.CRASHED) is not None
    assert again(attempted(1, on_crash="retry", retries=0), FailureClass.CRASHED) is None


@given(st.integers(0, 1000))
def test_n_retries_are_n_plus_one_runs(retries: int) -> None:
    last = retries + 1
    assert again(attempted(last, retries=retries), FailureClass.ERROR) is None
    if retries:
        assert again(attempted(last - 1, retries=retries), FailureClass.ERROR) is not None


def test_five_retries_where_none_were_asked_for() -> None:
    runs = [attempts for attempts in range(1, 20) if again(attempted(attempts)) is not None]
    assert runs == [1, 2, 3, 4, 5]


def test_the_delays_of_the_contract() -> None:
    delays = [retry.delay_ms(Launch(), number, 0) // SECOND for number in range(1, 10)]
    assert delays == [5, 10, 20, 40, 80, 160, 300, 300, 300]
    found = again(attempted(3))
    assert found == Again(NOW + 20 * SECOND, counted=True)


@given(
    backoff=st.integers(1, 10**9),
    longest=st.integers(1, 10**9),
    number=st.integers(1, 1001),
    jitter=st.floats(0, 1),
)
def test_jitter_is_at_most_a_tenth_and_stays_within_the_longest_delay(
    backoff: int, longest: int, number: int, jitter: float
) -> None:
    launch = Launch(backoff_ms=backoff, max_backoff_ms=longest)
    plain = retry.delay_ms(launch, number, 0)
    assert plain == min(backoff * 2 ** (number - 1), longest)
    assert plain <= retry.delay_ms(launch, number, jitter) <= min(plain * 1.1, longest)


def test_jitter_spreads_what_failed_together() -> None:
    delays = {retry.delay_ms(Launch(), 1, number / 10) for number in range(11)}
    assert len(delays) == 11


def test_a_lost_conversation_gets_one_fresh_run_that_uses_no_attempt() -> None:
    task = replace(attempted(1, retries=0), due_at=NOW - 7)
    lost = again(task, FailureClass.ERROR, conversation_lost=True)
    assert lost == Again(NOW - 7, counted=False, fresh=True), "in the place that it had"
    assert again(replace(task, fresh=True), FailureClass.ERROR, conversation_lost=True) is None


@given(
    failure=st.sampled_from(list(FailureClass)),
    resumes=st.booleans(),
    fresh=st.booleans(),
    nothing_done=st.booleans(),
    retries=st.none() | st.integers(0, 3),
)
def test_a_run_that_went_on_and_did_nothing_is_begun_anew_once_whatever_its_class(
    failure: FailureClass, resumes: bool, fresh: bool, nothing_done: bool, retries: int | None
) -> None:
    task = replace(attempted(1, retries=retries), resumes=resumes, fresh=fresh, due_at=NOW - 7)
    found = again(task, failure, nothing_done=nothing_done)
    if resumes and nothing_done and not fresh:
        assert found == Again(NOW - 7, counted=False, fresh=True)
    else:
        assert found is None or (found.counted and not found.fresh), "as any failure of that class"


LIMITED = AgentHold(FailureClass.RATE_LIMITED, NOW + MINUTE, 1)


def test_a_usage_limit_uses_no_attempt_and_keeps_the_place_in_the_queue() -> None:
    task = replace(attempted(1, retries=0), due_at=NOW - 7)
    assert again(task, FailureClass.RATE_LIMITED, LIMITED) == Again(NOW - 7, counted=False)


def test_after_twelve_limits_in_a_row_it_counts() -> None:
    free = [
        count
        for count in range(1, 20)
        if again(attempted(1, retries=0), FailureClass.RATE_LIMITED, replace(LIMITED, count=count)) is not None
    ]
    assert free == list(range(1, 13))
    counted = again(attempted(1), FailureClass.RATE_LIMITED, replace(LIMITED, count=13))
    assert counted is not None and counted.counted


@pytest.mark.parametrize("failure", sorted(set(FailureClass) - {"rate_limited", "auth", "billing"}))
def test_other_failures_hold_nobody(failure: FailureClass) -> None:
    assert retry.hold(failed(failure), None, NOW) is None


@pytest.mark.parametrize("failure", [FailureClass.AUTH, FailureClass.BILLING])
def test_who_is_not_let_in_is_held_until_somebody_resumes_it(failure: FailureClass) -> None:
    assert retry.hold(failed(failure), None, NOW) == AgentHold(failure, None, 1)


def limits(*resets: int | None, apart: int = 2 * 60 * MINUTE) -> list[int]:
    """Minutes of the holds of one limit after the other, each after the hold before was over."""
    before, found, now = None, [], NOW
    for reset in resets:
        before = retry.hold(failed(FailureClass.RATE_LIMITED, reset_at=reset), before, now)
        assert before is not None and before.until is not None
        found.append((before.until - now) // MINUTE)
        now += apart
    return found


def test_a_limit_holds_until_its_reset_time() -> None:
    reset = NOW + 3 * 60 * MINUTE
    found = retry.hold(failed(FailureClass.RATE_LIMITED, reset_at=reset), None, NOW)
    assert found == AgentHold(FailureClass.RATE_LIMITED, reset, 1)


def test_an_unknown_reset_time_is_tried_after_five_to_thirty_minutes() -> None:
    assert limits(None, None, None, None, None) == [5, 10, 20, 30, 30]


@pytest.mark.parametrize("reset", [NOW, NOW - 1, 0, NOW + 32 * 24 * 60 * MINUTE, 10**15])
def test_a_reset_time_that_cannot_be_one_is_unknown(reset: int) -> None:
    assert limits(reset) == [5]


def test_tasks_that_meet_the_same_limit_count_it_once_and_its_later_end_holds() -> None:
    before = None
    for reset in (NOW + 9 * MINUTE, NOW + 4 * MINUTE, None, NOW + 11 * MINUTE):
        before = retry.hold(failed(FailureClass.RATE_LIMITED, reset_at=reset), before, NOW)
    assert before == AgentHold(FailureClass.RATE_LIMITED, NOW + 11 * MINUTE, 1)


@given(st.lists(st.tuples(st.one_of(st.none(), st.integers(0, 10**14)), st.integers(0, 10**8)), min_size=1))
def test_a_hold_never_ends_in_the_past_nor_earlier_than_the_one_before(steps: list[tuple[int | None, int]]) -> None:
    before, now, found = None, NOW, []
    for reset, passed in steps:
        now += passed
        before = retry.hold(failed(FailureClass.RATE_LIMITED, reset_at=reset), before, now)
        assert before is not None and before.until is not None and before.until > now
        found.append((now, before))
    for (_, one), (at, other) in pairwise(found):
        assert one.until is not None and other.until is not None
        assert other.until >= one.until
        assert other.count == one.count + (one.until <= at)


def test_a_command_is_not_run_again_because_its_work_did_not_land_unless_asked() -> None:
    for failure in (FailureClass.LAND, FailureClass.CONFLICT):
        for launch, kind, runs in (({}, "exec", False), ({"retries": 2}, "exec", True), ({}, "prompt", True)):
            task = attempted(1, **launch)
            task = replace(task, work=replace(task.work, kind=kind))
            assert (again(task, failure) is not None) is runs, (failure, launch, kind)
