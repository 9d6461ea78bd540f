"""Reading cron expressions: what Debian's cron takes, and what is refused with the field at fault named."""

from __future__ import annotations

import pytest

from agentq_cli.base.errors import Usage
from agentq_cli.policy.cron import NAMES, parse_cron

EVERY_HOUR = range(24)


def times(minutes: object, hours: object) -> tuple[int, ...]:
    return tuple((hour * 60 + minute) * 60_000 for hour in hours for minute in minutes)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("text", "minutes", "hours"),
    [
        ("5 4 * * *", [5], [4]),
        ("00 05 * * *", [0], [5]),
        ("*/20 * * * *", [0, 20, 40], EVERY_HOUR),
        ("*/59 * * * *", [0, 59], EVERY_HOUR),
        ("10-20/5,0 1-3 * * *", [0, 10, 15, 20], [1, 2, 3]),
        ("1-10/20 0 * * *", [1], [0]),
        ("52-52 7 * * *", [52], [7]),
        ("*,5 23 * * *", range(60), [23]),
        ("5,5,5 */23 * * *", [5], [0, 23]),
        ("0\t 12 *  * *", [0], [12]),
    ],
)
def test_minutes_and_hours(text: str, minutes: object, hours: object) -> None:
    assert parse_cron(text).times == times(minutes, hours)


@pytest.mark.parametrize(
    ("text", "days", "either"),
    [
        ("0 0 * * *", None, False),
        ("0 0 1-31 1-12 0-6", None, True),
        ("0 0 * * 7", "* * 0", False),
        ("0 0 * * sun,MON,tUe", "* * 0,1,2", False),
        ("0 0 * * 5-7", "* * 0,5,6", False),
        ("0 0 * * */7", "* * 0", False),
        ("0 0 * * 1-7/2", "* * 0,1,3,5", False),
        ("0 0 * jan-MAR/2,12 *", "* 1,3,12 *", False),
        # Both restricted: either is enough, so that one that is whole makes every day.
        ("0 0 13 * 5", "13 * 5", True),
        ("0 0 13 * 0-6", None, True),
        ("0 0 1-31 2 5", "* 2 *", True),
        # One begins with a star: both are wanted, though `*/2` restricts.
        ("0 0 */2 * 5", f"{','.join(map(str, range(1, 32, 2)))} * 5", False),
        ("0 0 13 * */2", "13 * 0,2,4,6", False),
        ("0 0 13 * *,3", "13 * *", False),
        # A date that never comes leaves the weekday where either is enough.
        ("0 0 30 2 1", "* 2 1", False),
    ],
)
def test_days(text: str, days: str | None, either: bool) -> None:
    cron = parse_cron(text)
    assert (cron.days, cron.either) == (days, either)


@pytest.mark.parametrize(
    ("text", "wildcard"),
    [
        ("30 2 * * *", False),
        ("0,30 1-3 * * *", False),
        ("5,* 2 * * *", False),
        ("0 0-23 * * *", False),
        ("*/30 2 * * *", True),
        ("*,5 2 * * *", True),
        ("0 * * * *", True),
        ("0 */2 * * *", True),
        ("@hourly", True),
        ("@daily", False),
    ],
)
def test_a_minute_or_hour_that_begins_with_a_star_is_a_wildcard(text: str, wildcard: bool) -> None:
    assert parse_cron(text).wildcard is wildcard


def test_names_are_debian_crons() -> None:
    assert sorted(NAMES) == ["@annually", "@daily", "@hourly", "@midnight", "@monthly", "@weekly", "@yearly"]
    for name, fields in NAMES.items():
        named, written = parse_cron(name), parse_cron(fields)
        assert (named.times, named.days, named.wildcard) == (written.times, written.days, written.wildcard)


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("60 * * * *", "minute '60': 60 is not in 0-59"),
        ("0 24 * * *", "hour '24': 24 is not in 0-23"),
        ("0 0 0 * *", "day of month '0': 0 is not in 1-31"),
        ("0 0 32 * *", "day of month '32': 32 is not in 1-31"),
        ("0 0 * 0 *", "month '0': 0 is not in 1-12"),
        ("0 0 * 13 *", "month '13': 13 is not in 1-12"),
        ("0 0 * * 8", "day of week '8': 8 is not in 0-7"),
        ("0 0 1,2,99 * *", "day of month '1,2,99': 99 is not in 1-31"),
        ("999999999 * * * *", "minute '999999999': 999999999 is not in 0-59"),
        ("9999999999 * * * *", "minute '9999999999': '9999999999' is not a number"),
        ("*/0 * * * *", "minute '*/0': step 0 is not in 1-59"),
        ("*/60 * * * *", "minute '*/60': step 60 is not in"),
        ("0 */24 * * *", "hour '*/24': step 24 is not in 1-23"),
        ("0 0 */32 * *", "day of month '*/32': step 32 is not in"),
        ("0 0 * */13 *", "month '*/13': step 13 is not in"),
        ("0 0 * * */8", "day of week '*/8': step 8 is not in"),
        ("0-59/60 * * * *", "minute '0-59/60': step 60 is not in"),
        ("5/15 * * * *", "minute '5/15': a step needs a range; write 5-59/15"),
        ("0 0 * jan/2 *", "month 'jan/2': a step needs a range; write jan-12/2"),
        ("0 21-5 * * *", "hour '21-5': the range '21-5' is backwards; write 21-23,0-5"),
        ("0 21-0 * * *", "write 21-23,0"),
        ("0 0 * nov-feb *", "write 11-12,1-2"),
        ("0 0 * * fri-sun", "day of week 'fri-sun': the range 'fri-sun' is backwards; write 5-7"),
        ("0 0 * * sat-tue", "write 6-7,1-2"),
        ("0 0 * * sat-mon", "write 6-7,1"),
        ("R * * * *", "minute 'R': Debian cron has no R, H, L, W, ? or #"),
        ("H(0-29)/10 * * * *", "minute 'H(0-29)/10': Debian cron has no R, H, L, W, ? or #"),
        ("0 0 L * *", "day of month 'L': Debian cron has no R, H, L, W, ? or #"),
        ("0 0 LW * *", "day of month 'LW': Debian cron has no R, H, L, W, ? or #"),
        ("0 0 15W * *", "day of month '15W': Debian cron has no R, H, L, W, ? or #"),
        ("0 0 ? * *", "day of month '?': Debian cron has no R, H, L, W, ? or #"),
        ("0 0 * * 5L", "day of week '5L': Debian cron has no R, H, L, W, ? or #"),
        ("0 0 * * friL", "day of week 'friL': Debian cron has no R, H, L, W, ? or #"),
        ("0 0 * * 1#2", "day of week '1#2': Debian cron has no R, H, L, W, ? or #"),
        ("mon 0 * * *", "minute 'mon': 'mon' is not a minute"),
        ("0 0 * mon *", "month 'mon': 'mon' is not a month; names are jan, feb"),
        ("0 0 * * jan", "day of week 'jan': 'jan' is not a day of week; names are sun, mon"),
        ("0 0 * * monday", "day of week 'monday': 'monday' is not a number, name, range or step"),
        ("1,,2 * * * *", "minute '1,,2': '' is not a number"),
        ("1, * * * *", "minute '1,': '' is not a number"),
        ("-5 * * * *", "minute '-5': '-5' is not a number"),
        ("+5 * * * *", "minute '+5': '+5' is not a number"),
        ("1.5 * * * *", "minute '1.5': '1.5' is not a number"),
        ("*-5 * * * *", "minute '*-5': '*-5' is not a number"),
        ("*/5/2 * * * *", "minute '*/5/2': '*/5/2' is not a number"),
        ("1-2-3 * * * *", "minute '1-2-3': '1-2-3' is not a number"),
        ("** * * * *", "minute '**': '**' is not a number"),
        ("٥ * * * *", "minute '٥': '٥' is not a number"),
        ("0 0 30 2 *", "day of month '30' of month '2': this date never occurs"),
        ("0 0 31 2,4 *", "day of month '31' of month '2,4': this date never occurs"),
        ("0 0 31 feb,apr,jun,sep,nov *", "this date never occurs"),
        ("0 0 30 2 */2", "this date never occurs"),
        ("", "0 fields instead of five"),
        ("* * * *", "4 fields instead of five"),
        ("* * * * * *", "6 fields instead of five"),
        ("0 0 1 1 * 2026 0", "7 fields instead of five"),
        ("@reboot", "has no time"),
        ("@dayly", "no such name; did you mean '@daily'?"),
        ("@Daily", "no such name; did you mean '@daily'?"),
        ("@", "no such name; known names are @hourly, @daily"),
        ("@daily 0", "no such name"),
    ],
)
def test_what_is_refused_names_the_field_and_quotes_it(text: str, field: str) -> None:
    with pytest.raises(Usage) as caught:
        parse_cron(text, "--cron")
    assert caught.value.message.startswith(f"--cron '{text}': ")
    assert field in caught.value.message
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("text", ["0 0 29 2 *", "0 0 30,31 2,3 *", "0 0 31 2 1", "0 0 31 */2 *", "0 0 31 4 */1"])
def test_a_rare_date_is_refused_only_where_it_never_comes(text: str) -> None:
    if text == "0 0 31 4 */1":
        with pytest.raises(Usage, match="never occurs"):
            parse_cron(text)
    else:
        parse_cron(text)


def test_equal_texts_are_equal_values_that_can_be_hashed() -> None:
    assert parse_cron("0 9 * * 1-5") == parse_cron("0 9 * * 1-5")
    assert len({parse_cron("@daily"), parse_cron("@daily"), parse_cron("@weekly")}) == 2
