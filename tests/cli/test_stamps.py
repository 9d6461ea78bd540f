"""A file that is changed twice within one tick of the clock: the second change is seen as the first was.

The clock is a real one: that of ramfs, which has ticks with every kernel, where it can be mounted. Others may have
finer times for a file that was looked at (Linux 6.13), so that there is no such thing to be seen on them.
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from driven import Driven, held, until

from agentq_cli.base import clock
from agentq_cli.config import configuration
from agentq_cli.engines.local import seen

PAIRS = 40


def ask(outbound: Path, name: str) -> None:
    with closing(sqlite3.connect(outbound, isolation_level=None)) as database:
        content = json.dumps({"action": "nonsense"})
        database.execute("INSERT INTO messages_out VALUES (?, 'system', ?, 0)", (name, content))


def answered(aq: Driven, session: str) -> set[str]:
    with closing(sqlite3.connect(aq.state_dir / "sessions" / session / "inbound.db")) as database:
        return {name for (name,) in database.execute("SELECT message_id FROM delivered")}


def same_time(path: Path, act: object) -> None:
    """Do something to a file that leaves its size and the time of its last write as they were."""
    before = path.stat()
    act()  # type: ignore[operator]
    assert path.stat().st_size == before.st_size
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_a_sweep_answers_a_row_that_came_in_the_tick_of_the_one_before(aq: Driven) -> None:
    aq.exec("true", given=("-s", "a", "--in", "1d"))
    outbound = aq.state_dir / "sessions/a/outbound.db"
    ask(outbound, "first")
    aq("sweep", "--no-wake")
    same_time(outbound, lambda: ask(outbound, "second"))
    aq("sweep", "--no-wake")
    assert answered(aq, "a") == {"first", "second"}
    aq("sweep", "--no-wake")


def test_a_supervisor_answers_a_row_that_came_in_the_tick_of_the_one_before(aq: Driven) -> None:
    aq.exec(*held("one"), given=("-s", "a"))
    aq.supervise("-j", "1")
    aq.started("one")
    outbound = aq.state_dir / "sessions/a/outbound.db"
    ask(outbound, "first")
    aq.exec("true", given=("-s", "b"))  # a ring
    until(lambda: answered(aq, "a") == {"first"})
    same_time(outbound, lambda: ask(outbound, "second"))
    aq.exec("true", given=("-s", "b"))
    until(lambda: answered(aq, "a") == {"first", "second"})
    aq.let_go("one")


@pytest.fixture
def ticking(tmp_path: Path) -> Iterator[Path]:
    """A directory of a file system whose clock ticks."""
    place = tmp_path / "ramfs"
    place.mkdir()
    found = subprocess.run(["mount", "-t", "ramfs", "agentq-test", str(place)], capture_output=True, check=False)
    yield place
    if not found.returncode:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def test_a_stamp_tells_every_change_from_the_one_before(ticking: Path) -> None:
    """As the two are used: taken, then the file is read, and whatever changes it later gives another one."""
    tmp_path = ticking
    file = tmp_path / "s" / "outbound.db"
    file.parent.mkdir()
    for number in range(PAIRS):
        file.write_text(f"{number:03}a")
        stamp = seen.outbound(str(tmp_path), "s")
        with file.open("r+") as opened:
            opened.write(f"{number:03}b")
        assert seen.outbound(str(tmp_path), "s") != stamp
        config = configuration.stamp(str(file))
        with file.open("r+") as opened:
            opened.write(f"{number:03}c")
        assert configuration.stamp(str(file)) != config
        names = seen.inbound(str(tmp_path), "s")
        (file.parent / "journal").touch()
        (file.parent / "journal").unlink()
        assert seen.inbound(str(tmp_path), "s") != names


def test_a_stamp_that_is_old_enough_stays_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "s" / "outbound.db"
    file.parent.mkdir()
    file.touch()
    until(lambda: clock.settled(file.stat().st_ctime_ns))
    assert seen.outbound(str(tmp_path), "s") == seen.outbound(str(tmp_path), "s")
    until(lambda: clock.settled(file.parent.stat().st_ctime_ns))
    assert seen.inbound(str(tmp_path), "s") == seen.inbound(str(tmp_path), "s")
