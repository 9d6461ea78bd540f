"""What `list` says of when a task is due and how it ended, to a person and to a pipe."""

from __future__ import annotations

import pytest
from driven import Driven
from terminal import on_terminal

NOW = {"AGENTQ_NOW": "2026-03-29T01:00:00Z"}
PERSON = {**NOW, "NO_COLOR": "1"}


@pytest.fixture(scope="module")
def listed(shared: Driven) -> Driven:
    """Two schedules, a task for later, and a cancelled one."""
    shared("schedule", "--every", "30m", "--exec", "--", "true", env=NOW)
    shared("schedule", "--cron", "0 9 * * 1-5", "--tz", "Europe/Berlin", "--exec", "--", "true", env=NOW)
    shared.exec("true", given=["--in", "3h"], env=NOW)
    shared("cancel", shared.exec("true", env=NOW), env=NOW)
    return shared


def cells(text: str, name: str) -> dict[str, str]:
    """A column, by address."""
    header, *lines = text.splitlines()
    begin = header.index(name)
    end = min(at for word in (*header.split(), "") if (at := header.find(word) if word else len(header)) > begin)
    return {line.split()[0]: line[begin:end].strip() for line in lines}


def test_a_person_is_told_how_it_repeats_or_how_long_it_is_until_then(listed: Driven) -> None:
    text = on_terminal(listed.agentq, "list", columns=120, env=PERSON)
    assert cells(text, "WHEN") == {
        "default/1": "every 30m",
        "default/2": "0 9 * * 1-5 Berlin",
        "default/3": "in 3h",
    }
    assert not {"ENDED", "REASON"} & set(text.splitlines()[0].split())


def test_a_pipe_gets_one_format(listed: Driven) -> None:
    assert cells(listed("list", env=NOW).stdout, "WHEN") == {
        "default/1": "2026-03-29T01:30:00.000Z",
        "default/2": "2026-03-30T07:00:00.000Z",
        "default/3": "2026-03-29T04:00:00.000Z",
    }


def test_an_ended_task_says_when_and_why(listed: Driven) -> None:
    ended = ["list", "--status", "cancelled"]
    piped = listed(*ended, env=NOW).stdout
    assert cells(piped, "ENDED") == {"default/4": "2026-03-29T01:00:00.000Z"}
    assert cells(piped, "REASON") == {"default/4": "cancelled"}
    shown = on_terminal(listed.agentq, *ended, columns=120, env=PERSON)
    assert cells(shown, "ENDED") == {"default/4": "now"}
    assert cells(shown, "REASON") == {"default/4": "cancelled"}
