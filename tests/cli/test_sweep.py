"""`agentq sweep`: settles, recovers, expires and wakes, safe at any time and any number at once."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sqlite3
import subprocess
from pathlib import Path

from driven import Driven, alive, held, until

NOW = "2026-03-01T12:00:00Z"
LATER = "2026-03-01T13:00:00Z"


def contents(directory: Path) -> dict[str, str]:
    """Every file of a directory with a hash of what is in it."""
    files = [path for path in directory.rglob("*") if path.is_file()]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_nothing_to_do_is_fine(aq: Driven) -> None:
    assert aq("sweep").stdout == ""


def test_wake_starts_a_drain_that_does_the_work_and_ends(aq: Driven) -> None:
    aq.exec("true")
    (line,) = aq("sweep").stdout.splitlines()
    pid = int(line.rpartition(" ")[2])
    assert line.startswith("wake")
    aq("wait", "1")
    until(lambda: not alive(pid), what="end of the drain")
    assert aq("sweep").stdout == ""


def test_ten_at_once_start_one_supervisor_and_one_run(aq: Driven) -> None:
    aq.exec(*held("one"))
    sweeps = [aq.start("sweep") for _ in range(10)]
    told = [sweep.communicate(timeout=60) for sweep in sweeps]
    assert {sweep.returncode for sweep in sweeps} == {0}
    assert {error for _, error in told} == {""}
    assert sum(out.count("wake") for out, _ in told) == 1
    pid = aq.started("one")
    document = aq.json("workers")
    assert [worker["pid"] for worker in document["items"]] == [pid]
    assert len(document["supervisors"]) == 1
    assert aq("sweep").stdout == ""
    aq.let_go("one")
    aq("wait", "1")
    assert list(aq.runs()) == ["default/1.1"]


def test_what_may_not_start_wakes_nobody(aq: Driven) -> None:
    aq.batch(
        {"exec": ["true"], "in": "1h"},
        {"exec": ["true"]},
        {"exec": ["true"], "session": "paused"},
        {"agent": "demo", "prompt": "x"},
    )
    for command in (("pause", "2"), ("pause", "-s", "paused"), ("pause", "--agent", "demo")):
        aq(*command)
    assert aq("sweep").stdout == ""
    aq("pause", "--all")
    aq("resume", "2")
    assert aq("sweep").stdout == ""
    aq("resume", "--all")
    assert aq("sweep", "--no-wake").stdout == ""
    assert aq.items("sweep", "--dry-run")[0]["action"] == "wake"


def test_dry_run_tells_and_changes_nothing(aq: Driven) -> None:
    assert aq("sweep", "--dry-run").stdout == ""
    assert not aq.state_dir.exists()
    aq.exec(*held("one"))
    supervisor = aq.supervise()
    pid = aq.started("one")
    aq.kill_hard(supervisor)
    aq.let_go("one")
    until(lambda: not alive(pid), what="end of the agent")
    aq.exec("true", given=("--expires", "30m"), env={"AGENTQ_NOW": NOW})
    aq.exec("true")
    until(lambda: "settle" in aq("sweep", "--dry-run").stdout, what="something to settle")
    before = contents(aq.state_dir)
    items = aq.items("sweep", "--dry-run")
    assert contents(aq.state_dir) == before
    assert [(item["action"], item["task"]) for item in items] == [
        ("forget", None),
        ("settle", "default/1"),
        ("expire", "default/2"),
        ("wake", None),
    ]
    assert aq.statuses()["default/1"] == "running"


def test_one_line_an_action(aq: Driven) -> None:
    late = [{"exec": ["true"], "expires": "30m", "session": name} for name in ("default", "slow", "other")]
    aq.batch(*late, env={"AGENTQ_NOW": NOW})
    (item,) = aq.items("sweep", "-s", "other", env={"AGENTQ_NOW": LATER})
    assert (item["action"], item["session"], item["task"]) == ("expire", "other", "other/1")
    lines = aq("sweep", env={"AGENTQ_NOW": LATER}).stdout.splitlines()
    assert sorted(line.partition(":")[0] for line in lines) == ["expire default/1", "expire slow/1"]
    aq.refused("sweep", "-s", "nobody", code=3)
    (event,) = [event for event in aq.items("events", "1") if event["to"] == "expired"]
    assert (event["from"], event["actor"], event["at"]) == ("queued", "sweep", "2026-03-01T13:00:00.000Z")


def test_a_vanished_keeper_is_recovered_as_crashed_once_its_tree_is_gone(aq: Driven) -> None:
    """SIGKILL of everything but the agent: nobody will ever record how it ended."""
    aq.exec(*held("one"), given=("--grace", "1s"))
    supervisor = aq.supervise()
    pid = aq.started("one")
    keeper = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    aq.kill_hard(supervisor)
    os.kill(keeper, signal.SIGKILL)
    until(lambda: not alive(keeper), what="end of the keeper")
    assert alive(pid)
    (line,) = aq("sweep", "--no-wake").stdout.splitlines()[-1:]
    assert line.startswith("recover default/1.1")
    assert not alive(pid)
    (run,) = aq.runs().values()
    assert (run["status"], run["failure_class"], run["exit_code"]) == ("crashed", "crashed", None)
    assert aq.items("workers") == []


CORRUPTIONS = {
    "garbage": lambda path: path.write_bytes(b"this is not a database" * 100),
    "truncated": lambda path: os.truncate(path, 5000),
    "newer": lambda path: newer(path),
}


def newer(path: Path) -> None:
    database = sqlite3.connect(path)
    database.execute("PRAGMA user_version = 99999")
    database.close()


def test_bad_sessions_are_named_and_the_others_go_on(aq: Driven) -> None:
    # Nothing is to be done in the bad ones.
    aq.batch(
        *({"exec": ["true"], "session": name, "in": "1d"} for name in CORRUPTIONS),
        *({"exec": ["true"], "session": name, "expires": "30m"} for name in ("good", "worse")),
        {"exec": ["true"], "session": "good"},
        env={"AGENTQ_NOW": NOW},
    )
    before = {}
    for kind, corrupt in CORRUPTIONS.items():
        path = aq.state_dir / "sessions" / kind / "inbound.db"
        corrupt(path)
        before[path] = path.read_bytes()
    done = aq("sweep", "--json", "--no-wake", code=1, env={"AGENTQ_NOW": LATER})
    found = {(item["action"], item["session"]) for item in json.loads(done.stdout)["items"]}
    assert found == {*(("trouble", kind) for kind in CORRUPTIONS), ("expire", "good"), ("expire", "worse")}
    told = aq("sweep", code=1).stdout
    for kind in CORRUPTIONS:
        assert f"trouble {kind}: " in told
        assert "inbound.db" in aq.refused("show", f"{kind}/1", code=6)
    aq("wait", "good/2")
    for command in (("submit", "-s", "garbage", "--exec", "--", "true"), ("cancel", "newer/1")):
        aq.refused(*command, code=6)
    assert {path: path.read_bytes() for path in before} == before


def test_reindex_rebuilds_the_index_from_the_sessions(aq: Driven) -> None:
    aq.batch(
        {"exec": ["true"], "session": "a", "priority": 5, "label": "x"},
        {"exec": ["sh", "-c", "exit 3"], "session": "b"},
        {"exec": ["true"], "session": "b", "in": "1h"},
    )
    aq("pause", "-s", "a", "--reason", "a holiday")
    aq.drain(code=1)
    before = aq.tasks()
    (aq.state_dir / "agentq.db").unlink()
    items = aq.items("sweep", "--no-wake", "--reindex")
    assert {(item["action"], item["session"]) for item in items} == {("reindex", "a"), ("reindex", "b")}
    assert {address: {**task, "waiting_for": None} for address, task in aq.tasks().items()} == {
        address: {**task, "waiting_for": None} for address, task in before.items()
    }
    aq("resume", "-s", "a")
    aq("submit", "--wait", "-s", "a", "--exec", "--", "true")
    assert [task["status"] for address, task in aq.tasks().items() if address in ("a/1", "a/2")] == ["completed"] * 2


def test_sweeps_and_a_run_at_once_settle_each_run_once(aq: Driven) -> None:
    aq.batch(*({"exec": held(f"t{number}", number)} for number in range(4)))
    supervisor = aq.supervise("-j", "4")
    pids = [aq.started(f"t{number}") for number in range(4)]
    aq.kill_hard(supervisor)
    aq.let_go("t0", "t1", "t2", "t3")
    until(lambda: not any(map(alive, pids)), what="end of the agents")
    silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    others = [aq.start("sweep", **silent) for _ in range(2)] + [aq.start("run", "--drain", **silent)]
    assert {process.wait(60) for process in others} <= {0, 1}
    ended = ("completed", "failed")
    finished = [event["task"] for event in aq.items("events") if event["to"] in ended]
    assert sorted(finished) == [f"default/{number}" for number in range(1, 5)]
    assert [run["exit_code"] for run in sorted(aq.runs().values(), key=lambda run: run["id"])] == [0, 1, 2, 3]
