"""The SQL of the program, in files of named statements.

A statement begins after a line `-- name: NAME` and ends at the next one.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path


@functools.cache
def statements(file: str) -> Mapping[str, str]:
    """The statements of `queries/FILE.sql` by name."""
    found: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in (Path(__file__).parent / f"{file}.sql").read_text(encoding="utf-8").splitlines():
        if line.startswith("-- name: "):
            lines = found[line.removeprefix("-- name: ").strip()] = []
        elif line and not line.startswith("--"):
            lines.append(line)
    return {name: "\n".join(text) for name, text in found.items()}
