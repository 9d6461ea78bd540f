"""What a lock, a stopped launcher or a small limit does to a supervisor: it looks again later, and nothing ends it."""

from __future__ import annotations

import os
import resource
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from agentq_process import Process
from driven import IMPATIENT, Driven, alive, held, until


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Nobody else gets at a database meanwhile."""
    holder = sqlite3.connect(path, isolation_level=None, timeout=20)
    try:
        holder.execute("BEGIN EXCLUSIVE")
        yield
    finally:
        holder.close()


def supervising(aq: Driven, *arguments: str, **constants: int) -> tuple[Process, Path]:
    """A supervisor that is on duty, and the file that it prints into."""
    log = aq.home / "log"
    soon = aq.agentq.constants(**constants) if constants else None
    with log.open("w") as file:
        supervisor = aq.start("run", *arguments, stdout=file, stderr=file, env=soon)
    until(lambda: aq.json("workers")["supervisors"], what="duty")
    return supervisor, log


def test_an_index_that_is_locked_for_long_ends_no_supervisor(aq: Driven) -> None:
    aq.batch({"exec": held("one"), "session": "a"}, {"exec": ["true"], "session": "b", "in": "1s"})
    soon = {"supervise.guard:LONGEST_AGAIN_MS": 800, "engines.local.connection:WATCHING_BUSY_MS": 300}
    supervisor, log = supervising(aq, **soon)
    aq.started("one")
    with locked(aq.state_dir / "agentq.db"):
        aq.let_go("one")
        # It is told of once it has lasted, and by then each step of the loop has met it.
        until(lambda: "trouble" in log.read_text(), deadline=60, what="word of the lock")
        assert supervisor.poll() is None
    until(lambda: set(aq.statuses().values()) == {"completed"}, what="the end of both")
    supervisor.terminate()
    assert supervisor.wait(30) == 143


def test_a_supervisor_that_finds_the_index_locked_begins_and_ends_when_it_can(aq: Driven) -> None:
    aq.exec("true")
    with locked(aq.state_dir / "agentq.db"):
        log = aq.home / "log"
        with log.open("w") as file:
            soon = aq.agentq.constants(**IMPATIENT)
            drain = aq.start("run", "--drain", stdout=file, stderr=file, env=soon)
        until(lambda: "held its lock" in log.read_text(), deadline=60, what="word of the lock")
        assert drain.poll() is None
    assert drain.wait(60) == 0
    assert aq.statuses() == {"default/1": "completed"}


def test_a_locked_index_does_not_keep_a_supervisor_that_is_to_go(aq: Driven) -> None:
    aq.exec(*held("one"))
    supervisor, _ = supervising(aq)
    pid = aq.started("one")
    with locked(aq.state_dir / "agentq.db"):
        supervisor.terminate()
        assert supervisor.wait(30) == 143
        assert alive(pid)
    aq.let_go("one")
    until(lambda: "settle" in aq("sweep", "--no-wake").stdout, what="the end of the run")
    assert aq.statuses() == {"default/1": "completed"}


@pytest.mark.parametrize("what", ["sessions/b/inbound.db", "agentq.db"])
def test_a_cancel_of_all_cancels_the_others_where_something_is_locked(aq: Driven, what: str) -> None:
    aq.batch(*({"exec": held(name), "session": name} for name in ("a", "b", "c")))
    supervisor, log = supervising(aq, "-j", "3", "--on-stop", "cancel")
    pids = [aq.started(name) for name in ("a", "b", "c")]
    with locked(aq.state_dir / what):
        supervisor.send_signal(signal.SIGINT)
        until(lambda: not any(map(alive, pids)), what="the end of all three")
        if what != "agentq.db":
            until(lambda: aq.task("a/1")["status"] == aq.task("c/1")["status"] == "cancelled", what="cancels")
        assert supervisor.poll() is None
    assert supervisor.wait(30) == 130
    assert aq.statuses() == dict.fromkeys(("a/1", "b/1", "c/1"), "cancelled"), log.read_text()


def test_limits_are_kept_while_the_index_is_locked(aq: Driven) -> None:
    aq.exec(*held("one"), given=("--stall-timeout", "1s", "--retries", "0"))
    supervisor, _ = supervising(aq)
    pid = aq.started("one")
    with locked(aq.state_dir / "agentq.db"):
        until(lambda: not alive(pid), what="the end of what is silent")
    until(lambda: aq.statuses() == {"default/1": "failed"}, what="its record")
    (run,) = aq.runs().values()
    assert run["status"] == "stalled"
    supervisor.terminate()
    assert supervisor.wait(30) == 143


def test_a_cancel_of_one_whose_directory_cannot_be_used_is_one_failed_item_of_several(aq: Driven) -> None:
    script = 'cd "$(dirname "$AGENTQ_RESULT")"/../..; rm -rf runs; : > runs; : > "$HOME/spoiled"'
    script += '; while [ ! -e "$HOME/a.go" ]; do sleep 0.05; done'
    aq.batch({"session": "a", "exec": ["sh", "-c", script]}, {"session": "b", "exec": held("b")})
    supervisor, _ = supervising(aq)
    pid = aq.started("b")
    until(lambda: (aq.home / "spoiled").exists(), what="the deed")
    items = {item["id"]: item for item in aq.items("cancel", "a/1", "b/1", code=1)}
    assert not items["a/1"]["ok"] and "could not be told" in items["a/1"]["message"]
    until(lambda: not alive(pid) and aq.statuses()["b/1"] == "cancelled", what="the cancel of the other")
    aq.let_go("a")
    until(lambda: aq.statuses()["a/1"] == "cancelled", what="its end")
    supervisor.terminate()
    assert supervisor.wait(30) == 143


def launcher_of(supervisor: Process) -> int:
    """The process that forks the runs."""
    (children,) = Path(f"/proc/{supervisor.pid}/task").glob("*/children")
    return next(
        int(pid)
        for pid in children.read_text().split()
        if Path(f"/proc/{pid}/comm").read_text().strip() == "agentq-launcher"
    )


@pytest.mark.parametrize("how", [signal.SIGSTOP, signal.SIGKILL])
def test_a_launcher_that_is_stopped_or_killed_is_replaced(aq: Driven, how: signal.Signals) -> None:
    aq.exec("true")
    supervisor, _ = supervising(aq, **{"host.launch:ANSWER_SECONDS": 1})
    aq("wait", "1")
    launcher = launcher_of(supervisor)
    os.kill(launcher, how)
    aq.batch({"exec": ["true"]}, {"exec": ["true"]})
    aq("wait", "2", "3", "--timeout", "60s")
    assert sorted(aq.runs()) == ["default/1.1", "default/2.1", "default/3.1"]
    assert not alive(launcher)
    newer = launcher_of(supervisor)
    os.kill(newer, signal.SIGSTOP)
    supervisor.terminate()
    assert supervisor.wait(30) == 143
    assert not alive(newer), "one that is stopped goes with its supervisor"


def test_few_descriptors_keep_nobody_from_many_sessions(aq: Driven) -> None:
    names = [f"s{number}" for number in range(40)]
    aq.batch(*({"exec": ["true"], "session": name} for name in names))
    few = {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))}
    aq.drain("-j", "2", timeout=300, **few)
    assert set(aq.statuses().values()) == {"completed"}


def test_a_supervisor_without_descriptors_says_so_and_goes_on_once_it_has_some(aq: Driven) -> None:
    aq.batch(*({"exec": held(f"t{number}"), "session": f"s{number}"} for number in range(40)))
    supervisor, log = supervising(aq, "-j", "40")
    resource.prlimit(supervisor.pid, resource.RLIMIT_NOFILE, (32, 1024))
    until(lambda: "descriptors" in log.read_text(), what="word of it")
    told = until(
        lambda: [each for each in aq.json("health", code=1)["issues"] if "descriptors" in each["message"]],
        what="health",
    )
    assert told[0]["component"] == "supervisor" and str(supervisor.pid) in told[0]["message"]
    resource.prlimit(supervisor.pid, resource.RLIMIT_NOFILE, (1024, 1024))
    aq.let_go(*(f"t{number}" for number in range(40)))
    until(lambda: set(aq.statuses().values()) == {"completed"}, deadline=90, what="the end of all")
    until(lambda: aq.agentq("health").returncode == 0, what="a supervisor that is well again")
    supervisor.terminate()
    assert supervisor.wait(30) == 143
