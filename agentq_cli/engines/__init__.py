"""The engines of the queue, each behind the door (`door.py`); and how they keep their SQL."""

from __future__ import annotations


def named_statements(path: str) -> dict[str, str]:
    """The statements of a file by name: one begins after a line `-- name: NAME` and ends at the next such line."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    found: dict[str, str] = {}
    for part in f"\n{text}".split("\n-- name: ")[1:]:
        name, *lines = part.split("\n")
        found[name.strip()] = "\n".join([line for line in lines if line and line[:2] != "--"])
    return found
