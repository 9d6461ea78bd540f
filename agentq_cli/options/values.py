"""Reads and writes the small values that people type: durations, sizes, times, addresses, environment pairs.

Every reader takes `what`, the option or noun that an error names, and raises `Usage`, which quotes the invalid text.
"""

from __future__ import annotations

import os

from agentq_cli.base.environment import RESERVED
from agentq_cli.base.errors import NotAnAddress, Usage, nearest
from agentq_cli.base.names import is_name
from agentq_cli.model.addresses import DEFAULT_SESSION, Address

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import tzinfo

    from agentq_cli.options.table import Row

MILLISECONDS = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}
LONGEST = 36_525 * MILLISECONDS["d"]
"""The longest duration accepted, a hundred years in milliseconds: more is a typing error. It is far below what a column
can hold."""

LARGEST = 1 << 60
"""One EiB, the largest size accepted."""

LATEST = 253_402_300_800
"""The year 10000 in seconds since the epoch: times from then on cannot be written as RFC 3339."""

_SIZE = r"(?i)([0-9]{1,18})(?:\.([0-9]{1,18}))?(?:([KMGTP])(I?B)?|B)\Z"
_TIME = (
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})"
    r"(?:[Tt ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,9}))?)?([Zz]|[+-][0-9]{2}:[0-9]{2})?)?\Z"
)

DIGITS = "0123456789"
MOST_IN_RANGE = 10_000
LONGEST_NUMBER = 15
"""The most digits of a number in an address or a duration."""


def parse_duration(text: str, what: str = "duration", *, zero: bool = False) -> int:
    """Milliseconds of `90s`, `15m`, `2h`, `1d`, `1h30m` `500ms`, `2 hours` or `90 min`; `zero` also takes `0s`.

    A number without a unit is rejected, because its unit would be ambiguous.
    """
    total = _milliseconds(text)
    if total is None and text[-1:].isalpha():
        from agentq_cli.policy import wall_clock

        total = _milliseconds(wall_clock.abbreviated(text))
    if total is None:
        if text.isdecimal():
            raise Usage(f"{what} '{text}': a duration needs a unit, such as 90s, 15m, 2h or 1d")
        raise Usage(f"{what} '{text}': not a duration; write it like 90s, 15m, 2h, 1d, 1h30m or 500ms")
    if total == 0 and not zero:
        raise Usage(f"{what} '{text}': a duration must be more than zero")
    if total > LONGEST:
        raise Usage(f"{what} '{text}': longer than 100 years")
    return total


def _milliseconds(text: str) -> int | None:
    """The sum of numbers with units, each unit once and the longest first; None for anything else.

    It is read without `re`, which takes longer to load than a task to store.
    """
    total, rest, units = 0, text, iter(MILLISECONDS)
    while rest:
        after = rest.lstrip(DIGITS)
        number, rest = rest[: len(rest) - len(after)], after.lstrip("dhms")
        unit = after[: len(after) - len(rest)]
        if not 1 <= len(number) <= LONGEST_NUMBER or unit not in units:  # which leaves the units that may follow
            return None
        total += int(number) * MILLISECONDS[unit]
    return total if text else None


def parse_size(text: str, what: str = "size") -> int:
    """Bytes of `512MiB`, `2G` or `1.5GiB`. `K M G T P` and `KiB …` count in 1024, `KB MB …` in 1000, as in dd(1)."""
    import re

    match = re.match(_SIZE, text)
    if match is None:
        raise Usage(f"{what} '{text}': not a size; write it like 512MiB, 2G or 1.5GiB")
    whole, fraction, unit, suffix = match.groups()
    base: int = 1000 if suffix and suffix.upper() == "B" else 1024
    scale: int = base ** ("KMGTP".index(unit.upper()) + 1) if unit else 1
    fraction = fraction or ""
    size: int = int(whole + fraction) * scale // 10 ** len(fraction)
    if size == 0:
        raise Usage(f"{what} '{text}': a size must be more than zero")
    if size > LARGEST:
        raise Usage(f"{what} '{text}': larger than 1024 PiB")
    return size


def parse_whole(number: int, option: Row, what: str) -> int:
    """The number itself. Raises Usage if it is outside the bounds of its option."""
    if not option.bounds(number):
        raise Usage(
            f"{what} '{number}': must be a whole number from {option.low}"
            + (f" to {option.high}" if option.high is not None else "")
        )
    return number


def parse_choice(text: str, option: Row, what: str) -> str:
    """The word itself. Raises Usage if its option does not accept it."""
    *most, last = option.choices
    if text not in option.choices:
        words = f"{', '.join(most)} or {last}" if most else last
        raise Usage(f"{what} '{text}': must be {words}{nearest(text, option.choices)}")
    return text


def parse_time(text: str, *, zone: str | Callable[[], str], now_ms: int, what: str = "time") -> int:
    """Milliseconds since the epoch of an RFC 3339 time, of a naive one on the wall clock of `zone`, or of the next one
    that a person means (`policy.wall_clock`).

    A naive time inside a gap moves forward by the gap; a time that occurs twice means the first. `zone` may be a
    function, so that the zone is only resolved if it is needed.
    """
    import re
    from datetime import UTC, datetime, timedelta, timezone

    match = re.match(_TIME, text)
    if match is None:
        found = _said(text, zone, now_ms, forward=True)
        if found is not None:
            return found
        example = datetime.fromtimestamp(now_ms // 1000, UTC)
        raise Usage(
            f"{what} '{text}': not a time; write {example:%Y-%m-%dT%H:%M:%SZ}, or without a zone "
            f"{example:%Y-%m-%dT%H:%M} or {example:%Y-%m-%d}; or 22:00, 'tomorrow 09:00' or 'Mon 09:00'"
        )
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
    offset = match[8]
    try:
        info: tzinfo
        if offset is None:
            info = _zone(zone if isinstance(zone, str) else zone())
        elif offset in "Zz":
            info = UTC
        else:
            sign = -1 if offset[0] == "-" else 1
            if int(offset[4:]) > 59:
                raise ValueError("the minutes of the offset must be in 0..59")
            info = timezone(sign * timedelta(hours=int(offset[1:3]), minutes=int(offset[4:])))
        # fold=0 means the first of two equal wall times. Inside a gap it means the offset before the gap, which moves
        # the time forward by the gap.
        seconds = int(datetime(year, month, day, hour, minute, second, tzinfo=info).timestamp())
    except (ValueError, OverflowError) as error:
        raise Usage(f"{what} '{text}': not a time: {error}") from None
    if seconds < 0:
        raise Usage(f"{what} '{text}': before 1970")
    if seconds >= LATEST:
        raise Usage(f"{what} '{text}': after the year 9999")
    return seconds * 1000 + int((match[7] or "0").ljust(3, "0")[:3])


def is_said(text: str) -> bool:
    """Whether a time that could be read is one as people say it, such as `22:00`: its date depends on now. A duration
    is none."""
    return not text[:4].isdigit() and (":" in text or not text[:1].isdigit())


def _said(text: str, zone: str | Callable[[], str], now_ms: int, *, forward: bool) -> int | None:
    """The milliseconds of a time as people say it; None for any other text."""
    if not is_said(text) or not any(letter.isalnum() for letter in text):
        return None
    from agentq_cli.policy import wall_clock

    return wall_clock.moment(text, _zone(zone if isinstance(zone, str) else zone()), now_ms, forward=forward)


def _zone(name: str) -> tzinfo:
    from zoneinfo import ZoneInfo

    return ZoneInfo(name)


def parse_time_or_duration(text: str, *, zone: str | Callable[[], str], now_ms: int, what: str = "time") -> int:
    """Milliseconds since the epoch of a time, or of a duration counted from now."""
    return _either(text, zone, now_ms, what, forward=True)


def parse_since(text: str, *, zone: str | Callable[[], str], now_ms: int, what: str = "--since") -> int:
    """Milliseconds since the epoch of a time, or of a duration counted back from now."""
    return _either(text, zone, now_ms, what, forward=False)


def _either(text: str, zone: str | Callable[[], str], now_ms: int, what: str, *, forward: bool) -> int:
    import re

    if re.match(_TIME, text):
        return parse_time(text, zone=zone, now_ms=now_ms, what=what)
    if _milliseconds(text) is None:
        found = _said(text, zone, now_ms, forward=forward)
        if found is not None:
            return found
    try:
        length = parse_duration(text, what)
    except Usage:
        if re.match(r"[0-9]{4}-", text):
            return parse_time(text, zone=zone, now_ms=now_ms, what=what)
        raise
    return now_ms + length if forward else max(0, now_ms - length)


def parse_session(text: str, what: str = "--session") -> str:
    """The name itself. Raises Usage if a session cannot have it."""
    return _name(text, what, "a session name")


def parse_conversation(text: str, what: str = "--conversation") -> str:
    """The key itself. Raises Usage if a conversation of a session cannot have it."""
    return _name(text, what, "a key of a conversation")


def _name(text: str, what: str, kind: str) -> str:
    if not is_name(text):
        raise Usage(
            f"{what} '{text}': not {kind}: 1 to 64 letters, digits, dots, dashes and underscores, "
            "beginning with a letter or digit"
        )
    return text


def parse_address(text: str, what: str = "ID") -> Address:
    """`SESSION/N`, or a bare `N` of the session `default`."""
    address, attempt = parse_run(text, what)
    if attempt is not None:
        raise Usage(f"{what} '{text}': a run of task {address}; name the task")
    return address


def parse_run(text: str, what: str = "ID") -> tuple[Address, int | None]:
    """`SESSION/N`, `N`, `SESSION/N.K` or `N.K`; the second value is K, or None if there is none."""
    session, slash, rest = text.rpartition("/")
    seq, dot, attempt = rest.partition(".")
    if not _is_number(seq) or (dot and not _is_number(attempt)) or (slash and not is_name(session)):
        message = f"{what} '{text}': not an address; write SESSION/N, or N for {DEFAULT_SESSION}/N"
        raise NotAnAddress(message, what, text)
    return Address(session if slash else DEFAULT_SESSION, int(seq)), int(attempt) if dot else None


def expanded(word: str, what: str = "ID") -> list[str]:
    """The addresses that a word stands for: `3-5` and `docs/3-5` are three, `3,7` and `docs/3,7` two; other words stand
    for themselves. After a comma, a number without a session is of the session before it. Raises Usage."""
    if word.isdigit():
        return [word]
    found: list[str] = []
    before = ""
    for part in word.split(","):
        session, slash, rest = part.rpartition("/")
        before = f"{session}/" if slash else before
        first, dash, last = rest.partition("-")
        if not (dash and first.isdecimal() and last.isdecimal()):
            found.append(f"{before}{rest}")
            continue
        low, high = (parse_address(f"{before}{number}", f"{what} '{word}':").seq for number in (first, last))
        if not 0 <= high - low < MOST_IN_RANGE:
            raise Usage(f"{what} '{word}': a range goes upwards, and has at most {MOST_IN_RANGE} tasks")
        found += [f"{before}{seq}" for seq in range(low, high + 1)]
    return found


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and text[0] != "0" and len(text) <= LONGEST_NUMBER


def parse_environment(pair: str, what: str = "--env") -> tuple[str, str | None]:
    """Name and value of `NAME=VALUE`; the value of a `NAME` alone is None. An error quotes only the name, because the
    value may be a secret."""
    name, equals, value = pair.partition("=")
    check_variable(name, value, what)
    return name, value if equals else None


def check_variable(name: str, value: str, what: str = "--env") -> None:
    """Reject a variable that no process can be given, or that agentq sets itself. Raises Usage, which quotes only the
    name."""
    if not name or "=" in name or any(character.isspace() or not character.isprintable() for character in name):
        raise Usage(f"{what} '{name}': not a name of an environment variable")
    if name in RESERVED:
        raise Usage(f"{what} '{name}': agentq sets it for each run")
    if "\0" in value:
        raise Usage(f"{what} '{name}': the value contains a NUL character")


def parse_path(text: str, what: str) -> str:
    """A path with `~` expanded as a shell does: that of an unknown user stays unchanged. Raises Usage on a NUL."""
    if "\0" in text:
        raise Usage(f"{what} '{text}': a path must not contain a NUL character")
    try:
        return os.path.expanduser(text)
    except ValueError:  # a user's name that is not UTF-8
        return text


def parse_env_file(path: str, what: str = "--env-file") -> dict[str, str]:
    """The pairs of a file with a `NAME=VALUE` on each line, `#` comments, an optional `export`, and optional quotes.

    As in systemd's EnvironmentFile, quotes around the whole value are removed, and `\\` escapes in double quotes.
    """
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            text = file.read()
    except OSError as error:
        raise Usage(f"{what} '{path}': {error.strerror}") from None
    except ValueError:
        raise Usage(f"{what} '{path}': not the name of a file") from None
    pairs: dict[str, str] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        line = line.strip().removeprefix("export ").lstrip()
        if not line or line.startswith("#"):
            continue
        name, equals, value = line.partition("=")
        if not equals:
            raise Usage(f"{what} '{path}' line {number}: not NAME=VALUE")
        name, value = name.rstrip(), _unquoted(value.strip())
        check_variable(name, value, f"{what} '{path}' line {number}")
        pairs[name] = value
    return pairs


def _unquoted(value: str) -> str:
    if len(value) >= 2 and value[0] == value[-1] == "'":
        return value[1:-1]
    if len(value) >= 2 and value[0] == value[-1] == '"':
        import re

        return re.sub(r"\\(.)", lambda match: {"n": "\n", "t": "\t"}.get(match[1], match[1]), value[1:-1])
    return value


def write_duration(milliseconds: int) -> str:
    """The exact duration, as `parse_duration` reads it."""
    parts = []
    for unit, scale in MILLISECONDS.items():
        count, milliseconds = divmod(milliseconds, scale)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def format_duration(milliseconds: int) -> str:
    """`450ms`, `3.4s`, `42s`, `3m12s`, `2h5m`, `3d4h`: a duration for people, in its two largest units."""
    if milliseconds < 1000:
        return f"{milliseconds}ms"
    if milliseconds < 10_000:
        return f"{milliseconds // 100 / 10:g}s"
    rest = milliseconds // 1000
    parts: list[str] = []
    for unit in ("d", "h", "m", "s"):
        count, rest = divmod(rest, MILLISECONDS[unit] // 1000)
        if count or parts:
            parts.append(f"{count}{unit}" if count else "")
        if len(parts) == 2:
            break
    return "".join(parts)


def format_age(milliseconds: int) -> str:
    """The same in whole seconds, for a screen that is updated once a second."""
    return format_duration(milliseconds // 1000 * 1000) if milliseconds >= 1000 else "0s"


def format_cost(usd: float) -> str:
    """`1.25 USD`; four significant digits for less than a cent."""
    return f"{usd:.2f} USD" if usd >= 0.01 or not usd else f"{usd:.4g} USD"


def format_size(size: int) -> str:
    """`512B`, `1.5KiB`, `64MiB`: a size with at most one decimal, which `parse_size` can read."""
    if size < 1024:
        return f"{size}B"
    power = min((size.bit_length() - 1) // 10, 5)
    return f"{size / 1024**power:.1f}".removesuffix(".0") + f"{'KMGTP'[power - 1]}iB"
