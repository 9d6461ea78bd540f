"""The SQL of the program, in files of named statements.

A statement begins after a line `-- name: NAME` and ends at the next one. Loaded by processes that must start at once.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_read: dict[str, dict[str, str]] = {}
_found: dict[str, str] = {}


def statements(file: str) -> Mapping[str, str]:
    """The statements of `queries/FILE.sql` by name."""
    if file not in _read:
        with open(os.path.join(os.path.dirname(__file__), f"{file}.sql"), encoding="utf-8") as text:
            _read[file] = _named(text.read())
    return _read[file]


def statement(name: str) -> str:
    """The statement NAME of `queries/FILE.sql`, by `FILE.NAME`."""
    text = _found.get(name)
    if text is None:
        file, _, own = name.partition(".")
        text = _found[name] = statements(file)[own]
    return text


def _named(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in f"\n{text}".split("\n-- name: ")[1:]:
        name, *lines = part.split("\n")
        found[name.strip()] = "\n".join([line for line in lines if line and line[:2] != "--"])
    return found


def insert_into(table: str, columns: Iterable[str]) -> str:
    """The statement that adds a row of which these columns are given by name; the others are at their defaults."""
    names = tuple(columns)
    quoted = '", "'.join(names)
    return f'INSERT INTO {table} ("{quoted}") VALUES (:{", :".join(names)})'
