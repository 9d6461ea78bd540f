"""Times as people say them: the next or the last one, on the wall clock of a zone."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentq_cli.base.errors import Usage
from agentq_cli.options import values
from agentq_cli.policy import wall_clock

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu")
BERLIN = ZoneInfo("Europe/Berlin")


def ms(text: str, zone: ZoneInfo = BERLIN) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()) * 1000


NOW = "2026-03-27T12:00"
"""A Friday; the night from Saturday to Sunday has no 02:30."""


@pytest.mark.parametrize(
    ("text", "forward", "back"),
    [
        ("22:00", "2026-03-27T22:00", "2026-03-26T22:00"),
        ("9:00", "2026-03-28T09:00", "2026-03-27T09:00"),
        ("12:00", "2026-03-28T12:00", "2026-03-27T12:00"),
        ("12:00:01", "2026-03-27T12:00:01", "2026-03-26T12:00:01"),
        ("today", "2026-03-27", "2026-03-27"),
        ("today 08:00", "2026-03-27T08:00", "2026-03-27T08:00"),
        ("tomorrow 09:00", "2026-03-28T09:00", "2026-03-28T09:00"),
        ("09:00 tomorrow", "2026-03-28T09:00", "2026-03-28T09:00"),
        ("yesterday", "2026-03-26", "2026-03-26"),
        ("Mon 09:00", "2026-03-30T09:00", "2026-03-23T09:00"),
        ("friday 11:00", "2026-04-03T11:00", "2026-03-27T11:00"),
        ("FRI 13:00", "2026-03-27T13:00", "2026-03-20T13:00"),
        ("sun", "2026-03-29", "2026-03-22"),
        ("Sun 02:30", "2026-03-29T03:30", "2026-03-22T02:30"),
    ],
)
def test_the_next_and_the_last(text: str, forward: str, back: str) -> None:
    assert wall_clock.moment(text, BERLIN, ms(NOW), forward=True) == ms(forward)
    assert wall_clock.moment(text, BERLIN, ms(NOW), forward=False) == ms(back)
    assert values.parse_time(text, zone="Europe/Berlin", now_ms=ms(NOW)) == ms(forward)
    assert values.parse_time_or_duration(text, zone="Europe/Berlin", now_ms=ms(NOW)) == ms(forward)
    assert values.parse_since(text, zone="Europe/Berlin", now_ms=ms(NOW)) == ms(back)


@pytest.mark.parametrize(
    "text", ["24:00", "9:0", "9", "mo 09:00", "today tomorrow", "1:00 2:00", "someday 09:00", "9:00pm", "-1:00", "٣:00"]
)
def test_what_nobody_says_is_refused(text: str) -> None:
    assert wall_clock.moment(text, BERLIN, ms(NOW), forward=True) is None
    with pytest.raises(Usage, match="not a time"):
        values.parse_time(text, zone="Europe/Berlin", now_ms=ms(NOW))


MOMENTS = st.integers(0, 4_000_000_000_000)
DAYS = st.sampled_from(["", *(name[:length] for name in wall_clock.WEEKDAYS for length in (3, len(name)))])


@given(MOMENTS, st.sampled_from(ZONES), st.times(), DAYS, st.booleans())
def test_it_is_the_nearest_in_its_direction(now: int, zone: str, at: object, day: str, forward: bool) -> None:
    text = f"{day} {str(at)[:8]}".strip()
    info = ZoneInfo(zone)
    found = wall_clock.moment(text, info, now, forward=forward)
    assert found is not None
    assert (found > now) == forward
    there = datetime.fromtimestamp(found / 1000, info)
    exists = there.strftime("%H:%M:%S") == str(at)[:8]
    # Every wall clock shows each time once a day, but for a gap.
    assert abs(found - now) <= timedelta(days=8 if day else 2).total_seconds() * 1000 or not exists
    if exists and day:
        assert there.strftime("%A").lower().startswith(day)
    # Nothing is nearer: asked again from just before it, the answer is the same.
    just = found - 1 if forward else found
    assert wall_clock.moment(text, info, just, forward=forward) == found


@given(st.text(max_size=20), MOMENTS)
def test_no_text_makes_it_fail(text: str, now: int) -> None:
    found = wall_clock.moment(text, BERLIN, now, forward=True)
    assert found is None or abs(found - now) <= 9 * 86_400_000


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2 hours", 7_200_000),
        ("90 min", 5_400_000),
        ("90min", 5_400_000),
        ("1 hour 30 minutes", 5_400_000),
        ("1 Day", 86_400_000),
        ("45 seconds", 45_000),
    ],
)
def test_durations_as_people_say_them(text: str, expected: int) -> None:
    assert values.parse_duration(text) == expected


@pytest.mark.parametrize(
    "text", ["2  hours", " 2 hours", "hours", "hours 2", "2 hours 3 hours", "2 3 hours", "2 h", "2 hours 3"]
)
def test_other_words_are_no_duration(text: str) -> None:
    with pytest.raises(Usage):
        values.parse_duration(text)
