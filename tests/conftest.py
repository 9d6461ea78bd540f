"""Fixtures that several tests share: a state dir of their own, and agentq as a real process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from agentq_process import Agentq
from hypothesis import HealthCheck, settings

# How fast examples come depends on what else the machine does; a test that hangs is ended by its time-out.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    """A state dir that does not exist yet."""
    return tmp_path / "state"


@pytest.fixture
def agentq(tmp_path: Path, state_dir: Path) -> Iterator[Agentq]:
    """`agentq("list", "--json")` runs it as a process, with a state dir of the test's own."""
    home = tmp_path / "home"
    home.mkdir()
    program = Agentq(home, state_dir)
    yield program
    program.stop()
