"""What agentq asks an installer for is what it uses."""

from __future__ import annotations

import ast
import re
import tomllib
from functools import cache
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DATA = {"tzdata"}
"""Read by the standard `zoneinfo`, where the system has no zones of its own."""


@cache
def imported(folder: Path) -> set[str]:
    """The top-level modules that the files of a folder import, at whatever depth of a function."""
    found: set[str] = set()
    for file in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.partition(".")[0])
    return found


@cache
def distributions() -> dict[str, list[str]]:
    """The modules that are installed, each with what brought it."""
    return {module: list(map(str.lower, whose)) for module, whose in metadata.packages_distributions().items()}


def modules(requirement: str) -> set[str]:
    """The modules that the distribution of a requirement brings."""
    name = re.split(r"[^\w.-]", requirement)[0].lower()
    names = {each for each, whose in distributions().items() if name in whose}
    assert names, f"{name} is not installed"
    return names


def requirements() -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *extras["fleet"], *extras["mcp"]]
    return [each for each in wanted if re.split(r"[^\w.-]", each)[0] not in DATA]


@pytest.mark.parametrize("requirement", requirements())
def test_each_dependency_is_imported(requirement: str) -> None:
    assert modules(requirement) & imported(ROOT / "agentq_cli")


def test_each_import_from_outside_is_a_dependency() -> None:
    import sys

    known = set(sys.stdlib_module_names) | {"agentq_cli", "demo_agent"}
    known = known.union(*map(modules, requirements()))
    assert imported(ROOT / "agentq_cli") - known == set()
