"""The files of a state dir: when they are made, who may read them, what their bytes depend on."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from queue_driver import (
    MANY,
    NOON,
    OWNER,
    ROOT,
    Clock,
    OpenQueue,
    command,
    ended,
    submit,
)

from agentq_cli.base.errors import NotFound, Usage
from agentq_cli.engines.local import file_systems, migrations
from agentq_cli.engines.local.queue import LocalQueue as Queue
from agentq_cli.model.addresses import Address, RunId

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory to somebody else")


def tables(path: Path) -> set[str]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        return {name for (name,) in database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}


def files(place: Path) -> dict[str, bytes]:
    return {str(path.relative_to(place)): path.read_bytes() for path in place.rglob("*") if path.is_file()}


def everything(place: Path) -> list[str]:
    return sorted(str(path.relative_to(place)) for path in place.rglob("*"))


# Case 1


def test_the_first_submit_makes_both_files_with_their_tables(queue: Queue, state_dir: Path) -> None:
    assert everything(state_dir) == ["agentq.db", "bells", "sessions"]
    submit(queue, command("a"))
    session = state_dir / "sessions" / "a"
    assert everything(session) == ["inbound.db", "outbound.db"]
    assert tables(session / "inbound.db") >= {"messages_in", "session_state", "conversations", "delivered"}
    assert tables(session / "outbound.db") == {"messages_out"}
    assert tables(state_dir / "agentq.db") >= {"sessions", "workers", "supervisors", "task_runs", "events", "holds"}
    with closing(sqlite3.connect(session / "outbound.db")) as database:
        columns = database.execute("SELECT name, type, pk FROM pragma_table_info('messages_out')").fetchall()
    assert columns == [("id", "TEXT", 1), ("kind", "TEXT", 0), ("content", "TEXT", 0), ("created_at", "INTEGER", 0)]


def schema_of(path: Path) -> list[Any]:
    with closing(sqlite3.connect(path)) as database:
        return database.execute("SELECT * FROM sqlite_schema").fetchall()


def test_the_second_submit_changes_no_table_and_no_other_file(queue: Queue, state_dir: Path) -> None:
    submit(queue, command("a"), command("b"))
    before = files(state_dir)
    schema = [schema_of(state_dir / name) for name in before]
    submit(queue, command("a"))
    after = files(state_dir)
    assert {name for name in after if after[name] != before.get(name)} == {"agentq.db", "sessions/a/inbound.db"}
    assert schema == [schema_of(state_dir / name) for name in before]
    assert queue.task(Address("a", 1)).work.argv == ("true",)


def test_a_session_whose_outbound_was_taken_away_gets_a_new_one_with_the_next_submit(
    queue: Queue, state_dir: Path
) -> None:
    submit(queue, command("a"))
    outbound = state_dir / "sessions" / "a" / "outbound.db"
    outbound.unlink()
    submit(queue, command("a"))
    assert tables(outbound) == {"messages_out"}


def test_an_older_schema_opened_twice_migrates_once_and_keeps_every_row(
    open_queue: OpenQueue, clock: Clock, state_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_queue(clock) as queue:
        submit(queue, *[command("a", f"n{n}") for n in range(20)], command("b"))
        ended(queue, Address("a", 1))
        before = list(queue.tasks(ended=True))
        events = list(queue.events())
    schema = tmp_path / "schema"
    shutil.copytree(migrations.SCHEMA, schema)
    later = "CREATE TABLE times_migrated (n);\nINSERT INTO times_migrated VALUES (1);\n"
    for kind in ("index", "inbound", "outbound"):
        (schema / kind / f"{migrations.latest(kind) + 1:03d}_later.sql").write_text(later)
    monkeypatch.setattr(migrations, "SCHEMA", str(schema))
    migrations.latest.cache_clear()
    try:
        for _ in range(2):
            with open_queue(clock, create=False) as queue:
                assert list(queue.tasks(ended=True)) == before
                assert list(queue.events()) == events
                assert [message.id for message in queue.messages("a")] == ["a/1.1"]
        with open_queue(clock) as queue:
            assert submit(queue, command("a"), command("b")) == [Address("a", 21), Address("b", 2)]
    finally:
        migrations.latest.cache_clear()
    for name in ("agentq.db", "sessions/a/inbound.db", "sessions/b/inbound.db", "sessions/a/outbound.db"):
        with closing(sqlite3.connect(state_dir / name)) as database:
            assert database.execute("SELECT count(*) FROM times_migrated").fetchone() == (1,), name


# Case 5, first half


@pytest.mark.parametrize("zone", ["Pacific/Auckland", "America/New_York", "UTC"])
def test_stored_times_are_the_same_bytes_in_every_zone(state_dir: Path, zone: str) -> None:
    program = (
        "import sys, time, pathlib\n"
        "import queue_driver as d\n"
        "time.tzset()\n"
        "with d.Local(sys.argv[1]).open(d.Clock()) as queue:\n"
        "    a, b = d.submit(queue, d.prompt('a', due_at=d.NOON + 1), d.command('a', expires_at=d.NOON + 2))\n"
        "    queue.pause(a, reason=None)\n"
        "    d.ended(queue, b)\n"
    )
    contents = []
    for name in (zone, "Europe/Berlin"):
        place = state_dir.with_name(name.replace("/", "_"))
        environ = {
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(Path(__file__).parent), str(Path(__file__).parents[1])]),
            "TZ": name,
        }
        subprocess.run([sys.executable, "-c", program, str(place)], env=environ, check=True)
        contents.append(files(place))
    assert contents[0] == contents[1]
    assert len(contents[0]) == 3


# Case 6


@pytest.mark.parametrize("target", ["elsewhere", "missing"])
def test_a_session_directory_that_is_a_link_is_refused_and_nothing_is_created(
    queue: Queue, state_dir: Path, target: str
) -> None:
    submit(queue, command("fine"))
    elsewhere = state_dir.with_name("elsewhere")
    elsewhere.mkdir()
    (state_dir / "sessions" / "a").symlink_to(state_dir.with_name(target))
    before = everything(state_dir.parent)
    with pytest.raises(Usage, match="'a'"):
        submit(queue, command("a"))
    with pytest.raises(Usage, match="'a'"):
        submit(queue, command("fine"), command("a"))
    for ask in (queue.task, queue.cancel, queue.retry):
        with pytest.raises((Usage, NotFound), match="'a'"):
            ask(Address("a", 1))
    assert everything(state_dir.parent) == before
    assert [task.seq for task in queue.tasks()] == [1]
    assert queue.upkeep.batches() == []


def test_a_session_that_became_a_link_is_no_longer_touched(queue: Queue, state_dir: Path) -> None:
    submit(queue, command("a"), command("b"))
    moved = state_dir.with_name("moved")
    (state_dir / "sessions" / "a").rename(moved)
    (state_dir / "sessions" / "a").symlink_to(moved)
    before = files(moved)
    with pytest.raises(Usage, match="'a'"):
        queue.cancel(Address("a", 1))
    listed = []
    with pytest.raises(Usage, match="'a'"):
        listed.extend(task.address for task in queue.tasks())
        raise AssertionError(listed)
    assert files(moved) == before


@as_root
@pytest.mark.parametrize("create", [True, False])
def test_a_state_dir_of_somebody_else_is_refused_and_nothing_is_created(
    open_queue: OpenQueue, clock: Clock, state_dir: Path, create: bool
) -> None:
    state_dir.mkdir()
    os.chown(state_dir, 65534, 65534)
    with pytest.raises(Usage, match="65534"):
        open_queue(clock, create=create)
    assert everything(state_dir) == []


@pytest.mark.parametrize("exists", [True, False])
@pytest.mark.parametrize("create", [True, False])
def test_a_state_dir_on_a_network_file_system_is_refused_and_nothing_is_created(
    open_queue: OpenQueue, clock: Clock, state_dir: Path, monkeypatch: pytest.MonkeyPatch, exists: bool, create: bool
) -> None:
    monkeypatch.setattr(file_systems, "file_system", lambda path, mounts: "nfs4")
    if exists:
        state_dir.mkdir()
    with pytest.raises(Usage, match="nfs4"):
        open_queue(clock, create=create)
    assert everything(state_dir.parent) == (["state"] if exists else [])
    Queue.open(str(state_dir), clock, create=True, allow_network_fs=True).close()  # type: ignore[arg-type]


def test_a_state_dir_reached_by_a_link_is_one_state_dir(open_queue: OpenQueue, clock: Clock, state_dir: Path) -> None:
    queue = open_queue(clock)
    submit(queue, command("a"))
    link = state_dir.with_name("link")
    link.symlink_to(state_dir)
    with Queue.open(str(link), clock, create=False) as other:  # type: ignore[arg-type]
        assert other.state.path == queue.state.path
        assert submit(other, command("a")) == [Address("a", 2)]


# Privacy


def test_files_and_directories_are_private_whatever_the_umask(state_dir: Path) -> None:
    program = (
        "import os, sys, pathlib\n"
        "os.umask(0)\n"
        "import queue_driver as d\n"
        "from agentq_cli.engines.local.queue import LocalQueue as Queue\n"
        "with d.Local(sys.argv[1]).open(d.Clock()) as queue:\n"
        "    a, b = d.submit(queue, d.prompt('a'), d.command('b'))\n"
        "    d.ended(queue, a)\n"
        "    queue.index.execute('BEGIN EXCLUSIVE')\n"
        "    queue.index.execute('UPDATE sessions SET paused_at = 1')\n"
        "    print(oct(os.stat(queue.state.index + '-journal').st_mode & 0o7777))\n"
        "    queue.index.execute('ROLLBACK')\n"
    )
    environ = {"PYTHONPATH": os.pathsep.join([str(ROOT), str(Path(__file__).parent), str(Path(__file__).parents[1])])}
    found = subprocess.run(
        [sys.executable, "-c", program, str(state_dir)], env=environ, check=True, capture_output=True, text=True
    )
    assert found.stdout == "0o600\n"
    for path in (state_dir, *state_dir.rglob("*")):
        assert path.stat().st_mode & 0o7777 == (0o700 if path.is_dir() else 0o600), path
    assert len(list(state_dir.rglob("*.db"))) == 5


# Where things lie


def test_a_runs_directory_lies_in_its_session(queue: Queue, state_dir: Path) -> None:
    assert Path(queue.here.run_path(RunId("a", 3, 2))) == state_dir / "sessions" / "a" / "runs" / "3.2"


def test_a_session_directory_without_files_holds_no_task(queue: Queue, state_dir: Path) -> None:
    """What a submit leaves that was killed before it stored anything."""
    (state_dir / "sessions" / "a").mkdir(mode=0o700)
    for ask in (queue.task, queue.cancel, queue.resume, queue.retry, queue.prune):
        with pytest.raises(NotFound, match="a"):
            ask(Address("a", 1))
    assert queue.upkeep.stored_sessions() == ["a"]
    assert everything(state_dir / "sessions" / "a") == []
    assert queue.submit([command("a")], owner=OWNER, max_queued=MANY) == [(Address("a", 1), True)]
    assert queue.task(Address("a", 1)).created_at == NOON
