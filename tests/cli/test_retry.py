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
    assert aq("logs", "a/1.1").stdout == "bad\n"
    assert aq("logs", "a/1").stdout == "good\n"
    assert aq.exec("true", given=("-s", "a")) == "a/2"


def test_every_ended_kind_can_be_retried_and_no_live_one(aq: Driven) -> None:
    past = {"AGENTQ_NOW": "2026-03-01T12:00:00Z"}
    aq.exec("true", given=("--expires", "1m"), env=past)
    aq.batch({"exec": ["true"]}, {"exec": ["true"], "in": "1h"}, {"exec": ["true"], "in": "1h"})
    aq.drain()
    aq("cancel", "3")
    assert list(aq.statuses().values()) != []
    assert "scheduled" in aq.refused("retry", "4", code=4)
    done = aq("retry", "1", "2", "3")
    assert done.stdout.splitlines() == ["default/1", "default/2", "default/3"]
    assert len([line for line in done.stderr.splitlines() if line.startswith("agentq: hint: ")]) == 1
    aq.drain()
    assert aq.statuses() == {
        "default/1": "completed",
        "default/2": "completed",
        "default/3": "completed",
        "default/4": "scheduled",
    }


def test_several_targets_some_of_which_cannot_be(aq: Driven) -> None:
    aq.exec("true")
    aq.drain()
    aq.exec("true")
    items = aq.items("retry", "1", "2", "9", code=1)
    assert [(item["id"], item["ok"], item["code"]) for item in items] == [
        ("default/1", True, 0),
        ("default/2", False, 4),
        ("default/9", False, 3),
    ]
    assert aq.statuses() == {"default/1": "queued", "default/2": "queued"}
    aq.refused("retry", code=2)


def test_a_retry_wakes_the_supervisor(aq: Driven) -> None:
    aq.exec("sh", "-c", SECOND_TIME)
    supervisor = aq.supervise("--max-tasks", "2")
    aq("wait", "1", code=3)
    assert aq("retry", "1").stderr == ""
    aq.ended(supervisor, 0)
    assert aq.statuses() == {"default/1": "completed"}
