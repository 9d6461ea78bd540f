"""`edit` and `retry` change the words of a command."""

from __future__ import annotations

import pytest
from driven import Driven


def argv(aq: Driven, address: str) -> list[str]:
    found = aq.task(address)["argv"]
    assert isinstance(found, list)
    return found


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["edit", "1", "--exec", "--", "echo", "--exec", "a b", "--", "-c"], ["echo", "--exec", "a b", "--", "-c"]),
        (["edit", "1", "--exec", "echo", "2"], ["echo", "2"]),
        (["edit", "--exec", "1", "--", "echo", "=", ""], ["echo", "=", ""]),
        (["edit", "--exec", "--priority", "7", "1", "--", "echo"], ["echo"]),
        (["edit", "--json", "1", "--exec", "--timeout=1h", "--", "echo", "--json"], ["echo", "--json"]),
        (["edit", "1", "-c", "echo a | cat"], ["sh", "-c", "echo a | cat"]),
        (["edit", "1", "--shell=--exec"], ["sh", "-c", "--exec"]),
    ],
)
def test_the_words_are_taken_as_they_are(aq: Driven, words: list[str], expected: list[str]) -> None:
    aq.exec("false", given=("--in", "1h", "--label", "x"))
    before = aq.task("1")
    aq(*words)
    after = aq.task("1")
    assert argv(aq, "1") == expected
    changed = {key for key in before if before[key] != after[key]} - {"waiting_for", "title", "priority"}
    assert changed == {"argv"}
    told = aq.items("events", "1")[0]["reason"].split("; ")
    (change,) = (each for each in told if each.startswith("command"))
    assert change.split() == ["command:", "false", "->", *" ".join(expected).split()]


def test_a_retry_runs_the_new_words(aq: Driven) -> None:
    aq.batch({"exec": ["false"]}, {"exec": ["false"]}, {"exec": ["true"]})
    aq.drain(code=1)
    assert aq("retry", "1-2", "--exec", "--", "echo", "3").stdout.split() == ["default/1", "default/2"]
    aq.drain()
    assert [aq("logs", each).stdout for each in ("1", "2")] == ["3\n", "3\n"]
    aq("retry", "3", "-c", "echo a | tr a b")
    aq.drain()
    assert aq("logs", "3").stdout == "b\n"
    assert aq.runs()["default/3.1"]["argv"] == ["true"]


def test_the_next_occurrence_gets_them(aq: Driven) -> None:
    aq("schedule", "--every", "1h", "--exec", "--", "false")
    aq("edit", "1", "--exec", "--", "true")
    aq("trigger", "1")
    aq.drain()
    assert aq.runs()["default/2.1"]["argv"] == ["true"]


@pytest.mark.parametrize(
    "words",
    [
        ["1", "--exec"],
        ["1", "--exec", "--"],
        ["--exec", "1"],
        ["1", "--exec", "--", ""],
        ["1", "-c", " "],
        ["1", "-c", "true", "--exec", "--", "true"],
        ["--exec", "--", "true"],
        ["2", "--exec", "--", "true"],
        ["2", "-c", "true"],
        ["1", "--prompt", "x"],
    ],
)
@pytest.mark.parametrize("command", ["edit", "retry"])
def test_what_is_no_command_changes_nothing(aq: Driven, command: str, words: list[str]) -> None:
    aq.batch({"exec": ["false"], "in": "1h"}, {"prompt": "x", "agent": "demo", "in": "1h"})
    if command == "retry":
        aq("cancel", "1", "2")
    before = aq.tasks()
    aq(command, *words, code=2)
    assert aq.tasks() == before


def test_a_program_that_is_not_there_is_told(aq: Driven) -> None:
    aq.exec("true", given=("--in", "1h"))
    assert "'no-such-program'" in aq("edit", "1", "--exec", "--", "no-such-program").stderr
