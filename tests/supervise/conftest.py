"""A launcher, and runs that it starts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from supervised_runs import Runs

from agentq_cli.host.launch import Launcher


@pytest.fixture
def launcher() -> Iterator[Launcher]:
    launcher = Launcher()
    launcher.start()
    yield launcher
    launcher.close()


@pytest.fixture
def runs(tmp_path: Path, launcher: Launcher) -> Iterator[Runs]:
    runs = Runs(tmp_path / "state", launcher)
    yield runs
    runs.close()
