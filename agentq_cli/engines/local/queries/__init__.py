"""The SQL of this engine, in files of named statements. Loaded by processes that must start at once."""

from __future__ import annotations

import os

from agentq_cli.engines import named_statements

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_read: dict[str, dict[str, str]] = {}
_found: dict[str, str] = {}


def statements(file: str) -> Mapping[str, str]:
    """The statements of `queries/FILE.sql` by name."""
    if file not in _read:
        _read[file] = named_statements(os.path.join(os.path.dirname(__file__), f"{file}.sql"))
    return _read[file]


def statement(name: str) -> str:
    """The statement NAME of `queries/FILE.sql`, by `FILE.NAME`, with the columns and filters that braces stand for."""
    text = _found.get(name)
    if text is None:
        file, _, own = name.partition(".")
        text = statements(file)[own]
        if "{" in text:
            from agentq_cli.engines.shared import read

            text = read.filled(text.replace("{which_runs}", statements("read")["which_runs"]))
        _found[name] = text
    return text


def insert_into(table: str, columns: Iterable[str]) -> str:
    """The statement that adds a row of which these columns are given by name; the others are at their defaults."""
    names = tuple(columns)
    quoted = '", "'.join(names)
    return f'INSERT INTO {table} ("{quoted}") VALUES (:{", :".join(names)})'


def insert_rows(table: str, columns: Iterable[str]) -> str:
    """The same for many rows, each given as a tuple in this order."""
    names = tuple(columns)
    quoted = '", "'.join(names)
    return f'INSERT INTO {table} ("{quoted}") VALUES ({", ".join("?" * len(names))})'
