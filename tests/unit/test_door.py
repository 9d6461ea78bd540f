"""Nobody outside an engine knows one: what is behind the door is imported through it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import agentq_cli

ROOT = Path(agentq_cli.__file__).parent
BEHIND = ("agentq_cli.store", "agentq_cli.engines.local")

KNOWING = {
    "__main__.py",  # the lean submit and the idle sweep, before anything else is loaded
    "candidates.py",  # completion, which must not load the door
    "doctor.py",  # whether a directory is fit to be a state dir, before one is opened
    "engines/door.py",  # opens the one there is
    "manual/state_page.py",  # the man page of the files
}


def imports(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)


def test_nobody_but_the_door_imports_an_engine() -> None:
    knowing = set()
    for path in ROOT.rglob("*.py"):
        name = path.relative_to(ROOT).as_posix()
        if not name.startswith(("store/", "engines/local/")) and any(
            found == each or found.startswith(f"{each}.") for found in imports(path.read_text()) for each in BEHIND
        ):
            knowing.add(name)
    assert knowing == KNOWING
