"""What `top` shows of a snapshot, without a terminal: rows, columns, heights, filters."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from agentq_cli.base.clock import from_rfc3339
from agentq_cli.model.tasks import WaitingFor
from agentq_cli.show.costs import money, together
from agentq_cli.show.drawing import GAP
from agentq_cli.show.pen import Pen
from agentq_cli.top.filtering import Filter
from agentq_cli.top.panes import KINDS, Laid, filled, followed, head, heights, laid
from agentq_cli.top.questions import CHANGING, FILTERS, HELP
from agentq_cli.top.snapshot import Snapshot

AT = "2026-03-29T01:00:00.000Z"
NOW = from_rfc3339(AT)
BARE = Pen(colours=False, plain=False)
COUNTS = {"blocked": 0, "scheduled": 0, "queued": 0, "running": 0, "retrying": 0, "paused": 0}
EMPTY = Snapshot(AT, COUNTS, [], [], [], [], [], [], [])


def running(name: str, **more: Any) -> dict[str, Any]:
    item = {"run": f"{name}.1", "task": name, "session": name.partition("/")[0], "state": "running", "age_ms": 61_000}
    item |= {"rss_bytes": 1 << 20, "agent": "demo", "series": None, "work": "write tests", "labels": ()}
    return item | {"last_line": "so far so good", "cost_usd": None} | more


def waiting(name: str, **more: Any) -> dict[str, Any]:
    item = {"id": name, "session": name.partition("/")[0], "series": None, "status": "queued", "due_at": AT}
    return item | {"agent": None, "why": None, "work": "make", "labels": (), "priority": 0} | more


def series(name: str, **more: Any) -> dict[str, Any]:
    item = {"id": name, "task": name, "session": name.partition("/")[0], "agent": "demo", "status": "scheduled"}
    item |= {"times": "every 1h", "next_at": AT, "last_status": None, "runs": 0, "failures": 0, "work": "look"}
    return item | {"labels": (), "priority": 0} | more


def ended(name: str, **more: Any) -> dict[str, Any]:
    item = {"id": f"{name}.1", "task": name, "session": name.partition("/")[0], "agent": None, "status": "error"}
    item |= {"finished_at": AT, "duration_ms": 5, "exit_code": 1, "error": "exit code 1", "cost_usd": None}
    return item | {"work": "make", "labels": ()} | more


FULL = dataclasses.replace(
    EMPTY,
    counts=COUNTS | {"running": 2, "queued": 3},
    supervisors=[
        {
            "pid": 7,
            "jobs": 2,
            "sessions": [],
            "started_at": AT,
            "last_seen_at": AT,
            "alive": True,
            "state": "draining",
        }
    ],
    running=[running("a/1"), running("a/2", state="orphaned", cost_usd=0.31, agent="claude", labels=("night",))],
    waiting=[waiting(f"a/{n}", status="paused" if n == 5 else "queued") for n in range(3, 9)],
    sessions=[{"name": "a", "paused": False, "counts": {"queued": 3}}, {"name": "b", "paused": True, "counts": {}}],
    gates=[{"name": "memory", "holding": True, "detail": "1 MiB available"}],
    schedules=[series("c/1", failures=2, last_status="error")],
    ended=[ended("b/1"), ended("b/2", agent="demo", status="success", error=None, work="first\nsecond")],
)


def pane(name: str, snapshot: Snapshot = FULL, width: int = 120, chosen: str = "") -> Laid:
    kind = next(kind for kind in KINDS if kind.name == name)
    items = filled(snapshot, Filter(chosen)).get(name, ())
    return laid(kind.columns, items, kind.key, pen=BARE, width=width, now=NOW)


def text(of: Laid) -> str:
    return "\n".join("|".join(cell.text for cell in row) for row in of.rows)


def test_everything_is_there() -> None:
    shown = "\n".join(line.plain for line in head(FULL, BARE, chosen=Filter()))
    for word in (
        "2 of 2 running",
        "supervisor 7",
        "draining",
        "held: memory: 1 MiB available",
        "b (paused)",
        "3 queued",
    ):
        assert word in shown
    assert pane("running").headers == ("RUNNING", "STATE", "AGE", "COST", "MEMORY", "AGENT", "TASK", "LAST OUTPUT")
    assert "a/2.1|orphaned|1m1s|$0.31|1MiB|claude|write tests|so far so good" in text(pane("running"))
    assert "a/5|paused" in text(pane("queue"))
    assert "c/1|every 1h|" in text(pane("schedules"))
    assert text(pane("schedules")).split("|")[3:6] == ["error", "0", "2"]
    assert pane("ended").keys == ("b/1.1", "b/2.1")
    assert text(pane("ended")).splitlines()[0].endswith("exit code 1")
    bare = "\n".join(line.plain for line in head(EMPTY, BARE, chosen=Filter("x"), read_only=True))
    assert "no supervisor: start `agentq run`" in bare
    assert "read only" in bare
    assert "only x" in bare
    assert filled(EMPTY, Filter()) == {}


def test_a_cost_that_nobody_knows_is_no_zero() -> None:
    assert [money(usd) for usd in (0.0, 1.254, 0.00418, 0.00001)] == ["$0.00", "$1.25", "$0.0042", "<$0.0001"]
    assert [money(None), money(None, priced=False)] == ["?", ""]
    cases = ((0, 0, 0), (0, 0, 1), (0.75, 2, 0), (0.25, 1, 1))
    assert [together(*each) for each in cases] == ["", "?", "$0.75", "$0.25 + ?"]
    rows = {row[0].text: [cell.text for cell in row] for row in pane("ended").rows}
    assert "?" in rows["b/2.1"]
    assert "?" not in rows["b/1.1"]  # a command costs nothing that anybody could know
    assert "?" in text(pane("running")).splitlines()[0]


def test_what_a_series_waits_for_is_among_the_schedules() -> None:
    later = waiting("c/1", series="c/1", status="scheduled")
    snapshot = dataclasses.replace(FULL, waiting=[later, waiting("c/2", series="c/1"), waiting("a/3")])
    assert pane("queue", snapshot).keys == ("c/2", "a/3")


def test_times_are_those_of_a_clock_so_that_they_stay_true() -> None:
    why = WaitingFor("retry", "the next attempt", until=NOW + 40_000, brief="retry")
    rows = text(pane("queue", dataclasses.replace(FULL, waiting=[waiting("a/3", why=why)])))
    assert "retry at " in rows
    assert " ago" not in rows + text(pane("ended"))
    assert "in 40s" not in rows


WORDS = st.text(alphabet="ab 日\n\t\x1b[]/é\u202e", max_size=40)


@given(st.integers(20, 220), WORDS, WORDS, st.sampled_from([kind.name for kind in KINDS]))
def test_rows_fit_whatever_they_say(width: int, said: str, work: str, name: str) -> None:
    snapshot = dataclasses.replace(
        FULL,
        running=[running("a/1", last_line=said, work=work)],
        waiting=[waiting("a/3", work=work)],
        schedules=[series("c/1", work=work, times=said)],
        ended=[ended("b/1", error=said, work=work)],
    )
    found = pane(name, snapshot, width)
    assert sum(found.widths) + GAP * len(found.widths) <= width
    assert found.headers[0] == found.headers[0].upper() != ""
    for row in found.rows:
        assert len(row) == len(found.widths)
        for cell in row:
            assert cell.text.isprintable()
            assert "\u202e" not in cell.text


def test_on_a_narrow_terminal_the_widest_text_gives_way() -> None:
    assert pane("running", width=40).headers == ("RUNNING", "STATE", "AGE", "LAST OUTPUT")
    assert pane("ended", width=40).headers == ("ENDED", "STATUS", "TOOK", "COST", "TASK")
    assert {"TOOK", "COST"} <= set(pane("ended", width=80).headers)


@given(
    st.dictionaries(st.sampled_from([kind.name for kind in KINDS]), st.integers(1, 300), min_size=1),
    st.integers(0, 60),
    st.sampled_from([None, *[kind.name for kind in KINDS]]),
)
def test_heights_share_the_room(wanted: dict[str, int], room: int, focused: str | None) -> None:
    shares = heights(wanted, room, focused)
    assert shares
    assert focused not in wanted or focused in shares
    assert all(2 <= share <= 1 + wanted[name] for name, share in shares.items())
    assert sum(shares.values()) <= max(room, 2 * len(shares))
    if sum(wanted.values()) + len(wanted) <= room:
        assert shares == {name: 1 + rows for name, rows in wanted.items()}


def test_a_low_terminal_shows_what_runs_before_anything_else() -> None:
    wanted = {"running": 5, "queue": 50, "schedules": 3, "ended": 20}
    assert list(heights(wanted, 5)) == ["running"]
    assert list(heights(wanted, 9)) == ["running", "queue"]
    assert "schedules" in heights(wanted, 9, "schedules")


def test_a_task_is_followed_from_pane_to_pane() -> None:
    assert followed({"queue": ["a/3"]}, "queue", "a/3") == ("queue", "a/3")
    assert followed({"running": ["a/3"], "queue": ["a/4"]}, "queue", "a/3") == ("running", "a/3")
    assert followed({"ended": ["a/3.2", "a/3.1"]}, "running", "a/3") == ("ended", "a/3.2")
    assert followed({"running": ["a/33"], "ended": ["b/3.1"]}, "running", "a/3") is None


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("", ["a/1.1", "a/2.1", "a/3", "c/1", "b/1.1", "b/2.1"]),
        ("session:b", ["b/1.1", "b/2.1"]),
        ("agent:claude", ["a/2.1"]),
        ("label:NIGHT", ["a/2.1"]),
        ("session:a label:x", []),
        ("so FAR", ["a/1.1", "a/2.1"]),
        ("exit code", ["b/1.1"]),
        ("second", ["b/2.1"]),
        ("every", ["c/1"]),
        ("time:1", []),
    ],
)
def test_a_filter_keeps_what_fits_all_its_words(typed: str, kept: list[str]) -> None:
    snapshot = dataclasses.replace(FULL, waiting=FULL.waiting[:1])
    found = [row for kind in KINDS for row in pane(kind.name, snapshot, chosen=typed).rows]
    assert [row[0].text for row in found] == kept


def test_the_help_fits_a_terminal_of_40_columns() -> None:
    room = max(len(keys) for keys, _ in HELP)
    assert max(room + 2 + cell_len(what) for _, what in HELP) <= 36
    assert len(f"/ {FILTERS}") <= 36
    assert set(CHANGING) < {keys for keys, _ in HELP}
