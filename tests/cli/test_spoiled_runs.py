"""Run directories that an agent has made useless, of runs that nobody watches any more: told, and the others go on."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

import pytest
from driven import Driven, alive, held, until

NOW = "2026-03-01T12:00:00Z"
LATER = "2026-03-01T13:00:00Z"
SPOILED = {
    "runs is a file": "cd ../..; rm -rf runs; : > runs",
    "runs is a pipe": "cd ../..; rm -rf runs; mkfifo runs",
    "runs leads in a circle": "cd ../..; rm -rf runs; ln -s runs runs",
    "runs leads nowhere": "cd ../..; rm -rf runs; ln -s /nowhere/at/all runs",
    "it is a file": 'd=$PWD; cd ..; rm -rf "$d"; : > "$d"',
    "it leads in a circle": 'd=$PWD; cd ..; rm -rf "$d"; ln -s "$d" "$d"',
    "its records are directories": "rm -f exit* start agent; mkdir exit start stop looks agent stdout.cut",
    "its records are pipes": "rm -f exit* start agent; mkfifo exit start stop looks agent stdout.cut",
    "all of it is a pipe": "rm -f *; mkfifo stdout stderr result heartbeat prompt start",
}
SPOIL = """
echo $$ > "$HOME/$AGENTQ_SESSION.pid.new"; mv "$HOME/$AGENTQ_SESSION.pid.new" "$HOME/$AGENTQ_SESSION.pid"
while [ ! -e "$HOME/spoil" ]; do sleep 0.05; done
cd "$(dirname "$AGENTQ_RESULT")"; {}; : > "$HOME/$AGENTQ_SESSION.spoiled"; exec sleep 600
"""


def keeper_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


@pytest.fixture
def spoiled(aq: Driven) -> Driven:
    """One session for each kind, and good ones; then supervisor and keepers are killed, as by a power failure."""
    aq.batch(
        *(
            {"session": f"bad{number}", "exec": ["sh", "-c", SPOIL.format(script)]}
            for number, script in enumerate(SPOILED.values())
        ),
        {"session": "good", "exec": held("good")},
        env={"AGENTQ_NOW": NOW},
    )
    supervisor = aq.supervise("-j", "20", env={"AGENTQ_NOW": NOW})
    names = [f"bad{number}" for number in range(len(SPOILED))]
    until(lambda: all((aq.home / f"{name}.pid").exists() for name in names), what="start of all")
    pids = [int((aq.home / f"{name}.pid").read_text()) for name in names] + [aq.started("good")]
    keepers = [keeper_of(pid) for pid in pids]
    aq.kill_hard(supervisor)
    (aq.home / "spoil").touch()
    # Some of it makes their keepers end them at once.
    done = lambda name, pid: (aq.home / f"{name}.spoiled").exists() or not alive(pid)  # noqa: E731
    until(lambda: all(map(done, names, pids)), what="their deeds")
    for pid in (*keepers, *pids):
        with contextlib.suppress(ProcessLookupError):  # a keeper may have taken one for stopped
            os.kill(pid, signal.SIGKILL)
    until(lambda: not any(map(alive, (*keepers, *pids))), what="the end of all")
    aq.batch(
        {"session": "late", "exec": ["true"], "expires": "30m"},
        {"session": "bad0", "exec": ["true"], "expires": "30m"},
        {"session": "due", "exec": ["true"]},
        env={"AGENTQ_NOW": NOW},
    )
    aq("schedule", "-s", "series", "--every", "20m", "--exec", "--", "true", env={"AGENTQ_NOW": NOW})
    return aq


def test_a_sweep_names_them_and_does_all_else(spoiled: Driven) -> None:
    aq, at = spoiled, {"AGENTQ_NOW": LATER}
    planned = aq.json("sweep", "--dry-run", "--no-wake", code=1, env=at)["items"]
    done = aq.json("sweep", "--no-wake", code=1, env=at)["items"]
    assert [item for item in planned if item["action"] != "forget"] == [
        item for item in done if item["action"] != "forget"
    ]
    found = {(item["action"], item["task"] or item["session"]) for item in done}
    assert {("recover", "good/1"), ("expire", "late/1"), ("expire", "bad0/2"), ("arrive", "series/1")} <= found
    troubled = {session for action, session in found if action == "trouble"}
    assert {"bad0", "bad1", "bad4"} <= troubled <= {f"bad{number}" for number in range(len(SPOILED))}
    # Of the others it is known that they are no more, whatever became of their records.
    settled = {target for action, target in found if action in ("recover", "settle", "undo")}
    assert {f"bad{number}/1" for number in range(len(SPOILED))} == settled - {"good/1"} | {
        f"{name}/1" for name in troubled
    }
    named = {issue["component"] for issue in aq.json("health", code=2)["issues"]}
    for name in troubled:
        assert named & {f"run {name}/1.1", f"session {name}"}, name
    # Again and again, until somebody helps; and nothing else is.
    again = aq.json("sweep", "--no-wake", code=1, env=at)["items"]
    assert {item["session"] for item in again if item["action"] == "trouble"} == troubled
    woken = aq("sweep", code=1, env=at).stdout
    assert "wake: started supervisor" in woken
    until(lambda: aq.statuses()["due/1"] == "completed", what="the due task")


def test_a_supervisor_names_them_and_does_all_else(spoiled: Driven) -> None:
    aq = spoiled
    said = aq.agentq("run", "--drain", "-j", "4", timeout=120, env={"AGENTQ_NOW": LATER}).stdout
    statuses = aq.statuses()
    assert "running" not in statuses.values()
    assert (statuses["due/1"], statuses["late/1"]) == ("completed", "expired")
    for number in (0, 1, 4):
        (line,) = [line for line in said.splitlines() if f"finish bad{number}/1.1" in line]
        assert "cannot be" in line
        assert statuses[f"bad{number}/1"] == "failed"


@pytest.mark.parametrize("spoil", ["mkfifo", "mkdir", "ln -s /etc/hosts"])
def test_what_lies_where_the_next_run_writes_fails_that_run_alone(aq: Driven, spoil: str) -> None:
    """An agent can reach the place of its session's next run."""
    script = f'cd "$(dirname "$AGENTQ_RESULT")"/..; mkdir 2.1; cd 2.1; {spoil} stdout'
    aq.batch({"session": "s", "exec": ["sh", "-c", script]}, *[{"session": "s", "exec": ["true"]}] * 2)
    aq.drain(code=1)
    assert aq.statuses() == {"s/1": "completed", "s/2": "failed", "s/3": "completed"}
    assert "stdout" in aq.task("s/2")["reason"]
