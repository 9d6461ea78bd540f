"""What is wrong with a session's files is wrong for `health`, `sweep` and `run` alike, in the same words."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from driven import Driven


def random_bytes(outbound: Path) -> None:
    outbound.write_bytes(os.urandom(outbound.stat().st_size))


def first_page_of_the_table(outbound: Path) -> None:
    content = outbound.read_bytes()
    outbound.write_bytes(content[:4096] + os.urandom(4096) + content[8192:])


def page_of_the_ids(outbound: Path) -> None:
    content = outbound.read_bytes()
    outbound.write_bytes(content[:8192] + os.urandom(len(content) - 8192))


def without_its_table(outbound: Path) -> None:
    with closing(sqlite3.connect(outbound)) as database:
        database.execute("DROP TABLE messages_out")


DAMAGES = [random_bytes, first_page_of_the_table, page_of_the_ids, without_its_table]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_broken_outbound_db(aq: Driven, damage: Callable[[Path], None]) -> None:
    aq.exec("true", given=("-s", "a"))
    aq.drain()
    outbound = aq.state_dir / "sessions/a/outbound.db"
    damage(outbound)
    before = outbound.read_bytes()
    (issue,) = aq.json("health", code=2)["issues"]
    assert issue["component"] == "session a"
    assert issue["message"] in aq("sweep", "--no-wake", code=1).stdout
    assert issue["message"] in aq("sweep", "--no-wake", code=1).stdout
    aq.exec("true", given=("-s", "a"))
    told = aq.drain().stdout
    assert "unposted a/2.1" in told and "outbound.db" in told
    assert aq.statuses() == {"a/1": "completed", "a/2": "completed"}, "its tasks are done all the same"
    assert "unposted a/2.1" in aq("sweep", "--no-wake", code=1).stdout
    assert outbound.read_bytes() == before
    outbound.unlink()
    aq("sweep", "--reindex", "--no-wake")
    assert "a/2.1" in [message["id"] for message in aq.items("messages", "-s", "a")]
    aq("health")


@pytest.mark.parametrize("what", ["file", "missing permission"])
def test_a_runs_directory_that_cannot_be_used(aq: Driven, what: str) -> None:
    aq.exec("true", given=("-s", "a"))
    aq.drain()
    aq("sweep", "--no-wake")
    runs = aq.state_dir / "sessions/a/runs"
    if what == "file":
        shutil.rmtree(runs)
        runs.touch()
    elif os.geteuid() == 0:
        pytest.skip("root may do everything")
    else:
        runs.chmod(0)
    (issue,) = aq.json("health", code=2)["issues"]
    assert issue["component"] == "session a" and "runs" in issue["message"]
    if what == "file":
        assert issue["message"] in aq("sweep", "--no-wake", code=1).stdout
        runs.unlink()
    else:
        runs.chmod(0o700)
    aq("health")


def test_a_broken_inbound_db(aq: Driven) -> None:
    aq.exec("true", given=("-s", "a"))
    aq("sweep", "--no-wake")
    (aq.state_dir / "sessions/a/inbound.db").write_bytes(b"this is not a database" * 100)
    (issue,) = (issue for issue in aq.json("health", code=2)["issues"] if issue["component"] == "session a")
    assert issue["message"] in aq("sweep", "--no-wake", code=1).stdout
    assert issue["message"] in aq.drain().stdout
