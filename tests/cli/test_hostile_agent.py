"""Agents that spoil what lies in their own run's directory: their run has an outcome, and everybody else goes on."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

import pytest
from driven import Driven, until

SECRET = "not for anybody's eyes"

IN_ITS_DIRECTORY = 'cd "$(dirname "$AGENTQ_RESULT")"; echo before; '
SPOILED = {
    "its output is a pipe": "rm stdout stderr; mkfifo stdout stderr",
    "its output is a directory": "rm stdout stderr; mkdir stdout stderr",
    "its output is somebody else's file": 'rm stdout stderr; ln -s "$HOME/secret" stdout; ln -s stdout stderr',
    "its output is gone": "rm stdout stderr",
    "its result is a pipe": "mkfifo result",
    "its result is a link": 'ln -s "$HOME/secret" result',
    "its result is as deep as the stack": "python3 -c \"print('[' * 970 + ']' * 970)\" > result",
    "its result is 2 MiB": "head -c 2097152 /dev/zero | tr '\\0' 1 > result",
    "its result is half a character": "printf '\"\\\\ud800\"' > result",
    "its cuts are nonsense": 'echo \'{"begin": "a", "end": [], "punched": 1}\' | tee stdout.cut > stderr.cut',
    "its cuts are beyond all": 'echo \'{"begin": 0, "end": 4e99, "punched": true}\' | tee stdout.cut > stderr.cut',
    "its stop is nonsense": "printf '[[[[' > stop",
    "its stop is a pipe": "mkfifo stop",
    "its agent is nonsense": 'echo \'{"pid": -1, "start_time": 1e999}\' > agent',
    "its agent is init": 'echo \'{"pid": 1, "start_time": 1}\' > agent',
    "its start is nonsense": 'echo \'{"pid": 1e999, "void": []}\' > start',
    "its start is gone": "rm start",
    "its start is void": 'echo \'{"void": true, "by": []}\' > start',
    "all is gone": 'rm -rf "$PWD"',
    "all is read-only": "chmod 500 .",
}


@pytest.fixture(scope="module")
def lines() -> list[dict[str, object]]:
    return [
        {"session": f"s{number}", "exec": ["sh", "-c", IN_ITS_DIRECTORY + script + "; exit 0"]}
        for number, script in enumerate(SPOILED.values())
    ]


def check(aq: Driven) -> None:
    """Every run has ended, everything can be shown, and the next task of each session has run."""
    runs, tasks = aq.runs(), aq.tasks()
    assert not [run for run, item in runs.items() if item["status"] == "running"]
    for number, what in enumerate(SPOILED):
        assert tasks[f"s{number}/1"]["status"] in ("completed", "failed"), what
        assert tasks[f"s{number}/2"]["status"] == "completed", what
        shown = aq("logs", f"s{number}/1", "--json").stdout + aq("logs", f"s{number}/1", "--stderr").stdout
        assert SECRET not in shown, what
    assert aq.items("workers") == []
    assert [run for run in runs if not run.endswith(".1")] == [], "none ran twice"
    assert SECRET not in json.dumps(list(runs.values()))
    numbers = {what: number for number, what in enumerate(SPOILED)}
    for what in ("its result is a pipe", "its result is a link", "its result is 2 MiB"):
        assert runs[f"s{numbers[what]}/1.1"]["result"] is None
    assert runs[f"s{numbers['its result is as deep as the stack']}/1.1"]["result"] is None
    assert runs[f"s{numbers['its result is half a character']}/1.1"]["result"] == "?"
    for path in aq.state_dir.rglob("*.db"):
        with closing(sqlite3.connect(path)) as database:
            assert database.execute("PRAGMA quick_check").fetchall() == [("ok",)]


def test_a_supervisor_comes_through_all_of_it(aq: Driven, lines: list[dict[str, object]]) -> None:
    (aq.home / "secret").write_text(SECRET)
    aq.batch(*lines, *({"session": line["session"], "exec": ["true"]} for line in lines))
    aq.agentq("run", "--drain", "-j", "4", timeout=100)
    check(aq)


@pytest.mark.slow
def test_a_sweep_comes_through_all_of_it(aq: Driven, lines: list[dict[str, object]]) -> None:
    """The supervisor is killed while they run, and only sweeps come after it."""
    (aq.home / "secret").write_text(SECRET)
    held = 'while [ ! -e "$HOME/go" ]; do sleep 0.05; done; '
    for line in lines:
        words = line["exec"]
        assert isinstance(words, list)
        line["exec"] = ["sh", "-c", f'echo x >> "$HOME/began"; {held}{words[2]}']
    aq.batch(*lines)
    supervisor = aq.supervise("-j", str(len(lines)))
    began = aq.home / "began"
    until(lambda: began.exists() and began.read_text().count("x") == len(lines), what="start of all")
    aq.kill_hard(supervisor)
    (aq.home / "go").touch()

    def settled() -> bool:
        assert aq.agentq("sweep", "--no-wake").returncode == 0
        return "running" not in aq.statuses().values()

    until(settled, what="the end of all")
    aq.agentq("run", "--drain", "-j", "4", timeout=100)
    aq.batch(*({"session": line["session"], "exec": ["true"]} for line in lines))
    aq.drain("-j", "4")
    check(aq)
