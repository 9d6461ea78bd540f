"""What `top` shows of a snapshot and what its keys mean, without a terminal."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentq_cli.commands.overview import Snapshot
from agentq_cli.show.dashboard import Action, Log, View, choices, frame, pressed, settled
from agentq_cli.show.drawing import Canvas
from agentq_cli.show.pen import Pen
from agentq_cli.show.tables import cells
from agentq_cli.show.terminal import split_keys

AT = "2026-03-29T01:00:00.000Z"
BARE = Canvas(Pen(colours=False, plain=False))
COUNTS = {"blocked": 0, "scheduled": 0, "queued": 0, "running": 0, "retrying": 0, "paused": 0}
EMPTY = Snapshot(AT, COUNTS, [], [], [], [], [], [])


def running(name: str, **more: Any) -> dict[str, Any]:
    item = {"run": f"{name}.1", "task": name, "state": "running", "age_ms": 61_000, "rss_bytes": 1 << 20}
    return item | {"agent": "demo", "series": None, "work": "write tests", "last_line": "so far so good"} | more


def waiting(name: str, **more: Any) -> dict[str, Any]:
    item = {"id": name, "session": "a", "series": None, "status": "queued", "due_at": AT, "agent": None}
    return item | {"waiting_for": None, "why": None, "work": "make"} | more


def ended(name: str) -> dict[str, Any]:
    item = {"id": f"{name}.1", "task": name, "agent": None, "status": "error", "finished_at": AT, "duration_ms": 5}
    return item | {"exit_code": 1, "failure_class": "error", "error": "exit code 1"}


def supervisor(**more: Any) -> dict[str, Any]:
    return {"pid": 7, "jobs": 2, "sessions": [], "started_at": AT, "last_seen_at": AT, "alive": True} | more


FULL = dataclasses.replace(
    EMPTY,
    counts=COUNTS | {"running": 2, "queued": 3},
    supervisors=[supervisor()],
    running=[running("a/1"), running("a/2", state="orphaned", series="a/2")],
    waiting=[waiting(f"a/{n}", status="paused" if n == 5 else "queued") for n in range(3, 9)],
    sessions=[{"name": "a", "paused": False, "counts": {"queued": 3}}, {"name": "b", "paused": True, "counts": {}}],
    gates=[{"name": "memory", "holding": True, "detail": "1 MiB available"}],
    ended=[ended("b/1"), ended("b/2")],
)


def text(view: View = View(), snapshot: Snapshot = FULL, width: int = 100, height: int = 40) -> str:  # noqa: B008
    return "\n".join(frame(view, snapshot, None, BARE, width=width, height=height))


def after(keys: str | list[str], snapshot: Snapshot = FULL, view: View | None = None) -> tuple[View, Action | None]:
    view, action = view or settled(View(), snapshot), None
    for key in keys:
        view, action = pressed(view, key, snapshot)
    return view, action


def test_everything_is_there() -> None:
    shown = text()
    for word in ("2 of 2 running", "supervisor 7", "held: memory: 1 MiB available", "a/1.1", "orphaned", "1m1s"):
        assert word in shown
    for word in ("so far so good", "a/8", "paused", "b/1.1", "exit code 1", "SESSION", "q quit"):
        assert word in shown
    assert "no supervisor: start `agentq run`" in text(snapshot=EMPTY)


@given(st.integers(1, 130), st.integers(2, 50), st.sampled_from(["table", "log", "help"]), st.booleans())
def test_a_picture_fills_exactly_the_terminal(width: int, height: int, page: str, plain: bool) -> None:
    view = dataclasses.replace(settled(View(), FULL), page=page, asking="a/2" if height % 2 else None)
    log = Log("a/1.1", ["日本語 " * 40, "tab\there", "\x1b[2Jx"] * 9)
    lines = frame(view, FULL, log, Canvas(Pen(False, plain)), width=width, height=height)
    assert len(lines) == height
    assert max(map(cells, lines)) <= width
    assert all(line.isprintable() for line in lines)


@pytest.mark.parametrize("height", range(8, 30))
def test_a_low_terminal_shows_what_runs_before_anything_else(height: int) -> None:
    shown = text(height=height)
    assert "a/1.1" in shown
    if "SESSION" in shown:
        assert "ENDED" in shown
    if "ENDED" in shown:
        assert "WAITING" in shown


def test_moving_keeps_the_chosen_one_in_sight() -> None:
    many = dataclasses.replace(FULL, waiting=[waiting(f"a/{n}") for n in range(3, 200)])
    there = choices(many)
    view = settled(View(), many)
    for key, at in (
        ("j", 1),
        ("down", 2),
        ("k", 1),
        ("page down", 11),
        ("end", len(there) - 1),
        ("home", 0),
        ("up", 0),
    ):
        view, action = pressed(view, key, many)
        assert view.chosen == there[at]
        assert action is None
    for _ in range(150):
        view, _action = pressed(view, "j", many)
        assert view.chosen is not None
        assert view.chosen[1] in text(view, many, height=24)


def test_a_task_is_followed_from_list_to_list_and_its_log_stays() -> None:
    view = View(chosen=("waiting", "a/3"))
    moved = dataclasses.replace(FULL, running=[running("a/3")], waiting=[])
    assert settled(view, moved).chosen == ("running", "a/3")
    over = dataclasses.replace(FULL, running=[], waiting=[], ended=[ended("a/3")])
    assert settled(settled(view, moved), over).chosen == ("ended", "a/3.1")
    assert settled(view, EMPTY).chosen is None
    assert settled(dataclasses.replace(view, page="log"), EMPTY).chosen == ("waiting", "a/3")


def test_cancelling_asks_first() -> None:
    view, action = after("c")
    assert (view.asking, action) == ("a/1", None)
    assert "Cancel a/1? y/n" in text(view)
    assert after("cy")[1] == Action("cancel", "a/1")
    for key in ("n", "q", "escape", "enter", "c"):
        assert after(["c", key])[1] is None
    assert "Cancel a/2 and end its series? y/n" in text(after("jc")[0])
    view, action = after(["end", "c"])
    assert (view.asking, action) == (None, None)
    assert "b/2.1 has already ended" in text(view)


def test_p_pauses_what_is_not_paused_and_resumes_what_is() -> None:
    assert after("jjp")[1] == Action("pause", "a/3")
    assert after("jjjjp")[1] == Action("resume", "a/5")
    assert after(["end", "p"])[1] is None


def test_pages() -> None:
    assert after("l")[0].page == after(["enter"])[0].page == "log"
    assert after("le")[0].stream == "stderr"
    assert after(["l", "e", "escape"])[0] == settled(View(), FULL)
    assert after("?")[0].page == "help"
    assert after("?x")[0].page == "table"
    assert after("q")[1] == after("lq")[1] == after("?q")[1] == Action("quit")
    assert after("jklcp", EMPTY)[1] is None


def test_keys_are_told_apart_however_they_arrive() -> None:
    assert split_keys("jq") == ["j", "q"]
    assert split_keys("\x1b[A\x1bOB\x1b[5~\r\x1b") == ["up", "down", "page up", "enter", "escape"]
    assert split_keys("\x1b[200~q\x1b[1;5C\x00\x1b[") == ["q"]
