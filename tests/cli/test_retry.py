"""`agentq retry`: an ended task runs again under its address; K goes on counting, the budget is fresh."""

from __future__ import annotations

from driven import Driven

SECOND_TIME = "if [ -e tried ]; then echo good; else touch tried; echo bad; exit 3; fi"


def test_the_same_address_and_the_next_run(aq: Driven) -> None:
    aq.exec("sh", "-c", SECOND_TIME, given=("-s", "a", "--label", "x", "--key", "k"))
    aq.drain(code=1)
    failed = aq.task("a/1")
    assert (failed["status"], failed["exit_code"], failed["attempts"]) == ("failed", 3, 1)
    (again,) = aq.items("retry", "a/1")
    expected = {"id": "a/1", "status": "queued", "attempts": 0, "exit_code": None, "reason": None, "labels": ["x"]}
    assert {key: again[key] for key in expected} == expected
    aq.drain()
    runs = aq.runs()
    assert [(run["id"], run["attempt"], run["trigger"], run["status"], run["exit_code"]) for run in runs.values()] == [
        ("a/1.2", 2, "retry", "success", 0),
        ("a/1.1", 1, "submit", "error", 3),
    ]
    task = aq.task("a/1")
    assert (task["status"], task["attempts"], task["last_run"], task["exit_code"]) == ("completed", 1, "a/1.2", 0)
    assert aq.stdout(runs["a/1.1"]) == "bad\n"
    assert aq("logs", "a/1").stdout == "good\n"


def test_every_ended_kind_can_be_retried_and_no_live_one(aq: Driven) -> None:
    aq.exec("true", given=("--expires", "1m"), env={"AGENTQ_NOW": "2026-03-01T12:00:00Z"})
    aq.batch({"exec": ["true"]}, {"exec": ["true"], "in": "1h"}, {"exec": ["true"], "in": "1h"})
    aq.drain()
    aq("cancel", "3")
    assert list(aq.statuses().values()) == ["scheduled", "expired", "completed", "cancelled"]
    done = aq("retry", "1", "2", "3")
    assert done.stdout.splitlines() == ["default/1", "default/2", "default/3"]
    assert [line[:14] for line in done.stderr.splitlines()] == ["agentq: hint: "]
    aq.drain()
    assert list(aq.statuses().values()) == ["scheduled", "completed", "completed", "completed"]
    assert "scheduled" in aq.refused("retry", "4", code=4)
    items = aq.items("retry", "1", "4", "9", code=1)
    assert [(item["id"], item["ok"], item["code"]) for item in items] == [
        ("default/1", True, 0),
        ("default/4", False, 4),
        ("default/9", False, 3),
    ]
    assert aq.statuses()["default/1"] == "queued"
    aq.refused("retry", code=2)


def test_a_retry_wakes_the_supervisor(aq: Driven) -> None:
    aq.exec("sh", "-c", SECOND_TIME)
    supervisor = aq.supervise("--max-tasks", "2")
    aq("wait", "1", code=3)
    assert aq("retry", "1").stderr == ""
    aq.ended(supervisor, 0)
    assert aq.statuses() == {"default/1": "completed"}
