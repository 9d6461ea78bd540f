"""What reads the value of a key of the configuration.

A reader converts the value of a key, as TOML or an environment variable gives it, for the program: durations become
milliseconds, sizes bytes, lists tuples. Its argument `what` is the place that an error names.
"""

from __future__ import annotations

import os

from agentq_cli.base.errors import Usage, nearest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, NoReturn, TypeAlias

Reader: TypeAlias = "Callable[[Any, str], Any]"
Schema: TypeAlias = "Mapping[str, Reader]"


def refuse(what: str, value: object, why: str) -> NoReturn:
    """Raise Usage in the form of every error of the configuration: place, quoted value, reason."""
    raise refused(what, value, why)


def refused(what: str, value: object, why: str) -> Usage:
    """The error that `refuse` raises."""
    text = _written(value)
    shown = text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"
    return Usage(f"{what} '{shown}': {why}")


LONGEST_SHOWN = 200
"""The most characters of a value that an error quotes."""


def _written(value: object) -> str:
    """Any value of the file as text."""
    if isinstance(value, bool):
        return str(value).lower()
    try:
        return str(value)
    except (ValueError, RecursionError):  # a number with thousands of digits, or thousands of nested lists
        return type(value).__name__


def raised(error: Usage) -> None:
    """Raise it: what is done with an error unless all of them are gathered."""
    raise error from None


def read_table(
    schema: Schema, table: Any, what: str, place: Callable[..., str], report: Callable[[Usage], None] = raised
) -> dict[str, Any]:
    """The values of a table by its schema. Dashes in names are read as underscores.

    `place(*keys)` names the file and line of a key in the table for errors. An unknown key, a duplicate key and an
    invalid value are reported, and left out if `report` returns.
    """
    values: dict[str, Any] = {}
    if not isinstance(table, dict):
        report(refused(f"{place()} {what}", table, "must be a table"))
        return values
    for key, value in table.items():
        name = key.replace("-", "_")
        if name not in schema:
            of = f" in [{what}]" if what else ""
            report(Usage(f"{place(key)} unknown key '{key}'{of}{nearest(name, schema)}"))
        elif name in values:
            report(Usage(f"{place(key)} '{key}': given twice, with dashes and with underscores"))
        else:
            try:
                values[name] = schema[name](value, name)
            except Usage as error:  # only now are the lines searched for
                report(Usage(f"{place(key)} {error.message}"))
    return values


def text(value: Any, what: str) -> str:
    """A string that is not blank and can be passed to a process."""
    if not isinstance(value, str):
        refuse(what, value, "must be a string")
    if not value.strip() or "\0" in value:
        refuse(what, value, "must not be blank or contain a NUL character")
    return value


def texts(value: Any, what: str) -> tuple[str, ...]:
    """A list of strings; a single string means a list with one."""
    if not isinstance(value, (list, str)):
        refuse(what, value, "must be a list of strings")
    return tuple(text(item, what) for item in ([value] if isinstance(value, str) else value))


def names(value: Any, what: str) -> tuple[str, ...]:
    """A list of names of files or directories, wherever they lie; a directory may be written with a slash behind it."""
    found = tuple(each.rstrip("/") for each in texts(value, what))
    for name in found:
        if not name or "/" in name:
            refuse(what, name, "must be the name of a file or directory, without the path to it")
    return found


def arguments(value: Any, what: str) -> tuple[str, ...]:
    """A command line: a list of strings. The first is a program; the others may be empty."""
    if not isinstance(value, list) or not all(isinstance(item, str) and "\0" not in item for item in value):
        refuse(what, value, "must be a list of strings, one for each word")
    if value and not value[0].strip():
        refuse(what, value, "the first word must not be empty")
    return tuple(value)


def command(value: Any, what: str) -> tuple[str, ...]:
    """A command line of at least one word."""
    words = arguments(value, what)
    if not words:
        refuse(what, value, "must name a program")
    return words


def yes_no(value: Any, what: str) -> bool:
    """`true` or `false`."""
    if not isinstance(value, bool):
        refuse(what, value, "must be true or false")
    return value


LONGEST = 12
"""The most characters of a whole number in the environment."""


def whole(low: int, high: int = 1_000_000_000) -> Reader:
    """A whole number from `low` to `high`; the environment gives it as digits."""

    def read(value: Any, what: str) -> int:
        if isinstance(value, str) and value.isascii() and value.removeprefix("-").isdigit() and len(value) <= LONGEST:
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            refuse(what, value, f"must be a whole number from {low} to {high}")
        return value

    return read


def amount(value: Any, what: str) -> float:
    """A number above zero, such as a cost in dollars."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 1e12:
        refuse(what, value, "must be a number above 0")
    return float(value)


def load(value: Any, what: str) -> float | None:
    """The load average above which nothing starts, or `"off"`."""
    return None if value == "off" else amount(value, what)


def choice(*allowed: str) -> Reader:
    """One of the words."""

    def read(value: Any, what: str) -> str:
        if value not in allowed:
            hint = nearest(value, allowed) if isinstance(value, str) else ""
            refuse(what, value, f"not one of {', '.join(allowed)}{hint}")
        return str(value)

    return read


def duration(*, zero: bool = False) -> Reader:
    """Milliseconds of `90s`, `2h`, `1d`."""

    def read(value: Any, what: str) -> int:
        from agentq_cli.options.values import parse_duration

        return parse_duration(_written(value), what, zero=zero)

    return read


def size(value: Any, what: str) -> int:
    """Bytes of `512MiB`."""
    from agentq_cli.options.values import parse_size

    return parse_size(_written(value), what)


def path(value: Any, what: str) -> str:
    """A path with `~` expanded. It must be absolute, since the command may be called from any directory."""
    from agentq_cli.options.values import parse_path

    expanded = parse_path(text(value, what), what)
    if not os.path.isabs(expanded):
        refuse(what, value, "must be an absolute path, or begin with ~")
    return expanded


def paths(value: Any, what: str) -> tuple[str, ...]:
    """A list of paths; a single string means a list with one."""
    return tuple(path(item, what) for item in texts(value, what))


def zone(value: Any, what: str) -> str:
    """The name of an IANA time zone."""
    from agentq_cli.config.zones import check

    return check(text(value, what), what)


def environment(value: Any, what: str) -> dict[str, str]:
    """A table of environment variables. Errors never quote the values, because they may be secrets."""
    from agentq_cli.options.values import check_variable

    if not isinstance(value, dict):
        refuse(what, "…", 'must be a table of NAME = "value"')
    for name, held in value.items():
        if not isinstance(held, str):
            refuse(what, name, "its value must be a string")
        check_variable(name, held, what)
    return dict(value)


def agent(value: Any, what: str) -> str:
    """The name of an agent; whether it exists is only known after all tables are read."""
    return text(value, what)


def url(value: Any, what: str) -> str:
    """The URL of a database. Errors never quote its password."""
    from agentq_cli.base import database_url

    found = text(value, what)
    if not database_url.is_url(found):
        refuse(what, database_url.shown(found), "must be a URL of PostgreSQL, as in postgresql://user@host/database")
    if database_url.doubtful(found):
        refuse(what, database_url.shown(found), database_url.UNREADABLE)
    return found


def schema_name(value: Any, what: str) -> str:
    """The name of a schema in the database, which needs no quotes there."""
    found = text(value, what)
    if not (len(found) < 64 and found.isascii() and found.isidentifier() and found.islower()):
        refuse(what, found, "must be small letters, digits and underscores, beginning with a letter")
    return found


def lease(value: Any, what: str) -> int:
    """Milliseconds from 5s to 1h."""
    from agentq_cli.options.values import parse_duration
    from agentq_cli.policy.leases import LONGEST_MS

    found = parse_duration(_written(value), what)
    if not SHORTEST_LEASE_MS <= found <= LONGEST_MS:
        refuse(what, value, "must be from 5s to 1h")
    return found


SHORTEST_LEASE_MS = 5_000


def host_names(value: Any, what: str) -> tuple[str, ...]:
    """A list of names as `--on` takes them."""
    found = texts(value, what)
    for name in found:
        host_name(name, what)
    return found


def host_name(value: Any, what: str) -> str:
    """The name or a label of a host."""
    from agentq_cli.base.names import is_name

    found = text(value, what)
    if not is_name(found):
        refuse(what, found, "must be 1 to 64 letters, digits, dots, dashes and underscores")
    return found
