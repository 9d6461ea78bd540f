"""The transition table, against the contract's words on statuses."""

from __future__ import annotations

import pytest

from agentq_cli.model.actions import Actor
from agentq_cli.model.runs import Outcome
from agentq_cli.model.statuses import ENDED, RunStatus, Status
from agentq_cli.policy import states

STORED = [status for status in Status if status not in (Status.SCHEDULED, Status.RETRYING)]
OTHERS = [actor for actor in Actor if actor is not Actor.USER]


def test_the_table_knows_every_status_that_is_stored_and_no_other() -> None:
    assert set(states.TRANSITIONS) == {None, *STORED}
    reached = {after for afters in states.TRANSITIONS.values() for after in afters}
    assert reached == set(STORED)


@pytest.mark.parametrize("actor", OTHERS)
@pytest.mark.parametrize("before", sorted(ENDED))
def test_an_ended_status_never_changes_except_by_a_person(before: Status, actor: Actor) -> None:
    # But what was cancelled because of another task waits again once a person has retried that one.
    reopened = [Status.BLOCKED] if before is Status.CANCELLED else []
    assert [after for after in STORED if states.allowed(before, after, actor)] == reopened


@pytest.mark.parametrize("before", sorted(ENDED))
def test_a_retry_lets_an_ended_task_wait_again_and_does_nothing_else(before: Status) -> None:
    allowed = {after for after in STORED if states.allowed(before, after, Actor.USER)}
    assert allowed == {Status.QUEUED, Status.BLOCKED}


@pytest.mark.parametrize("actor", list(Actor))
def test_only_a_queued_task_starts(actor: Actor) -> None:
    assert [before for before in STORED if states.allowed(before, Status.RUNNING, actor)] == [Status.QUEUED]


@pytest.mark.parametrize("actor", list(Actor))
def test_only_a_running_task_completes_or_fails(actor: Actor) -> None:
    for after in (Status.COMPLETED, Status.FAILED):
        assert [before for before in STORED if states.allowed(before, after, actor)] == [Status.RUNNING]


@pytest.mark.parametrize("actor", list(Actor))
def test_a_task_is_skipped_by_its_script_or_because_its_series_is_over(actor: Actor) -> None:
    before = [before for before in STORED if states.allowed(before, Status.SKIPPED, actor)]
    assert before == [Status.QUEUED, Status.RUNNING]


def test_only_a_waiting_task_expires() -> None:
    waiting = {Status.BLOCKED, Status.QUEUED, Status.PAUSED}
    assert {before for before in STORED if states.allowed(before, Status.EXPIRED, Actor.SWEEP)} == waiting


def test_every_live_task_can_be_cancelled() -> None:
    live = set(STORED) - ENDED
    assert {before for before in STORED if states.allowed(before, Status.CANCELLED, Actor.USER)} == live


def test_a_new_task_waits() -> None:
    waiting = {Status.BLOCKED, Status.QUEUED, Status.PAUSED}
    assert {after for after in STORED if states.allowed(None, after, Actor.AGENT)} == waiting


EXPECTED = {
    RunStatus.SUCCESS: Status.COMPLETED,
    RunStatus.SKIPPED: Status.SKIPPED,
    RunStatus.CANCELLED: Status.CANCELLED,
}


@pytest.mark.parametrize("status", [status for status in RunStatus if status is not RunStatus.RUNNING])
def test_the_last_run_decides_the_status_unless_the_task_was_cancelled(status: RunStatus) -> None:
    outcome = Outcome(status, finished_at=0, duration_ms=0)
    assert states.ended_status(outcome, cancel_requested=False) is EXPECTED.get(status, Status.FAILED)
    assert states.ended_status(outcome, cancel_requested=True) is Status.CANCELLED
