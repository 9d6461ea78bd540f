"""What a supervisor does with what it runs: exit codes, process trees, limits, and files that somebody else holds."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

from driven import Driven, alive, held, until

STUBBORN = """
import os, signal, sys, time
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
with open(sys.argv[1], "a") as file:
    print(os.getpid(), file=file, flush=True)
time.sleep(600)
"""
"""A process that only SIGKILL ends; it adds its pid to a file."""


def pids(path: Path, count: int) -> list[int]:
    def found() -> list[str]:
        text = path.read_text() if path.exists() else ""
        return text.split() if text.count("\n") >= count else []

    return [int(word) for word in until(found, what=f"{count} pids in {path.name}")]


def test_how_a_process_ends_is_how_its_run_and_task_ended(aq: Driven) -> None:
    """Case 27."""
    cases: dict[str, tuple[str, int | None, str, str | None]] = {
        "exit 0": ("completed", 0, "success", None),
        "exit 1": ("failed", 1, "error", "error"),
        "exit 255": ("failed", 255, "error", "error"),
        "kill -TERM $$": ("failed", 143, "error", "error"),
        "kill -KILL $$": ("failed", 137, "error", "error"),
        "kill -USR1 $$": ("failed", 138, "error", "error"),
        'cd /; rm -rf "$HOME/gone"; exit 0': ("completed", 0, "success", None),
    }
    (aq.home / "gone").mkdir()
    (aq.home / "no-program").write_text("text")
    lines = [{"exec": ["sh", "-c", script]} for script in cases]
    lines += [{"exec": [argv]} for argv in ("no-such-program", "./no-program", "/")]
    lines += [{"exec": ["true"], "cwd": str(aq.home / "gone")}]
    addresses = aq.batch(*lines)
    aq.drain("-j", "1", code=1)
    tasks, runs = aq.tasks(), aq.runs()
    found = [
        (tasks[a]["status"], tasks[a]["exit_code"], runs[f"{a}.1"]["status"], runs[f"{a}.1"]["failure_class"])
        for a in addresses
    ]
    assert found[: len(cases)] == list(cases.values())
    assert found[len(cases) :] == [("failed", None, "spawn_error", "spawn")] * 4
    assert [runs[f"{a}.1"]["exit_code"] for a in addresses] == [task[1] for task in found]
    assert [tasks[a]["reason"] is None for a in addresses] == [task[0] == "completed" for task in found]
    for address, word in zip(addresses[3:6], ("SIGTERM", "SIGKILL", "SIGUSR1"), strict=True):
        assert word in tasks[address]["reason"]
    for address, word in zip(addresses[7:], ("no-such-program", "no-program", "'/'", "gone"), strict=True):
        assert word in runs[f"{address}.1"]["error"]


def test_trees_that_do_not_want_to_end(aq: Driven) -> None:
    """Case 28: each ends within its grace time, nothing survives, and the session's next task starts."""

    def file(name: str) -> Path:
        return aq.home / f"{name}.pids"

    def shell(name: str, script: str) -> list[str]:
        return ["sh", "-c", script, sys.executable, STUBBORN, str(file(name))]

    child, own = '"$0" -c "$1" "$2"', "echo $$ >> $2; "
    cases = {
        "ignores": [sys.executable, "-c", STUBBORN, str(file("ignores"))],
        "grandchild": shell("grandchild", f"setsid {child} & wait"),
        # Its own process ends well, with a child left that holds its output open.
        "holder": shell("holder", f"{child} & while [ ! -s $2 ]; do sleep 0.01; done; echo out"),
        "stopped": shell("stopped", f"{own} kill -STOP $$; sleep 600"),
        "orphan": shell("orphan", f"(setsid {child} &); sleep 600"),
    }
    lines = [{"session": name, "exec": argv, "grace": "200ms"} for name, argv in cases.items()]
    aq.batch(*lines, *({"session": name, "exec": ["true"]} for name in cases))
    supervisor = aq.supervise("--drain", "-j", str(len(cases)))
    seen = [pid for name in cases for pid in pids(file(name), 1)]
    aq("cancel", *(f"{name}/1" for name in cases if name != "holder"))
    aq.ended(supervisor, 1)
    assert [pid for pid in seen if alive(pid)] == []
    assert aq.agentq.left_over() == []
    runs = aq.runs()
    for name in cases:
        first, second = runs[f"{name}/1.1"], runs[f"{name}/2.1"]
        assert first["status"] == ("success" if name == "holder" else "cancelled"), name
        assert second["status"] == "success", name
        assert first["finished_at"] <= second["started_at"], name
        assert first["duration_ms"] < 10_000, name
    assert aq.stdout(runs["holder/1.1"]) == "out\n"


def test_a_time_out_ends_the_run_as_such(aq: Driven) -> None:
    aq.exec("sh", "-c", "echo before; trap 'echo asked; exit 0' TERM; sleep 60 & wait", given=("--timeout", "200ms"))
    aq.exec("true", given=("--timeout", "1h"))
    aq.drain(code=1)
    runs, task = aq.runs(), aq.task("1")
    first = runs["default/1.1"]
    assert (first["status"], first["failure_class"]) == ("timeout", "timeout")
    assert aq.stdout(first) == "before\nasked\n"
    assert 200 <= first["duration_ms"] < 5_000
    # An exit code of 0 after our own signal is no success.
    assert (task["status"], task["attempts"]) == ("failed", 1)
    assert "time-out" in task["reason"]
    assert runs["default/2.1"]["status"] == "success"


def test_a_time_out_is_kept_with_the_supervisor_dead(aq: Driven) -> None:
    aq.exec(*held("one"), given=("--timeout", "2s"))
    supervisor = aq.supervise()
    pid = aq.started("one")
    aq.kill_hard(supervisor)
    until(lambda: not alive(pid), what="end by the time-out")
    aq.drain(code=1)
    assert aq.runs()["default/1.1"]["status"] == "timeout"


def test_a_reader_of_one_sessions_file_delays_no_other_session(aq: Driven) -> None:
    """Case 33: an agent may hold its own files open for a minute."""
    aq.batch({"session": "slow", "exec": ["true"]}, {"session": "quick", "exec": ["true"]})
    reader = sqlite3.connect(aq.state_dir / "sessions" / "slow" / "inbound.db", isolation_level=None)
    reader.execute("BEGIN")
    assert reader.execute("SELECT count(*) FROM messages_in").fetchone() == (1,)
    supervisor = aq.supervise("--drain")
    aq("wait", "quick/1", "--timeout", "10s")
    aq.exec("true", given=("-s", "another"))
    aq("wait", "another/1", "--timeout", "10s")
    assert aq.task("slow/1")["status"] == "queued"
    reader.execute("ROLLBACK")
    reader.close()
    aq.ended(supervisor, 0)
    assert set(aq.statuses().values()) == {"completed"}


def test_an_agents_hold_on_its_own_file_delays_only_its_own_end(aq: Driven) -> None:
    script = (
        "import os, sqlite3, time, pathlib\n"
        "home = pathlib.Path(os.environ['HOME'])\n"
        "database = sqlite3.connect(os.environ['AGENTQ_INBOUND'], isolation_level=None)\n"
        "database.execute('BEGIN'); database.execute('SELECT * FROM messages_in').fetchall()\n"
        "(home / 'reading').touch()\n"
        "while not (home / 'go').exists(): time.sleep(0.02)\n"
    )
    aq.exec(sys.executable, "-c", script, given=("-s", "slow"))
    supervisor = aq.supervise()
    until(lambda: (aq.home / "reading").exists(), what="reader")
    aq.exec("true")
    aq("wait", "default/1", "--timeout", "10s")
    (aq.home / "go").touch()
    aq("wait", "slow/1", "--timeout", "20s")
    assert supervisor.poll() is None


def test_an_unwritable_output_is_that_runs_trouble_only(aq: Driven) -> None:
    """The disk refuses one session's files."""
    aq.batch({"session": "bad", "exec": ["true"]}, {"session": "good", "exec": ["true"]})
    runs = aq.state_dir / "sessions" / "bad" / "runs"
    if runs.exists():
        os.rmdir(runs)
    runs.write_text("a file where a directory is to be")
    aq.drain(code=1)
    assert aq.statuses() == {"bad/1": "failed", "good/1": "completed"}
    assert aq.runs()["bad/1.1"]["error"]


def test_a_supervisor_whose_state_dir_was_removed_ends_and_says_so(aq: Driven) -> None:
    # Whoever has put another one in its place would wait for ever for one that looks after the old.
    aq.exec(*held("one"))
    running = aq.start("run", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    aq.started("one")
    shutil.rmtree(aq.state_dir)
    aq.exec("true", given=("-s", "new"))
    _, said = running.communicate(timeout=60)
    assert running.returncode == 6, said
    why = "it was removed or replaced while agentq was running; its runs are now unwatched"
    assert said == f"agentq: error: '{aq.state_dir}/agentq.db': {why}\n"
    aq.let_go("one")
