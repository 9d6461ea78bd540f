"""The SQL of the program, in files of named statements.

A statement begins after a line `-- name: NAME` and ends at the next one. Imports nothing that takes time.
"""

from __future__ import annotations

import os

_read: dict[str, dict[str, str]] = {}


def statements(file: str) -> dict[str, str]:
    """The statements of `queries/FILE.sql` by name."""
    if file not in _read:
        _read[file] = _statements(os.path.join(os.path.dirname(__file__), f"{file}.sql"))
    return _read[file]


def _statements(path: str) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    lines: list[str] = []
    with open(path, encoding="utf-8") as file:
        for line in file.read().splitlines():
            if line.startswith("-- name: "):
                lines = found[line.removeprefix("-- name: ").strip()] = []
            elif line and not line.startswith("--"):
                lines.append(line)
    return {name: "\n".join(text) for name, text in found.items()}
