"""Text that would command a terminal, wherever it can come from: shown harmless, on a pipe and on a terminal."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from agentq_process import PYTHON, Agentq
from driven import Driven, held
from terminal import on_terminal

EVIL = (
    "\x1b]52;c;ZXZpbA==\x07"  # writes the clipboard
    "\x1b]0;title\x1b\\\x1bP+q\x1b\\"  # the title; asks the terminal to type
    "\x1b[2J\x1b[1;1H\x1b[31m\x9b2J"  # clears the screen, moves, colours; and with one byte
    "over\rwritten\x08\x7f"
    "\u202e\u2066\u200f\u061c\u2028"  # turns the line around, breaks it
    "agentq: error: forged"
)
FORBIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")

AGENT = """
import json, os, sqlite3, sys
evil = json.loads(os.environ["EVIL"])
database = sqlite3.connect(os.environ["AGENTQ_OUTBOUND"])
rows = [(evil, evil, evil), ("m1", "system", json.dumps({"action": evil})), ("m2", "user", json.dumps({evil: evil}))]
rows += [("m3", "system", json.dumps({"action": "pause_task", "task": evil})), ("m4" + evil, "system", evil)]
database.executemany("INSERT OR REPLACE INTO messages_out VALUES (?, ?, ?, 0)", rows)
database.commit()
print(evil, flush=True)
print(evil, file=sys.stderr, flush=True)
if "fail" in sys.stdin.read():
    print(json.dumps({"event": "end", "ok": False, "error": evil}))
else:
    print(json.dumps({"event": "end", "ok": True, "result": {evil: evil}}))
"""


@pytest.fixture(scope="module")
def evil(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driven]:
    """A state dir in which everything that can come from outside is EVIL; one task of it runs, one waits."""
    base = tmp_path_factory.mktemp("evil")
    home = base / "home"
    home.mkdir()
    program = Agentq(home, base / "state")
    aq = Driven(program)
    (home / "agent.py").write_text(AGENT)
    (home / "config.toml").write_text(
        f"[agents.evil]\nargv = {json.dumps([*PYTHON, f'{home}/agent.py'])}\n"
        'reader = "events"\n[sessions.talk]\nparallel = 2\n'
    )
    program.environ |= {"AGENTQ_CONFIG": str(home / "config.toml"), "EVIL": json.dumps(EVIL)}
    place = home / EVIL.replace("/", "")
    place.mkdir()
    script = place / "script.sh"
    script.write_text("echo no verdict\n")
    common = {"session": "talk", "label": [EVIL], "cwd": str(place), "context": "isolated"}
    aq.batch(
        {**common, "agent": "evil", "prompt": EVIL, "key": EVIL},
        {**common, "agent": "evil", "prompt": "fail " + EVIL},
        {**common, "exec": ["sh", "-c", 'printf "%s\\n" "$1"; exit 3', EVIL, EVIL]},
        {**common, "exec": ["".join(EVIL.split())]},
        {**common, "exec": ["true"], "script": str(script)},
    )
    drained = aq.drain("-s", "talk", code=1)
    aq.batch({**common, "prompt": EVIL, "agent": "evil", "key": EVIL}, {"exec": [*held("on"), EVIL], "label": [EVIL]})
    aq("pause", "talk/6", "--reason", EVIL)
    aq("pause", "--agent", "evil", "--reason", EVIL)
    aq.supervise("-s", "default")
    aq.started("on")
    aq.home.joinpath("drained").write_text(drained.stdout + drained.stderr)
    yield aq
    program.stop()


COMMANDS = [
    *(["list", "--all"], ["list"], ["runs"], ["events"], ["messages", "-s", "talk"], ["sessions"], ["workers"]),
    *(["show", f"talk/{number}"] for number in range(1, 7)),
    *(["logs", f"talk/{number}", "--stdout"] for number in range(1, 6)),
    *(["logs", f"talk/{number}", "--stdout", "--raw"] for number in range(1, 3)),
    *(["logs", f"talk/{number}", "--stderr"] for number in range(1, 3)),
    *(
        ["runs", "talk/2"],
        ["events", "talk/6"],
        ["agents"],
        ["config", "show"],
        ["submit", "--dry-run", "--exec", "true", EVIL],
    ),
    *(["sweep", "--dry-run"], ["list", "--label", EVIL], ["schedule", "--dry-run", "--every", "1h", "--exec", EVIL]),
]
WRONG = [
    *(["show", EVIL], ["list", "-s", EVIL], ["list", "--status", EVIL], [EVIL], ["list", EVIL], ["list", f"--{EVIL}"]),
    *(["submit", "-s", EVIL, "x"], ["submit", "-a", EVIL, "x"], ["submit", "-C", EVIL, "x"], ["logs", "-s", EVIL]),
    *(["submit", "--at", EVIL, "x"], ["submit", "--in", EVIL, "x"], ["submit", "-p", EVIL, "x"], ["wait", EVIL]),
    *(["submit", "-e", EVIL, "x"], ["submit", "--env-file", EVIL, "x"], ["submit", "--file", EVIL], ["cancel", EVIL]),
    *(["schedule", "--cron", EVIL, "x"], ["schedule", "--tz", EVIL, "--every", "1h", "x"], ["run", "-j", EVIL]),
    *(["submit", "--batch", EVIL], ["submit", "--script", EVIL, "--exec", "x"], ["pause", "--agent", EVIL]),
]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(command)[:20])
def test_on_a_pipe(evil: Driven, command: list[str]) -> None:
    done = evil(*(word for word in command if word != "--raw"))
    assert not FORBIDDEN.search(done.stdout + done.stderr)
    if command[0] != "logs":
        assert not any(line.startswith("agentq:") for line in done.stdout.splitlines())


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(command)[:20])
def test_on_a_terminal(evil: Driven, command: list[str]) -> None:
    text = on_terminal(evil.agentq, *command, columns=120, env={"NO_COLOR": "1"}) if command[0] != "schedule" else ""
    assert not FORBIDDEN.search(text)


@pytest.mark.parametrize("command", COMMANDS[:4], ids=lambda command: " ".join(command)[:20])
def test_colours_on_a_terminal_are_agentqs_own(evil: Driven, command: list[str]) -> None:
    """Nothing but whole colour sequences, and each is taken back on its line."""
    text = on_terminal(evil.agentq, *command, columns=120)
    assert not FORBIDDEN.search(re.sub(r"\x1b\[(?:[0-9]+|0)m", "", text))
    for line in text.splitlines():
        assert line.count("\x1b[0m") * 2 == line.count("\x1b["), line


@pytest.mark.parametrize("command", WRONG, ids=lambda command: " ".join(command)[:20])
def test_in_an_error(evil: Driven, command: list[str]) -> None:
    done = evil.agentq(*command)
    assert done.returncode in (1, 2, 3) and "Traceback" not in done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert not FORBIDDEN.search(done.stdout + done.stderr)


def test_what_a_supervisor_reports_of_it(evil: Driven) -> None:
    text = (evil.home / "drained").read_text()
    assert "talk/2" in text and "forged" in text
    assert not FORBIDDEN.search(text)


def test_json_is_ascii_and_gives_it_back_unchanged(evil: Driven) -> None:
    for command in COMMANDS:
        if command[0] == "schedule":
            continue
        name, *rest = command
        text = evil(name, "--json", *rest).stdout if name != "config" else evil(*command, "--json").stdout
        assert text.isascii() and not FORBIDDEN.search(text), command
        json.loads(text)
    assert evil.task("talk/1")["prompt"] == EVIL
    assert evil.task("talk/1")["labels"] == [EVIL]
    assert evil.task("talk/6")["reason"] == EVIL
    runs = evil.runs("talk/1")
    assert runs["talk/1.1"]["result"] == {EVIL: EVIL}
    assert evil.runs("talk/2")["talk/2.1"]["error"] == EVIL
    assert evil.json("logs", "talk/3")["stdout"] == EVIL + "\n"
    assert {EVIL, "m2"} <= {message["id"] for message in evil.items("messages", "-s", "talk")}


def test_the_agents_own_requests_were_answered_in_spite_of_it(evil: Driven) -> None:
    with closing(sqlite3.connect(Path(evil.state_dir) / "sessions" / "talk" / "inbound.db")) as database:
        rows = database.execute("SELECT message_id, status FROM delivered ORDER BY message_id").fetchall()
    assert rows == [("m1", "refused"), ("m3", "refused"), ("m4" + EVIL, "refused")]
