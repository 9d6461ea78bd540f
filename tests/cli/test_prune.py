"""`agentq prune`: ended tasks, their runs and files; by name or by age; addresses are never used again."""

from __future__ import annotations

from unittest.mock import ANY

from driven import Driven, held


def ended(aq: Driven) -> None:
    """Three that ended on three days of March, and a live one."""
    aq.batch(*({"exec": ["true"], "session": name, "in": "1h"} for name in ("a", "a", "b", "a")))
    for day, address in enumerate(("a/1", "a/2", "b/1"), start=1):
        aq("cancel", address, env={"AGENTQ_NOW": f"2026-03-0{day}T12:00:00Z"})


def test_by_name(aq: Driven) -> None:
    aq.batch({"exec": ["echo", "1"]}, {"exec": ["echo", "2"]}, {"exec": ["true"], "in": "1h"})
    aq.drain()
    directory = aq.state_dir / "sessions" / "default" / "runs"
    assert (directory / "2.1" / "stdout").exists()
    assert "--yes" in aq.refused("prune", "2", code=2)
    assert (directory / "2.1" / "stdout").exists()
    items = aq.items("prune", "2", "3", "9", "--yes", code=1)
    assert [(item["id"], item["ok"], item["code"], item["status"]) for item in items] == [
        ("default/2", True, 0, "completed"),
        ("default/3", False, 4, ANY),
        ("default/9", False, 3, None),
    ]
    assert set(aq.statuses()) == {"default/1", "default/3"}
    assert set(aq.runs()) == {"default/1.1"}
    tasks = {event["task"] for event in aq.items("events") if event["event"] != "supervisor"}
    assert tasks == {"default/1", "default/3"}
    assert [path.name for path in directory.iterdir()] == ["1.1"]
    for command in (("show", "2"), ("logs", "2.1")):
        aq.refused(*command, code=3)


def test_an_address_is_never_used_again(aq: Driven) -> None:
    aq.exec("true")
    aq("cancel", "1")
    aq("prune", "1", "--yes")
    aq("sweep", "--no-wake", "--reindex")
    assert aq.exec("true") == "default/2"


def test_by_age(aq: Driven) -> None:
    ended(aq)
    now = {"AGENTQ_NOW": "2026-03-04T12:00:00Z"}
    items = aq.items("prune", "--older-than", "2d", "--dry-run", env=now)
    assert [(item["id"], item["ok"], item["status"]) for item in items] == [("a/1", True, "cancelled")]
    assert "--yes" in aq.refused("prune", "--older-than", "1h", code=2, env=now)
    items = aq.items("prune", "--older-than", "1h", "-s", "a", "--yes", env=now)
    assert [item["id"] for item in items] == ["a/1", "a/2"]
    assert set(aq.statuses()) == {"b/1", "a/3"}
    assert aq("prune", "--older-than", "5d", "--yes", env=now).stdout == ""


def test_running_tasks_are_not_pruned_and_a_target_is_wanted(aq: Driven) -> None:
    aq.exec(*held("one"))
    supervisor = aq.supervise("--drain")
    aq.started("one")
    assert "running" in aq.refused("prune", "1", "--yes", code=4)
    assert "running" in aq.refused("prune", "1", "--dry-run", code=4)
    aq.let_go("one")
    aq.ended(supervisor, 0)
    for arguments in (("--yes",), ("1", "--older-than", "1d", "--yes")):
        aq.refused("prune", *arguments, code=2)
    assert aq.statuses() == {"default/1": "completed"}
