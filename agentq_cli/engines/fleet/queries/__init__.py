"""The SQL of the fleet, in files of named statements, each with the names, values and columns of the local engine's.

The schema is written `agentq.` before each table, and a value `:name`. The files are kept without comments and blank
lines, and with the placeholders of the driver.
"""

from __future__ import annotations

import os

from agentq_cli.engines import named_statements
from agentq_cli.engines.shared import read

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import Any

    from agentq_cli.engines.transaction import Row

    Question = tuple[str, Mapping[str, object]]
    """A statement with the placeholders of the driver, and its values, which may be more than it has."""

SCHEMA = "agentq"
"""The schema as the files write it."""

_read: dict[str, Mapping[str, str]] = {}
_found: dict[tuple[str, str], str] = {}


def statement(name: str, schema: str) -> str:
    """The statement NAME of `queries/FILE.sql`, by `FILE.NAME`, on the tables of a schema."""
    text = _found.get((name, schema))
    if text is None:
        text = _filled(name)
        text = _found[name, schema] = _placed(in_schema(text.replace("%", "%%"), schema))
    return text


def _placed(text: str) -> str:
    """The same with the placeholders of the driver. Without `re`, which would take as long as a transaction to load."""
    first, *parts = text.split(":")
    made = [first]
    for part in parts:
        rest = part.lstrip("abcdefghijklmnopqrstuvwxyz_")
        made.append(f"%({part[: len(part) - len(rest)]})s{rest}")
    return "".join(made)


def in_schema(text: str, schema: str) -> str:
    """SQL on the tables of another schema."""
    return text.replace(f"{SCHEMA}.", f'"{schema}".')


def statements(file: str) -> Mapping[str, str]:
    """The statements of `queries/FILE.sql` by name, as they are written."""
    if file not in _read:
        _read[file] = named_statements(os.path.join(os.path.dirname(__file__), f"{file}.sql"))
    return _read[file]


def _filled(name: str) -> str:
    file, _, own = name.partition(".")
    return read.filled(statements(file)[own].replace("{which_runs}", statements("read")["which_runs"]))


def parts(text: str) -> Iterator[tuple[str, bool]]:
    """The parts of a statement: what is between its placeholders, and the names of those (True)."""
    first, *others = text.split("%(")
    yield first, False
    for other in others:
        name, _, rest = other.partition(")s")
        yield name, True
        yield rest, False


def together(questions: Sequence[Question]) -> Question:
    """The columns of a statement with the answers of several, each as JSON: of several statements in one message the
    driver keeps what the last one answers. No two columns of one have the same name."""
    columns, values = [], {}
    for number, (text, given) in enumerate(questions):
        for name, is_name in parts(text):
            if is_name:
                values[f"{name}_{number}"] = given[name]
        own = "".join(f"%({part}_{number})s" if is_name else part for part, is_name in parts(text))
        columns.append(f"(SELECT json_agg(one) FROM ({own}) AS one)")
    return ", ".join(columns), values


def apart(row: Sequence[Any]) -> list[list[Row]]:
    """The answers of `together`."""
    return [[tuple(each.values()) for each in rows or ()] for rows in row]


def _listed(columns: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in columns)


def save(columns: Iterable[str], schema: str) -> str:
    """The statement `write.save` for these columns."""
    return statement("write.save", schema).replace("{columns}", ", ".join(f'"{name}" = %({name})s' for name in columns))


def insert_into(table: str, columns: Iterable[str], schema: str) -> str:
    """The beginning of a statement that adds rows of which these columns are given, up to VALUES."""
    return f'INSERT INTO "{schema}".{table} ({_listed(columns)}) VALUES '


def row_of(columns: Iterable[str]) -> str:
    """One row of such a statement."""
    return f"({', '.join(f'%({name})s' for name in columns)})"


def copy_into(table: str, columns: Iterable[str], schema: str) -> str:
    """The statement that reads rows of which these columns are given; `connection.NULL` is none."""
    return f"""COPY "{schema}".{table} ({_listed(columns)}) FROM STDIN (NULL E'\\x01')"""
