"""State dirs to be crashed in, one for a test and many at once, with a fork server."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from crash_world import ForkServer, World, fast_directory
from crasher import Crasher


@pytest.fixture(scope="session")
def server() -> Iterator[ForkServer]:
    """One for all tests that set something up."""
    server = ForkServer()
    yield server
    server.close()


@pytest.fixture
def world(tmp_path: Path, server: ForkServer) -> Iterator[World]:
    """A state dir of the test's own."""
    world = World(tmp_path / "world", server)
    yield world
    world.open_gate()
    world.close()


@pytest.fixture(scope="module")
def crasher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crasher]:
    """Where something was wrong the directory stays, to be looked at."""
    fast = fast_directory()
    if fast is None:
        directory = tmp_path_factory.mktemp("crash")
    else:
        directory = fast / f"agentq-crash-{os.getpid()}-{len(os.listdir(fast))}"
        directory.mkdir()
    crasher = Crasher(directory)
    yield crasher
    crasher.close()
