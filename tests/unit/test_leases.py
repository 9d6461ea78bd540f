"""The times of a lease: whoever takes a host's runs finds all of them dead."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agentq_cli.policy import leases

HOUR_MS = 3_600_000


@given(lease=st.integers(120, HOUR_MS), asked=st.integers(0, 1 << 40), wrote=st.integers(0, HOUR_MS))
def test_everything_is_dead_before_somebody_with_a_faster_clock_takes_it(lease: int, asked: int, wrote: int) -> None:
    deadline = leases.deadline(asked, lease)
    dead = leases.kernel_at(deadline, lease)
    taken = asked + wrote + lease  # by whoever saw the renewal in the moment in which it was written
    assert dead - asked <= (taken - asked) * 0.98 - lease // 20
    # What is started is looked at once more while it may still go on.
    assert leases.may_start(deadline - leases.renewal_ms(lease) - 1, deadline, lease)
    assert not leases.may_start(deadline - leases.renewal_ms(lease), deadline, lease)


@given(lease=st.integers(120, HOUR_MS))
def test_renewals_come_several_times_before_the_deadline_and_an_alarm_looks_once_more_before_it(lease: int) -> None:
    deadline = leases.deadline(0, lease)
    assert 3 * leases.renewal_ms(lease) < deadline
    early = leases.look_at(0, deadline, lease)
    assert 0 < early < leases.look_at(early, deadline, lease) == deadline
