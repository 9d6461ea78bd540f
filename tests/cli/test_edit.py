"""`agentq edit`: each option of a waiting task; nothing of one that runs or has ended; a bad value changes nothing."""

from __future__ import annotations

from typing import Any
from unittest.mock import ANY

from driven import Driven, held

NOW = "2026-03-01T12:00:00Z"


def edited(aq: Driven, *arguments: str, **options: Any) -> dict[str, Any]:
    (task,) = aq.items("edit", *arguments, **options)
    return task


def test_each_option_changes_what_it_names_and_nothing_else(shared: Driven) -> None:
    (shared.home / "elsewhere").mkdir()
    given = ("-a", "demo", "-s", "talk", "--label", "one", "--key", "k", "-e", "A=1", "--priority", "4")
    shared.submit(*given, "the prompt", env={"AGENTQ_NOW": NOW})
    (task,) = shared.items("list", "-s", "talk", env={"AGENTQ_NOW": NOW})
    for options, changes in (
        (
            ("--prompt", "another", "-C", "elsewhere", "-e", "B=2"),
            {"prompt": "another", "title": "another", "cwd": str(shared.home / "elsewhere"), "env_keys": ["A", "B"]},
        ),
        (
            ("-p", "-100", "--label", "two", "--label", "three", "--key", "other", "--context", "isolated"),
            {"priority": -100, "labels": ["two", "three"], "key": "other", "context": "isolated"},
        ),
        (
            ("--at", "2026-03-01T13:00:00Z", "--expires", "2h", "--timeout", "1m", "--grace", "2s", "--agent-arg", "x"),
            {
                "due_at": "2026-03-01T13:00:00.000Z",
                "expires_at": "2026-03-01T14:00:00.000Z",
                "status": "scheduled",
                "waiting_for": ANY,
            },
        ),
        (("--in", "30m"), {"due_at": "2026-03-01T12:30:00.000Z", "waiting_for": ANY}),
    ):
        changed = edited(shared, "talk/1", *options, env={"AGENTQ_NOW": NOW})
        assert changed == {**task, **changes}, options
        task = changed
    assert [event["event"] for event in shared.items("events", "talk/1")].count("edit") == 4


def test_what_was_changed_reaches_the_process(aq: Driven) -> None:
    (aq.home / "in").write_text("edited stdin\n")
    aq.exec("sh", "-c", 'cat; echo "$A $B $(pwd)"', given=("-e", "A=1", "-e", "B=1"))
    aq("edit", "1", "-e", "B=2", "--stdin", "in", "-C", "/")
    aq.drain()
    assert aq("logs", "1").stdout == "edited stdin\n1 2 /\n"


def test_an_edit_wakes_the_supervisor_and_its_time_out_holds(aq: Driven) -> None:
    aq.exec("sleep", "60", given=("--in", "1h"))
    supervisor = aq.supervise("--max-tasks", "1")
    aq("edit", "1", "--at", "2026-01-01", "--timeout", "100ms")
    aq.ended(supervisor, 0)
    assert aq.runs()["default/1.1"]["status"] == "timeout"


def test_running_and_ended_tasks_are_not_changed(aq: Driven) -> None:
    aq.batch({"exec": ["true"]}, {"exec": held("one")})
    supervisor = aq.supervise("--max-tasks", "2")
    aq.started("one")
    aq("wait", "1")
    before = aq.tasks()
    assert "completed" in aq.refused("edit", "1", "-p", "1", code=4)
    assert "running" in aq.refused("edit", "2", "-p", "1", code=4)
    assert aq.tasks() == before
    aq.let_go("one")
    aq.ended(supervisor, 0)


def test_a_bad_value_changes_nothing(aq: Driven) -> None:
    aq.batch({"exec": ["true"], "key": "own"}, {"exec": ["true"], "key": "taken"})
    aq("pause", "1")
    before = aq.task("1")
    for options, code, named in (
        (("-p", "3", "--in", "5"), 2, "'5'"),
        (("-p", "3", "-C", "/nowhere"), 2, "'/nowhere'"),
        (("-p", "3", "--key", "taken"), 4, "'taken'"),
        (("-p", "3", "--prompt", "x"), 2, "--prompt"),
        ((), 2, "nothing"),
    ):
        assert named in aq.refused("edit", "1", *options, code=code)
    assert aq.task("1") == before
    assert edited(aq, "1", "-p", "9")["status"] == "paused"
    aq.refused("edit", "nowhere/1", "-p", "1", code=3)


def test_its_event_tells_what_was_changed_from_what_to_what(aq: Driven) -> None:
    aq("submit", "--agent", "demo", "-e", "TOKEN_OF_MINE=hushhush", "Fix the tests", "--in", "1h")
    aq("edit", "1", "--priority", "50", "--prompt", "Shorter, " + "please " * 200, "--timeout", "2h", "--shared")
    aq("edit", "1", "-e", "TOKEN_OF_MINE=stillhush", "-e", "OTHER=x", "--label", "nightly")
    aq("edit", "1", "--at", "2036-03-01T09:00:00Z", env={"AGENTQ_NOW": "2026-03-01T00:00:00Z"})
    when, names, words = [event["reason"] for event in aq.items("events", "1") if event["event"] == "edit"]
    assert "priority: 0 -> 50" in words
    assert "timeout: none -> 2h" in words
    assert "shared: no -> yes" in words
    assert "prompt: Fix the tests -> Shorter, please please" in words
    assert len(words) < 400
    assert names == "env: OTHER, TOKEN_OF_MINE; label: none -> nightly"
    assert when.endswith("Z -> 2036-03-01T09:00:00.000Z")
    assert when.startswith("at: ")


def test_the_event_of_a_schedules_edit_tells_its_times(aq: Driven) -> None:
    aq("schedule", "--cron", "0 9 * * *", "--exec", "--", "true")
    aq("edit", "1", "--cron", "0 7 * * *", "--max-runs", "3")
    (event,) = [event for event in aq.items("events", "-s", "default") if event["event"] == "edit"]
    assert "cron: 0 9 * * * -> 0 7 * * *" in event["reason"]
    assert "max-runs: none -> 3" in event["reason"]
