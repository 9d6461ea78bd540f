"""When a task that waits for others may go on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentq_cli.model.addresses import Address
from agentq_cli.model.statuses import ENDED, Status
from agentq_cli.model.work import Condition, Dependency
from agentq_cli.options.table import row
from agentq_cli.policy.dependencies import Found, Standing, Verdict, decide, failed, standing

STORED = [status for status in Status if status not in (Status.SCHEDULED, Status.RETRYING)]
LIVE = sorted(set(STORED) - ENDED)

MET = {
    Condition.SUCCESS: {Status.COMPLETED},
    Condition.ANY: set(ENDED),
    Condition.FAILURE: {Status.FAILED},
}
"""CONTRACT, submit: start once the other is `completed`, ended in any way, `failed`."""


def after(*found: tuple[Condition, Status | None], root: Address | None = None) -> list[Found]:
    return [
        Found(Dependency(Address("a", number), on), status, root) for number, (on, status) in enumerate(found, start=1)
    ]


@pytest.mark.parametrize("on", list(Condition))
@pytest.mark.parametrize("status", LIVE)
def test_what_has_not_ended_decides_nothing(on: Condition, status: Status) -> None:
    assert standing(on, status) is Standing.PENDING
    assert standing(on, None) is Standing.PENDING


@pytest.mark.parametrize("on", list(Condition))
@pytest.mark.parametrize("status", sorted(ENDED))
def test_an_end_meets_a_condition_or_makes_it_impossible(on: Condition, status: Status) -> None:
    assert standing(on, status) is (Standing.MET if status in MET[on] else Standing.FAILED)


def test_a_diamond_waits_for_both_sides() -> None:
    success = Condition.SUCCESS
    assert decide(after((success, Status.COMPLETED), (success, Status.RUNNING)), "cancel") == (Verdict.WAIT, None)
    assert decide(after((success, Status.COMPLETED), (success, Status.COMPLETED)), "cancel") == (Verdict.GO, None)


def test_one_failure_decides_at_once_and_is_named() -> None:
    found = after((Condition.SUCCESS, Status.RUNNING), (Condition.SUCCESS, Status.FAILED))
    assert decide(found, "cancel") == (Verdict.CANCEL, Address("a", 2))
    assert decide(found, "hold") == (Verdict.HOLD, Address("a", 2))
    assert decide(found, "run") == (Verdict.WAIT, None)
    assert decide(found[1:], "run") == (Verdict.GO, None)


def test_what_a_failure_further_up_cancelled_passes_its_cause_on() -> None:
    found = after((Condition.SUCCESS, Status.CANCELLED), root=Address("b", 9))
    assert decide(found, "cancel") == (Verdict.CANCEL, Address("b", 9))


STANDINGS = st.lists(st.tuples(st.sampled_from(list(Condition)), st.one_of(st.none(), st.sampled_from(STORED))))


@given(STANDINGS, st.sampled_from(row("submit", "on_dep_failure").choices))
def test_it_goes_on_exactly_when_nothing_is_open_and_nothing_forbids_it(
    found: list[tuple[Condition, Status | None]], policy: str
) -> None:
    verdict, cause = decide(after(*found), policy)
    standings = {standing(on, status) for on, status in found}
    if verdict is Verdict.GO:
        assert Standing.PENDING not in standings
        assert policy == "run" or Standing.FAILED not in standings
    else:
        assert standings & {Standing.PENDING, Standing.FAILED}
    assert (cause is not None) is (verdict in (Verdict.CANCEL, Verdict.HOLD))
    if verdict is Verdict.CANCEL:
        assert failed(after(*found))


def test_what_cannot_be_seen_reopens_nothing() -> None:
    assert failed(after((Condition.SUCCESS, None)))
    assert not failed(after((Condition.SUCCESS, Status.QUEUED), (Condition.ANY, Status.CANCELLED)))
