"""The filters of what is listed, which are the same everywhere; and what a task and a run are called."""

from __future__ import annotations

import pytest
from driven import Driven
from terminal import on_terminal

PROMPT = "\n  Fix the parser, please  \nand explain why it was wrong\n"
FAILING = ["sh", "-c", "exit 3"]
TIMES = ["2026-03-01T12:00:00Z", "2026-03-02T12:00:00Z", "2026-03-03T12:00:00Z"]


@pytest.fixture(scope="module")
def past(shared: Driven) -> Driven:
    """A run on each of three days, in two sessions: a prompt, a command that failed, and an occurrence of a series."""
    first, second, third = ({"AGENTQ_NOW": at} for at in TIMES)
    shared.submit("--agent", "demo", "--label", "nightly", PROMPT, env=first)
    shared.drain(env=first)
    shared.exec(*FAILING, given=["-s", "docs", "--label", "nightly"], env=second)
    shared.drain(code=1, env=second)
    shared("schedule", "-s", "docs", "--every", "1h", "--start", TIMES[2], "--exec", "--", "true", env=second)
    shared.drain(env=third)
    return shared


def ids(aq: Driven, *words: str) -> list[str]:
    return [item["id"] for item in aq.items(*words)]


@pytest.mark.parametrize(
    ("words", "tasks"),
    [
        ("", ["docs/3", "docs/2", "docs/1", "default/1"]),
        ("-s docs", ["docs/3", "docs/2", "docs/1"]),
        ("docs/1", ["docs/1"]),
        ("docs/1 -s default", []),
        ("--series docs/2", ["docs/3", "docs/2"]),
        ("--series docs/3", ["docs/3", "docs/2"]),
        ("--agent demo", ["default/1"]),
        ("--label nightly", ["docs/1", "default/1"]),
        ("--label nightly --limit 1", ["docs/1"]),
        ("--since 2026-03-02 --label nightly", ["docs/1"]),
        ("--until 2026-03-02", ["default/1"]),
        ("--status failed", ["docs/1"]),
        ("--status completed", ["docs/2", "default/1"]),
    ],
)
def test_the_same_words_select_tasks_and_runs(past: Driven, words: str, tasks: list[str]) -> None:
    assert ids(past, "list", "--all", *words.split()) == tasks
    ran = [f"{task}.1" for task in tasks if task != "docs/3"]
    assert ids(past, "runs", *words.split()) == ran
    if words.partition(" ")[0] not in ("docs/1", ""):
        report = past.json("report", *words.split())
        assert [item["id"] for item in report["items"]] == ran
        assert report["runs"] == len(ran)
        if "--limit" not in words:
            assert past.json("stats", *words.split())["runs"] == len(ran)


def test_ended_tasks_are_newest_first_so_that_a_limit_keeps_the_newest(past: Driven) -> None:
    assert ids(past, "list", "--status", "completed", "--limit", "1") == ["docs/2"]


def test_events_of_a_session_and_up_to_a_time(past: Driven) -> None:
    assert {event["task"] for event in past.items("events", "-s", "docs")} == {"docs/1", "docs/2", "docs/3"}
    early = past.items("events", "--until", "2026-03-02")
    assert {event["task"] for event in early if event["event"] != "supervisor"} == {"default/1"}
    assert past.items("events", "docs/1", "-s", "default") == []
    assert "--until" in past.refused("events", "--follow", "--until", "1h", code=2)


@pytest.mark.parametrize(
    ("words", "tasks"),
    [
        ("--series docs/3", {"docs/3", "docs/2"}),
        ("--series docs/2 -s default", set()),
        ("--agent demo", {"default/1"}),
        ("--label nightly -s docs", {"docs/1"}),
        ("--status failed", {"docs/1"}),
        ("--status completed --limit 1", {"docs/2"}),
        ("--status running --agent demo --until 2026-03-02", {"default/1"}),
    ],
)
def test_events_of_some_tasks(past: Driven, words: str, tasks: set[str]) -> None:
    assert {event["task"] for event in past.items("events", *words.split())} == tasks


def test_messages_of_a_task_and_up_to_a_time(past: Driven) -> None:
    assert ids(past, "messages", "docs/2") == ids(past, "messages", "docs/2", "-s", "docs") == ["docs/2.1"]
    assert ids(past, "messages", "-s", "docs", "--until", "2026-03-03") == ["docs/1.1"]
    assert ids(past, "messages", "docs/1", "-s", "default") == []
    assert ids(past, "messages", "docs/1", "--limit", "1") == ["docs/1.1"]
    assert "--until" in past.refused("messages", "--follow", "--until", "1h", code=2)


def test_schedules_of_an_agent_a_label_or_one_of_them(past: Driven) -> None:
    assert ids(past, "schedules", "--series", "docs/3") == ["docs/2"]
    assert ids(past, "schedules", "--agent", "demo") == ids(past, "schedules", "--label", "nightly") == []


def test_stats_of_an_agent_and_up_to_a_time(past: Driven) -> None:
    assert past.json("stats", "--agent", "demo")["runs"] == 1
    assert past.json("stats", "--until", "2026-03-02")["runs"] == 1
    assert past.json("stats", "--since", "2026-03-02")["runs"] == 2


def test_a_title_is_the_first_line_or_the_command(past: Driven) -> None:
    (task,), (run,) = past.items("list", "default/1"), past.items("runs", "default/1")
    assert task["title"] == run["title"] == "Fix the parser, please"
    assert task["prompt"] == run["prompt"] == PROMPT
    (command,) = past.items("runs", "docs/1")
    assert (command["title"], command["prompt"]) == ("sh -c 'exit 3'", None)


def test_a_long_title_is_cut_and_shows_it(aq: Driven) -> None:
    aq.submit("--agent", "demo", "word " * 100)
    title = aq.task("1")["title"]
    assert len(title) == 120
    assert title.endswith("…")


def test_a_failed_run_shows_its_error_in_place_of_its_task_or_under_it(past: Driven) -> None:
    failed = ["runs", "--status", "failed"]
    header, line = past(*failed).stdout.splitlines()
    assert header.split() == ["RUN", "STATUS", "STARTED", "TOOK", "COST", "TASK"]
    assert line.endswith("  exit code 3")
    assert line.split()[2] == "2026-03-02T12:00:00.000Z"
    _, narrow = on_terminal(past.agentq, *failed, columns=80, env={"NO_COLOR": "1"}).splitlines()
    assert narrow.endswith("  exit code 3")
    _, task, error = on_terminal(past.agentq, *failed, columns=120, env={"NO_COLOR": "1"}).splitlines()
    assert task.endswith("  sh -c 'exit 3'")
    assert error.strip() == "exit code 3"


def test_on_a_narrow_terminal_the_widest_text_gives_way(aq: Driven) -> None:
    session = "a-session-with-a-rather-long-name"
    aq.exec("true", "with", "many", "words", given=["-s", session])
    aq.drain()
    took = aq("runs").stdout.splitlines()[1].split()[3]
    header, line = on_terminal(aq.agentq, "runs", columns=40, env={"NO_COLOR": "1"}).splitlines()
    assert header.split() == ["RUN", "STATUS", "TOOK", "TASK"]
    assert len(line) <= 40
    assert " success " in line
    assert f" {took} " in line


def test_what_is_no_status_or_no_series_is_said(past: Driven) -> None:
    assert "did you mean" in past.refused("runs", "--status", "faild", code=2)
    assert "belongs to no schedule" in past.refused("runs", "--series", "docs/1", code=3)
    assert "no such" in past.refused("list", "--series", "nowhere/1", code=3)


def test_any_address_of_a_series_reaches_it_even_if_that_occurrence_was_pruned(aq: Driven) -> None:
    at = [{"AGENTQ_NOW": f"2026-03-01T{hour}:00:00Z"} for hour in (10, 11, 12, 13)]
    aq("schedule", "--every", "1h", "--start", "2026-03-01T11:00:00Z", "--exec", "--", "true", env=at[0])
    for now in at[1:]:
        aq.drain(env=now)
    aq("prune", "1", "2", "--yes")
    for address in ("1", "2", "3", "4"):
        assert ids(aq, "runs", "--series", address) == ["default/3.1"], address
    aq("cancel", "4")
    aq("prune", "4", "--yes")
    for address in ("1", "2", "3", "4"):
        assert ids(aq, "runs", "--series", address) == ["default/3.1"], address
    aq("prune", "3", "--yes")
    for address in ("1", "2"):
        aq.refused("runs", "--series", address, code=3)
