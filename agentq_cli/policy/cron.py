"""Reading cron expressions as Debian's cron does, except for what it takes without ever running it.

Debian's cron 3.0pl1 takes wrapped ranges (`21-5`), steps over the field (`*/61`) and dates that never come, and then
never runs them, or not as meant. Nobody reads a crontab's log at three in the morning, so these are refused when typed.
"""

from __future__ import annotations

import functools
import re

from agentq_cli.dataclass import NamedTuple, dataclass, field
from agentq_cli.errors import Usage, nearest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

NAMES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}


class _Field(NamedTuple):
    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()


_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_MINUTE = _Field("minute", 0, 59)
_HOUR = _Field("hour", 0, 23)
_DAY = _Field("day of month", 1, 31)
_MONTH = _Field("month", 1, 12, _MONTHS)
_WEEKDAY = _Field("day of week", 0, 7, _WEEKDAYS)
_FIELDS = (_MINUTE, _HOUR, _DAY, _MONTH, _WEEKDAY)

_LONGEST_MONTHS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_ITEM = r"(?i)(\*|[0-9]{1,9}|[a-z]{3})(?:-([0-9]{1,9}|[a-z]{3}))?(?:/([0-9]{1,9}))?\Z"
_FOREIGN = r"(?i)[?#]|(?<![a-z])(?:[rhlw]|lw)(?![a-z])|(?<=[a-z]{3})l(?![a-z])"


@dataclass(frozen=True, slots=True)
class Cron:
    """An expression that was understood. Equal texts are equal values; the rest follows from the text.

    `times` are the minutes of a day on which it comes, in milliseconds since midnight, ascending. `days` are the three
    day fields in the plainest form, for croniter, or None for every day; `either` says that one of both day fields is
    enough. `wildcard` is Debian's distinction: a minute or hour field that begins with `*` follows real elapsed time
    through clock changes.
    """

    text: str
    times: tuple[int, ...] = field(compare=False, repr=False)
    days: str | None = field(compare=False, repr=False)
    either: bool = field(compare=False, repr=False)
    wildcard: bool = field(compare=False, repr=False)


def parse_cron(text: str, what: str = "--cron") -> Cron:
    """The expression as a value. Raises Usage with the field at fault named and quoted; `what` is the option."""
    try:
        return _parse(text)
    except _Fault as fault:
        raise Usage(f"{what} '{text}': {fault}") from None


class _Fault(Exception):
    """What is wrong with an expression, without the option and the expression themselves."""


@functools.lru_cache(maxsize=256)
def _parse(text: str) -> Cron:
    text = text.strip()  # as of five fields, cron skips blanks before a name
    parts = (_expanded(text) if text.startswith("@") else text).split()
    if len(parts) != len(_FIELDS):
        raise _Fault(
            f"{len(parts)} fields, five are wanted: minute, hour, day of month, month, day of week; "
            "or a name such as @daily"
        )
    minutes, hours, days, months, weekdays = (_values(part, of) for part, of in zip(parts, _FIELDS, strict=True))
    # Debian's own rule, by the first character only: `*/2` is a star here, `1-31` is none.
    either = not parts[2].startswith("*") and not parts[4].startswith("*")
    comes = any(day <= _LONGEST_MONTHS[month - 1] for month in months for day in days)
    if not comes and not either:
        raise _Fault(f"day of month '{parts[2]}' of month '{parts[3]}': a date that never comes")
    return Cron(
        text=text,
        times=tuple((hour * 60 + minute) * 60_000 for hour in hours for minute in minutes),
        days=_days(days if comes else (), months, weekdays, either=either),
        either=either and comes,
        wildcard=parts[0].startswith("*") or parts[1].startswith("*"),
    )


def _expanded(text: str) -> str:
    if text == "@reboot":
        raise _Fault("it has no time; write when it is to run, such as @daily")
    if text not in NAMES:
        raise _Fault(f"no such name{nearest(text, NAMES) or '; known are ' + ', '.join(NAMES)}")
    return NAMES[text]


def _days(days: tuple[int, ...], months: tuple[int, ...], weekdays: tuple[int, ...], *, either: bool) -> str | None:
    """The day fields as croniter is to read them: whole fields as `*`, anything else as a list of numbers.

    croniter reads some whole fields (`1-31`) as `*`, and its version 6 finds no date at all where one of two
    alternatives is impossible. So both are settled here. No `days` are none that ever come.
    """
    whole_days, whole_weekdays = len(days) == 31, len(weekdays) == 7
    if either and (whole_days or whole_weekdays):
        whole_days = whole_weekdays = True
    if whole_days and whole_weekdays and len(months) == 12:
        return None
    return " ".join(
        "*" if whole else ",".join(map(str, values))
        for whole, values in (
            (whole_days or not days, days),
            (len(months) == 12, months),
            (whole_weekdays, weekdays),
        )
    )


def _values(part: str, of: _Field) -> tuple[int, ...]:
    """The values of one field, ascending."""
    values: set[int] = set()
    for item in part.split(","):
        values.update(_item(item, part, of))
    if of is _WEEKDAY:
        values = {value % 7 for value in values}
    return tuple(sorted(values))


def _item(item: str, part: str, of: _Field) -> range:
    match = re.match(_ITEM, item)
    if match is None or (match[1] == "*" and match[2]):
        _refuse_form(item, part, of)
    if match[1] == "*":
        first, last = of.low, of.high
    else:
        first = _number(match[1], part, of)
        last = _number(match[2], part, of) if match[2] else first
    if first > last:
        raise _Fault(f"{of.name} '{part}': the range '{item}' runs backwards; write {_unwrapped(first, last, of)}")
    if match[3] is None:
        return range(first, last + 1)
    if match[1] != "*" and not match[2]:
        raise _Fault(f"{of.name} '{part}': a step needs a range; write {match[1]}-{of.high}/{match[3]}")
    step = int(match[3])
    if not 1 <= step <= of.high:
        raise _Fault(f"{of.name} '{part}': a step of {step}; 1 to {of.high} are possible")
    return range(first, last + 1, step)


def _refuse_form(item: str, part: str, of: _Field) -> NoReturn:
    if re.search(_FOREIGN, item):
        raise _Fault(f"{of.name} '{part}': R, H, L, W, ? and # are not Debian cron's")
    raise _Fault(f"{of.name} '{part}': '{item}' is no number, name, range or step")


def _number(text: str, part: str, of: _Field) -> int:
    if text.isdecimal():
        value = int(text)
        if not of.low <= value <= of.high:
            raise _Fault(f"{of.name} '{part}': {value} is not in {of.low}-{of.high}")
        return value
    if text.lower() not in of.names:
        if re.search(_FOREIGN, text):
            _refuse_form(text, part, of)
        known = f"; names are {', '.join(of.names)}" if of.names else ""
        raise _Fault(f"{of.name} '{part}': '{text}' is no {of.name}{known}")
    return of.names.index(text.lower()) + of.low


def _unwrapped(first: int, last: int, of: _Field) -> str:
    # 7 is Sunday too, so that a range over the weekend begins again on Monday.
    low = 1 if of is _WEEKDAY else of.low
    rest = f",{low}-{last}" if last > low else f",{last}" if last == low else ""
    return f"{first}-{of.high}{rest}"
