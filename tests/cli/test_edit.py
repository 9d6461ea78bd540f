"""`agentq edit`: each option of a waiting task; nothing of one that runs or has ended; a bad value changes nothing."""

from __future__ import annotations

from typing import Any

import pytest
from driven import Driven, held

NOW = "2026-03-01T12:00:00Z"


def edited(aq: Driven, *arguments: str, **options: Any) -> dict[str, Any]:
    (task,) = aq.items("edit", *arguments, **options)
    return task


def test_each_option_changes_what_it_names_and_nothing_else(shared: Driven) -> None:
    (shared.home / "elsewhere").mkdir()
    given = ("-a", "demo", "-s", "talk", "--label", "one", "--key", "k", "-e", "A=1", "--priority", "4")
    shared.submit(*given, "the prompt", env={"AGENTQ_NOW": NOW})
    task = shared.task("talk/1")
    for options, changes in (
        (("--prompt", "another"), {"prompt": "another"}),
        (("-C", "elsewhere"), {"cwd": str(shared.home / "elsewhere")}),
        (("-e", "B=2"), {"env_keys": ["A", "B"]}),
        (("-p", "-100"), {"priority": -100}),
        (("--label", "two", "--label", "three"), {"labels": ["two", "three"]}),
        (("--key", "other"), {"key": "other"}),
        (("--context", "isolated"), {"context": "isolated"}),
        (("--at", "2026-03-01T11:00:00Z"), {"due_at": "2026-03-01T11:00:00.000Z"}),
        (("--expires", "2h"), {"expires_at": "2026-03-01T14:00:00.000Z"}),
        (("--in", "1h"), {"due_at": "2026-03-01T13:00:00.000Z", "status": "scheduled"}),
        (("--timeout", "1m", "--grace", "2s", "--agent-arg", "x"), {}),
    ):
        changed = edited(shared, "talk/1", *options, env={"AGENTQ_NOW": NOW})
        expected = {**task, **changes}
        ignored = {"schema", "waiting_for"}
        assert {key: value for key, value in changed.items() if key not in ignored} == {
            key: value for key, value in expected.items() if key not in ignored
        }, options
        task = {**changed}
    assert [event["event"] for event in shared.items("events", "talk/1")].count("edit") == 11


def test_what_was_changed_reaches_the_process(aq: Driven) -> None:
    (aq.home / "in").write_text("edited stdin\n")
    aq.exec("sh", "-c", 'cat; echo "$A $B $(pwd)"', given=("-e", "A=1", "-e", "B=1"))
    aq("edit", "1", "-e", "B=2", "--stdin", "in", "-C", "/")
    aq.drain()
    assert aq("logs", "1").stdout == "edited stdin\n1 2 /\n"


def test_a_time_out_that_is_added_holds(aq: Driven) -> None:
    aq.exec("sleep", "60")
    aq("edit", "1", "--timeout", "100ms")
    aq.drain(code=1)
    assert aq.runs()["default/1.1"]["status"] == "timeout"


def test_an_edit_wakes_the_supervisor(aq: Driven) -> None:
    aq.exec("true", given=("--in", "1h"))
    supervisor = aq.supervise("--max-tasks", "1")
    aq("edit", "1", "--at", "2026-01-01")
    aq.ended(supervisor, 0)
    assert aq.statuses() == {"default/1": "completed"}


def test_a_paused_task_stays_paused(aq: Driven) -> None:
    aq.exec("true")
    aq("pause", "1")
    assert edited(aq, "1", "-p", "9")["status"] == "paused"


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


@pytest.mark.parametrize(
    ("options", "code", "named"),
    [
        (("-p", "3", "--in", "5"), 2, "'5'"),
        (("-p", "3", "-C", "/nowhere"), 2, "'/nowhere'"),
        (("-p", "3", "--key", "taken"), 4, "'taken'"),
        (("-p", "3", "--prompt", "x"), 2, "--prompt"),
        (("-p", "3", "--agent", "demo"), 2, "--agent"),
        ((), 2, "nothing"),
    ],
)
def test_a_bad_value_changes_nothing(shared: Driven, options: tuple[str, ...], code: int, named: str) -> None:
    address = shared.exec("true", given=("--key", "own", "-s", "bad-values"))
    shared.exec("true", given=("--key", "taken", "-s", "bad-values"))
    before = shared.task(address)
    assert named in shared.refused("edit", address, *options, code=code)
    assert shared.task(address) == before


def test_unknown_ones(shared: Driven) -> None:
    shared.refused("edit", "nowhere/1", "-p", "1", code=3)
    shared.refused("edit", "x y", "-p", "1", code=2)
