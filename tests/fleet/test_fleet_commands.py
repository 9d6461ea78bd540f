"""Runs of one host, as commands on another machine that is none show them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from agentq_process import PYTHON, Agentq
from fleet_machines import Fleet

AGENT = """
import json, os, sqlite3, sys, time
there = f"{sys.argv[0]}.go"
prompt = sys.stdin.read()
print(json.dumps({"event": "start", "conversation": "c-1"}), flush=True)
print(json.dumps({"event": "text", "text": "I begin."}), flush=True)
print("a warning", file=sys.stderr, flush=True)
with sqlite3.connect(os.environ["AGENTQ_OUTBOUND"]) as database:
    database.execute("INSERT INTO messages_out VALUES ('m', 'note', ?, 1)", (json.dumps(prompt),))
    ask = {"action": "schedule_task", "prompt": "later", "in": "1h"}
    database.execute("INSERT INTO messages_out VALUES ('r', 'system', ?, 1)", (json.dumps(ask),))
while not os.path.exists(there):
    time.sleep(0.01)
with sqlite3.connect("file:" + os.environ["AGENTQ_INBOUND"] + "?mode=ro", uri=True) as database:
    (status,) = database.execute("SELECT status FROM delivered WHERE message_id = 'r'").fetchone()
print(json.dumps({"event": "end", "ok": True, "result": f"It was {status}.", "cost_usd": 0.5}), flush=True)
"""


@pytest.fixture
def machine(fleet: Fleet, tmp_path: Path) -> Iterator[Callable[[str], Agentq]]:
    """A machine of that name, with an agent `mine` that waits for a file."""
    made: list[Agentq] = []

    def make(name: str) -> Agentq:
        home = tmp_path / f"home-{name}"
        home.mkdir()
        program = tmp_path / "mine"
        program.write_text(AGENT)
        config = home / "config.toml"
        argv = json.dumps([*PYTHON, str(program)])
        config.write_text(
            f'[host]\nname = "{name}"\n[fleet]\nschema = "{fleet.schema}"\n'
            f'[agents.mine]\nargv = {argv}\nprompt = "stdin"\nreader = "events"\n'
        )
        agentq = Agentq(home, tmp_path / name)
        agentq.environ |= {"AGENTQ_URL": fleet.url, "AGENTQ_CONFIG": str(config)}
        made.append(agentq)
        return agentq

    yield make
    for agentq in reversed(made):
        agentq.stop()


def told(agentq: Agentq, *arguments: str) -> str:
    done = agentq(*arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def documents(agentq: Agentq, *arguments: str) -> Any:
    return json.loads(told(agentq, *arguments, "--json"))


def test_a_run_is_read_from_a_machine_that_is_no_host(
    machine: Callable[[str], Agentq], fleet: Fleet, tmp_path: Path
) -> None:
    a, b = machine("a"), machine("b")
    told(b, "submit", "-s", "docs", "-a", "mine", "-C", str(tmp_path), "--check", "echo checked", "Say it.")
    supervisor = a.start("run", "--drain")
    follower = b.start("logs", "--follow", "docs/1", "--stderr")
    assert follower.stdout is not None
    assert follower.stdout.readline() == "a warning\n"
    transcript = b.start("logs", "--follow", "docs/1")
    assert transcript.stdout is not None
    assert transcript.stdout.readline() == "I begin.\n"
    (worker,) = documents(b, "workers")["items"]
    assert (worker["run"], worker["host"], worker["state"]) == ("docs/1.1", "a", "running")
    assert not (tmp_path / "mine.go").exists()
    while len(messages := documents(b, "messages", "-s", "docs")["items"]) < 2:
        pass
    assert {(each["id"], each["kind"]) for each in messages} == {("m", "note"), ("r", "system")}
    while len(tasks := documents(b, "list", "-s", "docs")["items"]) < 2:
        pass
    assert [(each["id"], each["prompt"]) for each in tasks if each["seq"] == 2] == [("docs/2", "later")]
    (tmp_path / "mine.go").touch()
    assert supervisor.wait(30) == 0
    assert follower.wait(30) == transcript.wait(30) == 0
    assert transcript.stdout.read() == "It was applied.\n[done; $0.50]\n"

    shown = told(b, "show", "docs/1")
    assert "It was applied." in shown
    assert ["Host:", "a"] in [line.split() for line in shown.splitlines()]
    run = documents(b, "show", "docs/1.1")
    assert (run["host"], run["stdout_path"], run["check"]["output_path"], run["prompt"]) == ("a", None, None, "Say it.")
    assert told(b, "logs", "docs/1", "--check") == "checked\n"
    here = documents(a, "show", "docs/1.1")
    assert Path(here["stdout_path"]).read_text() == told(b, "logs", "docs/1", "--raw").removesuffix("a warning\n")
    assert "Say it." in told(b, "report")
    results = [each for each in documents(b, "messages", "-s", "docs")["items"] if each["kind"] == "result"]
    assert [each["content"]["result"] for each in results] == ["It was applied."]
    assert fleet.ask("SELECT name FROM agentq.hosts") == [("a",)]
