"""`trees` lists the tree of each task and session with what becomes of it, and `diff` shows what was changed there."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from agentq_process import Agentq
from driven import Driven
from terminal import all_on_terminal, on_terminal
from tree_work import TreeWork


@pytest.fixture
def work(aq: Driven) -> TreeWork:
    return TreeWork(aq)


def states(aq: Driven, *more: str) -> dict[str, str]:
    return {item["task"] or item["session"]: item["state"] for item in aq.items("trees", *more)}


def fingerprint(tree: Path) -> list[tuple[str, int, int]]:
    """Everything in a tree and in its own git directory, with times."""
    own = tree / Path((tree / ".git").read_text().removeprefix("gitdir: ").strip())
    return [
        (str(file), file.lstat().st_size, file.lstat().st_mtime_ns)
        for at in (tree, own)
        for file in sorted(at.rglob("*"))
    ]


def test_the_state_of_each_tree(work: TreeWork, aq: Driven) -> None:
    assert aq.items("trees") == []
    assert aq("trees").stdout == ""
    assert work.task("docs", "--context", "isolated") == "docs/1"
    assert work.task("docs", "--context", "session") == "docs/2"
    trees = {name: work.tree("docs", seq) for seq, name in enumerate(STATES, 1)}
    trees["session"] = work.tree("docs", None)
    for name in ("landed", "squashed", "holds"):
        work.commit(trees[name], f"{name}.txt", "done\n")
    work.git("merge", "--quiet", "--no-ff", "--no-edit", "agentq/t/docs/2", "agentq/t/docs/5")
    work.git("merge", "--squash", "agentq/t/docs/3")
    work.git("commit", "--quiet", "--message", "All of it at once")
    (trees["dirty"] / "new").write_text("new\n")
    work.commit(trees["ahead"], "file", "other\n")
    (work.path / ".git/info/exclude").write_text("secret\nnode_modules/\n")
    (trees["holds"] / "secret").write_text("key\n")
    (trees["unchanged"] / "node_modules").mkdir()
    (trees["unchanged"] / "node_modules/cache").write_text("key\n")
    subprocess.run(["rm", "-r", trees["vanished"]], check=True)
    (trees["broken"] / ".git").write_text("gitdir: /nowhere\n")
    before = fingerprint(trees["dirty"])
    listed = aq.items("trees", "-s", "docs")
    assert fingerprint(trees["dirty"]) == before
    assert {item["task"]: item["state"] for item in listed} == {
        **{f"docs/{seq}": state for seq, state in enumerate(STATES.values(), 1)},
        None: "waiting",
    }
    assert [item["number"] for item in listed] == list(range(1, len(STATES) + 2))
    dirty, ahead, holds = (listed[list(STATES).index(name)] for name in ("dirty", "ahead", "holds"))
    assert (dirty["dirty"], dirty["ahead"], ahead["dirty"], ahead["ahead"]) == (True, 0, False, 1)
    assert ahead["behind"] > 0
    assert (ahead["path"], ahead["repository"]) == (str(trees["ahead"]), str(work.path))
    assert ahead["branch"] == f"agentq/t/docs/{list(STATES).index('ahead') + 1}"
    assert ahead["size_bytes"] > 0
    assert holds["holds"] == ["secret"]
    keys = "number branch session task repository path ahead behind dirty size_bytes state holds note conversation_key"
    assert list(holds) == keys.split()
    assert aq.json("trees")["schema"] == "agentq.trees/1"
    text = aq("trees").stdout
    assert "docs/5" in text
    assert "secret" in text


STATES = {
    "waiting": "waiting",
    "landed": "landed",
    "squashed": "landed",
    "unchanged": "unchanged",
    "holds": "holds",
    "dirty": "waiting",
    "ahead": "waiting",
    "vanished": "vanished",
    "broken": "waiting",
}


def test_one_bad_record_or_a_repository_that_is_away_stops_nothing(work: TreeWork, aq: Driven) -> None:
    work.tree("a", None)
    bad = work.tree("b", None)
    (bad.parent / f".{bad.name}.json").write_text("{}")
    done = aq("trees", "--json")
    assert f"agentq: warning: tree '{bad}': its record" in done.stderr
    assert states(aq) == {"a": "unchanged"}
    work.path.rename(work.path.with_name("away"))
    (item,) = aq.items("trees")
    said = f"the repository '{work.path}/.git' is not there: moved, not mounted or deleted"
    assert (item["state"], item["note"]) == ("vanished", said)
    for words in (("diff",), ("land",), ("restore",)):
        assert aq.refused(*words, "-s", "a", code=3).endswith(f"'a': {said}")
    issue = next(each for each in aq.json("health", code=1)["issues"] if each["message"] == f"a: {said}")
    assert "`agentq discard -s a` if it was deleted" in issue["recommendation"]


def test_a_diff_has_what_is_committed_and_what_is_not_and_writes_nothing(work: TreeWork, aq: Driven) -> None:
    work.task("docs", "--context", "isolated")
    tree = work.tree("docs", 1)
    work.git("mv", "file", "moved", at=tree)
    work.git("commit", "--quiet", "--message", "Move", at=tree)
    work.commit(tree, "kept", "kept\n")
    (tree / "moved").write_text("one\ntwo\n3\n")
    (tree / "un\ntracked").write_text("new\n")
    (tree / "kept").unlink()
    (tree / os.fsdecode(b"\xff.bin")).write_text("new\n")
    (work.path / ".git/info/exclude").write_text("ignored\n")
    (tree / "ignored").write_text("not shown\n")
    before = fingerprint(tree)
    found = aq.json("diff", "docs/1")
    assert fingerprint(tree) == before
    assert found["files"] == [
        {"path": "moved", "was": "file", "insertions": 1, "deletions": 1},
        {"path": "un\ntracked", "was": None, "insertions": 1, "deletions": 0},
        {"path": "\ufffd.bin", "was": None, "insertions": 1, "deletions": 0},
    ]
    keys = "schema line run repository branch base commit files_changed insertions deletions files conversation_key"
    assert list(found) == keys.split()
    assert found["schema"] == "agentq.diff/1"
    assert (found["files_changed"], found["insertions"], found["deletions"]) == (3, 3, 1)
    assert (found["line"], found["run"], found["commit"], found["branch"]) == ("docs/1", None, None, "agentq/t/docs/1")
    patch = aq("diff", "docs/1").stdout
    assert "\n+3\n" in patch
    assert "kept" not in patch
    assert "\x1b[" not in patch
    other = aq.home / "other"
    work.git("worktree", "add", "--quiet", "--detach", str(other), found["base"])
    subprocess.run(["git", "apply", "-"], cwd=other, input=patch, text=True, check=True)
    assert (other / "moved").read_text() == "one\ntwo\n3\n"
    assert aq("diff", "docs/1", "--name-only").stdout.splitlines() == ["moved", '"un\\ntracked"', '"\\377.bin"']
    assert "3 files changed, 3 insertions(+), 1 deletion(-)" in aq("diff", "docs/1", "--stat").stdout
    assert "\x1b[" in aq("diff", "docs/1", "--color", "always").stdout


def test_a_run_has_a_diff_of_its_own_also_when_the_tree_is_gone(work: TreeWork, aq: Driven) -> None:
    work.task("docs", "--context", "isolated")
    tree = work.tree("docs", 1)
    (tree / "file").write_text("first\n")
    work.snapshot(tree, "docs", 1, 1)
    (tree / "new").write_text("second\n")
    last = work.snapshot(tree, "docs", 1, 2)
    subprocess.run(["rm", "-r", tree], check=True)
    assert [each["path"] for each in aq.json("diff", "docs/1.1")["files"]] == ["file"]
    found = aq.json("diff", "docs/1")
    assert [each["path"] for each in found["files"]] == ["file", "new"]
    assert (found["run"], found["commit"]) == ("docs/1.2", last)
    assert "+second" in aq("diff", "docs/1").stdout
    assert aq.refused("diff", "docs/1.3", code=3).endswith("run 'docs/1.3': it left nothing in a tree")
    assert "it has no tree" in aq.refused("diff", aq.exec("true", given=["--hold"]), code=4)


def test_a_terminal_gets_gits_own_pager_and_colours(work: TreeWork, aq: Driven, agentq: Agentq) -> None:
    tree = work.tree("docs", None)
    assert aq("diff", "-s", "docs").stdout == ""
    assert "docs: nothing differs from its base" in all_on_terminal(agentq, "diff", "-s", "docs")
    (tree / "file").write_text("changed\n")
    work.git("config", "core.pager", "sed s/^/paged:/")
    shown = on_terminal(agentq, "diff", "-s", "docs", columns=80, env={"TERM": "xterm"})
    assert "\x1b[" in shown
    assert "paged:" in shown
    assert "changed\x1b[m" in shown


def test_health_names_the_trees_in_trouble(work: TreeWork, aq: Driven) -> None:
    aq("cancel", work.task("docs", "--context", "isolated"))
    aq("cancel", work.task("docs", "--context", "isolated"))
    trees = [work.tree("docs", seq) for seq in (1, 2)]
    assert aq.json("health")["issues"] == []
    aq("prune", "docs/2", "--yes")
    work.tree("docs", 2)
    work.commit(trees[1], "done", "done\n")
    subprocess.run(["rm", "-r", trees[0]], check=True)
    (work.trees / "stray").mkdir()
    config = aq.home / "config.toml"
    config.write_text('trees_warn = "4k"\n')
    found = {
        item["component"]: item for item in aq.json("health", env={"AGENTQ_CONFIG": str(config)}, code=1)["issues"]
    }
    trouble = {name: (item["severity"], item["message"]) for name, item in found.items()}
    assert trouble["tree 1"] == ("warning", "docs/1: its directory is gone")
    assert "`agentq restore docs/1`" in found["tree 1"]["recommendation"]
    assert trouble["tree 2"] == ("warning", "docs/2: its task was pruned, and its tree is still there")
    messages = [item["message"] for item in aq.json("health", env={"AGENTQ_CONFIG": str(config)}, code=1)["issues"]]
    assert f"no task knows '{work.trees}/stray'" in messages
    assert any("on disk (trees_warn)" in each for each in messages)
    work.path.rename(work.path.with_name("away"))
    messages = [item["message"] for item in aq.json("health", code=1)["issues"]]
    assert f"docs/1: the repository '{work.path}/.git' is not there: moved, not mounted or deleted" in messages


def test_what_no_snapshot_holds_is_said_also_of_work_that_has_not_landed(work: TreeWork, aq: Driven) -> None:
    aq("cancel", work.task("docs", "--context", "isolated"))
    tree = work.tree("docs", 1)
    work.commit(tree, "file", "other\n")
    (tree / "inner").mkdir()
    work.git("init", "--quiet", at=tree / "inner")
    work.commit(tree / "inner", "a", "b\n")
    (item,) = aq.items("trees")
    assert (item["state"], item["holds"], item["note"]) == ("holds", ["inner/"], "its work has not landed")
    assert "inner/; its work has not landed" in aq("trees").stdout
    kept = "it holds what no snapshot can hold: inner/ (its work has not landed)"
    assert f"docs/1 would be pruned; its tree stays: {kept}" in aq("prune", "docs/1", "--dry-run").stdout
