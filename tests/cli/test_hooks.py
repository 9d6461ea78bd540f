"""Hooks: real commands, told of each event once, beside the queue and never in its way."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest
from driven import Driven, Object, alive, held, until
from test_attempts import agents

ALL = ("task.finished", "task.failed", "series.paused", "agent.held", "session.drained")
NOTE = """
d="$HOME/told"; mkdir -p "$d"
cat > "$d/.$$" && mv "$d/.$$" "$d/$(date +%s%N).$$"
"""
"""A hook that keeps what it is told, a file a call."""


def configure(aq: Driven, hooks: dict[str, Sequence[str]], more: str = "") -> None:
    lines = [f"{json.dumps(name)} = {json.dumps(list(argv))}\n" for name, argv in hooks.items()]
    file = aq.home / "agentq.toml"
    file.write_text(f"{more}\n[hooks]\n{''.join(lines)}")
    aq.agentq.environ["AGENTQ_CONFIG"] = str(file)


def note_all(aq: Driven, *names: str, more: str = "") -> None:
    configure(aq, dict.fromkeys(names or ALL, ("sh", "-c", NOTE)), more)


def told(aq: Driven) -> list[Object]:
    """What the hooks were told, in the order in which they took it."""
    found = sorted(path for path in (aq.home / "told").glob("[0-9]*"))
    documents = [json.loads(path.read_text()) for path in found]
    assert all(document["schema"] == "agentq.hook/1" for document in documents)
    return documents


def calls(aq: Driven) -> list[tuple[str, str | None, str | None]]:
    """Hook, task and status of each, sorted: hooks run side by side."""
    return sorted((each["event"], each["task"] and each["task"]["id"], each["status"]) for each in told(aq))


def asked(aq: Driven, question: str) -> list[int]:
    with closing(sqlite3.connect(aq.state_dir / "agentq.db")) as database:
        return [int(value) for (value,) in database.execute(question)]


def last_failure(aq: Driven) -> Object:
    """The event of the hook that failed last."""
    return next(event for event in aq.items("events") if event["event"] == "hook_failed")


def pending(aq: Driven) -> int:
    """How many hooks are still to be run."""
    return asked(aq, "SELECT count(*) FROM hooks")[0]


def cursor(aq: Driven) -> list[int]:
    return asked(aq, "SELECT value FROM meta WHERE name = 'hooks_cursor'")


def test_a_drain_tells_each_end_once_and_then_that_the_session_is_empty(aq: Driven) -> None:
    note_all(aq)
    aq.batch({"exec": ["true"], "session": "x"}, {"exec": ["sh", "-c", "exit 3"], "session": "x"})
    aq.exec("true", given=("--in", "1h", "-s", "x"))
    aq.drain(code=1)
    assert calls(aq) == [
        ("session.drained", "x/2", "failed"),
        ("task.failed", "x/2", "failed"),
        ("task.finished", "x/1", "completed"),
        ("task.finished", "x/2", "failed"),
    ]
    (failed,) = [each for each in told(aq) if each["event"] == "task.failed"]
    shown = aq.task("x/2")
    del shown["schema"], shown["environment"], shown["checkpoint"]
    assert failed["task"] == shown
    assert {**failed["run"], "pid": None} == {**aq.runs()["x/2.1"], "pid": None}
    assert (failed["session"], failed["agent"], failed["reason"]) == ("x", None, "exit code 3")
    # Whoever comes next has nothing to tell again.
    aq("sweep")
    aq.drain()
    assert len(told(aq)) == 4 and pending(aq) == 0


def test_what_a_command_ended_is_told_by_whoever_comes_next(aq: Driven) -> None:
    note_all(aq)
    aq.exec("true")
    aq.exec("true", given=("--expires", "1s"), env={"AGENTQ_NOW": "2026-03-01T12:00:00Z"})
    aq("cancel", "1")
    assert [item["action"] for item in aq.items("sweep", "--dry-run", "--no-wake")] == ["expire", *["hook"] * 3]
    assert told(aq) == []
    done = [item["detail"] for item in aq.items("sweep", "--no-wake") if item["action"] == "hook"]
    assert sorted(done) == ["session.drained: done", "task.finished: done", "task.finished: done"]
    assert calls(aq) == [
        ("session.drained", "default/2", "expired"),
        ("task.finished", "default/1", "cancelled"),
        ("task.finished", "default/2", "expired"),
    ]
    assert aq.items("sweep") == []


def test_a_live_supervisor_tells_at_once_and_is_not_held_up(aq: Driven) -> None:
    """Four hooks hang, two more wait for them; starts go on."""
    go = aq.home / "go"
    configure(aq, {"task.finished": ("sh", "-c", f"while [ ! -e '{go}' ]; do sleep 0.05; done; {NOTE}")})
    supervisor = aq.supervise("-j", "6")
    aq("wait", *aq.batch(*[{"exec": ["true"]}] * 6))
    assert told(aq) == []
    go.touch()
    until(lambda: len(told(aq)) == 6, what="six hooks")
    assert calls(aq) == [("task.finished", f"default/{n}", "completed") for n in range(1, 7)]
    aq.kill_hard(supervisor)


def test_series_and_agents_that_stop_by_themselves_are_told_and_what_a_person_pauses_is_not(aq: Driven) -> None:
    env = agents(aq, refused={"class": "auth", "error": "bad key"})
    table = Path(env["AGENTQ_CONFIG"]).read_text()
    note_all(aq, "series.paused", "agent.held", more=table)
    aq("schedule", "--every", "1h", "--pause-after", "1", "--exec", "--", "false")
    aq("schedule", "--every", "1h", "--exec", "--", *held("one"))
    aq("pause", "--agent", "refused")
    aq("resume", "--agent", "refused")
    given = {k: v for k, v in env.items() if k != "AGENTQ_CONFIG"}
    aq.submit("--agent", "refused", "work", env=given)
    drain = aq.supervise("--drain", env=given | {"AGENTQ_NOW": "2099-01-01T00:00:00Z"})
    aq.started("one")
    aq("pause", "2")
    aq.let_go("one")
    aq.ended(drain, 1)
    assert sorted(aq.statuses().values()).count("paused") == 2
    found = {each["event"]: each for each in told(aq)}
    assert len(found) == len(told(aq)) == 2
    assert (found["agent.held"]["agent"], found["agent.held"]["task"]) == ("refused", None)
    assert "bad key" in found["agent.held"]["reason"]
    assert found["series.paused"]["task"]["status"] == "paused"
    assert found["series.paused"]["reason"] == "1 failures in a row"
    assert found["series.paused"]["task"]["series"] == "default/1"


def test_a_failure_is_an_event_and_in_health_until_the_hook_succeeds(aq: Driven) -> None:
    configure(aq, {"task.finished": ("sh", "-c", "echo no such host >&2; exit 7")})
    for _ in range(2):
        aq.exec("true")
        aq.drain()
    assert aq.statuses() == {"default/1": "completed", "default/2": "completed"}
    event = last_failure(aq)
    reason = "task.finished: 'sh' exited with 7: no such host"
    assert (event["event"], event["run"], event["reason"], event["to"]) == ("hook_failed", "default/2.1", reason, None)
    (issue,) = aq.json("health", code=1)["issues"]
    assert (issue["severity"], issue["component"]) == ("warning", "hook task.finished")
    assert "2 runs failed" in issue["message"] and "no such host" in issue["message"]
    configure(aq, {"task.finished": ("/no/such/program",)})
    aq.exec("true")
    aq.drain()
    (issue,) = aq.json("health", code=1)["issues"]
    assert "'/no/such/program' exited with 127: No such file or directory" in issue["message"]
    configure(aq, {"task.finished": ("true",)})
    aq.exec("true")
    aq.drain()
    assert aq.json("health")["issues"] == []


def test_a_supervisor_that_dies_leaves_its_hooks_to_the_next(aq: Driven) -> None:
    """Its hook dies with it, so that the next one runs none beside it."""
    first = aq.home / "first"
    script = (
        f"if [ ! -e '{first}' ]; then echo $$ > '{first}.new'; mv '{first}.new' '{first}'; exec sleep 60; fi; {NOTE}"
    )
    configure(aq, {"task.finished": ("sh", "-c", script)})
    supervisor = aq.supervise()
    aq.exec("true")
    pid = int(until(lambda: first.read_text() if first.exists() else "", what="the hook"))
    aq.kill_hard(supervisor)
    until(lambda: not alive(pid), what="end of the hook")
    assert pending(aq) == 1
    aq("sweep")
    assert calls(aq) == [("task.finished", "default/1", "completed")]
    assert pending(aq) == 0


@pytest.mark.slow
def test_a_supervisor_that_is_told_to_go_lets_its_hook_end_and_a_second_signal_does_not(aq: Driven) -> None:
    started, go = aq.home / "hook.started", aq.home / "hook.go"
    script = (
        f"echo $$ > '{started}.new'; mv '{started}.new' '{started}'; while [ ! -e '{go}' ]; do sleep 0.02; done; {NOTE}"
    )
    configure(aq, {"task.finished": ("sh", "-c", script)})
    for again in (False, True):
        supervisor = aq.supervise()
        aq.exec("true")
        pid = int(until(lambda: started.read_text() if started.exists() else "", what="the hook"))
        aq.signal(supervisor, signal.SIGTERM)
        # Off duty at once: nobody counts on it while it waits.
        until(lambda: aq.json("workers")["supervisors"] == [], what="off duty")
        assert supervisor.poll() is None
        if again:
            aq.signal(supervisor, signal.SIGTERM)
        else:
            go.touch()
        aq.ended(supervisor, 143)
        assert not alive(pid)
        started.unlink()
        go.unlink(missing_ok=True)
    assert [call[1] for call in calls(aq)] == ["default/1"]
    assert pending(aq) == 1
    go.touch()
    aq("sweep")
    assert [call[1] for call in calls(aq)] == ["default/1", "default/2"]


@pytest.mark.slow
def test_many_supervisors_and_sweeps_tell_each_end_once(aq: Driven) -> None:
    note_all(aq, "task.finished")
    aq.batch(*[{"exec": ["true"], "session": f"s{n % 5}"} for n in range(20)])
    supervisors = [aq.start("run", "--drain", "-j", "4") for _ in range(2)]
    sweeps = [aq.start("sweep", "--no-wake") for _ in range(2)]
    for process in (*supervisors, *sweeps):
        process.communicate(timeout=60)
    aq("sweep")
    assert len(told(aq)) == len({each["task"]["id"] for each in told(aq)}) == 20


def test_a_hook_gets_its_document_and_nothing_of_the_queue(aq: Driven) -> None:
    script = """
env > "$HOME/env"; pwd > "$HOME/pwd"; ls /proc/self/fd > "$HOME/fds"
grep SigIgn /proc/$$/status > "$HOME/ignored"; cat > "$HOME/document"
"""
    configure(aq, {"task.finished": ("sh", "-c", script)})
    prompt = "ü" * 200_000
    aq.submit("--agent", "demo", "-s", "x", "-e", "TOKEN=hush", "-", input=prompt)
    aq.drain(env={"LANG": "C"})
    environ = dict(line.split("=", 1) for line in (aq.home / "env").read_text().splitlines() if "=" in line)
    assert environ["AGENTQ_HOOK"] == "task.finished"
    assert environ["AGENTQ_STATE_DIR"] == os.path.realpath(aq.state_dir)
    assert environ["AGENTQ_DEPTH"] == "1"
    assert "TOKEN" not in environ and "AGENTQ_RUN" not in environ
    assert (aq.home / "pwd").read_text().strip() == str(aq.home)
    # 0, 1, 2 and the one that lists.
    assert (aq.home / "fds").read_text().split() == ["0", "1", "2", "3"]
    assert (aq.home / "ignored").read_text().split() == ["SigIgn:", "0" * 16]
    text = (aq.home / "document").read_text()
    assert json.loads(text)["task"]["prompt"] == prompt
    assert "hush" not in text


@pytest.mark.slow
def test_hooks_that_call_themselves_come_to_an_end(aq: Driven) -> None:
    """Each submits a task whose end calls it again."""

    configure(
        aq, {"task.finished": (sys.executable, "-m", "agentq_cli", "submit", "--no-wake", "--exec", "--", "true")}
    )
    aq.exec("true")
    aq.drain(timeout=100)
    assert len(aq.statuses()) == 11
    (issue,) = aq.json("health", code=1)["issues"]
    assert "AGENTQ_DEPTH" in issue["message"]


def test_hooks_that_are_configured_later_are_not_told_of_what_was_before(aq: Driven) -> None:
    aq.exec("true")
    aq.drain()
    aq("sweep")
    assert cursor(aq) == []  # without hooks nothing of them is stored
    note_all(aq)
    os.utime(aq.home / "agentq.toml", (2**31, 2**31))
    aq("sweep")
    assert told(aq) == []
    aq.exec("true")
    aq.drain()
    assert [call[1] for call in calls(aq)] == ["default/2", "default/2"]


def test_a_misspelt_hook_is_refused_with_line_and_nearest_name(aq: Driven) -> None:
    configure(aq, {"task.finishd": ("true",)}, more="jobs = 2")
    line = aq.refused("config", "check", code=2)
    assert "agentq.toml:3:" in line and "did you mean 'task.finished'?" in line
    (aq.home / "agentq.toml").write_text("[hooks]\nsession.drained = []\n")
    assert "agentq.toml:2:" in aq.refused("run", code=2)
    assert not aq.state_dir.exists()


@pytest.mark.slow
def test_a_hook_without_end_is_killed_with_its_group_after_ten_seconds(aq: Driven) -> None:
    pids = aq.home / "pids"
    # It writes all the while: its output must neither fill a pipe nor a disk.
    configure(aq, {"task.finished": ("sh", "-c", f"sleep 300 & echo $$ $! > '{pids}'; yes")})
    aq.exec("true")
    aq.drain(timeout=100)
    assert "did not end within 10 s and was killed" in last_failure(aq)["reason"]
    for pid in map(int, pids.read_text().split()):
        until(lambda pid=pid: not alive(pid), what="end of the group")


def test_a_drain_runs_all_its_hooks_and_what_they_leave_running_ends_with_them(aq: Driven) -> None:
    """More of them than run at once."""
    pids = aq.home / "pids"
    configure(aq, {"task.finished": ("sh", "-c", f"sleep 300 & echo $! >> '{pids}'; sleep 0.2")})
    aq.batch(*[{"exec": ["true"]}] * 7)
    aq.drain("-j", "7")
    assert pending(aq) == 0
    left = [int(pid) for pid in pids.read_text().split()]
    assert len(left) == 7
    until(lambda: not any(alive(pid) for pid in left), what="end of what they left")


@pytest.mark.slow
def test_hooks_that_hang_hold_no_drain_for_ever(aq: Driven) -> None:
    configure(aq, {"task.finished": ("sleep", "300")})
    aq.batch(*[{"exec": ["true"]}] * 20)
    aq.drain("-j", "8", timeout=100)
    left = pending(aq)
    assert 0 < left < 20
    configure(aq, {"task.finished": ("true",)})
    assert len([item for item in aq.items("sweep") if item["action"] == "hook"]) == left
    assert pending(aq) == 0
