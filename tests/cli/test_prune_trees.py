"""`prune` removes trees whose work has landed or in which nothing was done, and no other; a snapshot outlives them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from driven import Driven
from tree_work import TreeWork

from agentq_cli.git.tree_lock import beside
from agentq_cli.trees import register
from agentq_cli.trees.removed import Removed

LATER = {"AGENTQ_NOW": "2030-01-01T00:00:00Z"}
MUCH_LATER = {"AGENTQ_NOW": "2031-01-01T00:00:00Z"}


@pytest.fixture
def work(aq: Driven) -> TreeWork:
    return TreeWork(aq)


def ended(work: TreeWork, aq: Driven, session: str, count: int, context: str = "isolated") -> None:
    """Tasks that have ended, which may have trees."""
    for _ in range(count):
        aq("cancel", work.task(session, "--context", context))


def lines(aq: Driven) -> set[str]:
    return {item["task"] or item["session"] for item in aq.items("trees")}


def test_only_what_is_somewhere_else_goes(work: TreeWork, aq: Driven) -> None:
    ended(work, aq, "docs", 5)
    live = work.task("docs", "--context", "isolated")
    landed, dirty, open_, holds, unchanged, used = (work.tree("docs", seq) for seq in range(1, 7))
    work.tree("docs", None)
    assert live == "docs/6"
    for tree in (landed, open_):
        work.commit(tree, f"of-{tree.name}", "done\n")
    work.git("merge", "--quiet", "agentq/t/docs/1")
    (landed / "scratch").write_text("left behind\n")
    (dirty / "file").write_text("not committed\n")
    (work.path / ".git/info/exclude").write_text("secret\nnode_modules/\n")
    (holds / "secret").write_text("key\n")
    (unchanged / "node_modules").mkdir()
    before = sorted(work.path.iterdir())
    told = aq("prune", "--older-than", "1d", "--dry-run", env=LATER)
    assert "docs/1 would be pruned, with its tree 1 (landed)" in told.stdout
    assert "docs/2 would be pruned; its tree stays: its work has not landed" in told.stdout
    assert "docs/4 would be pruned; its tree stays: it holds what no snapshot can hold: secret" in told.stdout
    assert "docs: to be pruned: its tree 7 (unchanged)" in told.stderr
    assert len(lines(aq)) == 7
    done = aq("prune", "--older-than", "1d", "--yes", env=LATER)
    assert "docs/1 is pruned, with its tree 1 (landed)" in done.stdout
    assert "docs/5 is pruned, with its tree 5 (unchanged)" in done.stdout
    assert lines(aq) == {"docs/2", "docs/3", "docs/4", "docs/6"}
    assert [each.exists() for each in (landed, dirty, open_, holds, unchanged, used)] == [
        *(False, True, True, True, False, True)
    ]
    assert not {"refs/heads/agentq/t/docs/1", "refs/heads/agentq/s/docs"} & work.refs()
    assert sorted(work.path.iterdir()) == before
    aq("restore", "docs/1")
    assert (landed / "scratch").read_text() == "left behind\n"
    work.git("fsck", "--strict")


def test_a_task_that_is_pruned_by_name_takes_its_own_tree_along(work: TreeWork, aq: Driven) -> None:
    ended(work, aq, "docs", 2)
    first, second = work.tree("docs", 1), work.tree("docs", 2)
    work.commit(second, "done", "done\n")
    done = aq("prune", "docs/1", "docs/2", "--yes")
    assert done.stdout.splitlines() == [
        "docs/1 is pruned, with its tree 1 (unchanged)",
        "docs/2 is pruned; its tree stays: its work has not landed",
    ]
    assert (first.exists(), second.exists()) == (False, True)
    assert [each["path"] for each in aq.json("diff", "docs/2")["files"]] == ["done"]


def test_snapshots_outlive_their_tree_for_the_retention(work: TreeWork, aq: Driven) -> None:
    ended(work, aq, "docs", 2)
    tree, other = work.tree("docs", 1), work.tree("docs", 2)
    (tree / "file").write_text("tried\n")
    work.snapshot(tree, "docs", 1, 1)
    work.snapshot(other, "docs", 2, 1)
    work.git("checkout", "--quiet", "file", at=tree)
    (aq.home / "config.toml").write_text('retention = "30d"\n')
    config = {"AGENTQ_CONFIG": str(aq.home / "config.toml")}
    swept = aq.items("sweep", "--no-wake", env=config | LATER)
    assert [item["detail"] for item in swept if "tree" in item["detail"]] == [
        "its tree 1 (unchanged)",
        "its tree 2 (unchanged)",
    ]
    assert not tree.exists()
    snapshots = {each for each in work.refs() if each.startswith("refs/agentq/docs/")}
    assert {"refs/agentq/docs/1.1", "refs/agentq/docs/2.1"} < snapshots
    aq("sweep", "--no-wake", env=config | LATER)
    assert {each for each in work.refs() if each.startswith("refs/agentq/docs/")} == snapshots
    aq("restore", "docs/2")
    told = aq.items("sweep", "--no-wake", "--dry-run", env=config | MUCH_LATER)
    assert "2 snapshots of its tree" in [item["detail"] for item in told]
    aq("sweep", "--no-wake", env=config | MUCH_LATER)
    assert not [each for each in work.refs() if each.startswith("refs/agentq/docs/1")]


def test_a_removal_that_was_interrupted_is_completed(work: TreeWork, aq: Driven) -> None:
    ended(work, aq, "docs", 1)
    tree = work.tree("docs", 1)
    head = work.commit(tree, "done", "done\n")
    record = register.read(str(tree))
    assert record is not None
    gone = Removed(record, 5)
    work.git("update-ref", gone.ref, head)
    register.write(record, gone.file)
    tree.rename(beside(str(tree), "gone"))
    aq("prune", "--older-than", "1d", "--yes", env=LATER)
    assert aq.items("trees") == []
    assert not Path(beside(str(tree), "gone")).exists()
    assert work.git("worktree", "list", "--porcelain").count("worktree ") == 1


def test_one_tree_in_trouble_stops_nothing(work: TreeWork, aq: Driven) -> None:
    ended(work, aq, "docs", 3)
    trees = [work.tree("docs", seq) for seq in (1, 2, 3)]
    shutil.rmtree(trees[0])
    (trees[1] / ".git").write_text("gitdir: /nowhere\n")
    done = aq("prune", "--older-than", "1d", "--yes", env=LATER)
    assert "docs/1 is pruned; its tree stays: it has vanished" in done.stdout
    assert "docs/3 is pruned, with its tree 3 (unchanged)" in done.stdout
    assert lines(aq) == {"docs/1", "docs/2"}


def test_snapshots_of_pruned_tasks_go_though_the_tree_of_their_session_stays(work: TreeWork, aq: Driven) -> None:
    ended(work, aq, "docs", 2, "session")
    tree = work.tree("docs", None)
    (tree / "file").write_text("not committed\n")
    for seq in (1, 2):
        work.snapshot(tree, "docs", seq, 1)
    aq("discard", "-s", "docs", "--yes", env=LATER)
    (work.tree("docs", None) / "file").write_text("not committed either\n")
    work.snapshot(tree, "docs", 2, 1)
    before = work.refs()
    aq("prune", "--older-than", "1d", "--yes", env=LATER)
    assert before == work.refs()  # The first one may still be brought back.
    done = aq("prune", "--older-than", "1d", "--yes", env=MUCH_LATER)
    assert "docs: pruned: 2 snapshots of its tree" in done.stderr
    assert {each for each in work.refs() if each.startswith("refs/agentq/")} == {"refs/agentq/docs/2.1"}
    assert tree.is_dir()


def test_a_copied_file_holds_its_tree_once_an_agent_has_changed_it(work: TreeWork, aq: Driven) -> None:
    work.commit(work.path, ".worktreeinclude", "env\n")
    (work.path / ".git/info/exclude").write_text("env\n")
    (work.path / "env").write_text("A=1\n")
    for change in ("true", "echo B=2 >> env"):
        aq.exec("sh", "-c", change, given=["--worktree", "-C", str(work.path)])
    aq.drain()
    states = {item["task"]: item["state"] for item in aq.items("trees")}
    assert states == {"default/1": "unchanged", "default/2": "holds"}
    done = aq("prune", "--older-than", "1d", "--yes", env=LATER)
    assert "default/2 is pruned; its tree stays: it holds what no snapshot can hold: env\n" in done.stdout, done.stdout
    (item,) = aq.items("trees")
    assert (Path(item["path"]) / "env").read_text() == "A=1\nB=2\n"


def test_a_sweep_removes_the_trees_of_what_it_prunes_at_once(work: TreeWork, aq: Driven) -> None:
    ended(work, aq, "docs", 1)
    work.tree("docs", 1)
    swept = LATER | {"AGENTQ_RETENTION": "30d"}
    aq("sweep", "--no-wake", env=swept)
    assert lines(aq) == set()
    # Now all were looked at, and for an hour only what belongs to a pruned task is.
    for seq in (1, 2):
        ended(work, aq, "other", 1)
        work.tree("other", seq)
    aq("prune", "other/2", "--yes")
    work.tree("other", 2)
    aq("sweep", "--no-wake", env=swept)
    assert lines(aq) == {"other/2"}
