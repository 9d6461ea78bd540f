"""What runs changed in their trees, and how it landed, in all that shows runs."""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import closing

import pytest
from driven import HELD, Driven
from terminal import on_terminal
from tree_work import TreeWork

from agentq_cli.model.trees import OF_RUN, Came, Landing, Left

BASE, HEAD, SNAPSHOT = ("0" * 40, "1" * 40, "2" * 40)


def stored(aq: Driven, run: str, left: Left | None, landing: Landing | None = None) -> None:
    """Put on record what a run that has ended left."""
    session, _, rest = run.partition("/")
    seq, _, attempt = rest.partition(".")
    texts = [None if each is None else json.dumps(each._asdict()) for each in (left, landing)]
    with closing(sqlite3.connect(aq.state_dir / "agentq.db")) as index, index:
        index.execute(
            'UPDATE task_runs SET "left" = ?, landing = ? WHERE session = ? AND seq = ? AND attempt = ?',
            (*texts, session, int(seq), int(attempt)),
        )


def left(task: int, files: int | None, insertions: int | None, deletions: int | None, **more: object) -> Left:
    branch = f"agentq/t/default/{task}"
    found = Left("/r", f"/t/{task}", branch, BASE, HEAD, 2, files, insertions, deletions, False, HEAD)
    return found._replace(**more)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def changed(shared: Driven) -> Driven:
    """Runs that changed something, nothing, that meet a conflict, and one outside of a tree."""
    for n in range(5):
        shared.exec("true", f"work {n}")
    shared.drain()
    stored(shared, "default/1.1", left(1, 3, 120, 8), Landing("main", Came.LANDED, HEAD, SNAPSHOT))
    stored(shared, "default/2.1", left(2, 0, 0, 0), Landing("main", Came.NOTHING))
    unsaved = left(3, 1, 1, 0, dirty=True, snapshot=None, why="1.5 GiB, which is more than 1 GiB")
    stored(shared, "default/3.1", unsaved, Landing("main", Came.CONFLICT, paths=("a", "b\nc"), why=None))
    stored(shared, "default/4.1", left(4, None, None, None, snapshot=SNAPSHOT, dirty=True))
    return shared


def test_runs_has_a_column_for_it_only_if_a_run_has_a_tree(changed: Driven) -> None:
    head, *rows = changed("runs").stdout.splitlines()
    assert head.split() == ["RUN", "STATUS", "STARTED", "TOOK", "COST", "CHANGES", "TASK"]
    cells = {row.split()[0]: row[head.index("COST") + 4 :].partition("true")[0].strip() for row in rows}
    assert cells == {
        "default/1.1": "+120 −8, 3 files",
        "default/2.1": "nothing",
        "default/3.1": "+1 −0, 1 file",
        "default/4.1": "?",
        "default/5.1": "-",
    }
    assert "CHANGES" not in changed("runs", "default/5").stdout
    wide, narrow = (on_terminal(changed.agentq, "runs", columns=columns) for columns in (100, 40))
    assert "+120 −8, 3 files" in wide
    assert "CHANGES" not in narrow
    assert "+120 -8, 3 files" in on_terminal(changed.agentq, "runs", columns=100, env={"LC_ALL": "C"})


def test_a_run_and_its_document_say_all_of_it(changed: Driven) -> None:
    text = changed("show", "default/1.1").stdout
    for line in (
        f"Branch:    agentq/t/default/1, from {BASE[:12]}",
        "Worktree:  /t/1",
        "Changes:   +120 −8, 3 files, 2 commits",
        f"Snapshot:  {HEAD}",
        f"Landing:   landed on main as {HEAD[:12]}",
    ):
        assert line in text.splitlines()
    run = changed.json("show", "default/1.1")
    keys = "repository worktree branch base head commits files_changed insertions deletions dirty snapshot landed"
    found = ["/r", "/t/1", "agentq/t/default/1", BASE, HEAD, 2, 3, 120, 8, False, HEAD, HEAD]
    assert {key: run[key] for key in keys.split()} == dict(zip(keys.split(), found, strict=True))
    assert changed.json("show", "default/2.1")["landed"] == "nothing"
    assert {changed.json("show", "default/5.1")[key] for key in keys.split()} == {None}
    conflict = changed("show", "default/3.1").stdout
    assert "Landing:   cannot land on 'main': conflict: 'a', 'b\\nc'" in conflict
    assert "Snapshot:  1.5 GiB, which is more than 1 GiB" in conflict
    assert "Changes:   +1 −0, 1 file, 2 commits, not all committed" in conflict
    assert "success, " in changed("show", "default/1").stdout
    assert f"+120 −8, 3 files, landed on main as {HEAD[:12]}" in changed("show", "default/1").stdout


def test_a_report_counts_landings_and_lists_what_each_task_changed(changed: Driven) -> None:
    text = changed("report").stdout
    assert text.splitlines()[2] == "Landed 1, nothing to land 1, conflicts 1"
    changes = text.partition("Changes:\n")[2].splitlines()
    assert [line.split("  ")[:4] for line in changes] == [
        ["default/4", "?", "agentq/t/default/4", "not landed"],
        ["default/3", "+1 −0, 1 file", "agentq/t/default/3", "cannot land on 'main': conflict: 'a', 'b\\nc'"],
        ["default/2", "nothing", "agentq/t/default/2", "nothing to land on main"],
        ["default/1", "+120 −8, 3 files", "agentq/t/default/1", f"landed on main as {HEAD[:12]}"],
    ]
    found = changed.json("report")
    counts = [found[key] for key in ("landed", "nothing_to_land", "conflicts", "checks_failed")]
    assert counts == [1, 1, 1, 0]
    assert [each["task"] for each in found["changes"]] == [f"default/{n}" for n in (4, 3, 2, 1)]
    assert found["changes"][3]["insertions"] == 120
    page = changed("report", "--html", "-").stdout
    assert "<dt>Landed</dt><dd>1</dd>" in page
    assert '<td class="n">+120 −8, 3 files</td>' in page
    assert '<th scope="col" class="n">Changes</th>' in page.partition("Newest runs")[2].partition("Changes by task")[0]
    assert (
        '<th scope="col" class="n">Changes</th>' not in changed("report", "--html", "-", "--until", "1970-01-02").stdout
    )
    assert "Changes by task" not in changed("report", "--html", "-", "--status", "failed").stdout


def test_stats_count_landings_and_what_was_pruned_stays_counted(changed: Driven) -> None:
    assert "Landings: landed 1, nothing to land 1" in [
        " ".join(line.split()) for line in changed("stats").stdout.splitlines()
    ]
    counters = 'agentq_landings_total{session="default",agent="",came="landed"} 1'
    assert counters in changed("stats", "--prometheus").stdout
    assert "; landed 1, nothing to land 1" in changed().stdout.partition("Today:")[2].splitlines()[0]
    changed("prune", "default/1", "--yes")
    assert counters in changed("stats", "--prometheus").stdout
    assert changed.json("stats")["landed"] == 0


def test_a_run_in_a_tree_says_where_it_is_and_what_it_left(aq: Driven) -> None:
    work = TreeWork(aq)
    did = "echo four >> file; git commit -qam Four; echo new > other"
    given = ("--worktree", "-C", str(work.path), "--setup", "echo ready", "--check", f"set -- check; {HELD}")
    aq.exec("sh", "-c", did, given=given)
    supervisor = aq.supervise("--drain")
    aq.started("check")
    assert re.search(r"^Stage: +its check runs$", aq("show", "1").stdout, re.M)
    assert aq.json("workers")["items"][0]["note"] == "its check runs"
    live = aq.runs()["default/1.1"]
    assert "CHANGES" not in aq("runs").stdout
    following = aq.start("logs", "--follow", "1")
    assert following.stderr is not None
    assert following.stderr.readline() == "default/1.1: its check runs\n"
    aq.let_go("check")
    assert "success, " in following.stderr.readline()
    aq.ended(following)
    aq.ended(supervisor, 0)
    assert aq("logs", "1", "--setup").stdout == "ready\n"
    task, run = aq.task("default/1"), aq.runs()["default/1.1"]
    start, branch = work.git("rev-parse", "main"), "agentq/t/default/1"
    assert [task[key] for key in ("worktree", "branch", "base", "land")] == [True, branch, "refs/heads/main", None]
    for key in ("repository", "worktree", "branch", "base"):
        assert live[key] == run[key]
    assert (live["head"], live["files_changed"]) == (None, None)
    found = [run[key] for key in ("repository", "branch", "base", "head", "commits", "files_changed", "insertions")]
    assert found == [str(work.path), branch, start, work.git("rev-parse", branch), 1, 2, 2]
    assert (run["deletions"], run["dirty"], run["landed"]) == (0, True, None)
    assert run["check"]["tree"] == work.git("rev-parse", f"{run['snapshot']}^{{tree}}")
    lines = [re.sub(" +", " ", line) for line in aq("show", "1").stdout.splitlines()]
    for line in (f"Worktree: {run['worktree']}", f"Branch: {branch}, from main", "Setup: echo ready"):
        assert line in lines
    assert "Changes: +2 −0, 2 files, 1 commit, not all committed" in lines
    (aq.state_dir / "agentq.db").unlink()
    aq("sweep", "--reindex", "--no-wake")
    again = aq.runs()["default/1.1"]
    assert {key: again[key] for key in (*OF_RUN, "check")} == {key: run[key] for key in (*OF_RUN, "check")}
