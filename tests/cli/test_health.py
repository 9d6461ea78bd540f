"""`agentq health`: each thing that can be wrong, its severity and what to do; a busy queue is a healthy one."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from driven import Driven, Object, held, until
from test_attempts import agents


def health(aq: Driven, code: int, **options: object) -> list[Object]:
    """The issues; the exit code says as much as the status."""
    found = aq.json("health", code=code, **options)
    assert (found["schema"], found["status"]) == ("agentq.health/1", ("healthy", "degraded", "unhealthy")[code])
    for issue in found["issues"]:
        assert set(issue) == {"severity", "component", "message", "recommendation"}
        assert all(issue.values())
    return found["issues"]


def components(issues: list[Object]) -> list[tuple[str, str]]:
    return [(issue["severity"], issue["component"]) for issue in issues]


def test_nothing_at_all_is_healthy_and_leaves_nothing(aq: Driven) -> None:
    assert health(aq, 0) == []
    assert aq("health").stdout == "healthy\n"
    assert not aq.state_dir.exists()


def test_all_slots_busy_and_more_waiting_is_healthy(aq: Driven) -> None:
    for name in ("one", "two"):
        aq.exec(*held(name))
    aq.exec("true")
    aq.exec("true", given=("--in", "1h"))
    aq.exec("true", given=("--after", "1"))
    supervisor = aq.supervise("-j", "2")
    for name in ("one", "two"):
        aq.started(name)
    assert health(aq, 0) == []
    aq.let_go("one", "two")
    aq("wait", "1", "2", "3", "5")
    aq.kill_hard(supervisor)


def test_work_that_nobody_will_do_is_named_and_gets_worse(aq: Driven) -> None:
    aq.exec("true", given=("-s", "docs"))
    (issue,) = health(aq, 1)
    assert components([issue]) == [("warning", "supervisor")]
    assert "docs" in issue["message"] and "agentq run" in issue["recommendation"]
    assert components(health(aq, 2, env={"AGENTQ_NOW": "2099-01-01T00:00:00Z"})) == [("error", "supervisor")]
    aq("pause", "-s", "docs")
    assert health(aq, 0) == []
    lines = aq("resume", "-s", "docs") and aq("health", code=1).stdout.splitlines()
    assert lines[0] == "degraded" and lines[1].startswith("warning: supervisor: ")


def test_held_agents_say_why_and_what_helps(aq: Driven) -> None:
    env = agents(
        aq,
        limited={"class": "rate_limited", "error": "limit", "reset_at": "2098-01-01T00:00:00Z"},
        refused={"class": "auth", "error": "bad key"},
    )
    for agent in ("limited", "refused"):
        aq.submit("--agent", agent, "work", env=env)
    aq.drain(code=1, env=env | {"AGENTQ_NOW": "2097-12-31T00:00:00Z"})
    issues = health(aq, 2, env=env | {"AGENTQ_NOW": "2097-12-31T00:00:00Z"})
    assert components(issues) == [("warning", "agent limited"), ("error", "agent refused")]
    assert "until 2098-01-01T00:00:00.000Z" in issues[0]["message"]
    assert "bad key" in issues[1]["message"]
    assert "agentq resume --agent refused" in issues[1]["recommendation"]
    for agent in ("limited", "refused"):
        aq("resume", "--agent", agent, env=env)
    aq("cancel", "1")
    assert health(aq, 0, env=env) == []


def test_a_session_that_cannot_be_read_is_an_error_and_the_others_are_judged_too(aq: Driven) -> None:
    aq.exec("true", given=("-s", "bad"))
    aq.exec("true", given=("-s", "good"))
    aq.drain()
    (aq.state_dir / "sessions" / "bad" / "inbound.db").write_bytes(b"nothing that SQLite knows" * 99)
    aq.exec("true", given=("-s", "good"))
    assert sorted(components(health(aq, 2))) == [("error", "session bad"), ("warning", "supervisor")]


def test_an_index_that_cannot_be_read_is_an_error(aq: Driven) -> None:
    aq.exec("true")
    (aq.state_dir / "agentq.db").write_bytes(b"nothing that SQLite knows" * 99)
    assert components(health(aq, 2)) == [("error", "state dir")]


def test_runs_that_nobody_watches_are_named(aq: Driven) -> None:
    aq.exec(*held("one"))
    supervisor = aq.supervise()
    aq.started("one")
    aq.kill_hard(supervisor)
    issues = health(aq, 1)
    assert components(issues) == [("warning", "runs")]
    assert "default/1.1" in issues[0]["message"] and "agentq sweep" in issues[0]["recommendation"]
    aq.let_go("one")
    aq.drain()
    assert health(aq, 0) == []


def test_a_series_that_paused_itself_is_named_and_one_that_a_person_paused_is_not(aq: Driven) -> None:
    for pause_after in ("1", "8"):
        aq("schedule", "--every", "1h", "--pause-after", pause_after, "--exec", "--", "false")
    aq("pause", "2", "--reason", "mine")
    aq.drain(code=1, env={"AGENTQ_NOW": "2099-01-01T00:00:00Z"})
    (issue,) = health(aq, 1)
    assert issue["component"] == "task default/3" and "agentq resume default/3" in issue["recommendation"]


def test_a_supervisor_that_stands_still_looks_after_nothing(aq: Driven) -> None:
    aq.exec(*held("one"))
    supervisor = aq.supervise()
    aq.started("one")
    pid = supervisor.pid
    os.kill(pid, signal.SIGSTOP)
    try:
        until(lambda: Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T")
        assert health(aq, 0) == []  # within its lease it may only be slow
    finally:
        os.kill(pid, signal.SIGCONT)
    aq.let_go("one")
    aq("wait", "1")
    aq.kill_hard(supervisor)
