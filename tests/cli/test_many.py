"""Many targets at once: those of a session in one commit, each reported, and none undone by another that fails."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from pathlib import Path

import pytest
from driven import IMPATIENT, Driven, Object, alive, held

MANY = 300


def commits(file: Path) -> int:
    """How often a database has been changed, as its header counts it: once a commit."""
    return int.from_bytes(file.read_bytes()[24:28], "big")


class Changes:
    """The commits of a session's file and of the index from now on."""

    def __init__(self, aq: Driven, session: str) -> None:
        self._files = (aq.state_dir / "sessions" / session / "inbound.db", aq.state_dir / "agentq.db")
        self._before = [commits(file) for file in self._files]

    def __call__(self) -> list[int]:
        return [commits(file) - before for file, before in zip(self._files, self._before, strict=True)]


def waiting(aq: Driven, count: int, session: str = "many") -> list[str]:
    return aq.batch(*({"exec": ["true"], "session": session, "in": "1h"} for _ in range(count)))


STEPS = [
    (["pause"], "is paused", "paused"),
    (["resume"], "is scheduled", "scheduled"),
    (["cancel"], "is cancelled", "cancelled"),
    (["retry"], "", "queued"),
    (["cancel"], "is cancelled", "cancelled"),
    (["prune", "--yes"], "is pruned", None),
]


def test_the_targets_of_a_session_are_one_commit(aq: Driven) -> None:
    names = waiting(aq, MANY)
    for words, told, status in STEPS:
        changed = Changes(aq, "many")
        printed = aq(*words, *names).stdout.splitlines()
        assert printed == [f"{name} {told}".strip() for name in names], words
        assert changed() == [1, 1], words
        assert set(aq.statuses().values()) == ({status} if status else set()), words
    assert aq.items("events") == []


@pytest.mark.parametrize("words", [["-s", "many"], ["--all", "--yes"]])
def test_so_are_all_of_a_session_and_all_there_are(aq: Driven, words: list[str]) -> None:
    waiting(aq, MANY)
    waiting(aq, 2, "other")
    changed = Changes(aq, "many")
    aq("cancel", *words)
    assert changed() == [1, 1 if words[0] == "-s" else 2]
    assert set(aq.statuses().values()) == ({"cancelled", "scheduled"} if words[0] == "-s" else {"cancelled"})


def test_what_waits_for_them_goes_with_them(aq: Driven) -> None:
    first, second = waiting(aq, 2)
    behind = [aq.exec("true", given=["-s", "many", "--after", each]) for each in (first, second, first)]
    changed = Changes(aq, "many")
    items = aq.items("cancel", first, second, behind[2])
    assert changed() == [1, 1]
    assert [(item["ok"], item["status"]) for item in items] == [(True, "cancelled")] * 3
    assert aq.statuses() == dict.fromkeys([first, second, *behind], "cancelled")
    changed = Changes(aq, "many")
    aq("retry", first, second)
    assert changed() == [1, 1]
    assert [aq.statuses()[each] for each in behind] == ["blocked"] * 3


def test_one_that_fails_leaves_the_others_done_and_the_order_kept(aq: Driven) -> None:
    a, b, c = waiting(aq, 3)
    (other,) = waiting(aq, 1, "other")
    aq("cancel", b)
    changed = Changes(aq, "many")
    items = aq.items("pause", a, other, "nowhere/1", b, "x/y", "many/9", c, a, code=1)
    assert changed() == [1, 2]
    assert [(item["id"], item["code"], item["status"]) for item in items] == [
        (a, 0, "paused"),
        (other, 0, "paused"),
        ("nowhere/1", 3, None),
        (b, 4, "cancelled"),
        ("x/y", 2, None),
        ("many/9", 3, None),
        (c, 0, "paused"),
        (a, 0, "paused"),
    ]
    assert aq.statuses() == {a: "paused", b: "cancelled", c: "paused", other: "paused"}


def test_the_same_one_twice_is_done_once(aq: Driven) -> None:
    (a,) = waiting(aq, 1)
    assert [(item["ok"], item["status"]) for item in aq.items("cancel", a, a, code=1)] == [
        (True, "cancelled"),
        (False, "cancelled"),
    ]
    assert [event["to"] for event in aq.items("events", a)] == ["cancelled", "scheduled"]


@pytest.mark.parametrize("keeper", ["supervised", "alone"])
def test_those_that_run_are_stopped_among_the_others(aq: Driven, keeper: str) -> None:
    lines = [{"exec": held("a")}, *({"exec": ["true"], "in": "1h"} for _ in range(3)), {"exec": held("b")}]
    names = aq.batch(*lines)
    supervisor = aq.supervise()
    pids = [aq.started("a"), aq.started("b")]
    if keeper == "alone":
        aq.kill_hard(supervisor)
    items = aq.items("cancel", "--wait", *names)
    assert [(item["id"], item["ok"], item["status"]) for item in items] == [(each, True, "cancelled") for each in names]
    assert not any(alive(pid) for pid in pids)
    assert aq.statuses() == dict.fromkeys(names, "cancelled")


def test_a_session_in_trouble_leaves_the_others_alone(aq: Driven) -> None:
    a = waiting(aq, 2, "a")
    b = waiting(aq, 2, "b")
    file = aq.state_dir / "sessions" / "a" / "inbound.db"
    whole = file.read_bytes()
    file.write_bytes(b"not a database at all" * 100)
    items = aq.items("cancel", *a, *b, code=1)
    assert [(item["code"], item["status"]) for item in items] == [(6, "scheduled")] * 2 + [(0, "cancelled")] * 2
    file.write_bytes(whole)
    assert aq.statuses() == dict.fromkeys(a, "scheduled") | dict.fromkeys(b, "cancelled")


def test_one_of_which_the_row_makes_no_sense_leaves_the_others_done(aq: Driven) -> None:
    """Here it waits for one of them, which cannot be cancelled without it: nothing of that one is changed."""
    a, b, c = waiting(aq, 3)
    behind = aq.exec("true", given=["-s", "many", "--after", b])
    file = aq.state_dir / "sessions" / "many" / "inbound.db"
    with contextlib.closing(sqlite3.connect(file)) as database, database:
        (launch,) = database.execute("SELECT launch FROM messages_in WHERE seq = 4").fetchone()
        database.execute("UPDATE messages_in SET launch = 'nonsense' WHERE seq = 4")
    assert behind in aq.refused("show", behind, code=6)
    items = aq.items("cancel", a, b, c, behind, code=1)
    assert [(item["code"], item["status"]) for item in items] == [
        (0, "cancelled"),
        (6, "scheduled"),
        (0, "cancelled"),
        (6, "blocked"),
    ]
    with contextlib.closing(sqlite3.connect(file)) as database, database:
        database.execute("UPDATE messages_in SET launch = ? WHERE seq = 4", (launch,))
    assert aq.statuses() == {a: "cancelled", b: "scheduled", c: "cancelled", behind: "blocked"}
    assert [event["to"] for event in aq.items("events", b)] == ["scheduled"]


def test_a_session_that_is_locked_says_what_the_index_knows(aq: Driven) -> None:
    a = waiting(aq, 1, "a")
    b = waiting(aq, 1, "b")
    file = aq.state_dir / "sessions" / "a" / "inbound.db"
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        items = aq.items("pause", *a, *b, code=1, env=aq.agentq.constants(**IMPATIENT))
    assert [(item["code"], item["status"]) for item in items] == [(5, "scheduled"), (0, "paused")]


# The status of what could not be done

TASKS = [
    {"exec": ["true"]},
    {"exec": ["false"]},
    {"exec": ["true"], "in": "1h", "ref": "later"},
    {"exec": ["true"], "after": ["@later"]},
    {"exec": ["true"]},
]


@pytest.fixture(scope="module")
def kinds(shared: Driven) -> Driven:
    """A task of each kind: completed, failed, scheduled, blocked, paused; and an ended series."""
    shared.batch(*TASKS[:2])
    shared.drain(code=1)
    shared.batch(*TASKS[2:])
    shared("pause", "5")
    shared("schedule", "-s", "nightly", "--every", "1h", "--exec", "--", "true")
    shared("cancel", "nightly/1")
    return shared


REFUSED = {
    "cancel 1 2": ["completed", "failed"],
    "cancel 1 2 --dry-run": ["completed", "failed"],
    "cancel 1.1 2.1 9": ["completed", "failed", None],
    "cancel 1.1 2.7 --dry-run": ["completed", "failed"],
    "pause 1 2 default/9": ["completed", "failed", None],
    "resume 1 3 4": ["completed", "scheduled", "blocked"],
    "retry 3 4 5": ["scheduled", "blocked", "paused"],
    "prune 3 4 5 --yes": ["scheduled", "blocked", "paused"],
    "prune 3 4 5 nowhere/1 --dry-run": ["scheduled", "blocked", "paused", None],
    "cancel nightly/1 1": ["cancelled", "completed"],
    "cancel 1": ["completed"],
    "resume 3": ["scheduled"],
    "retry 4": ["blocked"],
    "prune 5 --yes": ["paused"],
    "prune 5 --dry-run": ["paused"],
}


@pytest.mark.parametrize("words", REFUSED)
def test_what_could_not_be_done_has_the_status_of_its_task(kinds: Driven, words: str) -> None:
    name, *arguments = words.split()
    done = kinds.agentq(name, "--json", *arguments)
    document: Object = json.loads(done.stdout)
    assert done.returncode in (1, 3, 4)
    assert [item["ok"] for item in document["items"]] == [False] * len(REFUSED[words])
    assert [item["status"] for item in document["items"]] == REFUSED[words]


def test_an_occurrence_stands_for_its_series_where_the_command_says_so(aq: Driven) -> None:
    aq("schedule", "--every", "1h", "--exec", "--", "true", env={"AGENTQ_NOW": "2026-03-01T12:00:00Z"})
    later = {"AGENTQ_NOW": "2026-03-01T13:00:01Z"}
    aq("run", "--drain", env=later)
    found = {item["id"]: item["status"] for item in aq.items("list", "--all", env=later)}
    assert found == {"default/1": "completed", "default/2": "scheduled"}
    document = aq.json("resume", "1", code=4, env=later)
    assert document["items"][0]["status"] == "scheduled"  # the live one, of which the message speaks
    assert "default/2" in document["message"]
    aq("pause", "2", env=later)
    document = aq.json("retry", "2", code=4, env=later)
    assert document["items"][0]["status"] == "paused"
