"""Fixtures that several tests share: a state dir of their own, and agentq as a real process."""

from __future__ import annotations

import signal
import sqlite3
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


@pytest.fixture(autouse=True)
def every_connection_is_closed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fails a test that leaves a database open, by itself or by what it tests.

    Python warns of that from 3.13 on, and whichever test runs when it comes to notice gets the blame.
    """
    opened: list[tuple[sqlite3.Connection, str]] = []
    connect = sqlite3.connect

    def noted(*args: Any, **keywords: Any) -> sqlite3.Connection:
        connection = connect(*args, **keywords)
        opened.append((connection, "".join(traceback.format_stack(limit=5)[:-1])))
        return connection

    monkeypatch.setattr(sqlite3, "connect", noted)
    yield
    left = [where for connection, where in opened if is_open(connection)]
    assert not left, "left open:\n" + "\n".join(left)


def is_open(connection: sqlite3.Connection) -> bool:
    """Whether it was not closed; asked from any thread."""
    try:
        connection.total_changes  # noqa: B018
    except sqlite3.ProgrammingError:
        return False
    return True


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
