"""The modules of the package as syntax trees, each parsed once, for tests of what they may say."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import agentq_cli

ROOT = Path(agentq_cli.__file__).parent


@cache
def modules() -> dict[str, ast.Module]:
    """By their paths below the package."""
    return {path.relative_to(ROOT).as_posix(): ast.parse(path.read_bytes()) for path in sorted(ROOT.rglob("*.py"))}
