"""Parses cron expressions as Debian's cron does, but rejects those that Debian's cron accepts and then never runs.

Debian's cron 3.0pl1 accepts wrapped ranges (`21-5`), steps larger than the field (`*/61`) and dates that never occur,
and then runs them never or at unintended times. Nobody reads cron's log at three in the morning, so these are rejected
when typed.
"""

from __future__ import annotations

import functools
import re

from agentq_cli.base.dataclass import NamedTuple, dataclass, field
from agentq_cli.base.errors import Usage, nearest

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
    """A valid expression. Equal texts are equal values, since all else follows from the text.

    `times` are the times of day at which it fires, in milliseconds since midnight, ascending. `days` are the three day
    fields in the plainest form, for croniter, or None for every day. `either` says that it is enough if one of the two
    day fields matches. `wildcard` is Debian's distinction: if the minute or hour field begins with `*`, times follow
    real elapsed time through clock changes.
    """

    text: str
    times: tuple[int, ...] = field(compare=False, repr=False)
    days: str | None = field(compare=False, repr=False)
    either: bool = field(compare=False, repr=False)
    wildcard: bool = field(compare=False, repr=False)


def parse_cron(text: str, what: str = "--cron") -> Cron:
    """Parse an expression. Raises Usage that quotes the faulty field; `what` is the name of the option."""
    try:
        return _parse(text)
    except _Fault as fault:
        raise Usage(f"{what} '{text}': {fault}") from None


class _Fault(Exception):
    """What is wrong with an expression, without naming the option and the expression."""


@functools.lru_cache(maxsize=256)
def _parse(text: str) -> Cron:
    text = text.strip()  # as with five fields, cron skips leading blanks
    parts = (_expanded(text) if text.startswith("@") else text).split()
    if len(parts) != len(_FIELDS):
        raise _Fault(
            f"{len(parts)} fields instead of five: minute, hour, day of month, month, day of week; "
            "or a name such as @daily"
        )
    minutes, hours, days, months, weekdays = (_values(part, of) for part, of in zip(parts, _FIELDS, strict=True))
    # Debian's rule looks at the first character only: `*/2` counts as a star, `1-31` does not.
    either = not parts[2].startswith("*") and not parts[4].startswith("*")
    comes = any(day <= _LONGEST_MONTHS[month - 1] for month in months for day in days)
    if not comes and not either:
        raise _Fault(f"day of month '{parts[2]}' of month '{parts[3]}': this date never occurs")
    return Cron(
        text=text,
        times=tuple((hour * 60 + minute) * 60_000 for hour in hours for minute in minutes),
        days=_days(days if comes else (), months, weekdays, either=either),
        either=either and comes,
        wildcard=parts[0].startswith("*") or parts[1].startswith("*"),
    )


def _expanded(text: str) -> str:
    if text == "@reboot":
        raise _Fault("has no time; write when to run, such as @daily")
    if text not in NAMES:
        raise _Fault(f"no such name{nearest(text, NAMES) or '; known names are ' + ', '.join(NAMES)}")
    return NAMES[text]


def _days(days: tuple[int, ...], months: tuple[int, ...], weekdays: tuple[int, ...], *, either: bool) -> str | None:
    """The day fields in the form that croniter needs: full fields as `*`, all others as lists of numbers.

    croniter reads some full fields (`1-31`) as `*`, and its version 6 finds no date at all if one of two alternatives
    is impossible. So both cases are resolved here. Empty `days` means that none of them ever occurs.
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
        raise _Fault(f"{of.name} '{part}': the range '{item}' is backwards; write {_unwrapped(first, last, of)}")
    if match[3] is None:
        return range(first, last + 1)
    if match[1] != "*" and not match[2]:
        raise _Fault(f"{of.name} '{part}': a step needs a range; write {match[1]}-{of.high}/{match[3]}")
    step = int(match[3])
    if not 1 <= step <= of.high:
        raise _Fault(f"{of.name} '{part}': step {step} is not in 1-{of.high}")
    return range(first, last + 1, step)


def _refuse_form(item: str, part: str, of: _Field) -> NoReturn:
    if re.search(_FOREIGN, item):
        raise _Fault(f"{of.name} '{part}': Debian cron has no R, H, L, W, ? or #")
    raise _Fault(f"{of.name} '{part}': '{item}' is not a number, name, range or step")


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
        raise _Fault(f"{of.name} '{part}': '{text}' is not a {of.name}{known}")
    return of.names.index(text.lower()) + of.low


def _unwrapped(first: int, last: int, of: _Field) -> str:
    # 7 is also Sunday, so a range over the weekend continues on Monday.
    low = 1 if of is _WEEKDAY else of.low
    rest = f",{low}-{last}" if last > low else f",{last}" if last == low else ""
    return f"{first}-{of.high}{rest}"
