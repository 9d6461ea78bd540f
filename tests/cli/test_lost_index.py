"""agentq.db is gone, emptied, or an older one: said by every command, and brought back from the sessions' files."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from driven import Driven, Object, held, until
from sampling import in_gate

REINDEX = ("sweep", "--reindex", "--no-wake")


def gone(index: Path) -> None:
    index.unlink()


def emptied(index: Path) -> None:
    os.truncate(index, 0)


def without_tables(index: Path) -> None:
    index.unlink()
    with closing(sqlite3.connect(index)) as database:
        database.execute("CREATE TABLE t (x)")
        database.execute("DROP TABLE t")


def gone_with_a_journal(index: Path) -> None:
    index.unlink()
    index.with_name("agentq.db-journal").write_bytes(b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7" + b"\0" * 1000)


LOST = [gone, emptied, without_tables, gone_with_a_journal]
COMMANDS = [
    ["list", "--all"],
    ["show", "a/1"],
    ["sessions"],
    ["runs"],
    ["events"],
    ["events", "--follow"],
    ["workers"],
    ["stats"],
    ["wait", "a/1"],
    ["logs", "a/1"],
    ["messages", "-s", "a"],
    ["submit", "--exec", "true"],
    ["submit", "-s", "a", "--exec", "true"],
    ["submit", "-s", "new", "--label", "x", "--exec", "true"],
    ["schedule", "--every", "1h", "--exec", "true"],
    ["cancel", "a/2"],
    ["pause", "--all"],
    ["resume", "--all"],
    ["retry", "a/1"],
    ["prune", "a/1", "--yes"],
    ["run", "--drain"],
    ["sweep"],
    ["sweep", "--dry-run"],
    ["sweep", "--reindex", "-s", "a"],
]


def everything(place: Path) -> dict[str, bytes | None]:
    found = sorted(place.rglob("*"))
    return {str(path.relative_to(place)): path.read_bytes() if path.is_file() else None for path in found}


def indexed(path: Path) -> Callable[[str], list[tuple[object, ...]]]:
    def ask(query: str) -> list[tuple[object, ...]]:
        with closing(sqlite3.connect(path)) as database:
            return database.execute(query).fetchall()

    return ask


def known(aq: Driven) -> Object:
    """All that the commands say of tasks, runs and what holds them."""
    waiting = {address: aq.task(address)["waiting_for"] for address in aq.tasks()}
    for found in waiting.values():
        if found is not None:
            found.pop("detail")
    runs = {
        name: {
            key: run[key] for key in ("status", "exit_code", "failure_class", "error", "duration_ms", "stdout_bytes")
        }
        for name, run in aq.runs().items()
    }
    sessions = [(item["name"], item["counts"], item["paused"]) for item in aq.items("sessions")]
    return {"tasks": aq.tasks(), "waiting": waiting, "runs": runs, "sessions": sessions}


def much(aq: Driven) -> None:
    """A state dir with some of everything that the files know."""
    aq.exec("sh", "-c", "echo out", given=("-s", "a"))
    aq.exec("sh", "-c", "exit 3", given=("-s", "a", "--label", "l"))
    aq.drain(code=1)
    aq.exec("true", given=("-s", "a", "-p", "5"))
    aq.exec("true", given=("-s", "b", "--after", "a/3"))
    aq.exec("true", given=("-s", "c"))
    aq("pause", "-s", "c", "--reason", "because")
    aq.exec("true", given=("--in", "1d"))
    aq("pause", "default/1", "--reason", "later")
    aq("schedule", "--every", "1h", "-s", "series", "--exec", "--", "true")
    aq.exec("true", given=("-s", "z"))
    aq("cancel", "z/1")
    aq.submit("-s", "p", "--agent", "demo", "say 1 lines")
    aq("pause", "--agent", "demo", "--reason", "resting")


@pytest.mark.parametrize("lose", in_gate(LOST, gone, without_tables))
def test_every_command_says_so_and_creates_nothing(aq: Driven, lose: Callable[[Path], None]) -> None:
    aq.exec("true", given=("-s", "a"))
    aq.drain()
    aq.exec("true", given=("-s", "a"))
    lose(aq.state_dir / "agentq.db")
    before = everything(aq.state_dir)
    for command in COMMANDS:
        told = aq.refused(*command, code=6)
        assert "agentq.db" in told and "agentq sweep --reindex" in told, command
        assert everything(aq.state_dir) == before, command
    (issue,) = aq.json("health", code=2)["issues"]
    assert "agentq sweep --reindex" in issue["message"]
    checks = aq.json("doctor", code=2)["items"]
    assert any("agentq sweep --reindex" in check["message"] for check in checks)
    assert everything(aq.state_dir) == before
    aq(*REINDEX)
    assert aq.statuses() == {"a/1": "completed", "a/2": "queued"}


def test_an_empty_state_dir_is_one_in_which_nothing_is_stored(aq: Driven) -> None:
    aq("sweep")
    (aq.state_dir / "agentq.db").unlink()
    (aq.state_dir / "sessions" / "half-made").mkdir()
    assert aq.statuses() == {}
    assert aq.exec("true") == "default/1"


@pytest.fixture(scope="module")
def stocked(shared: Driven) -> tuple[Path, Object, list[Object]]:
    """A state dir with much in it, of which each test has a copy, and what the commands say of that."""
    much(shared)
    return shared.state_dir, known(shared), shared.items("events", "a/1") + shared.items("events", "a/2")


@pytest.mark.parametrize("lose", in_gate(LOST, emptied))
def test_what_the_files_know_comes_back(
    aq: Driven, stocked: tuple[Path, Object, list[Object]], lose: Callable[[Path], None]
) -> None:
    state_dir, before, told = stocked
    shutil.copytree(state_dir, aq.state_dir)
    lose(aq.state_dir / "agentq.db")
    items = aq.items(*REINDEX)
    assert {item["session"] for item in items if item["action"] == "reindex"} >= {"a", "b", "c", "default"}
    assert any("permanently lost" in item["detail"] for item in items)
    assert known(aq) == before
    again = aq.items("events", "a/1") + aq.items("events", "a/2")
    changes = [[(event["run"], event["event"], event["from"], event["to"]) for event in each] for each in (told, again)]
    assert changes[0] == changes[1]
    assert aq.json("health")["issues"] == []
    aq("resume", "--agent", "demo")
    aq("resume", "-s", "c")
    aq.drain()
    statuses = aq.statuses()
    assert {statuses[name] for name in ("a/3", "b/1", "c/1", "p/1")} == {"completed"}
    assert aq.exec("true", given=("-s", "a")) == "a/4", "addresses go on"


def test_the_order_of_a_lane_comes_back(aq: Driven) -> None:
    aq.batch(*({"session": "a", "exec": ["true"], "priority": n % 3} for n in range(6)))
    gone(aq.state_dir / "agentq.db")
    aq(*REINDEX)
    aq.drain("-j", "1")
    assert [run["task"] for run in reversed(aq.items("runs"))] == ["a/3", "a/6", "a/2", "a/5", "a/1", "a/4"]


def test_a_queue_that_is_paused_stays_paused(aq: Driven) -> None:
    aq.exec("true")
    aq("pause", "--all", "--reason", "holidays")
    gone(aq.state_dir / "agentq.db")
    assert "restored the holds" in aq(*REINDEX).stdout
    aq.drain()
    assert aq.statuses() == {"default/1": "queued"}
    assert "holidays" in aq("list").stdout
    aq("resume", "--all")
    gone(aq.state_dir / "agentq.db")
    aq(*REINDEX)
    aq.drain()
    assert aq.statuses() == {"default/1": "completed"}


@pytest.mark.parametrize("lose", in_gate([gone, emptied], gone))
def test_what_runs_is_found_and_not_started_twice(aq: Driven, lose: Callable[[Path], None]) -> None:
    aq.exec(*held("one"), given=("-s", "a"))
    aq.exec("true", given=("-s", "a"))
    supervisor = aq.supervise("-j", "2")
    aq.started("one")
    lose(aq.state_dir / "agentq.db")
    aq(*REINDEX)
    (worker,) = aq.items("workers")
    assert (worker["run"], aq.statuses()["a/2"]) == ("a/1.1", "queued")
    aq.kill_hard(supervisor)
    draining = aq.start("run", "--drain")
    until(lambda: any(worker["state"] == "adopted" for worker in aq.items("workers")))
    aq.let_go("one")
    aq.ended(draining, 0)
    assert {run: found["status"] for run, found in aq.runs().items()} == {"a/1.1": "success", "a/2.1": "success"}
    assert len((aq.home / "one.started").read_text().split()) == 1


def test_a_retry_that_waits_keeps_its_time_and_its_budget(aq: Driven) -> None:
    aq.exec("false", given=("-s", "a", "--retries", "1", "--backoff", "1h", "--max-backoff", "1h"))
    supervisor = aq.supervise("--drain")
    until(lambda: aq.statuses()["a/1"] == "retrying")
    aq.kill_hard(supervisor)
    before = aq.task("a/1")
    gone(aq.state_dir / "agentq.db")
    aq(*REINDEX)
    after = aq.task("a/1")
    assert after == before
    assert aq.runs()["a/1.1"]["status"] == "error"


def test_an_older_index_is_brought_up_to_date_by_a_sweep(aq: Driven) -> None:
    aq.exec("true", given=("-s", "a"))
    aq("sweep", "--no-wake")
    index = aq.state_dir / "agentq.db"
    copy = aq.home / "copy"
    shutil.copy(index, copy)
    aq.drain()
    aq.exec("true", given=("-s", "a"))
    aq.exec("true", given=("-s", "b"))
    before = known(aq)
    shutil.copy(copy, index)
    issues = aq.json("health", code=2)["issues"]
    assert {"session a", "session b"} <= {issue["component"] for issue in issues}
    assert {"a", "b"} == {item["session"] for item in aq.items("sweep", "--dry-run", "--no-wake")}
    told = aq("sweep", "--no-wake").stdout
    assert "reindex a" in told and "reindex b" in told
    assert known(aq) == before
    assert aq("sweep", "--no-wake").stdout == ""
    aq.drain()
    assert set(aq.statuses().values()) == {"completed"}


def test_a_supervisor_runs_what_its_index_did_not_know(aq: Driven) -> None:
    aq("sweep", "--no-wake")
    copy = aq.home / "copy"
    shutil.copy(aq.state_dir / "agentq.db", copy)
    aq.exec("true", given=("-s", "b"))
    shutil.copy(copy, aq.state_dir / "agentq.db")
    assert "b: the index lacked tasks, or had an older state of them" in aq.drain().stdout
    assert aq.statuses() == {"b/1": "completed"}


@pytest.mark.parametrize("look", [("run", "--drain"), ("sweep", "--no-wake")])
@pytest.mark.parametrize("pause", [("--agent", "demo"), ("--all",), ("-s", "b")])
def test_a_pause_that_an_older_index_does_not_know_holds(
    aq: Driven, look: tuple[str, ...], pause: tuple[str, ...]
) -> None:
    aq("submit", "-s", "b", "-a", "demo", "hello")
    copy = aq.home / "copy"
    shutil.copy(aq.state_dir / "agentq.db", copy)
    aq("pause", *pause)
    shutil.copy(copy, aq.state_dir / "agentq.db")
    aq(*look)
    aq.drain()
    assert aq.statuses() == {"b/1": "queued"}
    aq("resume", *pause)
    aq.drain()
    assert aq.statuses() == {"b/1": "completed"}


def test_a_supervisor_that_meets_an_older_index_runs_no_lane_beside_itself(aq: Driven) -> None:
    aq.exec(*held("one"), given=["-s", "lane"])
    aq.exec(*held("two"), given=["-s", "lane"])
    copy = aq.home / "copy"
    shutil.copy(aq.state_dir / "agentq.db", copy)
    first = aq.supervise("--drain")
    aq.started("one")
    aq.kill_hard(first)
    shutil.copy(copy, aq.state_dir / "agentq.db")
    second = aq.supervise("--drain")
    until(lambda: [worker["id"] for worker in aq.items("workers")] == ["lane/1.1"], what="the run is adopted")
    assert not aq.has_started("two")
    aq.let_go("one", "two")
    aq.ended(second, 0)
    assert aq.statuses() == {"lane/1": "completed", "lane/2": "completed"}


def test_rows_and_tables_that_are_missing_come_back(aq: Driven) -> None:
    aq.exec("true", given=("-s", "a"))
    aq("sweep", "--no-wake")
    before = aq.tasks()
    index = aq.state_dir / "agentq.db"
    with closing(sqlite3.connect(index)) as database, database:
        database.execute("DELETE FROM tasks")
        database.execute("DELETE FROM sessions")
    aq("health", code=2)
    assert "reindex a" in aq("sweep", "--no-wake").stdout
    assert aq.tasks() == before
    with closing(sqlite3.connect(index)) as database, database:
        database.execute("DROP TABLE tasks")
        database.execute("DROP TABLE holds")
    assert "agentq sweep --reindex" in aq.refused("list", code=6)
    aq("health", code=2)
    aq(*REINDEX)
    assert aq.tasks() == before
    assert not [plan for plan in indexed(index)("PRAGMA integrity_check") if plan != ("ok",)]


def lost_batch(aq: Driven, *, released: bool) -> None:
    """What a batch leaves that was killed after its commit, or before it; and the index is lost after that."""
    aq.batch({"session": "a", "exec": ["true"]}, {"session": "b", "exec": ["true"]})
    for session in ("a",) if released else ("a", "b"):
        with closing(sqlite3.connect(aq.state_dir / "sessions" / session / "inbound.db")) as database, database:
            database.execute("UPDATE messages_in SET status = 'staged'")
    gone(aq.state_dir / "agentq.db")


def test_a_batch_that_was_committed_is_released(aq: Driven) -> None:
    lost_batch(aq, released=True)
    aq(*REINDEX)
    assert aq.statuses() == {"a/1": "queued", "b/1": "queued"}


def test_a_batch_of_which_nobody_knows_waits_for_a_person(aq: Driven) -> None:
    lost_batch(aq, released=False)
    assert "a/1 is paused: its batch was being stored" in aq(*REINDEX).stdout
    assert aq.statuses() == {"a/1": "paused", "b/1": "paused"}
    aq("resume", "a/1", "b/1")
    aq.drain()
    assert set(aq.statuses().values()) == {"completed"}


def test_no_hook_is_told_of_the_past_again(aq: Driven) -> None:
    config = aq.home / ".config/agentq/config.toml"
    config.parent.mkdir(parents=True)
    told = aq.home / "told"
    config.write_text(f'[hooks]\n"task.finished" = ["sh", "-c", "echo told >> {told}"]\n')
    aq.exec("true")
    aq.drain()
    until(told.exists)
    gone(aq.state_dir / "agentq.db")
    aq(*REINDEX)
    aq("sweep", "--no-wake")
    assert told.read_text() == "told\n"
    aq.exec("true")
    aq.drain()
    until(lambda: told.read_text() == "told\ntold\n")


def test_what_a_result_row_alone_knows_comes_back_too(aq: Driven) -> None:
    aq.exec("true", given=("-s", "a"))
    aq.drain()
    before = aq.runs()["a/1.1"]
    shutil.rmtree(aq.state_dir / "sessions/a/runs")
    gone(aq.state_dir / "agentq.db")
    aq(*REINDEX)
    after = aq.runs()["a/1.1"]
    assert (after["status"], after["finished_at"]) == (before["status"], before["finished_at"])
    rows = [
        json.loads(row[0])
        for row in indexed(aq.state_dir / "sessions/a/outbound.db")("SELECT content FROM messages_out")
    ]
    assert [row["run"] for row in rows] == ["a/1.1"]
