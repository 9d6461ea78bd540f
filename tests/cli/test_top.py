"""`top` on a terminal of its own: what it shows, what its keys do, and that it leaves the terminal as it was."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from driven import Driven, alive, held, until
from terminal import SEQUENCE, Screen, screen

PLAIN = {"NO_COLOR": "1"}
LEFT = "\x1b[?25h\x1b[?1049l"
"""The cursor shown again, the screen that was there before."""


def restored(shown: Screen, code: int) -> None:
    """It ended with that code and left the terminal as it found it."""
    assert shown.ended(code).endswith(LEFT) or (code == 130 and LEFT in shown.read())
    assert shown.attributes() == shown.before


def stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def test_it_shows_follows_pauses_and_cancels(aq: Driven) -> None:
    aq.exec("sh", "-c", f"echo out loud; echo in low voice >&2; {held('a')[2]}", "-", "a")
    aq.supervise("-j", "1")
    pid = aq.started("a")
    aq.exec("true", given=["-s", "docs"])
    aq("schedule", "--every", "1h", "--start", "2999-01-01T00:00:00Z", "--exec", "--", "nightly")
    with screen(aq.agentq, "top", columns=100, rows=30, env=PLAIN) as shown:
        lines = shown.shows("default/1.1", "1 of 1 running", "out loud", "docs/1", "default/2", "nightly", "SESSION")
        assert len(lines) == 30
        assert max(map(len, lines)) <= 100
        shown.resize(40, 12)
        until(lambda: len(shown.frame()) == 12, what="a smaller picture")
        assert max(map(len, shown.frame())) <= 40
        shown.shows("default/1.1", "q quit")
        shown.resize(100, 30)

        shown.type("\r")
        shown.shows("default/1.1 · stdout", "out loud")
        shown.type("e")
        shown.shows("default/1.1 · stderr", "in low voice")
        shown.type("\x1b")
        shown.shows("RUNNING")

        shown.type("\x1b[Bp")  # down to docs/1
        shown.shows("docs/1 is paused")
        assert aq.task("docs/1")["status"] == "paused"
        until(lambda: any("docs/1" in line and "paused" in line for line in shown.frame()[:-1]), what="paused, listed")
        shown.type("p")
        shown.shows("docs/1 is queued")
        assert aq.task("docs/1")["status"] == "queued"

        shown.type("gc")
        shown.shows("Cancel default/1? y/n")
        shown.type("n")
        shown.shows("nothing was cancelled")
        assert alive(pid)
        shown.type("cy")
        until(lambda: aq.task("default/1")["status"] == "cancelled", what="the cancellation")
        assert not alive(pid)
        shown.shows("ENDED", "cancelled")

        until(lambda: aq.task("docs/1")["status"] == "completed", what="the next one")
        shown.shows("docs/1.1", "success")
        shown.type("gc")
        shown.shows("Cancel default/2 and end its series? y/n")
        shown.type("nq")
        restored(shown, 0)


def test_it_gives_the_terminal_back_however_it_is_ended(aq: Driven) -> None:
    aq.exec("true", given=["--in", "1h"])
    with screen(aq.agentq, "top", env=PLAIN) as shown:
        shown.shows("default/1")
        assert shown.attributes() != shown.before
        shown.type("\x1a")
        until(lambda: stopped(shown.process.pid), what="Ctrl-Z")
        assert shown.attributes() == shown.before
        assert shown.read().endswith(LEFT)
        shown.process.send_signal(signal.SIGCONT)
        until(lambda: shown.attributes() != shown.before, what="its return")
        until(lambda: not shown.read().endswith(LEFT), what="its picture")
        shown.type("\x03")
        restored(shown, 130)
    with screen(aq.agentq, "top", env=PLAIN) as shown:
        shown.shows("default/1")
        shown.process.send_signal(signal.SIGTERM)
        restored(shown, 143)
    with screen(aq.agentq, "top", env=PLAIN) as shown:
        shown.shows("default/1")
        shown.hang_up()
        shown.process.wait(timeout=30)


def test_it_sees_a_state_dir_that_comes_into_being_and_makes_none(aq: Driven) -> None:
    with screen(aq.agentq, "top", env=PLAIN) as shown:
        shown.shows("no supervisor", "nothing to show")
        shown.type("jclp?x")
        shown.shows("nothing to show")
        assert not aq.state_dir.exists()
        aq.exec("true", given=["--in", "1h"])
        shown.shows("default/1", "scheduled")
        shown.type("q")
        restored(shown, 0)


def test_json_is_one_snapshot_wherever_it_goes(aq: Driven) -> None:
    empty = aq.json("top")
    assert empty["schema"] == "agentq.top/1"
    assert not aq.state_dir.exists()
    aq.exec(*held("first"))
    supervisor = aq.supervise("--drain")
    aq.started("first")
    aq("wait", aq.exec("true", given=["-s", "a"]))
    aq.let_go("first")
    aq.ended(supervisor, 0)
    aq.exec("true", given=["--after", aq.exec("true", given=["--in", "1h"])])
    found = aq.json("top")
    assert set(found) == {"schema", "at", "counts", "supervisors", "running", "waiting", "sessions", "gates", "ended"}
    assert {item["id"]: item["status"] for item in found["waiting"]} == {
        "default/2": "scheduled",
        "default/3": "blocked",
    }
    assert found["waiting"][1]["waiting_for"]["ids"] == ["default/2"]
    assert [(item["id"], item["status"]) for item in found["ended"]] == [
        ("default/1.1", "success"),
        ("a/1.1", "success"),
    ]


@pytest.mark.parametrize("env", [{}, {"TERM": "dumb"}])
def test_without_a_terminal_it_says_what_there_is_instead(aq: Driven, env: dict[str, str]) -> None:
    if env:
        with screen(aq.agentq, "top", env=env) as shown:
            said = shown.ended(2)
    else:
        said = aq.refused("top", code=2)
    assert "top: needs a terminal; see `agentq list` and `agentq workers`" in said
    assert "\x1b" not in said


def test_what_agents_print_commands_no_terminal(aq: Driven) -> None:
    evil = "\x1b]0;title\x07\x1b[2J\x9b31m\u202eover\rwritten"
    argv = [*held("a")]
    argv[2] = "printf '%s\\n' \"$EVIL\"; " + argv[2]
    aq.exec(*argv, given=["--env", f"EVIL={evil}"])
    aq.supervise("-j", "1")
    aq.started("a")
    with screen(aq.agentq, "top", env=PLAIN) as shown:
        shown.shows("written")
        shown.type("l")
        shown.shows("stdout", "written")
        left = SEQUENCE.sub("", shown.read())
        assert not {character for character in left if not character.isprintable()} - {"\r", "\n"}
        assert "\x1b[2J" not in shown.read().removeprefix("\x1b[?1049h\x1b[?25l\x1b[H\x1b[2J")
        shown.type("q")
        restored(shown, 0)
