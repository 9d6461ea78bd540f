"""A supervisor that stands still for a minute and goes on (SIGSTOP, a suspended machine's neighbour, a swap storm).

Nothing here is shortened: its runs may be taken after thirty seconds, and it wakes with old ones in its hands.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest
from agentq_process import Process
from driven import Driven, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

MINUTE = 60.0
TAKEN_OVER = 90.0
"""Seconds within which somebody else has taken the runs over: the lease and what a loaded machine adds to it."""

EFFECT = """
echo "$AGENTQ_RUN" >> "$HOME/effects"
echo $$ > "$HOME/$1.started.new" && mv "$HOME/$1.started.new" "$HOME/$1.started"
while [ ! -e "$HOME/$1.go" ]; do sleep 0.05; done
exit ${2:-0}
"""


def task(name: str, code: int = 0, session: str = "default") -> dict[str, object]:
    """A line of a batch: a command that says that it began and goes on until it is let."""
    return {"session": session, "exec": ["sh", "-c", EFFECT, "-", name, str(code)]}


def stop(aq: Driven, process: Process) -> float:
    """Have it stand still, between two rounds: with a lock in its hand it would only keep everybody out."""
    while True:
        aq.signal(process, signal.SIGSTOP)
        until(lambda: state(process.pid) == "T", what="standstill")
        if not any(path.name.endswith("-journal") for path in aq.state_dir.rglob("*")):
            return time.monotonic()
        aq.signal(process, signal.SIGCONT)


def state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def effects(aq: Driven) -> Counter[str]:
    """How often each run has begun."""
    return Counter((aq.home / "effects").read_text().split())


def finishes(aq: Driven) -> Counter[str]:
    """How often each run was finished, by the events."""
    events = aq.items("events", "--limit", "10000")
    return Counter(event["run"] for event in events if event["event"] == "finish")


def test_another_run_takes_over_and_nothing_is_done_twice(aq: Driven) -> None:
    aq.batch(task("a"), task("b", 3), task("c"), task("d"))
    first = aq.supervise("-j", "3")
    for name in "abc":
        aq.started(name)
    stopped_at = stop(aq, first)
    aq.let_go("a")
    second = aq.supervise("-j", "3")
    assert "settle" not in aq("sweep", "--no-wake").stdout, "within its lease the runs are its own"
    until(lambda: aq.statuses()["default/1"] == "completed", TAKEN_OVER, what="settling by the second")
    aq.started("d")
    aq.let_go("b")
    until(lambda: aq.statuses()["default/2"] == "failed", what="end of b")
    sweeps = [aq.start("sweep", "--no-wake", stdout=subprocess.DEVNULL) for _ in range(5)]
    for sweep in sweeps:
        aq.ended(sweep, 0)
    until(lambda: time.monotonic() - stopped_at > MINUTE, 2 * MINUTE, what="the minute")
    before = aq.runs()
    aq.signal(first, signal.SIGCONT)
    aq.batch(task("e"))
    aq.started("e")
    aq.let_go("c", "d", "e")
    aq("wait", "3", "4", "5", "--timeout", "60s")
    for process in (first, second):
        assert process.poll() is None
        aq.signal(process, signal.SIGTERM)
        aq.ended(process, 143)
    runs = aq.runs()
    assert {run: item["status"] for run, item in runs.items()} == {
        "default/1.1": "success",
        "default/2.1": "error",
        "default/3.1": "success",
        "default/4.1": "success",
        "default/5.1": "success",
    }
    assert runs["default/2.1"]["exit_code"] == 3
    assert {run: runs[run] for run in ("default/1.1", "default/2.1")} == {
        run: before[run] for run in ("default/1.1", "default/2.1")
    }, "what has ended stays as it was recorded"
    assert [runs[f"default/{number}.1"]["adopted"] for number in (1, 2, 3)] == [True, True, True]
    assert set(effects(aq).values()) == {1} and len(effects(aq)) == 5
    assert finishes(aq) == Counter(runs.keys())
    assert aq.items("workers") == []


def test_with_two_supervisors_and_sweeps_only_the_sweep_settles_what_is_nobody_elses(aq: Driven) -> None:
    """The other supervisor looks at another session only; the task is run again while the first still stands."""
    aq.batch(task("a", 0, "docs"), task("x", 0, "other"))
    first = aq.supervise("-s", "docs")
    second = aq.supervise("-s", "other")
    aq.started("a")
    aq.started("x")
    stopped_at = stop(aq, first)
    aq.let_go("a")
    until(lambda: "settle" in aq("sweep", "--no-wake").stdout, TAKEN_OVER, what="settling by a sweep")
    assert (aq.statuses()["docs/1"], aq.statuses()["other/1"]) == ("completed", "running")
    for name in ("a.go", "a.started"):
        os.unlink(aq.home / name)
    aq("retry", "docs/1")
    third = aq.supervise("-s", "docs", "--drain")
    aq.started("a")
    until(lambda: time.monotonic() - stopped_at > MINUTE, 2 * MINUTE, what="the minute")
    aq.signal(first, signal.SIGCONT)
    # It has looked once its row is fresh again.
    until(lambda: fresh(aq, first.pid), what="its first look")
    assert aq.statuses() == {"docs/1": "running", "other/1": "running"}
    (worker,) = (worker for worker in aq.items("workers") if worker["session"] == "docs")
    assert (worker["run"], worker["supervisor_pid"]) == ("docs/1.2", third.pid)
    aq.let_go("a", "x")
    aq.ended(third, 0)
    aq("wait", "other/1", "--timeout", "60s")
    for process in (first, second):
        aq.signal(process, signal.SIGTERM)
        aq.ended(process, 143)
    assert aq.statuses() == {"docs/1": "completed", "other/1": "completed"}
    assert {run: item["status"] for run, item in aq.runs().items()} == dict.fromkeys(
        ("docs/1.1", "docs/1.2", "other/1.1"), "success"
    )
    assert effects(aq) == Counter(("docs/1.1", "docs/1.2", "other/1.1")) == finishes(aq)


def fresh(aq: Driven, pid: int) -> bool:
    """Whether a supervisor has been seen since its standstill."""
    supervisors = aq.json("workers")["supervisors"]
    seen = next((item["last_seen_at"] for item in supervisors if item["pid"] == pid), None)
    newest = max(item["last_seen_at"] for item in supervisors)
    return seen is not None and newest[:16] == seen[:16]
