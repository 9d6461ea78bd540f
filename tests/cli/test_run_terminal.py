"""`run`, `wait` and `submit --wait` on a terminal: a live table while something runs, and lines that stay."""

from __future__ import annotations

import json
import signal

from driven import Driven, alive, held, until
from terminal import screen


def test_run_shows_what_runs_and_leaves_what_ended_and_the_sum(aq: Driven) -> None:
    evil = "printf '\\033]0;title\\007\\033[2J\\rover a last line\\n'"
    aq.exec("sh", "-c", f"{evil}; {held('a')[2]}", "-", "a")
    aq.exec("sh", "-c", "exit 3")
    aq.exec("true", given=["--in", "1h"])
    aq.exec("true", given=["--after", "2"])
    with screen(aq.agentq, "run", "--drain", columns=100, env={"NO_COLOR": "1"}) as shown:
        shown.says("LAST OUTPUT", "default/1.1", "a last line", "1 running · 1 scheduled · 1 cancelled · 1 failed")
        aq.let_go("a")
        text = shown.ended(1)
    kept = text.rpartition("\x1b[J")[0].rpartition("A")[2]  # from the last time that the drawing was taken away
    assert "completed  default/1.1  in " in kept
    assert "1 cancelled · 1 completed · 1 failed · in " in kept
    assert "cancelled  default/4  dependency default/2 failed" in text
    assert "RUN " not in kept
    assert "\x1b]" not in text
    assert "\x1b[2J" not in text
    assert text.count("failed     default/2.1  in ") == 1
    assert text.endswith("\x1b[J")


def test_run_draws_for_the_size_that_the_terminal_has_now(aq: Driven) -> None:
    aq.exec(*held("a"))
    with screen(aq.agentq, "run", "--drain", columns=100, env={"NO_COLOR": "1"}) as shown:
        shown.says("default/1.1", "LAST OUTPUT", "TASK")
        seen = len(shown.read())
        shown.resize(40, 10)
        until(lambda: "LAST OUTPUT" in shown.read()[seen:], what="a new drawing")
        header = shown.read()[seen:].split("\r\n")[0]
        assert "TASK" not in header
        aq.let_go("a")
        shown.ended(0)


def test_ctrl_c_where_nothing_runs_waits_for_nobody(aq: Driven) -> None:
    with screen(aq.agentq, "run", env={"NO_COLOR": "1"}) as shown:
        shown.says("nothing runs")
        shown.type("\x03")
        assert "SIGINT: nothing runs" in shown.ended(130)


def test_ctrl_c_waits_and_a_second_one_leaves_on_a_terminal_too(aq: Driven) -> None:
    aq.exec(*held("a"))
    with screen(aq.agentq, "run", env={"NO_COLOR": "1"}) as shown:
        pid = aq.started("a")
        shown.type("\x03")
        shown.says("SIGINT: 1 running, waiting for them; a second signal leaves them running")
        assert shown.process.poll() is None
        shown.type("\x03")
        shown.ended(130)
        assert alive(pid)
    with screen(aq.agentq, "run", "--drain", env={"NO_COLOR": "1"}) as shown:
        shown.says("default/1.1", "1 running")
        shown.process.send_signal(signal.SIGTERM)
        shown.ended(143)
        assert alive(pid)
        assert aq.statuses() == {"default/1": "running"}


def test_a_terminal_that_goes_away_takes_no_agent_with_it(aq: Driven) -> None:
    aq.exec(*held("a"))
    with screen(aq.agentq, "run") as shown:
        pid = aq.started("a")
        shown.says("default/1.1")
        shown.hang_up()
        assert shown.process.wait(timeout=30) == 129
    assert alive(pid)
    aq.let_go("a")
    aq.drain()
    assert aq.statuses() == {"default/1": "completed"}


def test_json_on_a_terminal_is_lines_of_json_and_nothing_else(aq: Driven) -> None:
    aq.exec("true")
    with screen(aq.agentq, "run", "--drain", "--json") as shown:
        lines = shown.ended(0).splitlines()
    assert [json.loads(line)["event"] for line in lines] == ["start", "finish"]


def test_waiting_shows_what_runs_and_how_it_ended(aq: Driven) -> None:
    aq.exec("sh", "-c", f"echo a last line; {held('a', 3)[2]}", "-", "a", "3")
    aq.supervise("--drain")
    aq.started("a")
    with screen(aq.agentq, "wait", "1", env={"NO_COLOR": "1"}) as shown:
        shown.says("default/1.1", "a last line", "waiting for", "1 running")
        aq.let_go("a")
        assert "failed     default/1  exit code 3\x1b[K\r\n\x1b[J" in shown.ended(3)
    with screen(aq.agentq, "submit", "--wait", "--exec", "--", *held("b"), env={"NO_COLOR": "1"}) as shown:
        shown.says("default/2", "default/2.1", "1 running")
        aq.let_go("b")
        text = shown.ended(0)
    assert text.startswith("\rdefault/2\x1b[K\r\n")
    assert text.endswith("completed  default/2\x1b[K\r\n\x1b[J")


def test_a_dumb_terminal_gets_the_lines_of_a_pipe(aq: Driven) -> None:
    aq.exec("true")
    with screen(aq.agentq, "run", "--drain", env={"TERM": "dumb"}) as shown:
        text = shown.ended(0)
    assert "\x1b" not in text
    assert [line.split()[1] for line in text.splitlines()] == ["start", "finish"]


def test_waiting_shows_what_it_waits_for_in_the_drawing_and_nowhere_else(aq: Driven) -> None:
    aq.exec("true", given=["--in", "1d"])
    for columns in (100, 40):
        with screen(aq.agentq, "wait", "1", columns=columns, env={"NO_COLOR": "1"}) as shown:
            text = shown.says("default/1: it is due at ", "1 scheduled")
            assert max(map(len, text.replace("\r", "").split("\n"))) < columns
            shown.type("\x03")
            assert "agentq: waiting" not in shown.ended(130)
