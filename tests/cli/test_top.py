"""`top` on a terminal of its own: that it leaves the terminal as it was, and what it does with it meanwhile.

What it shows and what its keys do is in `test_top_keys`.
"""

from __future__ import annotations

import base64
import re
import signal
from pathlib import Path

import pytest
from driven import Driven, alive, held, until
from terminal import Screen, screen

PLAIN = {"NO_COLOR": "1"}
LEFT, CURSOR = "\x1b[?1049l", "\x1b[?25h"
"""The screen that was there before, and the cursor shown again."""


def restored(shown: Screen, code: int) -> None:
    """It ended with that code and left the terminal as it found it."""
    said = shown.ended(code)
    assert said.rindex(CURSOR) > said.rindex(LEFT) > max(map(said.rfind, ("\x1b[?1049h", "\x1b[?25l", "\x1b[?1000h")))
    assert "\x1b[?1000l" in said
    assert shown.attributes() == shown.before


def stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def test_it_shows_opens_cancels_and_gives_the_terminal_back(aq: Driven) -> None:
    aq.exec("sh", "-c", f"echo out loud; {held('a')[2]}", "-", "a")
    aq.supervise("-j", "1")
    pid = aq.started("a")
    with screen(aq.agentq, "top", columns=100, rows=30, env=PLAIN) as shown:
        shown.says("default/1.1", "1 of 1 running", "out loud", "RUNNING")
        assert not re.search(r"\x1b\[([0-9;]*;)?[34][0-8](;[0-9;]*)?m", shown.text)  # NO_COLOR
        shown.resize(40, 12)
        shown.type("\r")
        shown.says("Answer", "Transcript")
        shown.type("c")
        shown.says("Cancel default/1?")
        shown.type("y")
        until(lambda: aq.task("default/1")["status"] == "cancelled", what="the cancellation")
        until(lambda: not alive(pid), what="the end of its process")
        shown.type("q")
        shown.says("ENDED")
        shown.type("q")
        restored(shown, 0)


@pytest.mark.slow
def test_it_gives_the_terminal_back_however_it_is_ended(aq: Driven) -> None:
    aq.exec("true", given=["--in", "1h"])
    with screen(aq.agentq, "top", env=PLAIN) as shown:
        shown.says("default/1")
        assert shown.attributes() != shown.before
        shown.type("\x1a")
        until(lambda: stopped(shown.process.pid), what="Ctrl-Z")
        assert shown.attributes() == shown.before
        assert shown.read().count(LEFT) == 1
        shown.process.send_signal(signal.SIGCONT)
        until(lambda: shown.attributes() != shown.before, what="its return")
        until(lambda: shown.read().count("\x1b[?1049h") == 2, what="its picture")
        shown.type("\x03")
        restored(shown, 130)
    with screen(aq.agentq, "top", env=PLAIN) as shown:
        shown.says("default/1")
        shown.process.send_signal(signal.SIGTERM)
        restored(shown, 143)
    with screen(aq.agentq, "top", env=PLAIN) as shown:
        shown.says("default/1")
        shown.hang_up()
        shown.process.wait(timeout=30)


@pytest.mark.slow
def test_the_mouse_the_clipboard_and_the_pager(aq: Driven) -> None:
    aq.exec("sh", "-c", "echo out loud | tr a-z A-Z")
    aq.drain()
    pager = "sh -c 'cat >$HOME/paged'"
    with screen(aq.agentq, "top", env={"PAGER": pager}) as shown:
        shown.says("default/1.1", "ENDED")
        assert "\x1b[?1003h" not in shown.text  # not each movement
        shown.type("m")
        shown.says("the mouse is the terminal's")
        assert shown.text.rindex("\x1b[?1000l") > shown.text.rindex("\x1b[?1000h")
        shown.type("m")
        shown.says("the mouse is ours")
        assert shown.text.rindex("\x1b[?1000l") < shown.text.rindex("\x1b[?1000h")
        shown.type("y")
        shown.says("copied default/1.1")
        assert f"\x1b]52;c;{base64.b64encode(b'default/1.1').decode()}\x07" in shown.text
        shown.type("\r")
        shown.says("Transcript")
        shown.type("2")
        shown.says("OUT LOUD")
        shown.type("v")
        paged = aq.home / "paged"
        until(lambda: paged.exists() and paged.read_text() == "OUT LOUD\n", what="the pager")
        until(lambda: shown.read().count("\x1b[?1049h") == 2, what="its return")
        shown.type("qq")
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
    lists = {"supervisors", "running", "waiting", "sessions", "gates", "schedules", "ended"}
    assert set(found) == {"schema", "at", "counts", *lists}
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


@pytest.mark.slow
def test_a_plain_locale_gets_ascii(aq: Driven) -> None:
    aq.exec("echo", "a long text that does not fit " * 9)
    aq.drain()
    with screen(aq.agentq, "top", env={"LC_ALL": "C"}) as shown:
        shown.says("ENDED", "a long text", "~")
        shown.type("\r")
        shown.says("Transcript", "Events", "a long text")
        shown.type("c")
        shown.says("has already ended")
        shown.type("?")
        shown.says("choose a row", "+---")
        shown.type("\x03")
        restored(shown, 130)
        assert shown.text.isascii()


def test_keys_that_come_at_once_are_no_commands_of_the_screen_before(aq: Driven) -> None:
    aq.exec("true", given=["--in", "1h"])
    with screen(aq.agentq, "top", env=PLAIN) as shown:
        shown.says("default/1")
        shown.type("/cypry")
        shown.says("filter: ")
        shown.says("nothing to show", "only cypry")
        shown.type("\x03")
        restored(shown, 130)
    assert [event["event"] for event in aq.items("events")] == ["submit"]


@pytest.mark.slow
def test_what_agents_print_commands_no_terminal(aq: Driven) -> None:
    evil = "\x1b]0;title\x07\x1b[2J\x9b31m\u202eover\rwritten"
    argv = [*held("a")]
    argv[2] = "printf '%s\\n' \"$EVIL\"; " + argv[2]
    aq.exec(*argv, given=["--env", f"EVIL={evil}"])
    aq.supervise("-j", "1")
    aq.started("a")
    with screen(aq.agentq, "top", env=PLAIN) as shown:
        shown.says("written")
        shown.type("\r")
        shown.says("Transcript", "written")
        for each in ("\x1b]0;", "\x1b[2J", "\x9b", "\u202e", "over\rwritten"):
            assert each not in shown.text
        shown.type("qq")
        restored(shown, 0)
