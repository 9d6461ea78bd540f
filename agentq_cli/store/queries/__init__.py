"""The SQL of the program, in files of named statements.

A statement begins after a line `-- name: NAME` and ends at the next one.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping


@functools.cache
def statements(file: str) -> Mapping[str, str]:
    """The statements of `queries/FILE.sql` by name."""
    found: dict[str, list[str]] = {}
    lines: list[str] = []
    with open(os.path.join(os.path.dirname(__file__), f"{file}.sql"), encoding="utf-8") as opened:
        text = opened.read()
    for line in text.splitlines():
        if line.startswith("-- name: "):
            lines = found[line.removeprefix("-- name: ").strip()] = []
        elif line and not line.startswith("--"):
            lines.append(line)
    return {name: "\n".join(lines) for name, lines in found.items()}
