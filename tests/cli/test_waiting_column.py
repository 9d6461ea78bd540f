"""What `list` says in a few words, and `show` about one task: why it is due and does not run, and until when."""

from __future__ import annotations

import re

import pytest
from driven import Driven
from terminal import on_terminal

RFC3339 = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


def waiting(text: str) -> dict[str, str]:
    """The WAITING cell of each line, by address."""
    header, *lines = text.splitlines()
    begin, end = header.index("WAITING"), header.index("TASK")
    return {line.split()[0]: line[begin:end].strip() for line in lines}


@pytest.fixture(scope="module")
def kept(shared: Driven) -> Driven:
    """A queue in which nothing may run: each task for a reason of its own."""
    shared.submit("--agent", "demo", "limit 2h")
    shared.exec("sh", "-c", "exit 3", given=["--retries", "3", "--backoff", "1h", "--max-backoff", "1h", "-s", "docs"])
    shared("run", "--max-tasks", "2")
    shared.exec("true", given=["-s", "docs"])
    shared("pause", shared.exec("true"), "--reason", "until the review")
    shared.exec("true", given=["--after", "2"])
    shared.exec("true", given=["-s", "mine"])
    shared("pause", "-s", "mine", "--reason", "hands off")
    shared.exec("true", given=["-s", "free"])
    return shared


def test_a_pipe_gets_every_reason_with_exact_times(kept: Driven) -> None:
    cells = waiting(kept("list", env={"COLUMNS": "40"}).stdout)
    assert re.fullmatch(rf"demo held until {RFC3339} \(rate_limited\)", cells.pop("default/1"))
    assert re.fullmatch(rf"retry at {RFC3339}", cells.pop("docs/1"))
    assert cells == {
        "docs/2": "behind docs/1",
        "default/2": "paused: until the review",
        "default/3": "after default/2",
        "mine/1": "session paused: hands off",
        "free/1": "-",
    }


def test_a_wide_terminal_gets_them_for_a_person(kept: Driven) -> None:
    text = on_terminal(kept.agentq, "list", columns=200, env={"TZ": "Asia/Kolkata", "NO_COLOR": "1"})
    cells = waiting(text)
    assert re.fullmatch(r"demo held until (\S+ )?\d\d:\d\d \(rate_limited\)", cells["default/1"])
    assert re.fullmatch(r"retry in (1h\d*m?|59m\d+s)", cells["docs/1"])
    assert cells["default/2"] == "paused: until the review"
    held_until = kept.task("default/1")["waiting_for"]["until"]
    utc = on_terminal(kept.agentq, "list", columns=200, env={"TZ": "UTC", "NO_COLOR": "1"})
    assert held_until[11:16] in waiting(utc)["default/1"]
    assert held_until[11:16] not in cells["default/1"]


@pytest.mark.parametrize("columns", [40, 80])
def test_a_narrow_terminal_gets_lines_that_fit_and_the_reason_before_priority_and_agent(
    kept: Driven, columns: int
) -> None:
    header, *lines = on_terminal(kept.agentq, "list", columns=columns, env={"NO_COLOR": "1"}).splitlines()
    assert max(map(len, lines)) <= columns
    assert ("WAITING" in header) is (columns == 80)
    assert "PRI" not in header


def test_a_terminal_has_no_column_where_nothing_waits_for_more_than_its_turn(kept: Driven) -> None:
    header, _ = on_terminal(kept.agentq, "list", "-s", "free", columns=200).splitlines()
    assert "WAITING" not in header
    assert "WAITING" in kept("list", "-s", "free").stdout


def test_show_says_until_when_to_a_person_and_to_a_pipe(kept: Driven) -> None:
    until = kept.task("default/1")["waiting_for"]["until"]
    assert re.search(rf"^Until: +{re.escape(until)}$", kept("show", "1").stdout, re.MULTILINE)
    text = on_terminal(kept.agentq, "show", "1", columns=80, env={"TZ": "UTC", "NO_COLOR": "1"})
    # With its day in front if that is another one than today.
    assert re.search(rf"^Until: +(\S.* )?{until[11:16]} \(in (2h|1h\d+m)\)$", text, re.MULTILINE)
