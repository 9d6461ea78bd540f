"""`discard` removes a tree and its branch after a snapshot, and `restore` brings them back as they were."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from driven import Driven
from terminal import screen
from tree_work import TreeWork


@pytest.fixture
def work(aq: Driven) -> TreeWork:
    return TreeWork(aq)


def contents(tree: Path) -> dict[str, str]:
    return {
        str(each.relative_to(tree)): each.read_text()
        for each in tree.rglob("*")
        if each.is_file() and ".git" not in each.parts
    }


def test_a_tree_goes_with_its_branch_and_comes_back_with_everything(work: TreeWork, aq: Driven) -> None:
    work.task("docs", "--context", "isolated")
    tree = work.tree(
        "docs", 1, teardown='echo "$AGENTQ_BRANCH $AGENTQ_TREE $PWD" >> "$AGENTQ_REPOSITORY/../torn"; exit 3'
    )
    other = work.tree("docs", 2)
    head = work.commit(tree, "done", "done\n")
    (tree / "file").write_text("uncommitted\n")
    (tree / "new").write_text("untracked\n")
    before, checkout = contents(tree), contents(work.path)
    assert aq.refused("discard", "docs/1", code=2).endswith("not a terminal; confirm with --yes")
    assert tree.is_dir()
    done = aq("discard", "docs/1", "--yes")
    assert done.stdout == (
        "docs/1: its tree and the branch 'agentq/t/docs/1' are discarded; `agentq restore docs/1` brings it back\n"
    )
    assert "docs/1: its teardown failed with exit code 3" in done.stderr
    assert (aq.home / "torn").read_text() == f"agentq/t/docs/1 1 {tree}\n"
    assert not tree.exists()
    assert other.is_dir()
    assert "refs/heads/agentq/t/docs/1" not in work.refs()
    assert [item["task"] for item in aq.items("trees")] == ["docs/2"]
    assert work.git("worktree", "list", "--porcelain").count("worktree ") == 2
    assert {each["path"] for each in aq.json("diff", "docs/1")["files"]} == {"done", "file", "new"}
    assert "its tree is gone already" in aq.refused("discard", "docs/1", "--yes", code=4)
    assert aq("restore", "docs/1").stdout == (
        f"docs/1: its tree 1 is back in '{tree}', on the branch 'agentq/t/docs/1'\n"
    )
    assert contents(tree) == before
    assert contents(work.path) == checkout
    assert work.git("status", "--porcelain", at=tree).split() == ["M", "file", "??", "new"]
    assert work.git("rev-parse", "agentq/t/docs/1") == head
    assert "its tree is there" in aq.refused("restore", "docs/1", code=4)
    work.git("fsck", "--strict")


def test_what_no_snapshot_holds_is_named_before(work: TreeWork, aq: Driven) -> None:
    tree = work.tree("docs", None)
    work.task("docs", "--context", "isolated")
    (work.path / ".git/info/exclude").write_text("secret\n")
    (tree / "secret").write_text("key\n")
    (tree / "inner").mkdir()
    work.git("init", "--quiet", at=tree / "inner")
    work.commit(tree / "inner", "a", "b\n")
    done = aq("discard", "-s", "docs", code=2)
    assert "will be lost: secret (ignored file)" in done.stderr
    assert "will be lost: inner/ (nested repository)" in done.stderr
    work.git("switch", "--quiet", "--detach", at=tree)
    done = aq("discard", "-s", "docs", code=2)
    assert f"HEAD left its branch for {work.git('rev-parse', 'HEAD')}; the snapshot keeps its commits" in done.stderr
    assert "its branch 'agentq/s/docs' and 2 paths in it for good" in done.stderr
    work.git("switch", "--quiet", "agentq/s/docs", at=tree)
    assert (tree / "secret").exists()
    assert not [each for each in work.refs() if each.startswith("refs/agentq")]
    aq("discard", "-s", "docs", "--yes")
    assert not tree.exists()
    aq("restore", "-s", "docs")
    assert sorted(contents(tree)) == ["file"]


def test_a_run_of_a_tree_that_vanished_comes_back(work: TreeWork, aq: Driven) -> None:
    work.task("docs", "--context", "isolated")
    tree = work.tree("docs", 1)
    (tree / "file").write_text("first\n")
    work.snapshot(tree, "docs", 1, 1)
    (tree / "file").write_text("second\n")
    work.snapshot(tree, "docs", 1, 2)
    shutil.rmtree(tree)
    assert aq.items("trees")[0]["state"] == "vanished"
    aq("restore", "docs/1.1")
    assert (tree / "file").read_text() == "first\n"
    shutil.rmtree(tree)
    aq("restore", "docs/1")
    assert (tree / "file").read_text() == "second\n"
    (tree / "file").write_text("third\n")
    aq("discard", "docs/1", "--yes")
    aq("restore", "docs/1.2")
    assert (tree / "file").read_text() == "second\n"
    assert "there is no snapshot" in (aq("discard", "docs/1", "--yes"), aq.refused("restore", "docs/1.9", code=3))[1]


def test_a_branch_that_a_person_has_checked_out_stays(work: TreeWork, aq: Driven) -> None:
    work.task("docs", "--context", "isolated")
    tree = work.tree("docs", 1)
    head = work.commit(tree, "done", "done\n")
    work.git("switch", "--quiet", "--detach", at=tree)
    work.git("switch", "--quiet", "agentq/t/docs/1")
    done = aq("discard", "docs/1", "--yes")
    assert f"the branch 'agentq/t/docs/1' stays: it is checked out in '{work.path}'" in done.stderr
    assert work.git("rev-parse", "agentq/t/docs/1") == head


def test_cancel_edit_and_retry_say_what_becomes_of_a_tree(work: TreeWork, aq: Driven) -> None:
    task = work.task("docs", "--context", "isolated")
    tree = work.tree("docs", 1)
    stays = f"; its tree 1 stays, see `agentq diff {task}` and `agentq discard {task}`\n"
    assert aq("cancel", task, "--dry-run").stdout == f"{task} would be cancelled{stays}"
    assert "works in the tree of branch" in aq("edit", task, "--branch", "mine", code=2).stderr
    removes = {"VISUAL": "sed -i /^worktree/d"}
    with screen(aq.agentq, "edit", task, env=removes) as shown:
        said = " ".join(shown.ended(0).split())
    assert f"{task}: its tree 1 and the branch 'agentq/t/docs/1' stay as they are" in said
    aq("edit", task, "--worktree")
    assert aq("cancel", task).stdout == f"{task} is cancelled{stays}"
    assert "begins in a new one" not in aq("retry", task).stderr
    aq("cancel", task)
    aq("discard", task, "--yes")
    assert f"unless `agentq restore {task}` comes first" in aq("retry", task).stderr
    assert aq("cancel", task).stdout == f"{task} is cancelled\n"
    assert not tree.exists()


def test_a_discard_that_is_killed_loses_nothing_and_is_done_again(work: TreeWork, aq: Driven) -> None:
    once = 'test -e "$AGENTQ_REPOSITORY/../killed" && exit; touch "$AGENTQ_REPOSITORY/../killed"; kill -9 $PPID'
    tree = work.tree("docs", None, teardown=once)
    work.task("docs", "--context", "isolated")
    head = work.commit(tree, "done", "done\n")
    (tree / "new").write_text("untracked\n")
    assert aq.agentq("discard", "-s", "docs", "--yes").returncode == -9
    assert (tree / "new").exists()
    assert aq.items("trees")[0]["state"] == "waiting"
    aq("discard", "-s", "docs", "--yes")
    assert not tree.exists()
    aq("restore", "-s", "docs")
    assert (tree / "new").read_text() == "untracked\n"
    assert work.git("rev-parse", "agentq/s/docs") == head
    work.git("fsck", "--strict")


def test_what_is_left_of_a_deleted_repository_goes_once_a_person_says_so(work: TreeWork, aq: Driven) -> None:
    work.task("docs", "--context", "isolated")
    tree = work.tree("docs", 1, teardown='echo "$PWD" > "$AGENTQ_WORKTREE/../../torn"')
    shutil.rmtree(work.path)
    said = f"the repository '{work.path}/.git' is not there: moved, not mounted or deleted"
    asked = aq("discard", "docs/1", code=2).stderr
    assert f"will be lost: {said}, so no snapshot can be taken\n" in asked
    assert f"will be lost: {tree} (all of its files)\n" in asked
    assert tree.is_dir()
    done = aq("discard", "docs/1", "--yes").stdout
    assert done == "docs/1: what was left of its tree is discarded for good\n"
    assert aq.items("trees") == []
    assert not tree.exists()
    assert (aq.state_dir / "torn").read_text() == f"{tree}\n"
    assert aq.json("health")["issues"] == []


def test_a_run_whose_repository_is_away_says_so(work: TreeWork, aq: Driven) -> None:
    task = aq.exec("true", given=["--worktree", "-C", str(work.path)])
    work.path.rename(work.path.with_name("away"))
    aq.drain(code=1)
    (run,) = aq.items("runs", task)
    assert run["error"] == f"the repository '{work.path}/.git' is not there: moved, not mounted or deleted"
