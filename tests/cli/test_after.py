"""`--after` and its kin from outside: options, batches, failures that are passed on, crashes before they are."""

from __future__ import annotations

import pytest
from driven import Driven, Object, held

MISSING = ["sh", "-c", "test -e ready"]


def after(aq: Driven, address: str) -> list[tuple[str, str]]:
    return [(each["id"], each["on"]) for each in aq.task(address)["after"]]


def test_the_three_options_repeat_and_come_back_as_given(aq: Driven) -> None:
    aq.exec("true")
    aq.exec("true", given=("-s", "b"))
    aq.exec("true", given=("--after", "1", "--after", "b/1", "--after-any", "default/1", "--after-failure", "b/1"))
    assert after(aq, "2") == [
        ("default/1", "success"),
        ("b/1", "success"),
        ("default/1", "any"),
        ("b/1", "failure"),
    ]
    task = aq.task("2")
    assert task["status"] == "blocked"
    assert task["waiting_for"]["kind"] == "dependency"
    assert task["waiting_for"]["ids"] == ["b/1", "default/1"]
    shown = aq("show", "2").stdout
    assert "After:       default/1 (any)" in shown and "Waiting for: dependency" in shown


def test_ranges_and_lists_of_tasks(aq: Driven) -> None:
    aq.batch(*[{"exec": ["true"], "session": name} for name in ("default", "my-docs") for _ in range(4)])
    given = ("--after", "1,3-4", "--after-any", "my-docs/2,4", "--after-failure", "my-docs/1-1")
    waiting = aq.exec("true", given=given)
    expected = [("default/1", "success"), ("default/3", "success"), ("default/4", "success")]
    expected += [("my-docs/2", "any"), ("my-docs/4", "any"), ("my-docs/1", "failure")]
    assert after(aq, waiting) == expected
    (line,) = aq.batch({"exec": ["true"], "after": ["2-3", "my-docs/3"]})
    assert [each for each, _ in after(aq, line)] == ["default/2", "default/3", "my-docs/3"]
    aq("edit", line, "--after", "my-docs/1-3")
    assert [each for each, _ in after(aq, line)] == ["my-docs/1", "my-docs/2", "my-docs/3"]
    for wrong in ("3-1", "1-", "1-99999999", "0-2", "my-docs/", "1.1-2"):
        assert f"--after '{wrong}'" in aq.refused("submit", "--after", wrong, "--exec", "--", "true", code=2)
    assert "no such task" in aq.refused("submit", "--after", "1-99", "--exec", "--", "true", code=3)


def test_they_start_in_order_whatever_the_sessions(aq: Driven) -> None:
    aq.exec(*held("first"), given=("-s", "a"))
    aq.exec("true", given=("-s", "b", "--after", "a/1"))
    aq.exec("true", given=("-s", "a", "--after", "b/1"))
    aq.exec("true", given=("-s", "c", "--after-any", "a/2", "--after-failure", "a/2"))
    supervisor = aq.supervise("--drain", "-j", "4")
    aq.started("first")
    assert list(aq.statuses().values()).count("blocked") == 3
    aq.let_go("first")
    aq.ended(supervisor, 0)
    assert aq.statuses() == {"a/1": "completed", "b/1": "completed", "a/2": "completed", "c/1": "cancelled"}
    assert aq.task("c/1")["reason"] == "dependency a/2 failed"
    started = {run["task"]: run["started_at"] for run in aq.runs().values()}
    ended = {run["task"]: run["finished_at"] for run in aq.runs().values()}
    assert started["b/1"] >= ended["a/1"] and started["a/2"] >= ended["b/1"]


DIAMOND = [
    {"ref": "d", "exec": ["true"], "after": ["@b", "@c"]},
    {"ref": "b", "exec": ["true"], "after": "@a", "session": "left"},
    {"ref": "c", "exec": MISSING, "after": ["@a"], "session": "right"},
    {"ref": "a", "exec": ["true"]},
    {"ref": "e", "exec": ["true"], "after": ["@d"], "session": "left"},
    {"exec": ["true"], "after_failure": ["@c"]},
    {"exec": ["true"], "after-any": ["@c"], "after_any": None},
]


def test_a_diamond_fails_is_mended_and_runs_d_once(aq: Driven) -> None:
    lines = [dict(line) for line in DIAMOND[:-1]] + [{"exec": ["true"], "after_any": ["@c"]}]
    d, b, c, a, e, on_failure, on_any = aq.batch(*lines)
    told = aq.drain(code=1).stdout.splitlines()
    stopped = [line.split(maxsplit=1)[1] for line in told if " cancelled " in line]
    assert stopped == [f"depend {each} cancelled (dependency {c} failed)" for each in (d, e)]
    expected = {a: "completed", b: "completed", c: "failed", d: "cancelled", e: "cancelled"}
    expected |= {on_failure: "completed", on_any: "completed"}
    assert aq.statuses() == expected
    tasks = aq.tasks()
    assert {tasks[each]["reason"] for each in (d, e)} == {f"dependency {c} failed"}
    assert [tasks[each]["last_run"] for each in (d, e)] == [None, None]
    (aq.home / "ready").touch()
    assert aq("retry", c).stdout.split() == [c]
    assert [aq.statuses()[each] for each in (c, d, e)] == ["queued", "blocked", "blocked"]
    aq.drain()
    assert set(aq.statuses().values()) == {"completed"}
    assert sorted(run["task"] for run in aq.runs().values()) == sorted([a, b, c, c, d, e, on_failure, on_any])


def test_run_tells_what_an_end_stops_in_its_own_session_too(aq: Driven) -> None:
    aq.batch(
        {"ref": "a", "exec": ["false"]},
        {"ref": "b", "exec": ["true"], "after": ["@a"]},
        {"ref": "c", "exec": ["true"], "after": ["@b"]},
        {"exec": ["true"], "after": ["@c"], "on_dep_failure": "hold"},
        {"ref": "e", "exec": ["true"]},
        {"exec": ["true"], "after_failure": ["@e"]},
    )
    told = aq.drain("-j", "1", code=1).stdout.splitlines()
    assert [line.split(maxsplit=1)[1] for line in told if " depend " in line] == [
        "depend default/2 cancelled (dependency default/1 failed)",
        "depend default/3 cancelled (dependency default/1 failed)",
        "depend default/4 paused (dependency default/1 failed)",
        "depend default/6 cancelled (dependency default/5 failed)",
    ]


@pytest.mark.parametrize(
    ("lines", "named"),
    [
        ([{"ref": "x", "exec": ["true"], "after": ["@x"]}], "a cycle: '@x' (line 1) waits for '@x' (line 1)"),
        (
            [
                {"exec": ["true"]},
                {"ref": "x", "exec": ["true"], "after": ["@y"]},
                {"ref": "y", "exec": ["true"], "after_any": ["@z"], "session": "b"},
                {"ref": "z", "exec": ["true"], "after_failure": ["@x"]},
            ],
            "a cycle:",
        ),
        ([{"exec": ["true"], "ref": "build"}, {"exec": ["true"], "after": ["@biuld"]}], "did you mean 'build'?"),
        ([{"exec": ["true"], "after": ["nonsense"]}], "nonsense"),
        ([{"exec": ["true"], "on_dep_failure": "holt"}], "did you mean 'hold'?"),
        ([{"exec": ["true"], "retries": -1}], "retries '-1'"),
        ([{"exec": ["true"], "retries": "2"}], "must be a whole number"),
        ([{"exec": ["true"], "backoff": "5"}], "backoff '5'"),
        ([{"exec": ["true"], "on_crash": "ignore"}], "on_crash 'ignore'"),
    ],
)
def test_what_a_batch_cannot_mean_stores_nothing(aq: Driven, lines: list[Object], named: str) -> None:
    import json

    text = "".join(json.dumps(line) + "\n" for line in lines)
    error = aq.refused("submit", "--batch", "-", code=2, input=text)
    assert named in error and "line" in error
    assert aq.tasks() == {}


def test_unknown_dependencies_are_not_found_and_store_nothing(aq: Driven) -> None:
    aq.exec("true")
    for given in (("--after", "2"), ("--after-any", "other/1"), ("--after-failure", "default/99")):
        assert given[1].rpartition("/")[2] in aq.refused("submit", *given, "-s", "new", "--exec", "--", "true", code=3)
    assert "default/9" in aq.refused(
        "submit", "--batch", "-", code=3, input='{"exec": ["true"]}\n{"exec": ["true"], "after": ["9"]}\n'
    )
    assert "'1.1'" in aq.refused("submit", "--after", "1.1", "--exec", "--", "true", code=2)
    assert list(aq.tasks()) == ["default/1"]
    assert [session["name"] for session in aq.items("sessions")] == ["default"]


def test_edit_changes_dependencies_and_refuses_a_cycle(aq: Driven) -> None:
    aq.exec("true", given=("--in", "1h"))
    aq.exec("true", given=("--after", "1"))
    assert "itself" in aq.refused("edit", "1", "--after", "1", code=2)
    assert "itself" in aq.refused("edit", "1", "--after", "2", code=2)
    assert after(aq, "1") == []
    (edited,) = aq.items("edit", "2", "--after-any", "1")
    assert edited["after"] == [{"id": "default/1", "on": "any"}]
    aq("cancel", "1")
    assert aq.task("2")["status"] == "queued"


def test_hold_pauses_until_somebody_decides_and_run_goes_on(aq: Driven) -> None:
    aq.exec("false")
    aq.exec("true", given=("--after", "1", "--on-dep-failure", "hold"))
    aq.exec("true", given=("--after", "1", "--on-dep-failure", "run"))
    aq.drain(code=1)
    assert aq.statuses() == {"default/1": "failed", "default/2": "paused", "default/3": "completed"}
    waits = aq.task("2")["waiting_for"]
    assert waits["kind"] == "paused" and "dependency default/1 failed" in waits["detail"]
    aq("resume", "2")
    aq.drain()
    assert aq.statuses()["default/2"] == "completed"


def test_cancelling_all_is_no_failure_where_one_takes_another_along(aq: Driven) -> None:
    aq.exec("true", given=("--in", "1h"))
    aq.exec("true", given=("--after", "1"))
    aq.exec("true", given=("--after", "2", "-s", "b"))
    items = aq.items("cancel", "1", "2", "b/1")
    assert [(item["ok"], item["status"]) for item in items] == [(True, "cancelled")] * 3
    assert "default/3" in aq.refused("cancel", "3", code=3)


def test_a_cancel_reaches_dependents_in_other_sessions_at_once(aq: Driven) -> None:
    aq.exec("true", given=("--in", "1h"))
    aq.exec("true", given=("--after", "1", "-s", "b"))
    aq("cancel", "1")
    assert aq.statuses() == {"default/1": "cancelled", "b/1": "cancelled"}


def test_a_dependency_of_a_live_task_is_not_pruned(aq: Driven) -> None:
    aq.exec("true")
    aq.drain()
    aq.exec("true", given=("--after", "1", "--in", "1h"))
    assert "depends on it" in aq.refused("prune", "--yes", "1", code=4)
    (would,) = aq.items("prune", "--dry-run", "1", code=4)
    assert "default/2 depends on it" in would["message"]
    assert aq.items("prune", "--older-than", "1ms", "--yes") == []
    aq("cancel", "2")
    aq("prune", "--yes", "1", "2")


def test_wait_and_drain_see_a_chain_through(aq: Driven) -> None:
    aq.exec("true")
    aq.exec("sh", "-c", "exit 3", given=("--after", "1"))
    done = aq("submit", "--after-failure", "2", "--wait", "--exec", "--", "true")
    assert done.stdout == "default/3\n"
    assert aq.statuses() == {"default/1": "completed", "default/2": "failed", "default/3": "completed"}
    aq("submit", "--after", "2", "--wait", "--exec", "--", "true", code=1)
    assert aq.task("4")["reason"] == "dependency default/2 failed"


def test_a_drain_of_one_session_does_not_wait_for_another(aq: Driven) -> None:
    aq.exec("true", given=("-s", "far"))
    aq.exec("true", given=("-s", "near", "--after", "far/1"))
    aq.drain("-s", "near")
    assert aq.statuses() == {"far/1": "queued", "near/1": "blocked"}
    aq.drain("-s", "far")
    # Nobody drains its session; but what it waited for has ended, and that is known.
    assert aq.statuses() == {"far/1": "completed", "near/1": "queued"}


def test_a_sweep_finishes_what_a_lost_process_left(aq: Driven) -> None:
    import sqlite3
    from contextlib import closing

    aq.exec("true", given=("-s", "a"))
    aq.exec("true", given=("-s", "b", "--after", "a/1"))
    aq.exec("true", given=("-s", "b", "--after", "b/1"))
    # As after a crash between the commit that ended a/1 and the one that tells session b.
    with closing(sqlite3.connect(aq.state_dir / "sessions" / "b" / "inbound.db")) as held_file:
        held_file.execute("BEGIN EXCLUSIVE")
        aq("cancel", "a/1")
        held_file.rollback()
    assert aq.statuses() == {"a/1": "cancelled", "b/1": "blocked", "b/2": "blocked"}
    items = aq.items("sweep", "--no-wake")
    assert [(item["action"], item["task"]) for item in items if item["action"] == "depend"] == [("depend", "b/1")]
    assert aq.statuses() == {"a/1": "cancelled", "b/1": "cancelled", "b/2": "cancelled"}
    assert aq.task("b/2")["reason"] == "dependency a/1 failed"


def test_a_drain_waits_for_a_dependent_whose_session_is_busy(aq: Driven) -> None:
    import sqlite3
    from contextlib import closing

    aq.exec("true", given=("-s", "a"))
    aq.exec("true", given=("-s", "b", "--after", "a/1"))
    with closing(sqlite3.connect(aq.state_dir / "sessions" / "b" / "inbound.db")) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        supervisor = aq.supervise("--drain")
        aq("wait", "a/1")
        holder.rollback()
    aq.ended(supervisor, 0)
    assert aq.statuses() == {"a/1": "completed", "b/1": "completed"}


def test_a_drain_does_not_wait_for_a_dependent_that_cannot_be_read(aq: Driven) -> None:
    aq.exec("true", given=("-s", "a"))
    aq.exec("true", given=("-s", "b", "--after", "a/1"))
    (aq.state_dir / "sessions" / "b" / "inbound.db").write_bytes(b"nothing that SQLite knows" * 99)
    aq.drain()
    assert list(aq.runs()) == ["a/1.1"]
