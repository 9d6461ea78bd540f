"""`agentq cancel`: waiting, running, by run, by session, all of it; with and without a supervisor."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from driven import Driven, alive, held, until

STUBBORN = """
import os, signal, sys, time
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
with open(sys.argv[1], "w") as file:
    print(os.getpid(), file=file)
time.sleep(600)
"""


def pid_in(path: Path) -> int:
    return int(until(lambda: path.read_text() if path.exists() and path.read_text() else "", what=str(path)))


def test_a_waiting_task_is_cancelled_at_once_and_never_runs(aq: Driven) -> None:
    aq.exec("true")
    assert aq("cancel", "1").stdout == "default/1 is cancelled\n"
    assert aq.drain().stdout == ""
    task = aq.task("1")
    assert (task["status"], task["exit_code"], task["attempts"], task["last_run"]) == ("cancelled", None, 0, None)
    assert [event["to"] for event in aq.items("events", "1")] == ["cancelled", "queued"]


def test_so_are_paused_and_scheduled_ones(aq: Driven) -> None:
    aq.batch({"exec": ["true"]}, {"exec": ["true"], "in": "1h"})
    aq("pause", "1")
    assert aq.items("cancel", "1", "2") == [
        {"id": name, "ok": True, "code": 0, "message": f"{name} is cancelled", "status": "cancelled"}
        for name in ("default/1", "default/2")
    ]


def test_a_running_one_is_cancelled_whatever_it_exits_with(aq: Driven) -> None:
    script = 'trap "echo asked; exit 0" TERM; ' + held("")[2]
    aq.batch({"exec": ["sh", "-c", script, "-", "one"], "session": "lane"}, {"exec": ["true"], "session": "lane"})
    supervisor = aq.supervise("--drain")
    pid = aq.started("one")
    (item,) = aq.items("cancel", "lane/1", "--wait")
    assert (item["ok"], item["status"]) == (True, "cancelled")
    assert not alive(pid)
    aq.ended(supervisor, 1)
    run = aq.runs()["lane/1.1"]
    assert (run["status"], run["failure_class"], run["exit_code"]) == ("cancelled", "cancelled", 0)
    assert aq.stdout(run) == "asked\n"
    assert aq.statuses() == {"lane/1": "cancelled", "lane/2": "completed"}


def test_one_that_ignores_signals_is_killed_after_its_grace(aq: Driven) -> None:
    pid_file = aq.home / "pid"
    aq.exec(sys.executable, "-c", STUBBORN, str(pid_file), given=("--grace", "300ms"))
    supervisor = aq.supervise("--drain")
    pid = pid_in(pid_file)
    assert aq("cancel", "1").stdout == "default/1 is being stopped\n"
    aq("wait", "1", code=137)
    assert not alive(pid)
    aq.ended(supervisor, 1)
    (run,) = aq.runs().values()
    assert (run["status"], run["signal"], run["exit_code"]) == ("cancelled", "SIGKILL", 137)
    assert run["duration_ms"] >= 300


def test_with_the_supervisor_dead_cancel_does_the_killing(aq: Driven) -> None:
    pid_file = aq.home / "pid"
    aq.exec(sys.executable, "-c", STUBBORN, str(pid_file), given=("--grace", "200ms"))
    supervisor = aq.supervise()
    pid = pid_in(pid_file)
    aq.kill_hard(supervisor)
    (item,) = aq.items("cancel", "1", "--wait")
    assert item["status"] == "cancelled"
    assert not alive(pid)
    assert aq.items("workers") == []
    # Nothing comes back.
    assert aq("sweep").stdout.splitlines() in ([], [f"forget: supervisor {supervisor.pid} is gone"])
    assert aq.statuses() == {"default/1": "cancelled"}


def test_with_supervisor_and_keeper_dead_too(aq: Driven) -> None:
    pid_file = aq.home / "pid"
    aq.exec(sys.executable, "-c", STUBBORN, str(pid_file), given=("--grace", "200ms"))
    supervisor = aq.supervise()
    pid = pid_in(pid_file)
    keeper = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    aq.kill_hard(supervisor)
    os.kill(keeper, signal.SIGKILL)
    until(lambda: not alive(keeper), what="end of the keeper")
    (item,) = aq.items("cancel", "1")
    assert item["status"] == "cancelled"
    assert not alive(pid)
    assert aq.statuses() == {"default/1": "cancelled"}


def test_by_the_run_means_that_run_only(aq: Driven) -> None:
    aq.exec(*held("one"))
    supervisor = aq.supervise("--drain")
    pid = aq.started("one")
    assert "default/1.2" in aq.refused("cancel", "1.2", code=3)
    assert alive(pid)
    assert aq.items("cancel", "1.1", "--wait")[0]["status"] == "cancelled"
    aq.ended(supervisor, 1)
    aq("retry", "1")
    aq.refused("cancel", "1.1", code=4)
    assert aq.statuses() == {"default/1": "queued"}


def test_a_session_means_its_live_tasks(aq: Driven) -> None:
    aq.batch(*({"exec": ["true"], "session": name, "in": "1h"} for name in ("a", "a", "b", "a")))
    aq("cancel", "a/1")
    items = aq.items("cancel", "-s", "a")
    assert [(item["id"], item["ok"]) for item in items] == [("a/2", True), ("a/3", True)]
    assert aq.statuses() == {"a/1": "cancelled", "a/2": "cancelled", "a/3": "cancelled", "b/1": "scheduled"}
    assert "'ab'" in aq.refused("cancel", "-s", "ab", code=3)
    assert aq.items("cancel", "-s", "a") == []


def test_all_needs_yes_off_a_terminal(aq: Driven) -> None:
    aq.batch({"exec": held("one")}, {"exec": ["true"], "session": "b", "in": "1h"})
    supervisor = aq.supervise("--drain")
    aq.started("one")
    assert "--yes" in aq.refused("cancel", "--all", code=2)
    would = aq("cancel", "--all", "--dry-run").stdout.splitlines()
    assert sorted(would) == ["b/1 would be cancelled", "default/1 would be stopped"]
    assert aq.statuses() == {"default/1": "running", "b/1": "scheduled"}
    items = aq.items("cancel", "--all", "--yes", "--wait")
    assert {(item["id"], item["status"]) for item in items} == {("default/1", "cancelled"), ("b/1", "cancelled")}
    aq.ended(supervisor, 1)


def test_an_ended_task_stays_as_it_is(aq: Driven) -> None:
    aq.batch({"exec": ["true"]}, {"exec": ["false"]}, {"exec": ["true"], "in": "1h"})
    aq.drain(code=1)
    aq("cancel", "3")
    before = aq.tasks()
    done = aq("cancel", "1", "2", "3", code=4)
    assert done.stdout == ""
    for line, status in zip(done.stderr.splitlines(), ("completed", "failed", "cancelled"), strict=True):
        assert status in line
    assert aq("cancel", "1", "2", "3", "--dry-run", code=4).stderr == done.stderr
    assert aq.tasks() == before


def test_several_targets_are_all_done_and_each_reported(aq: Driven) -> None:
    aq.batch({"exec": ["true"], "in": "1h"}, {"exec": ["true"], "in": "1h"})
    aq("cancel", "2")
    document = aq.json("cancel", "1", "2", "nowhere/3", "x/y", code=1)
    assert document["schema"] == "agentq.results/1"
    assert [(item["id"], item["ok"], item["code"]) for item in document["items"]] == [
        ("default/1", True, 0),
        ("default/2", False, 4),
        ("nowhere/3", False, 3),
        ("x/y", False, 2),
    ]
    assert aq.statuses() == {"default/1": "cancelled", "default/2": "cancelled"}


def test_what_is_to_be_cancelled_must_be_said_once(aq: Driven) -> None:
    for arguments in ((), ("1", "-s", "a")):
        aq.refused("cancel", *arguments, code=2)
