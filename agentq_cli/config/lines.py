"""The line of each key in a TOML file: `tomllib` keeps no positions, but an error should name the line."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


Key = tuple[str, ...]


def key_lines(text: str) -> dict[Key, int]:
    """The first line, counted from 1, of every table header and key in `text`, as far as `text` can be read.

    A statement is the shortest sequence of whole lines that is valid TOML by itself: a header, a key, or a key with an
    array or string on several lines.
    """
    import tomllib

    lines: dict[Key, int] = {}
    header: Key = ()
    start, pending = 0, ""
    for number, line in enumerate(text.splitlines(keepends=True), start=1):
        if not pending and not line.strip():
            continue
        start = start or number
        pending += line
        try:
            statement = tomllib.loads(pending)
        except (ValueError, RecursionError):
            continue
        is_header = pending.lstrip().startswith("[")
        if is_header:
            header = _deepest(statement)
        for key in _paths(statement):
            lines.setdefault(key if is_header else header + key, start)
        start, pending = 0, ""
    return lines


def _deepest(header: Any) -> Key:
    """The path of the table in a header such as `[a.b]` or `[[a.b]]`."""
    path: Key = ()
    while header:
        if isinstance(header, list):
            header = header[0]
            continue
        name, header = next(iter(header.items()))
        path += (name,)
    return path


def _paths(table: dict[str, Any]) -> list[Key]:
    """The paths of all keys and tables in a statement, outermost first."""
    found: list[Key] = []
    for name, value in table.items():
        found.append((name,))
        if isinstance(value, dict):
            found.extend((name, *rest) for rest in _paths(value))
    return found
