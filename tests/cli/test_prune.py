"""`agentq prune`: ended tasks, their runs and files; by name or by age; addresses are never used again."""

from __future__ import annotations

from driven import Driven, held


def ended(aq: Driven) -> None:
    """Three that ended on three days of March, and a live one."""
    for day in (1, 2, 3):
        now = {"AGENTQ_NOW": f"2026-03-0{day}T12:00:00Z"}
        aq.exec("echo", str(day), given=("-s", "b" if day == 3 else "a"), env=now)
        aq.drain(env=now)
    aq.exec("true", given=("-s", "a", "--in", "1h"))


def test_by_name(aq: Driven) -> None:
    ended(aq)
    files = list((aq.state_dir / "sessions" / "a" / "runs").rglob("*"))
    assert any(path.name == "stdout" for path in files)
    assert "--yes" in aq.refused("prune", "a/2", code=2)
    assert set(aq.statuses()) == {"a/1", "a/2", "b/1", "a/3"}
    (item,) = aq.items("prune", "a/2", "--yes")
    assert (item["id"], item["ok"], item["code"], item["status"]) == ("a/2", True, 0, "completed")
    assert set(aq.statuses()) == {"a/1", "b/1", "a/3"}
    assert set(aq.runs()) == {"a/1.1", "b/1.1"}
    assert {event["task"] for event in aq.items("events")} == {"a/1", "b/1", "a/3"}
    assert not (aq.state_dir / "sessions" / "a" / "runs" / "2.1").exists()
    for command in (("show", "a/2"), ("logs", "a/2"), ("logs", "a/2.1"), ("runs", "a/2"), ("prune", "a/2", "--yes")):
        aq.refused(*command, code=3)


def test_an_address_is_never_used_again(aq: Driven) -> None:
    aq.exec("true")
    aq.drain()
    aq("prune", "1", "--yes")
    assert aq.statuses() == {}
    assert aq.exec("true") == "default/2"
    aq("sweep", "--no-wake", "--reindex")
    assert aq.exec("true") == "default/3"


def test_by_age(aq: Driven) -> None:
    ended(aq)
    now = {"AGENTQ_NOW": "2026-03-04T12:00:00Z"}
    items = aq.items("prune", "--older-than", "2d", "--dry-run", env=now)
    assert [(item["id"], item["ok"], item["status"]) for item in items] == [("a/1", True, "completed")]
    assert len(aq.statuses()) == 4
    assert "--yes" in aq.refused("prune", "--older-than", "1h", code=2, env=now)
    items = aq.items("prune", "--older-than", "1h", "-s", "a", "--yes", env=now)
    assert [item["id"] for item in items] == ["a/1", "a/2"]
    assert set(aq.statuses()) == {"b/1", "a/3"}
    assert aq("prune", "--older-than", "5d", "--yes", env=now).stdout == ""


def test_live_tasks_are_not_pruned(aq: Driven) -> None:
    aq.batch({"exec": held("one")}, {"exec": ["true"]}, {"exec": ["true"], "in": "1h"})
    supervisor = aq.supervise("--drain", "-j", "2")
    aq.started("one")
    aq("wait", "2")
    items = aq.items("prune", "1", "2", "3", "7", "--yes", code=1)
    assert [(item["id"], item["ok"], item["code"]) for item in items] == [
        ("default/1", False, 4),
        ("default/2", True, 0),
        ("default/3", False, 4),
        ("default/7", False, 3),
    ]
    assert aq("prune", "1", "--dry-run", code=4).stdout == ""
    aq.let_go("one")
    aq.ended(supervisor, 0)
    assert aq.statuses() == {"default/1": "completed", "default/3": "scheduled"}


def test_a_target_is_wanted(aq: Driven) -> None:
    for arguments in (
        ("--yes",),
        ("1", "--older-than", "1d", "--yes"),
        ("--older-than", "7", "--yes"),
        ("1", "-s", "a"),
    ):
        aq.refused("prune", *arguments, code=2)


def test_sweep_prunes_by_the_retention(aq: Driven) -> None:
    ended(aq)
    now = {"AGENTQ_NOW": "2026-03-04T12:00:00Z", "AGENTQ_RETENTION": "2d"}
    items = aq.items("sweep", "--no-wake", env=now)
    assert [item["task"] for item in items if item["action"] == "prune"] == ["a/1"]
    assert set(aq.statuses()) == {"a/2", "b/1", "a/3"}
