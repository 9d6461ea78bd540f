"""Which keys the configuration knows and what each may hold (CONTRACT, config).

A reader turns the value of a key, as TOML or an environment variable gives it, into the value that the program works
with: durations become milliseconds, sizes bytes, lists tuples. It is given `what`, the place that an error names.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from agentq_cli.base.errors import Usage, nearest
from agentq_cli.options.table import rows

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn, TypeAlias

    from agentq_cli.options.table import Row

Reader: TypeAlias = "Callable[[Any, str], Any]"
Schema: TypeAlias = "Mapping[str, Reader]"

READERS = ("none", "claude", "codex", "events", "gemini", "opencode")
"""What the `reader` of a profile may be: who understands the agent's output (`agents/`)."""


def refuse(what: str, value: object, why: str) -> NoReturn:
    """Raise Usage as every error of the configuration reads: place, quoted value, reason."""
    text = _written(value)
    shown = text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"
    raise Usage(f"{what} '{shown}': {why}")


LONGEST_SHOWN = 200
"""Characters of a value that an error quotes."""


def _written(value: object) -> str:
    """A value of the file as text, whatever it is."""
    if isinstance(value, bool):
        return str(value).lower()
    try:
        return str(value)
    except (ValueError, RecursionError):  # a number of thousands of digits, thousands of lists in one another
        return type(value).__name__


def read_table(schema: Schema, table: Any, what: str, place: Callable[..., str]) -> dict[str, Any]:
    """The values of a table by its schema, under names with underscores; dashes are taken for them.

    `place(*keys)` names file and line of a key of the table for the error. Raises Usage on an unknown key, a key given
    twice and a bad value.
    """
    if not isinstance(table, dict):
        refuse(f"{place()} {what}", table, "a table is wanted")
    values: dict[str, Any] = {}
    for key, value in table.items():
        name = key.replace("-", "_")
        if name not in schema:
            raise Usage(f"{place(key)} unknown key '{key}'{f' in [{what}]' if what else ''}{nearest(name, schema)}")
        if name in values:
            raise Usage(f"{place(key)} '{key}': given twice, with dashes and with underscores")
        values[name] = schema[name](value, f"{place(key)} {name}")
    return values


def text(value: Any, what: str) -> str:
    """A string that is not blank and that a process could be given."""
    if not isinstance(value, str):
        refuse(what, value, "a string is wanted")
    if not value.strip() or "\0" in value:
        refuse(what, value, "must not be empty or hold a NUL character")
    return value


def texts(value: Any, what: str) -> tuple[str, ...]:
    """A list of strings; one string stands for a list of one."""
    if not isinstance(value, (list, str)):
        refuse(what, value, "a list of strings is wanted")
    return tuple(text(item, what) for item in ([value] if isinstance(value, str) else value))


def arguments(value: Any, what: str) -> tuple[str, ...]:
    """A command line: a list of strings, the first of which names a program; an argument may be empty."""
    if not isinstance(value, list) or not all(isinstance(item, str) and "\0" not in item for item in value):
        refuse(what, value, "a list of strings is wanted, a word each")
    if value and not value[0].strip():
        refuse(what, value, "the first word must not be empty")
    return tuple(value)


def command(value: Any, what: str) -> tuple[str, ...]:
    """A command line of one word at least."""
    words = arguments(value, what)
    if not words:
        refuse(what, value, "must name a program")
    return words


def yes_no(value: Any, what: str) -> bool:
    """`true` or `false`."""
    if not isinstance(value, bool):
        refuse(what, value, "true or false is wanted")
    return value


def whole(low: int, high: int = 1_000_000_000) -> Reader:
    """A whole number from `low` to `high`; from the environment as digits."""

    def read(value: Any, what: str) -> int:
        import re

        if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,12}", value):
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            refuse(what, value, f"a whole number from {low} to {high} is wanted")
        return value

    return read


def amount(value: Any, what: str) -> float:
    """A number above zero, such as a cost in dollars."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 1e12:
        refuse(what, value, "a number above 0 is wanted")
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
    """A path, `~` expanded; it must be absolute then, since nobody knows from where the command will be called."""
    from agentq_cli.options.values import parse_path

    expanded = parse_path(text(value, what), what)
    if not os.path.isabs(expanded):
        refuse(what, value, "an absolute path, or one that begins with ~, is wanted")
    return expanded


def paths(value: Any, what: str) -> tuple[str, ...]:
    """A list of paths; one string stands for a list of one."""
    return tuple(path(item, what) for item in texts(value, what))


def zone(value: Any, what: str) -> str:
    """The name of an IANA time zone."""
    from agentq_cli.config.zones import check

    return check(text(value, what), what)


def environment(value: Any, what: str) -> dict[str, str]:
    """A table of environment variables. The values are never quoted in an error: they may be secrets."""
    from agentq_cli.options.values import check_variable

    if not isinstance(value, dict):
        refuse(what, "…", 'a table of NAME = "value" is wanted')
    for name, held in value.items():
        if not isinstance(held, str):
            refuse(what, name, "its value must be a string")
        check_variable(name, held, what)
    return dict(value)


def agent(value: Any, what: str) -> str:
    """The name of an agent; whether it exists is known only when all tables are read."""
    return text(value, what)


def _reader(row: Row) -> Reader:
    """What reads the value of an option."""
    if row.reader == "choice":
        return choice(*row.choices)
    if row.reader == "whole":
        # Without a bound above it is the file's.
        return whole(*(bound for bound in (row.low, row.high) if bound is not None))
    return OF_OPTIONS[row.reader]


OF_OPTIONS: Mapping[str, Reader] = {
    "name": agent,
    "directory": path,
    "path": path,
    "paths": paths,
    "pairs": environment,
    "texts": texts,
    "words": texts,
    "duration": duration(),
    "moment": duration(),
    "size": size,
    "money": amount,
    "zone": zone,
}
"""By the reader of an option what reads the same from the file; of a moment only a duration makes sense there."""

TOP: Schema = {
    "jobs": whole(1, 10_000),
    "default_agent": agent,
    "tz": zone,
    "retention": duration(),
    "max_queued": whole(1),
    "capture_env": texts,
}
"""The keys outside of any table; each is also an environment variable, `AGENTQ_` and the key in capitals."""

OPTIONS: Schema = {row.name: _reader(row) for row in rows("defaults")}
"""The options of submit and schedule that make sense for more than one task, by their long names."""

SESSION: Schema = {**OPTIONS, "parallel": whole(1, 10_000), "conversation_ttl": duration()}
"""What `[sessions.NAME]` may hold."""

PROFILE: Schema = {
    "argv": command,
    "prompt": choice("stdin", "argv"),
    "fresh": arguments,
    "resume": arguments,
    "max_cost": arguments,
    "resume_same_directory": yes_no,
    "reader": choice(*READERS),
    "streams": yes_no,
    "env": environment,
    "env_remove": texts,
    "interrupt_first": yes_no,
    "stall_timeout": duration(),
    "grace": duration(),
    "linger": duration(),
    "version": arguments,
    "reports_cost": yes_no,
}
"""What `[agents.NAME]` may hold; see `agents/profile.py` for what each means."""

LIMITS: Schema = {
    "stagger": duration(zero=True),
    "memory_reserve": size,
    "memory_per_agent": size,
    "settle": duration(zero=True),
    "load": load,
    "ageing": duration(),
    "output_bytes": size,
}
"""What `[limits]` may hold."""


def _read_by(*readers: str) -> frozenset[str]:
    tables = (TOP, SESSION, PROFILE, LIMITS)
    return frozenset(
        key for table in tables for key, read in table.items() if read.__qualname__.partition(".")[0] in readers
    )


DURATIONS, SIZES = _read_by("duration"), _read_by("size")
"""The keys whose values are milliseconds, and bytes."""

HOOKS: Schema = dict.fromkeys(
    ("task.finished", "task.failed", "series.paused", "agent.held", "session.drained"), command
)
"""The events that `[hooks]` may name, each with a command line."""

TABLES = ("defaults", "sessions", "agents", "limits", "hooks")
