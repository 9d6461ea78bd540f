"""A queue of the test's own, with a clock that only the test moves."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import queue_driver
from queue_driver import Clock, OpenQueue

from agentq_cli.engines.door import Queue


@pytest.fixture(autouse=True)
def own_umask() -> Iterator[None]:
    """Opening a queue sets the umask of the process; a test gives the old one back."""
    before = os.umask(0o022)
    os.umask(before)
    yield
    os.umask(before)


@pytest.fixture
def state_dir(tmp_path: Path) -> Iterator[Path]:
    """A state dir that does not exist yet, in memory where there is such a place.

    What a sync is worth is shown where processes are killed; here thousands of them would only take time.
    """
    memory = Path("/dev/shm")
    with TemporaryDirectory(prefix="agentq-", dir=memory if os.access(memory, os.W_OK) else tmp_path) as place:
        yield Path(place) / "state"


@pytest.fixture
def clock() -> Clock:
    """Noon, until the test moves it."""
    return Clock()


@pytest.fixture
def open_queue(state_dir: Path) -> Iterator[OpenQueue]:
    """`open_queue(clock)` opens the test's queue, as often as it likes: each is another user of the same state."""
    with ExitStack() as opened:
        yield lambda clock, **how: opened.enter_context(queue_driver.open_queue(state_dir, clock, **how))


@pytest.fixture
def queue(open_queue: OpenQueue, clock: Clock) -> Queue:
    """The test's queue, open."""
    return open_queue(clock)
