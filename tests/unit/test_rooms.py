"""The rooms of the package and its floors: who may import whom, and that nobody outside an engine knows one."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import agentq_cli

ROOT = Path(agentq_cli.__file__).parent

FLOORS = (
    ("__main__", "manual"),
    ("cli",),
    ("commands", "top"),
    ("diagnose",),
    ("supervise",),
    ("engines",),
    ("host",),
    ("show", "options", "config", "agents"),
    ("policy",),
    ("model",),
    ("base",),
)
"""From the top down: a room imports only rooms below it. Rooms of one floor may import each other."""

ENGINE = "agentq_cli.engines.local"

KNOWING = {
    "__main__.py",  # the lean submit and the first look of a sweep, before anything else is loaded
    "cli/candidates.py",  # completion, which must not load the door
    "diagnose/doctor.py",  # whether a directory is fit to be a state dir, before one is opened
    "engines/door.py",  # opens the one there is
    "manual/state_page.py",  # the man page of the files
}
"""Who imports an engine, or names a file of one."""

MODULES = {path.relative_to(ROOT).as_posix(): ast.parse(path.read_text()) for path in ROOT.rglob("*.py")}


def imported(tree: ast.Module) -> Iterator[str]:
    """What a module imports of the package when it runs; imports that only a type checker makes are none."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            waiting += node.orelse
            continue
        waiting += ast.iter_child_nodes(node)
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names if name.name.startswith("agentq_cli."))
        elif isinstance(node, ast.ImportFrom) and node.module is not None and node.module.startswith("agentq_cli"):
            yield from (f"{node.module}.{name.name}" for name in node.names)


def room(name: str) -> str:
    """The room of a module, by its path below the package or by its dotted name."""
    return name.removeprefix("agentq_cli.").replace("/", ".").removesuffix(".py").partition(".")[0]


def floor(of: str) -> int:
    """How far down a room is."""
    return next(number for number, rooms in enumerate(FLOORS) if of in rooms)


def test_every_module_is_in_a_room() -> None:
    assert {room(name) for name in MODULES} == {each for rooms in FLOORS for each in rooms} | {"__init__"}


@pytest.mark.parametrize("name", sorted(MODULES))
def test_a_module_imports_only_from_floors_below(name: str) -> None:
    if room(name) == "__init__":
        return
    found = {each for each in imported(MODULES[name]) if each != "agentq_cli.__version__"}
    upward = {each for each in found if room(each) != room(name) and floor(room(each)) < floor(room(name))}
    assert upward == set()


def test_only_top_imports_textual() -> None:
    """It takes half a second to load: nothing else waits for it, and a pipe never does."""
    users = {
        name
        for name, tree in MODULES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for module in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [each.name for each in node.names])
        if module.partition(".")[0] == "textual"
    }
    assert users
    assert {room(name) for name in users} == {"top"}
    importers = {
        name for name, tree in MODULES.items() if room(name) != "top" for each in imported(tree) if room(each) == "top"
    }
    assert importers == {"commands/top.py"}


def test_nobody_but_the_door_imports_an_engine() -> None:
    knowing = {
        name
        for name, tree in MODULES.items()
        if not name.startswith("engines/local/") and any(each.startswith(ENGINE) for each in imported(tree))
    }
    assert knowing == KNOWING
