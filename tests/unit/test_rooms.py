"""The rooms of the package and its floors: who may import whom, and that nobody outside an engine knows one."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

from package_trees import ROOT, modules

from agentq_cli.engines import named_statements

QUEUE_TESTS = Path(__file__).parent.parent / "queue"

FLOORS = (
    ("__main__", "manual"),
    ("mcp",),
    ("cli",),
    ("commands", "top"),
    ("diagnose",),
    ("supervise",),
    ("trees",),
    ("engines", "host", "git"),
    ("show", "options", "config", "agents"),
    ("policy",),
    ("model",),
    ("base",),
)
"""From the top down: a room imports only rooms below it. Rooms of one floor may import each other."""

ENGINES = ("local", "fleet")
ENGINE = tuple(f"agentq_cli.engines.{name}" for name in ENGINES)
INSIDE = tuple(f"engines/{name}/" for name in ENGINES)

KNOWING = {
    "engines/door.py",  # opens one of them
    "manual/state_page.py",  # the man page of the files
}
"""Who imports an engine, or names a file of one."""


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
    assert {room(name) for name in modules()} == {each for rooms in FLOORS for each in rooms} | {"__init__"}


def test_a_module_imports_only_from_floors_below() -> None:
    upward = {
        (name, each)
        for name, tree in modules().items()
        for each in imported(tree)
        if room(name) != "__init__" and each != "agentq_cli.__version__"
        if room(each) != room(name) and floor(room(each)) < floor(room(name))
    }
    assert upward == set()


def test_neither_a_run_nor_git_knows_a_queue() -> None:
    knowing = {name for name, tree in modules().items() if any(room(each) == "engines" for each in imported(tree))}
    assert not {name for name in knowing if room(name) in ("host", "git")}


def test_only_top_imports_textual() -> None:
    """It takes half a second to load: nothing else waits for it, and a pipe never does."""
    users = {
        name
        for name, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for module in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [each.name for each in node.names])
        if module.partition(".")[0] == "textual"
    }
    assert users
    assert {room(name) for name in users} == {"top"}
    importers = {
        name
        for name, tree in modules().items()
        if room(name) != "top"
        for each in imported(tree)
        if room(each) == "top"
    }
    assert importers == {"commands/top.py"}


def test_nobody_but_the_door_imports_an_engine() -> None:
    knowing = {
        name
        for name, tree in modules().items()
        if not name.startswith(INSIDE) and any(each.startswith(ENGINE) for each in imported(tree))
    }
    assert knowing == KNOWING


def steps() -> dict[str, ast.Module]:
    return {name: tree for name, tree in modules().items() if name.startswith("engines/steps/")}


def shared() -> dict[str, ast.Module]:
    return {name: tree for name, tree in modules().items() if name.startswith("engines/shared/")}


SQL = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE|PRAGMA|ATTACH|SAVEPOINT|BEGIN|COMMIT|ROLLBACK|CREATE TABLE)\b")


def names(tree: ast.Module) -> set[str]:
    """The modules that it imports anywhere, also for a type checker alone."""
    found = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    return found | {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}


def test_a_step_knows_neither_an_engine_nor_a_database_nor_the_machine() -> None:
    own = ("agentq_cli.engines.steps", "agentq_cli.engines.nouns")
    for name, tree in steps().items():
        assert not {each for each in imported(tree) if room(each) == "engines" and not each.startswith(own)}, name
        assert not {each for each in names(tree) if each.startswith((*ENGINE, "agentq_cli.host"))}, name
        assert not names(tree) & {"sqlite3", "_sqlite3", "os", "pathlib"}, name


def test_a_verb_that_engines_share_knows_none_of_them() -> None:
    assert shared()
    for name, tree in shared().items():
        assert not {each for each in names(tree) if each.startswith(ENGINE)}, name


def test_the_steps_import_one_another_in_one_direction() -> None:
    own = {
        name: {
            path
            for each in imported(tree)
            for path in steps()
            if each.startswith(f"agentq_cli.{path.removesuffix('.py').replace('/', '.')}")
        }
        for name, tree in steps().items()
    }
    tuple(TopologicalSorter(own).static_order())  # raises for a circle


@functools.cache
def texts(tree: ast.Module) -> frozenset[str]:
    """The texts of a module that are no docstrings."""
    nodes = list(ast.walk(tree))
    docs = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    found = (node for node in nodes if isinstance(node, ast.Constant) and id(node) not in docs)
    return frozenset(node.value for node in found if isinstance(node.value, str))


def test_only_an_engine_has_sql_and_opens_a_database() -> None:
    telling = {name for name, tree in modules().items() if any(SQL.match(text) for text in texts(tree))}
    knowing = {name for name, tree in modules().items() if {"sqlite3", "_sqlite3"} & names(tree)}
    # Doctor tells SQLite's version.
    assert not {name for name in telling if not name.startswith(INSIDE)}
    others = {"engines/sqlite_driver.py", "diagnose/doctor.py"}
    assert {name for name in knowing if not name.startswith(INSIDE)} == others


def statements(engine: str) -> set[str]:
    """The statements of an engine, by FILE.NAME."""
    files = (ROOT / f"engines/{engine}/queries").glob("*.sql")
    return {f"{file.stem}.{name}" for file in files for name in named_statements(str(file))}


def asked(tree: ast.Module, among: set[str]) -> set[str]:
    """Those of these statements that a module asks, tells or reads by name."""
    return texts(tree) & among


def test_a_statement_that_a_step_or_a_shared_verb_names_is_in_every_engine() -> None:
    files = {name.partition(".")[0] for engine in ENGINES for name in statements(engine)}
    named = {
        text
        for tree in (steps() | shared()).values()
        for text in texts(tree)
        if re.fullmatch(rf"({'|'.join(files)})\.[a-z_]+", text)
    }
    assert len(named) > 100
    assert {engine: named - statements(engine) for engine in ENGINES} == {engine: set() for engine in ENGINES}


def test_a_statement_of_one_engine_is_that_engine_s_own() -> None:
    """What only one has is asked by that one alone, so that none can be missing in the other."""
    local, fleet = map(statements, ENGINES)
    for engine, only in {"local": local - fleet, "fleet": fleet - local}.items():
        own = {name: tree for name, tree in modules().items() if name.startswith(f"engines/{engine}/")}
        words = {word for tree in own.values() for word in texts(tree)}
        begun = tuple(word for word in words if re.fullmatch(r"[a-z_]+\.[a-z_]*_", word))  # its end is filled in
        unasked = {name for name in only if not words & {name, name.partition(".")[2]} and not name.startswith(begun)}
        assert not unasked, f"nobody in {engine} asks"
        others = [tree for name, tree in modules().items() if name not in own]
        assert not {name for tree in others for name in asked(tree, only)}


def test_what_every_engine_must_do_is_tested_without_files_or_sqlite() -> None:
    files = {path.name: path.read_text() for path in QUEUE_TESTS.glob("test_*.py")}
    neutral = {name: text for name, text in files.items() if not name.startswith("test_sqlite_")}
    assert len(neutral) > 10
    words = ("sqlite", "state_dir", "queue.state", "engines.local")
    assert not [(name, word) for name, text in neutral.items() for word in words if word in text]
