"""Fixtures of the tests of agents."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from loopback import loopback_only
from model_api import ModelApi
from real_cli import CLIS, Cli, Program


def pytest_itemcollected(item: pytest.Item) -> None:
    """What is on a network of its own starts agentq by exec: a fork server stays on the one that it was started on."""
    if "network" in getattr(item, "fixturenames", ()):
        item.add_marker("exec")


@pytest.fixture
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This machine's zone is UTC."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture(params=CLIS, ids=lambda cli: cli.name)
def cli(request: pytest.FixtureRequest) -> Cli:
    """Each agent CLI that is installed."""
    found: Cli = request.param
    if shutil.which(found.name) is None:
        pytest.skip(f"the agent CLI {found.name} is not on PATH")
    return found


@pytest.fixture
def network() -> Iterator[bool]:
    """Loopback alone, where that can be had; whether it could."""
    with loopback_only() as alone:
        yield alone


@pytest.fixture
def api(network: bool) -> Iterator[ModelApi]:
    """A model API of the test's own, on the network that the agent is then on."""
    with ModelApi() as server:
        yield server


@pytest.fixture
def program(cli: Cli, tmp_path: Path, api: ModelApi) -> Program:
    """The program with a home of its own."""
    return Program(cli, tmp_path, api)
