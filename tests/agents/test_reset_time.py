"""When a usage limit ends, as agents put it into words."""

from __future__ import annotations

import time
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentq_cli.agents.reset_time import names_a_time, reset_time

NOW = 1_795_300_000_000  # 2026-11-21T22:26:40Z
MINUTE = 60_000
DAY = 86_400_000


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
        ("try again in 999999999 days", None),
        ("try again in 40000 hours", None),
        ("try again in -5 minutes", None),
        ("resets in 2 hours 15 minutes", NOW + 135 * MINUTE),
        ("It will reset in 2 hours and 15 minutes.", NOW + 135 * MINUTE),
        ("resets in about 3 days", NOW + 3 * DAY),
        ("available again in 1 week", NOW + 7 * DAY),
        ("retry after 30 seconds", NOW + 30_000),
        ("wait for 5 min", NOW + 5 * MINUTE),
        ("retry in 34.074824224s", NOW + 34_075),
        ("resets 4pm (America/Los_Angeles)", 1_795_305_600_000 + MINUTE),
        ("resets 11pm (UTC)", 1_795_302_000_000 + MINUTE),
        ("resets 10:57 PM GMT-3", 1_795_312_620_000 + MINUTE),
        ("resets 10:57 PM GMT+5:30", 1_795_368_420_000 + MINUTE),
        ("resets 9:57 PM UTC-03:00", 1_795_309_020_000 + MINUTE),
        ("resets at 6pm PST", 1_795_312_800_000 + MINUTE),
        ("resets at 22:57", 1_795_301_820_000 + MINUTE),
        ("resets at 22:57:30 UTC", 1_795_301_850_000),
        ("resets Nov 29, 4:00 PM", 1_795_968_000_000 + MINUTE),
        ("resets Nov 29, 4pm (UTC)", 1_795_968_000_000 + MINUTE),
        ("resets Nov 29 at 4pm", 1_795_968_000_000 + MINUTE),
        ("resets 29 November at 16:00", 1_795_968_000_000 + MINUTE),
        ("resets November 29, 2026 at 4 p.m.", 1_795_968_000_000 + MINUTE),
        ("try again at Nov 29th, 2026 4:00 PM.", 1_795_968_000_000 + MINUTE),
        ("resets Jan 2, 4pm", 1_798_905_600_000 + MINUTE),
        ("resets Nov 20, 4pm", None),
        ("resets Nov 29, 2031, 4pm", None),
        ("resets Dec 1", 1_796_083_200_000 + MINUTE),
        ("resets tomorrow at 9am", 1_795_338_000_000 + MINUTE),
        ("resets tomorrow 09:00", 1_795_338_000_000 + MINUTE),
        ("resets today at 11pm", 1_795_302_000_000 + MINUTE),
        ("resets today at 9am", None),
        ("resets Mon 9:00 AM", 1_795_424_400_000 + MINUTE),
        ("resets on Monday at 9am", 1_795_424_400_000 + MINUTE),
        ("resets Sat 11pm", 1_795_302_000_000 + MINUTE),
        ("resets Sat 9pm", 1_795_294_800_000 + 7 * DAY + MINUTE),
        ("resets 2026-11-29T16:00:00Z", 1_795_968_000_000),
        ("resets at 2026-11-29T16:00:00.123+02:00", 1_795_960_800_000),
        ("You will regain access on 2026-12-01 at 00:00 UTC.", 1_796_083_200_000 + MINUTE),
        ("resets at 1795968000", 1_795_968_000_000),
        ("resets at 1795968000123", 1_795_968_000_123),
        ("limit reached|1795968000", 1_795_968_000_000),
        ("limit reached|1795200000", None),
        ("resets at 9999999999999", None),
        ("resets 4pm (Mars/Olympus_Mons)", None),
        ("resets monthly", None),
        ("it resets every 5 tries", None),
        ("retry 3 of 5", None),
        ("the limit is 4pm", None),
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


@given(
    st.text() | st.from_regex(r"(try again (in|at)|resets) [A-Z0-9a-z,. :()/+\-]*"), st.integers(0, 4_102_444_800_000)
)
def test_any_words_give_a_later_time_or_none(said: str, now: int) -> None:
    moment = reset_time(said, now)
    assert moment is None or now < moment <= now + 366 * DAY
    names_a_time(said)


@pytest.mark.parametrize(
    ("now", "said", "wanted"),
    [
        # Clocks go back on 2026-11-01: 1:30am is there twice, at 8:30Z and at 9:30Z.
        ("2026-11-01T07:00:00Z", "resets 1:30am (America/Los_Angeles)", "2026-11-01T08:31:00Z"),
        ("2026-11-01T08:45:00Z", "resets 1:30am (America/Los_Angeles)", "2026-11-01T09:31:00Z"),
        ("2026-11-01T10:00:00Z", "resets 1:30am (America/Los_Angeles)", "2026-11-02T09:31:00Z"),
        # A day later by the clock is 25 hours, or 23.
        ("2026-10-31T23:30:00Z", "resets 4pm (America/Los_Angeles)", "2026-11-02T00:01:00Z"),
        ("2027-03-13T23:30:00Z", "resets 3pm (America/Los_Angeles)", "2027-03-14T22:01:00Z"),
        # Clocks go forward on 2027-03-14: 2:30am is not there.
        ("2027-03-14T09:00:00Z", "resets 2:30am (America/Los_Angeles)", "2027-03-14T10:31:00Z"),
        # It is tomorrow there already.
        ("2026-11-21T22:00:00Z", "resets today at 9am (Asia/Tokyo)", "2026-11-22T00:01:00Z"),
        ("2026-11-21T22:00:00Z", "resets Nov 29, 4pm (Asia/Tokyo)", "2026-11-29T07:01:00Z"),
        ("2026-12-31T22:00:00Z", "resets Jan 1, 4pm (America/New_York)", "2027-01-01T21:01:00Z"),
    ],
)
def test_a_clock_in_a_zone_with_summer_time(now: str, said: str, wanted: str) -> None:
    assert reset_time(said, milliseconds(now)) == milliseconds(wanted)


def milliseconds(rfc3339: str) -> int:
    return round(datetime.fromisoformat(rfc3339).timestamp() * 1000)


ZONES = ("UTC", "America/Los_Angeles", "Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe", "America/Sao_Paulo")


@given(
    now=st.integers(1_700_000_000, 1_900_000_000),
    ahead=st.integers(61, 23 * 3600),
    zone=st.sampled_from(ZONES),
    form=st.sampled_from(
        ["%-I:%M%p", "%-I:%M %p", "%H:%M", "%b %-d, %-I:%M %p", "%b %-d, %Y, %H:%M", "%Y-%m-%d %H:%M"]
    ),
)
def test_what_is_written_as_a_clock_is_read_back(now: int, ahead: int, zone: str, form: str) -> None:
    """Up to a minute later, since seconds are cut off; where clocks are put back an hour, perhaps the first of two."""
    end = datetime.fromtimestamp(now + ahead, ZoneInfo(zone))
    found = reset_time(f"You've hit your limit · resets {end.strftime(form)} ({zone})", now * 1000)
    assert found is not None
    late = found - (now + ahead) * 1000
    assert 0 < late <= 60_000 or (end.fold and -3_600_000 < late <= 60_000)


@given(st.integers(1, 366 * 86_400 - 1), st.integers(1, 4_000_000_000))
def test_what_is_written_as_a_span_is_read_back(seconds: int, now: int) -> None:
    days, rest = divmod(seconds, 86_400)
    hours, rest = divmod(rest, 3600)
    for form in (
        "{}d{}h{}m{}s",
        "{} days {} hours {} minutes {} seconds",
        "{}d {}h {}m {}s",
        "{} days, {} hours, {} min and {} s",
    ):
        said = f"Please try again in {form.format(days, hours, *divmod(rest, 60))}."
        assert reset_time(said, now) == now + seconds * 1000
        assert names_a_time(said)


@given(st.text(max_size=60))
def test_without_a_word_that_leads_to_it_nothing_is_a_time(said: str) -> None:
    if not any(
        word in said.lower()
        for word in ("reset", "again", "retry", "renew", "access", "available", "back", "until", "wait", "|")
    ):
        assert reset_time(said, NOW) is None
        assert not names_a_time(said)
