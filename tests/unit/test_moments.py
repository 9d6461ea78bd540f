"""Times as a person reads them."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from agentq_cli.model.tasks import WaitingFor
from agentq_cli.options import moments, values

NOW = 1_774_785_600_000  # Sunday 2026-03-29, 12:00 UTC
SECOND, MINUTE, HOUR, DAY = 1000, 60_000, 3_600_000, 86_400_000


@pytest.fixture(autouse=True)
def greenwich(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The zone of the reader; the one of the tests comes back."""
    with monkeypatch.context() as inside:
        inside.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.parametrize(
    ("away", "told"),
    [
        (0, "now"),
        (-999, "now"),
        (-42 * SECOND, "42s ago"),
        (-MINUTE, "1 min ago"),
        (-(4 * MINUTE - 1), "3 min ago"),
        (-(HOUR - 1), "59 min ago"),
        (-HOUR, "11:00"),
        (-12 * HOUR, "00:00"),
        (-13 * HOUR, "Sat 23:00"),
        (-5 * DAY, "Tue 12:00"),
        (-6 * DAY, "Mar 23 12:00"),
        (-95 * DAY, "Dec 24 12:00"),
        (-365 * DAY, "2025-03-29"),
        (40 * SECOND, "in 40s"),
        (12 * MINUTE, "in 12 min"),
        (HOUR - 1, "in 1h"),
        (3 * HOUR - 1500, "in 3h"),
        (5_400_999, "in 1h30m"),
        (DAY, "Mon 12:00"),
        (DAY - 1, "Mon 11:59"),
        (200 * DAY, "2026-10-15"),
    ],
)
def test_a_time_is_short(away: int, told: str) -> None:
    assert moments.short(NOW + away, NOW) == told


def test_a_detail_has_the_clock_and_the_distance_once() -> None:
    assert moments.both(NOW - 5 * MINUTE, NOW) == "11:55 (5 min ago)"
    assert moments.both(NOW - 5 * DAY, NOW) == "Tue 12:00"


def test_it_is_the_readers_wall_clock_unless_utc_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    time.tzset()
    assert moments.clock(NOW, NOW) == "17:30"
    monkeypatch.setattr(moments, "_wall", [time.localtime])
    moments.read_in_utc()
    assert moments.clock(NOW, NOW) == "12:00"


def test_times_within_agentqs_own_words() -> None:
    words = "claude is held until 2026-03-29T15:00:00.000Z, not 2026-03-29 or 2026-03-29T15:00Z"
    assert moments.spoken(words, NOW) == "claude is held until 15:00, not 2026-03-29 or 2026-03-29T15:00Z"
    assert moments.exact("2026-03-29T15:00:00.000Z", NOW) == "15:00 (in 3h)"
    assert moments.exact("at 2026-03-29T15:00:00.000Z", NOW) == "at 2026-03-29T15:00:00.000Z"


@pytest.mark.parametrize(
    ("why", "exact", "told"),
    [
        (
            WaitingFor("limit", "", until=NOW + 3 * 3_600_000, brief="claude held", note="rate_limited"),
            "claude held until 2026-03-29T15:00:00.000Z (rate_limited)",
            "claude held until 15:00 (rate_limited)",
        ),
        (
            WaitingFor("limit", "", until=NOW + 86_400_000, brief="claude held", note="rate_limited"),
            "claude held until 2026-03-30T12:00:00.000Z (rate_limited)",
            "claude held until Mon 12:00 (rate_limited)",
        ),
        (WaitingFor("limit", "", brief="claude held", note="auth"), "claude held (auth)", "claude held (auth)"),
        (
            WaitingFor("retry", "", until=NOW + 40_000, brief="retry"),
            "retry at 2026-03-29T12:00:40.000Z",
            "retry in 40s",
        ),
        (WaitingFor("paused", "", brief="paused", note="why"), "paused: why", "paused: why"),
        (WaitingFor("paused", "", brief="queue paused"), "queue paused", "queue paused"),
        (WaitingFor("time", "", until=NOW + 1), "", ""),
        (WaitingFor("slot", "no supervisor"), "", ""),
        (
            WaitingFor("gate", "", until=values.LATEST * 1000 - 1, brief="stagger gate"),
            "stagger gate until 9999-12-31T23:59:59.999Z",
            "stagger gate until 9999-12-31",
        ),
    ],
)
def test_why_in_a_few_words(why: WaitingFor, exact: str, told: str) -> None:
    assert moments.waiting(why, None) == exact
    assert moments.waiting(why, NOW) == told
