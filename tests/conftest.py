"""Fixtures that several tests share: a state dir of their own, and agentq as a real process."""

from __future__ import annotations

import gc
import itertools
import os
import shutil
import signal
import sqlite3
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from agentq_process import Agentq
from hypothesis import HealthCheck, settings
from sampling import WIDE

# Started in the background of a script, or by nohup: what ignores a signal hands that on to every process of a test.
for _number, _usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _usual)

# How long an example takes says how busy the machine is, and nothing about what is tested.
settings.register_profile("agentq", max_examples=40 * WIDE, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("agentq")

# In memory an fsync takes no time. There must be room, and programs must be allowed to lie there.
MEMORY = Path("/dev/shm")
if (
    os.access(MEMORY, os.W_OK)
    and not os.statvfs(MEMORY).f_flag & os.ST_NOEXEC
    and shutil.disk_usage(MEMORY).free > 2 << 30
):
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))

HERE = Path(__file__).parent


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Two for each core: for a third of its time a test waits, for a limit, a lock or a process that is to end."""
    return 2 * len(os.sched_getaffinity(0))


def pytest_sessionstart(session: pytest.Session) -> None:
    """Of several workers each begins to collect elsewhere, so that it finds compiled what the others have met.

    All of them collect everything, and to compile the tests takes twice as long as the rest of that. Images often set
    PYTHONDONTWRITEBYTECODE to stay small, which a test run is not about.
    """
    worker = getattr(session.config, "workerinput", None)
    if worker is not None:
        gc.disable()
    if worker is not None and session.config.args == session.config.getini("testpaths"):
        sys.dont_write_bytecode = False
        files = sorted(map(str, HERE.rglob("test_*.py")))
        first = len(files) * int(worker["workerid"].removeprefix("gw")) // worker["workercount"]
        session.config.args[:] = files[first:] + files[:first]


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One order for all workers again."""
    items.sort(key=lambda item: item.path)


def pytest_collection_finish() -> None:
    """A worker collects garbage from now on, and what was made up to here is none."""
    gc.freeze()
    gc.enable()


@pytest.fixture(autouse=True)
def every_connection_is_closed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fails a test that leaves a database open, by itself or by what it tests.

    Python warns of that from 3.13 on, and whichever test runs when it comes to notice gets the blame.
    """
    opened: list[tuple[sqlite3.Connection, str]] = []
    connect = sqlite3.connect

    def noted(*args: Any, **keywords: Any) -> sqlite3.Connection:
        connection = connect(*args, **keywords)
        opened.append((connection, callers()))
        return connection

    monkeypatch.setattr(sqlite3, "connect", noted)
    yield
    left = [where for connection, where in opened if is_open(connection)]
    assert not left, "left open:\n" + "\n".join(left)


def callers() -> str:
    """Who called what calls this. Not by `format_stack`, which looks each time whether a source file has changed."""
    frames = itertools.islice(traceback.walk_stack(sys._getframe(2)), 4)
    return "".join(f"{frame.f_code.co_filename}:{line}, {frame.f_code.co_name}\n" for frame, line in frames)


def is_open(connection: sqlite3.Connection) -> bool:
    """Whether it was not closed; asked from any thread."""
    try:
        connection.total_changes  # noqa: B018
    except sqlite3.ProgrammingError:
        return False
    return True


@pytest.fixture(autouse=True)
def umask_is_usual() -> Iterator[None]:
    """Each test begins with the same umask: whoever opens a queue in this process leaves a stricter one."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    """A state dir that does not exist yet."""
    return tmp_path / "state"


@pytest.fixture
def agentq(request: pytest.FixtureRequest, tmp_path: Path, state_dir: Path) -> Iterator[Agentq]:
    """`agentq("list", "--json")` runs it as a process, with a state dir of the test's own."""
    home = tmp_path / "home"
    home.mkdir()
    program = Agentq(home, state_dir, by_exec=request.node.get_closest_marker("exec") is not None)
    yield program
    program.stop()
