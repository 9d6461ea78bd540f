"""`agentq retry`: an ended task runs again under its address; K goes on counting, the budget is fresh."""

from __future__ import annotations

from driven import Driven
from terminal import screen

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
    assert list(aq.statuses().values()) == ["scheduled", "cancelled", "completed", "expired"]
    done = aq("retry", "1", "2", "3")
    assert done.stdout.splitlines() == ["default/1", "default/2", "default/3"]
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


def test_again_with_changes(aq: Driven) -> None:
    """One commit each: the next run is as the options say, and everything else is as it was."""
    aq.exec("sh", "-c", 'echo "$A"; exec sleep "$1"', "-", "60", given=("-s", "a", "--timeout", "300ms", "-e", "A=1"))
    aq.drain(code=1)
    (again,) = aq.items("retry", "a/1", "--timeout", "1h", "--env", "A=2", "--priority", "7", "--in", "1h")
    assert (again["status"], again["priority"]) == ("scheduled", 7)
    aq("cancel", "a/1")
    (again,) = aq.items("retry", "a/1", "--timeout", "1s", "--retries", "1", "--backoff", "1ms")
    assert (again["status"], again["priority"]) == ("queued", 7)
    aq.drain(code=1)
    runs = aq.runs()
    assert {name: run["status"] for name, run in runs.items()} == dict.fromkeys(["a/1.1", "a/1.2", "a/1.3"], "timeout")
    assert [aq.stdout(runs[name]) for name in ("a/1.1", "a/1.2", "a/1.3")] == ["1\n", "2\n", "2\n"]


def test_a_prompt_again_with_another_prompt_and_arguments(aq: Driven) -> None:
    (aq.home / "config.toml").write_text(
        "[agents.mine]\nargv = ['sh', '-c', 'cat; echo; echo $1; test -n \"$1\"', '-']\nprompt = 'stdin'\n"
    )
    aq.agentq.environ["AGENTQ_CONFIG"] = str(aq.home / "config.toml")
    aq.submit("-a", "mine", "one")
    aq.drain(code=1)
    aq("retry", "1", "--prompt", "two", "--agent-arg", "word")
    aq.drain()
    task, runs = aq.task("1"), aq.runs()
    assert (task["status"], task["prompt"]) == ("completed", "two")
    assert [aq.stdout(runs[name]) for name in ("default/1.1", "default/1.2")] == ["one\n\n", "two\nword\n"]


def test_a_change_that_makes_no_sense_leaves_the_task_alone(aq: Driven) -> None:
    aq.batch({"exec": ["false"]}, {"prompt": "fail", "agent": "demo"})
    aq.submit("-a", "demo", "--in", "1h", "later")
    aq.drain(code=1)
    before = aq.tasks()
    assert "is a command" in aq.refused("retry", "1", "--prompt", "x", code=2)
    assert "scheduled" in aq.refused("retry", "3", "--timeout", "1h", code=4)
    assert "--timeout 'x'" in aq.refused("retry", "1", "--timeout", "x", code=2)
    assert aq.tasks() == before
    items = aq.items("retry", "1", "2", "3", "9", "--prompt", "say 1 lines", code=1)
    assert [(item["id"], item["ok"], item["code"]) for item in items] == [
        ("default/1", False, 2),
        ("default/2", True, 0),
        ("default/3", False, 4),
        ("default/9", False, 3),
    ]


def test_all_that_failed(aq: Driven) -> None:
    aq.batch({"exec": ["true"]}, {"exec": ["false"]}, {"exec": ["false"], "session": "a", "label": ["x"]})
    aq.drain(code=1)
    aq.batch({"exec": ["false"], "session": "a"}, {"exec": ["true"], "in": "1h"})
    aq.drain(code=1)
    assert aq("retry", "--failed", "--label", "x").stdout.splitlines() == ["a/1"]
    assert aq("retry", "--failed", "--since", "1m", "--env", "A=1").stdout.splitlines() == ["default/2", "a/2"]
    assert aq("retry", "--failed").stdout == ""
    aq.drain(code=1)
    assert aq("retry", "--failed", "-s", "a").stdout.splitlines() == ["a/1", "a/2"]
    later = {"AGENTQ_NOW": "2100-01-01T00:00:00Z"}
    assert aq.items("retry", "--failed", "--since", "1h", env=later) == []
    assert "not both" in aq.refused("retry", "--failed", "1", code=2)
    assert "only together with --failed" in aq.refused("retry", "1", "--label", "x", code=2)
    assert "no such session" in aq.refused("retry", "--failed", "-s", "b", code=3)


def test_ranges_and_lists(aq: Driven) -> None:
    aq.batch(*[{"exec": ["true"], "session": name, "in": "1h"} for name in ("default", "my-docs") for _ in range(5)])
    assert aq("pause", "1,3-4").stdout.splitlines() == [f"default/{n} is paused" for n in (1, 3, 4)]
    printed = aq("cancel", "my-docs/1-2,5", "2").stdout.splitlines()
    assert printed == [
        "my-docs/1 is cancelled",
        "my-docs/2 is cancelled",
        "my-docs/5 is cancelled",
        "default/2 is cancelled",
    ]
    assert [item["id"] for item in aq.items("wait", "my-docs/1-2", code=1)] == ["my-docs/1", "my-docs/2"]
    assert [item["code"] for item in aq.items("resume", "4-6", code=1)] == [0, 4, 3]
    for wrong in ("5-3", "1-999999", "0-3"):
        assert f"'{wrong}'" in aq.refused("pause", wrong, code=2)


def test_many_on_a_terminal_are_counted_and_asked_for(aq: Driven) -> None:
    aq.batch(*[{"exec": ["true"], "in": "1h"}] * 30)
    with screen(aq.agentq, "cancel", "1-3") as shown:
        shown.says("cancel 3 tasks")
        shown.ended(0)
    with screen(aq.agentq, "cancel", "1-30") as shown:
        shown.says("cancel 30 tasks?")
        shown.type("n\r")
        shown.ended(2)
    assert list(aq.statuses().values()).count("cancelled") == 3
    with screen(aq.agentq, "cancel", "4-30") as shown:
        shown.says("cancel 27 tasks?")
        shown.type("y\r")
        shown.ended(0)
    with screen(aq.agentq, "retry", "--yes", "1-30") as shown:
        shown.ended(0)
    assert set(aq.statuses().values()) == {"queued"}
