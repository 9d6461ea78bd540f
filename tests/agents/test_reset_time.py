"""When a usage limit ends, as agents put it into words."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentq_cli.agents.reset_time import reset_time

NOW = 1_795_300_000_000  # 2026-11-21T22:26:40Z
MINUTE = 60_000


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ("try again in 1.5s.", NOW + 1500),
        ("Please try again in 20ms.", NOW + 20),
        ("Please try again in 6m0s. Visit …", NOW + 6 * MINUTE),
        ("Please retry in 33.25s.", NOW + 33_250),
        ("Your quota will reset after 18h22m57s.", NOW + 66_177_000),
        ("try again in 2 days 3 hours 1 minute", NOW + 183_660_000),
        ("Try again in 1 hour, 2 seconds.", NOW + 3_602_000),
        ("try again in 999999999 days", 253_402_300_799_000),
        ("or try again at Nov 22nd, 2026 12:33 AM.", 1_795_307_640_000),
        ("or try again at Dec 1st, 2026 12:05 PM.", 1_796_126_760_000),
        ("or try again at 10:27 PM.", NOW + 80_000),
        ("or try again at 10:26 PM.", NOW + 20_000),
        ("or try again at 10:25 PM.", NOW + 86_400_000 - 40_000),
        ("or try again at Nov 21st, 2026 10:25 PM.", None),
        ("or try again at Nov 31st, 2026 10:25 PM.", None),
        ("or try again at Foo 1st, 2027 10:25 PM.", None),
        ("or try again at Nov 1st, 0000 10:25 PM.", None),
        ("or try again at 13:00 PM.", None),
        ("or try again at 0:10 AM.", None),
        ("try again in 0s", None),
        ("try again later.", None),
        ("", None),
        ("x" * 2000 + " try again in 5s", None),
    ],
)
def test_a_time_in_words(utc: None, said: str, wanted: int | None) -> None:
    assert reset_time(said, NOW) == wanted


def test_a_wall_clock_is_this_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        assert reset_time("try again at Nov 21st, 2026 7:33 PM.", NOW) == 1_795_307_640_000
        assert reset_time("try again at 7:33 PM.", NOW) == 1_795_307_640_000
    finally:
        monkeypatch.undo()
        time.tzset()


@given(st.text() | st.from_regex(r"try again (in|at) [A-Z0-9a-z,. :]*"), st.integers(0, 4_102_444_800_000))
def test_any_words_give_a_later_time_or_none(said: str, now: int) -> None:
    moment = reset_time(said, now)
    assert moment is None or moment > now
