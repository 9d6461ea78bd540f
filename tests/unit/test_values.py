"""What people type for durations, sizes, times, addresses and environments, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentq_cli.base.errors import Usage
from agentq_cli.model.addresses import Address
from agentq_cli.options import values

NOW = 1_774_746_000_000


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90s", 90_000),
        ("15m", 900_000),
        ("2h", 7_200_000),
        ("1d", 86_400_000),
        ("1h30m", 5_400_000),
        ("500ms", 500),
        ("1d2h3m4s5ms", 93_784_005),
        ("0h5m", 300_000),
        ("36525d", 36_525 * 86_400_000),
    ],
)
def test_durations_are_read(text: str, expected: int) -> None:
    assert values.parse_duration(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "90",
            "0",
            "0s",
            "0h0m",
            "-5s",
            "+5s",
            "1e3",
            "1e3s",
            "5 m",
            " 5m",
            "5m ",
            "5m\n",
            "1.5h",
            "30m1h",
            "1h1h",
        ),
        *("5M", "5w", "s", "ms", "٣s", "36526d", "999999999999999d", "9" * 5000 + "s"),
    ],
)
def test_other_durations_are_refused_with_option_and_value(text: str) -> None:
    with pytest.raises(Usage) as refusal:
        values.parse_duration(text, "--timeout")
    assert refusal.value.message.startswith(f"--timeout '{text}': ")
    assert refusal.value.code == 2


def test_a_bare_number_is_told_that_it_lacks_a_unit() -> None:
    with pytest.raises(Usage, match="needs a unit"):
        values.parse_duration("90")


def test_zero_is_read_where_it_is_allowed() -> None:
    assert values.parse_duration("0s", zero=True) == 0


@given(st.integers(1, values.LONGEST))
def test_a_written_duration_is_read_back(length: int) -> None:
    assert values.parse_duration(values.write_duration(length)) == length


@given(st.integers(1, values.LONGEST))
def test_a_shown_duration_is_short_and_less_than_a_tenth_off(length: int) -> None:
    shown = values.format_duration(length)
    assert len(shown) <= 9
    if "." not in shown:
        assert 0 <= length - values.parse_duration(shown) <= length / 10


@given(st.text(max_size=12))
def test_no_text_makes_the_readers_fail_other_than_by_usage(text: str) -> None:
    for read in (
        values.parse_duration,
        values.parse_size,
        values.parse_address,
        values.parse_run,
        values.parse_session,
        values.parse_environment,
        lambda value: values.parse_time(value, zone="Europe/Berlin", now_ms=NOW),
        lambda value: values.parse_since(value, zone="Europe/Berlin", now_ms=NOW),
    ):
        try:
            read(text)
        except Usage as refusal:
            assert len(refusal.message) < 300


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("512MiB", 512 << 20),
        ("2G", 2 << 30),
        ("1.5GiB", 3 << 29),
        ("64k", 64 << 10),
        ("10B", 10),
        ("1MB", 1_000_000),
        ("0.5K", 512),
        ("1024P", 1 << 60),
    ],
)
def test_sizes_are_read(text: str, expected: int) -> None:
    assert values.parse_size(text) == expected


@pytest.mark.parametrize(
    "text", ["", "512", "0", "0M", "-1M", "1e3M", "1 M", "M", "1X", "1.M", ".5M", "1025P", "1MiBs"]
)
def test_other_sizes_are_refused(text: str) -> None:
    with pytest.raises(Usage, match=r"^--memory '"):
        values.parse_size(text, "--memory")


@given(st.integers(1, values.LARGEST))
def test_a_shown_size_is_read_back_within_a_twentieth(size: int) -> None:
    assert abs(values.parse_size(values.format_size(size)) - size) <= size / 20


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-03-29T01:00:00.000Z", "2026-03-29T01:00:00+00:00"),
        ("2026-03-29T01:00:00.1239Z", "2026-03-29T01:00:00.123+00:00"),
        ("2026-03-29t01:00:00z", "2026-03-29T01:00:00+00:00"),
        ("2026-03-29T03:00:00+02:00", "2026-03-29T01:00:00+00:00"),
        ("2026-03-28T20:00-05:00", "2026-03-29T01:00:00+00:00"),
        ("2026-07-01T09:00", "2026-07-01T07:00:00+00:00"),
        ("2026-07-01T09:00:30", "2026-07-01T07:00:30+00:00"),
        ("2026-07-01 09:00", "2026-07-01T07:00:00+00:00"),
        ("2026-07-01", "2026-06-30T22:00:00+00:00"),
    ],
)
def test_times_are_read_in_their_own_offset_or_the_zone(text: str, expected: str) -> None:
    assert values.parse_time(text, zone="Europe/Berlin", now_ms=NOW) == ms(expected)


def test_a_time_in_a_gap_moves_forward_by_the_gap() -> None:
    assert values.parse_time("2026-03-29T02:30", zone="Europe/Berlin", now_ms=NOW) == ms("2026-03-29T03:30+02:00")


def test_a_time_that_occurs_twice_means_the_first() -> None:
    assert values.parse_time("2026-10-25T02:30", zone="Europe/Berlin", now_ms=NOW) == ms("2026-10-25T02:30+02:00")


@pytest.mark.parametrize(
    "text",
    [
        *("", "now", "2026", "2026-03", "20260329", "2026-W13-7", "2026-02-30", "2026-13-01"),
        *("2026-03-29T24:00", "2026-03-29T09:60", "2026-03-29T09", "2026-03-29T09:00+25:00", "2026-03-29T09:00+01:60"),
        *("2026-03-29T09:00+0100", "2026-03-29Z", "1969-12-31", "0000-01-01", "2026-03-29T09:00Z\n", "٢٠٢٦-03-29"),
    ],
)
def test_other_times_are_refused(text: str) -> None:
    with pytest.raises(Usage) as refusal:
        values.parse_time(text, zone="UTC", now_ms=NOW, what="--at")
    assert refusal.value.message.startswith(f"--at '{text}': ")


def test_the_zone_is_not_looked_for_where_the_time_has_an_offset() -> None:
    def never() -> str:
        raise AssertionError

    assert values.parse_time("2026-03-29T01:00:00Z", zone=never, now_ms=NOW) == ms("2026-03-29T01:00:00+00:00")


@given(
    st.datetimes(min_value=datetime(1970, 1, 2), max_value=datetime(2100, 1, 1)),
    st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "Africa/Casablanca"]),
)
def test_a_naive_time_is_the_wall_clock_of_its_zone_or_lies_in_a_gap(wall: datetime, zone: str) -> None:
    wall = wall.replace(microsecond=0)
    found = values.parse_time(wall.isoformat(), zone=zone, now_ms=NOW)
    back = datetime.fromtimestamp(found / 1000, UTC).astimezone(ZoneInfo(zone)).replace(tzinfo=None, fold=0)
    if back != wall:
        assert back > wall
        later = wall.replace(tzinfo=ZoneInfo(zone), fold=1).timestamp() * 1000
        assert later != found, "only a gap may move a time"
    else:
        assert found <= wall.replace(tzinfo=ZoneInfo(zone), fold=1).timestamp() * 1000


def test_a_duration_counts_forward_for_expires_and_back_for_since() -> None:
    assert values.parse_time_or_duration("2h", zone="UTC", now_ms=NOW) == NOW + 7_200_000
    assert values.parse_since("2h", zone="UTC", now_ms=NOW) == NOW - 7_200_000
    assert values.parse_since("2026-03-29T01:00:00Z", zone="UTC", now_ms=NOW) == NOW
    assert values.parse_since("36525d", zone="UTC", now_ms=NOW) == 0


def test_what_looks_like_a_time_is_complained_about_as_one() -> None:
    with pytest.raises(Usage, match="not a time"):
        values.parse_since("2026-03-29T", zone="UTC", now_ms=NOW)
    with pytest.raises(Usage, match="not a duration"):
        values.parse_since("yestreday", zone="UTC", now_ms=NOW)


def test_addresses_and_runs_are_read() -> None:
    assert values.parse_address("7") == Address("default", 7)
    assert values.parse_address("docs/7") == Address("docs", 7)
    assert values.parse_run("a.b-c_1.2/31.4") == (Address("a.b-c_1.2", 31), 4)
    assert values.parse_run("3.2") == (Address("default", 3), 2)
    assert values.parse_run("docs/3") == (Address("docs", 3), None)


@pytest.mark.parametrize(
    "text",
    [
        *("", "/", "/1", "docs/", "docs", "0", "docs/0", "-1", "007", "1.", "1.0", ".1", "1.2.3", "a/b/1", "../x/1"),
        *("1 ", "x", "٣", "9" * 30, "docs//1", ".hidden/1", "docs/1\n"),
    ],
)
def test_other_addresses_are_refused(text: str) -> None:
    with pytest.raises(Usage) as refusal:
        values.parse_run(text)
    assert refusal.value.message.startswith(f"ID '{text}': ")


def test_a_run_where_a_task_is_wanted_names_the_task() -> None:
    with pytest.raises(Usage, match=r"docs/3; name the task$"):
        values.parse_address("docs/3.1")


@given(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", fullmatch=True), st.integers(1, 10**14), st.integers(1, 10**6))
def test_every_run_id_is_read_back(session: str, seq: int, attempt: int) -> None:
    assert values.parse_run(f"{session}/{seq}.{attempt}") == (Address(session, seq), attempt)
    assert values.parse_session(session) == session


@pytest.mark.parametrize("text", ["", ".", "..", "../x", "/tmp", "a/b", "a b", "-a", "_a", "a" * 65, "ä", "a\n", "a\0"])
def test_other_session_names_are_refused(text: str) -> None:
    with pytest.raises(Usage):
        values.parse_session(text)


def test_environment_pairs_are_read_and_a_secret_is_never_quoted() -> None:
    assert values.parse_environment("A=b=c") == ("A", "b=c")
    assert values.parse_environment("A=") == ("A", "")
    for text in ("=hush", "A B=hush", "A\n=hush", "A=hu\0sh"):
        with pytest.raises(Usage) as refusal:
            values.parse_environment(text)
        assert "hush" not in refusal.value.message
    assert values.parse_environment("A") == ("A", None)


def test_an_environment_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "env"
    file.write_text(
        "# comment\n\nA=1\n  B = two words \nexport C='three # not a comment'\n"
        'D="quoted \\"x\\" and\\nline"\nE=it\'s\nF=\nA=again\n'
    )
    assert values.parse_env_file(str(file)) == {
        "A": "again",
        "B": "two words",
        "C": "three # not a comment",
        "D": 'quoted "x" and\nline',
        "E": "it's",
        "F": "",
    }


def test_an_error_in_an_environment_file_names_file_and_line_but_no_value(tmp_path: Path) -> None:
    file = tmp_path / "env"
    file.write_text("A=1\nhush\n")
    with pytest.raises(Usage) as refusal:
        values.parse_env_file(str(file))
    assert refusal.value.message == f"--env-file '{file}' line 2: not NAME=VALUE"
    with pytest.raises(Usage, match="No such file"):
        values.parse_env_file(str(tmp_path / "none"))
