"""`agentq` alone: ten lines about what runs, waits and failed, what it cost, and one next step."""

from __future__ import annotations

import os
import stat

import pytest
from driven import Driven, held
from hypothesis import given
from hypothesis import strategies as st
from terminal import on_terminal

from agentq_cli.commands.overview import FIRST, LINES, shares
from agentq_cli.diagnose.next_steps import Seen, advice
from agentq_cli.policy.waiting import Hold

NOW = 1_774_785_600_000


def said(aq: Driven, **more: object) -> dict[str, str]:
    """Its lines by label; what goes on below a label belongs to it."""
    done = aq(**more)
    assert done.stderr == ""
    lines: dict[str, str] = {}
    label = ""
    assert len(done.stdout.splitlines()) <= 10
    for line in done.stdout.splitlines():
        label = line.split(":")[0] if line[:1] != " " else label
        lines[label] = f"{lines[label]}\n{line.strip()}" if label in lines else line.partition(":")[2].strip()
    return lines


def test_with_nothing_stored_it_says_what_to_type_first(aq: Driven) -> None:
    first = aq()
    assert first.stdout.startswith("Nothing is stored yet.\n  agentq submit --agent demo")
    assert aq.json()["stored"] is False
    assert not aq.state_dir.exists()
    assert "Usage:" in aq("--help").stdout


def test_ten_lines_say_what_is_going_on(aq: Driven) -> None:
    for _ in range(5):
        aq.exec("sh", "-c", "exit 3")
    lines = said(aq)
    assert lines["Running"] == "nothing"
    assert lines["Waiting"].startswith("default/1  queued  sh -c 'exit 3'\n")
    assert lines["Waiting"].count("\n") == 4
    assert "more" not in lines["Waiting"]
    assert lines["Failed"].startswith("nothing since ") or lines["Failed"] == "nothing within a day"
    assert lines["Today"] == "no agent ran"
    assert lines["Next"].startswith("agentq run --drain  (")


def test_what_failed_is_told_once(aq: Driven) -> None:
    aq("submit", "--agent", "demo", "hello")
    aq.exec("sh", "-c", "exit 3")
    aq.drain(code=1)
    assert aq.json()["failed"][0]["id"] == "default/2"
    lines = said(aq)
    assert lines["Waiting"] == "nothing"
    assert lines["Failed"].startswith("default/2  ")
    assert "exit" in lines["Failed"]
    assert lines["Today"] == "<$0.0001 for 1 run of agents"
    assert lines["Next"].startswith("agentq show default/2  (")
    again = said(aq)
    assert again["Failed"].startswith("nothing since ")
    assert again["Next"].startswith("agentq show  (")
    looked = aq.state_dir / "looked"
    assert stat.S_IMODE(looked.stat().st_mode) == 0o600
    looked.write_text("nonsense")
    assert said(aq)["Failed"].startswith("default/2  ")
    looked.unlink()
    os.mkfifo(looked)
    assert said(aq)["Failed"].startswith("default/2  ")


def test_a_document_is_no_look(aq: Driven) -> None:
    aq.exec("false")
    aq.drain(code=1)
    for _ in range(2):
        document = aq.json()
        assert [task["id"] for task in document["failed"]] == ["default/1"]
        assert document["ended"]["failed"] == 1
    assert document["next"][0]["command"] == "agentq show default/1"
    assert not (aq.state_dir / "looked").exists()


def test_what_runs_and_what_is_held(aq: Driven) -> None:
    aq.exec(*held("a"))
    aq.supervise()
    aq.started("a")
    assert said(aq)["Running"].startswith("default/1  ")
    assert said(aq)["Next"].startswith("agentq top")
    aq("submit", "--in", "3h", "--exec", "true")
    aq("pause", "--all")
    lines = said(aq)
    assert lines["Next"].startswith("agentq resume --all")
    assert lines["Waiting"].startswith("default/2  ")


@given(st.lists(st.integers(0, 30), min_size=3, max_size=3))
def test_the_ten_lines_are_shared(counts: list[int]) -> None:
    given_ = shares(counts)
    assert sum(given_) <= LINES
    assert all(min(max(count, 1), first) <= each for count, first, each in zip(counts, FIRST, given_, strict=True))
    assert sum(given_) == min(LINES, sum(max(count, 1) for count in counts))


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_on_a_terminal_it_is_ten_lines_that_fit(aq: Driven, columns: int) -> None:
    for number in range(12):
        aq.exec("echo", f"{number} of a long command line {'that goes on ' * 30}", given=["--in", f"{number + 1}h"])
    lines = on_terminal(aq.agentq, columns=columns, env={"NO_COLOR": "1"}).splitlines()
    assert len(lines) <= 10
    assert max(map(len, lines)) <= columns
    assert "in 1h" in lines[1]
    assert lines[-3].startswith("Failed:")
    assert "more: agentq list"[: columns - 20] in lines[-4]


def test_a_state_that_cannot_be_read_is_an_error(aq: Driven) -> None:
    aq.exec("true")
    (aq.state_dir / "agentq.db").write_bytes(b"no database at all" * 100)
    assert "agentq: error: " in aq(code=6).stderr


@pytest.mark.parametrize(
    ("hold", "words"),
    [
        (
            Hold("agent", "claude", "rate_limited", NOW + 60_000, None),
            ("--agent claude", "(rate_limited): this retries"),
        ),
        (Hold("agent", "claude", "auth", None, "no login"), ("--agent claude", "held (auth): fix its login")),
    ],
)
def test_a_held_agent_is_named_with_the_way_out(hold: Hold, words: tuple[str, ...]) -> None:
    text = " ".join(advice(Seen(unattended=False, holds=[hold], failed=None, live=True, now=NOW)))
    for word in words:
        assert word in text
