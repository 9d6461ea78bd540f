"""A state dir to be crashed in, with agentq as real processes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from crash_world import Interpreter, World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    interpreter = Interpreter()
    world = World(tmp_path / "world", interpreter)
    yield world
    world.open_gate()
    world.close()
    interpreter.close()
