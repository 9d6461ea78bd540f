"""A queue of the test's own, with a clock that only the test moves."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from queue_driver import ENGINES, Clock, Engine, Local, OpenQueue, engine_param

from agentq_cli.engines.door import Queue


@pytest.fixture(autouse=True)
def own_umask() -> Iterator[None]:
    """Opening a queue sets the umask of the process; a test gives the old one back."""
    before = os.umask(0o022)
    os.umask(before)
    yield
    os.umask(before)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test of a queue runs on each engine, but for those that know one."""
    if "engine" not in metafunc.fixturenames:
        return
    own = metafunc.module.__name__.partition("test_")[2].partition("_")[0]
    names = {"sqlite": ["local"], "fleet": ["fleet"]}.get(own, list(ENGINES))
    dear = metafunc.definition.get_closest_marker("dear") is not None
    metafunc.parametrize("engine", [engine_param(name, slow=dear) for name in names], indirect=True)


@pytest.fixture
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """An engine in which nothing was ever stored."""
    with ENGINES[request.param].made() as engine:
        yield engine


@pytest.fixture
def state_dir(engine: Engine) -> Path:
    """The state dir of a test that knows files; it does not exist yet."""
    assert isinstance(engine, Local)
    return engine.state_dir


@pytest.fixture
def clock() -> Clock:
    """Noon, until the test moves it."""
    return Clock()


@pytest.fixture
def open_queue(engine: Engine) -> Iterator[OpenQueue]:
    """`open_queue(clock)` opens the test's queue, as often as it likes: each is another user of the same state."""
    with ExitStack() as opened:
        yield lambda clock, **how: opened.enter_context(engine.open(clock, **how))


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Engines read fewer rows at a time than a test has, which are some dozens."""
    monkeypatch.setattr("agentq_cli.engines.shared.read.PAGE", 20)


@pytest.fixture
def queue(open_queue: OpenQueue, clock: Clock) -> Queue:
    """The test's queue, open."""
    return open_queue(clock)
