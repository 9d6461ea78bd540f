"""Two users on one machine: a state dir is its owner's alone, and nobody else's process is taken for dead or signalled.

The agents' user is played by one that has nothing (uid 65534), so that all of this needs root.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from agentq_process import ROOT, Agentq, Process
from driven import Driven, alive, held, until

from agentq_cli.host.run_directory import RunDirectory

NOBODY = 65534
AS_NOBODY: dict[str, Any] = {"user": NOBODY, "group": NOBODY, "extra_groups": ()}

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be two users")

COMMANDS = [
    *(
        ["list"],
        ["runs"],
        ["sessions"],
        ["workers"],
        ["events"],
        ["show", "1"],
        ["logs", "1"],
        ["sweep"],
        ["run", "--drain"],
    ),
    *(["submit", "--exec", "true"], ["cancel", "1"], ["pause", "--all"], ["wait", "1"], ["sweep", "--dry-run"]),
]


PACKAGES = sysconfig.get_path("purelib")


@pytest.fixture(scope="module")
def python() -> str:
    """An interpreter that both users can run, with what agentq needs: this one may lie in somebody's home."""
    for candidate in (sys.executable, "/usr/bin/python3"):
        probe = [candidate, "-c", "import sys, sqlite3, agentq_cli.cli.app; sys.exit(sys.version_info < (3, 11))"]
        with suppress(OSError):
            found = subprocess.run(probe, env=environment(), cwd="/", capture_output=True, **AS_NOBODY)
            if found.returncode == 0:
                return candidate
    pytest.skip("no interpreter here that another user can run, with agentq and what it needs")


def environment() -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "PYTHONPATH": f"{ROOT}:{PACKAGES}", "PYTHONDONTWRITEBYTECODE": "1"}


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that both users can reach; a test's own lies below one that only root can."""
    with TemporaryDirectory(prefix="agentq-users-") as made:
        place = Path(made)
        place.chmod(0o755)
        yield place


class User:
    """agentq as one of the users."""

    def __init__(self, place: Path, python: str, name: str, options: dict[str, Any]) -> None:
        self.home = place / name
        self.home.mkdir()
        os.chown(self.home, options.get("user", 0), options.get("group", 0))
        self.program = Agentq(self.home, self.home / "state", by_exec=True)
        self.program.environ |= environment()
        self.program.command = lambda *arguments: [python, "-m", "agentq_cli", *arguments]  # type: ignore[method-assign]
        self.aq = Driven(self.program)
        self.options = options

    def __call__(self, *arguments: str, code: int = 0, **more: Any) -> subprocess.CompletedProcess[str]:
        return self.aq(*arguments, code=code, **self.options, **more)

    def start(self, *arguments: str) -> Process:
        streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        return self.program.start(*arguments, **streams, **self.options)


@pytest.fixture
def nobody(place: Path, python: str) -> Iterator[User]:
    user = User(place, python, "nobody", AS_NOBODY)
    yield user
    user.program.stop()


@pytest.fixture
def root(place: Path, python: str) -> Iterator[User]:
    user = User(place, python, "root", {})
    yield user
    user.program.stop()


def tree(state: Path) -> dict[str, tuple[int, bytes]]:
    """Every file of a state dir: its owner and bytes."""
    return {str(path): (path.stat().st_uid, path.read_bytes()) for path in state.rglob("*") if path.is_file()}


@pytest.mark.parametrize("owner", ["root", "nobody"])
def test_a_state_dir_of_somebody_else_is_refused_and_left_as_it_is(root: User, nobody: User, owner: str) -> None:
    mine, other = (root, nobody) if owner == "root" else (nobody, root)
    mine("submit", "--exec", "true")
    before = tree(mine.home / "state")
    for command in COMMANDS:
        done = other(*command, code=2, env={"AGENTQ_STATE_DIR": str(mine.home / "state")})
        assert done.stdout == "" and done.stderr.count("\n") == 1
        assert "belongs to user" in done.stderr, done.stderr
    assert tree(mine.home / "state") == before
    mine("run", "--drain")


def forge(start: Path, **values: object) -> None:
    """Forge the record of who keeps a run, and of its agent."""
    start.write_text(json.dumps(json.loads(start.read_text()) | values) + "\n")


def identity(pid: int) -> dict[str, Any]:
    """Pid and start time of a process, as records hold them."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return {"pid": pid, "start_time": int(fields[19])}


def test_a_live_process_of_another_user_counts_as_alive_and_is_not_signalled(nobody: User, tmp_path: Path) -> None:
    """Case 31. A keeper or an agent that changed its user is out of reach, not dead."""
    nobody("submit", "-s", "s", "--grace", "100ms", "--exec", "--", *held("a"))
    nobody("submit", "-s", "s", "--exec", "--", "true")
    supervisor = nobody.start("run")
    agent = nobody.aq.started("a")
    directory = nobody.home / "state" / "sessions" / "s" / "runs" / "1.1"
    keeper = json.loads((directory / "start").read_text())["pid"]
    nobody.aq.kill_hard(supervisor)
    for pid in (keeper, agent):
        os.kill(pid, signal.SIGKILL)
    until(lambda: not alive(keeper) and not alive(agent), what="end of keeper and agent")
    sleeper = shutil.copy("/bin/sleep", tmp_path / "agentq-shim")  # A keeper is known by its name, too.
    with subprocess.Popen([sleeper, "600"]) as others:
        try:
            forge(directory / "start", **identity(others.pid))
            # The keeper is somebody else's: the run goes on, whoever looks, and the session's next task waits.
            assert "recover" not in nobody("sweep", "--no-wake").stdout
            nobody("cancel", "s/1", env=nobody.program.constants(**{"supervise.cancel:PATIENCE_MS": 300}))
            nobody("sweep", "--no-wake")
            assert statuses(nobody) == {"s/1": "running", "s/2": "queued"}
            assert alive(others.pid)
        finally:
            others.kill()
    assert "recover" in nobody("sweep", "--no-wake").stdout
    nobody("run", "--drain")
    assert statuses(nobody) == {"s/1": "cancelled", "s/2": "completed"}


def test_an_agent_of_another_user_keeps_its_slot_until_it_is_gone(nobody: User) -> None:
    """Its keeper is gone, and it can be told nothing: slot and session are not free, and nobody hangs on it."""
    nobody("submit", "-s", "s", "--exec", "--grace", "100ms", "--retries", "0", "--", *held("a"))
    nobody("submit", "-s", "s", "--exec", "--", "true")
    supervisor = nobody.start("run")
    agent = nobody.aq.started("a")
    directory = nobody.home / "state" / "sessions" / "s" / "runs" / "1.1"
    keeper = json.loads((directory / "start").read_text())["pid"]
    nobody.aq.kill_hard(supervisor)
    for pid in (keeper, agent):
        os.kill(pid, signal.SIGKILL)
    until(lambda: not alive(keeper) and not alive(agent), what="end of keeper and agent")
    with subprocess.Popen(["sleep", "600"]) as others:
        try:
            forge(directory / "start", agent=identity(others.pid))
            assert "recover" not in nobody("sweep", "--no-wake", env=impatient(nobody), timeout=60).stdout
            assert statuses(nobody) == {"s/1": "running", "s/2": "queued"}
            # A supervisor that looks after it goes on with other sessions meanwhile.
            second = nobody.start("run")
            nobody("submit", "--exec", "true")
            nobody("wait", "default/1", "--timeout", "60s")
            assert statuses(nobody) == {"s/1": "running", "s/2": "queued", "default/1": "completed"}
            assert alive(others.pid)
        finally:
            others.kill()
    nobody("wait", "s/2", "--timeout", "60s")
    assert statuses(nobody) == {"s/1": "failed", "s/2": "completed", "default/1": "completed"}
    second.kill()


def impatient(user: User) -> dict[str, str]:
    """The environment of one that soon leaves to later what cannot be ended."""
    return user.program.constants(**{"host.tree:PATIENCE_MS": 300})


def statuses(user: User) -> dict[str, str]:
    done = user("list", "--all", "--json")
    return {item["id"]: item["status"] for item in json.loads(done.stdout)["items"]}


CONTAINER = """
import json, os, sqlite3, sys
outbound, state = sys.argv[1:]
try:
    os.listdir(state)
    sys.exit("the state dir can be read")
except PermissionError:
    pass
database = sqlite3.connect(outbound)
asks = [
    {"action": "schedule_task", "prompt": "more", "in": "1h"},
    {"action": "schedule_task", "prompt": "code", "script": "/tmp/x"},
    {"action": "cancel_task", "task": "default/1"},
    {"action": "cancel_task", "task": 1},
]
rows = [(f"m{number}", "system", json.dumps(ask)) for number, ask in enumerate(asks)]
database.executemany("INSERT INTO messages_out VALUES (?, ?, ?, 0)", rows)
database.execute("INSERT INTO messages_out VALUES ('said', 'note', '\\"hello\\"', 0)")
database.commit()
"""
"""An agent that has its outbound.db and nothing else: it reads no configuration, and leaves nothing behind."""


def test_an_agent_that_can_only_write_its_outbound_is_answered(place: Path, python: str, root: User) -> None:
    """Case 39: the one file is mounted into a place of the other user's, as a container does it."""
    root("submit", "-s", "docs", "-a", "demo", "first")
    root("submit", "--exec", "true")
    outbound = root.home / "state" / "sessions" / "docs" / "outbound.db"
    inside = place / "inside"
    inside.mkdir()
    os.chown(inside, NOBODY, NOBODY)
    (inside / "outbound.db").touch()
    outbound.chmod(0o666)
    mount = ["mount", "--bind", str(outbound), str(inside / "outbound.db")]
    found = subprocess.run(mount, capture_output=True, text=True, check=False)
    if found.returncode:
        pytest.skip(f"a file cannot be mounted here: {found.stderr.strip()}")
    try:
        agent = [python, "-c", CONTAINER, str(inside / "outbound.db"), str(root.home / "state")]
        done = subprocess.run(agent, capture_output=True, text=True, cwd=inside, timeout=60, **AS_NOBODY)
        assert done.returncode == 0, done.stderr
        root("sweep", "--no-wake")
        root("sweep", "--no-wake")
    finally:
        subprocess.run(["umount", str(inside / "outbound.db")], check=True)
    assert statuses(root) == {"default/1": "queued", "docs/1": "cancelled", "docs/2": "scheduled"}
    with closing(sqlite3.connect(root.home / "state" / "sessions" / "docs" / "inbound.db")) as database:
        answers = database.execute("SELECT message_id, status, task FROM delivered ORDER BY message_id").fetchall()
    assert [answer[:2] for answer in answers] == [
        ("m0", "applied"),
        ("m1", "refused"),
        ("m2", "refused"),
        ("m3", "applied"),
    ]
    said = json.loads(root("messages", "-s", "docs", "--json").stdout)["items"]
    assert ("said", "hello") in {(item["id"], item["content"] if item["kind"] == "note" else None) for item in said}


BECOME_ROOT = """
#include <unistd.h>
#include <stdlib.h>
int main(int count, char **words) {
    if (setgid(0) || setuid(0)) return 9;
    while (access(words[1], F_OK)) usleep(20000);
    return 0;
}
"""


@pytest.fixture
def becomes_root(place: Path) -> Iterator[Path]:
    """A program that becomes root, as sudo does, and runs until the file that it is given is there."""
    program = place / "becomes-root"
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler here")
    subprocess.run([compiler, "-x", "c", "-", "-o", str(program)], input=BECOME_ROOT, text=True, check=True)
    program.chmod(0o4755)
    yield program
    (place / "go").touch()


def late(user: User, run: str = "s/1.1") -> str:
    items = json.loads(user("workers", "--json").stdout)["items"]
    return next((item["note"] or "" for item in items if item["run"] == run), "")


def test_a_run_past_its_limit_that_cannot_be_ended_is_told_of(nobody: User, place: Path, becomes_root: Path) -> None:
    words = ("--timeout", "500ms", "--grace", "100ms", "--exec", "--", str(becomes_root), str(place / "go"))
    nobody("submit", "-s", "s", *words)
    nobody("submit", "-s", "s", "--exec", "--", "true")
    log = nobody.home / "log"
    with log.open("w") as file:
        supervisor = nobody.program.start("run", "--drain", stdout=file, stderr=file, **AS_NOBODY)
    told = until(lambda: late(nobody), what="word of it")
    assert told.startswith("past its limit by ") and "(timeout), cannot be ended: pid " in told
    (pid,) = [word.rstrip(",") for word in told.split() if word.rstrip(",").isdigit()]
    assert told.endswith(f"pid {pid}, user root") and "becomes-root" in Path(f"/proc/{pid}/comm").read_text()
    shown = json.loads(nobody("show", "s/1", "--json").stdout)
    assert shown["status"] == "running" and f"pid {pid}, user root" in shown["reason"]
    assert "cannot be ended" in nobody("show", "s/1").stdout
    assert "cannot be ended" in nobody("workers").stdout
    (issue,) = json.loads(nobody("health", "--json", code=2).stdout)["issues"]
    assert issue["component"] == "run s/1.1" and f"pid {pid}, user root" in issue["message"]
    until(lambda: "cannot be ended" in log.read_text(), what="the supervisor's word")
    assert "cannot be ended" in nobody("cancel", "s/1", "--json").stdout
    assert alive(int(pid)) and json.loads(nobody("show", "s/2", "--json").stdout)["status"] == "queued"
    (place / "go").touch()
    assert supervisor.wait(30) == 1
    assert log.read_text().count("cannot be ended") == 1


def test_what_a_gone_keeper_left_and_cannot_be_ended_is_told_of(nobody: User, place: Path, becomes_root: Path) -> None:
    words = ("--grace", "100ms", "--exec", "--", str(becomes_root), str(place / "go"))
    nobody("submit", "-s", "s", *words)
    nobody("submit", "-s", "t", "--in", "1h", "--expires", "1ms", "--exec", "--", "true")
    supervisor = nobody.start("run")
    directory = RunDirectory(nobody.home / "state" / "sessions" / "s" / "runs" / "1.1")
    agent = until(directory.pid, what="the agent")
    until(lambda: "becomes-root" in Path(f"/proc/{agent}/comm").read_text(), what="its program")
    until(lambda: "\nUid:\t0\t0\t0" in Path(f"/proc/{agent}/status").read_text(), what="root")
    nobody.aq.kill_hard(supervisor)
    keeper = directory.start().identity.pid
    os.kill(keeper, signal.SIGKILL)
    until(lambda: not alive(keeper), what="end of the keeper")
    planned = nobody("sweep", "--dry-run", "--no-wake").stdout
    done = nobody("sweep", "--no-wake", env=impatient(nobody)).stdout
    for said in (planned, done):
        assert f"overdue s/1.1: its keeper process is gone, cannot be ended: pid {agent}, user root" in said
    assert "its keeper process is gone" in late(nobody)
    (place / "go").touch()
    until(lambda: not alive(agent), what="its end")
    until(lambda: "recover s/1.1" in nobody("sweep", "--no-wake").stdout, what="recovery")


def test_a_hook_that_cannot_be_killed_keeps_no_drain(nobody: User, place: Path, becomes_root: Path) -> None:
    config = nobody.home / "config.toml"
    config.write_text(f'[hooks]\n"task.finished" = ["{becomes_root}", "{place}/go"]\n')
    nobody.program.environ["AGENTQ_CONFIG"] = str(config)
    nobody("submit", "--exec", "--", "true")
    soon = nobody.program.constants(**{"supervise.hooks:LIMIT_MS": 1000, "supervise.hooks:UNKILLABLE_MS": 500})
    said = nobody("run", "--drain", timeout=60, env=soon).stdout
    assert "could not be killed" in said
