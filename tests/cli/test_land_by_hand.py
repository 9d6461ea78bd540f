"""`land` brings the work of a task or a session onto a branch by hand; where it cannot, nothing changes."""

from __future__ import annotations

import pytest
from driven import Driven
from tree_work import TreeWork

from agentq_cli.host import landing_lock


@pytest.fixture
def work(aq: Driven) -> TreeWork:
    return TreeWork(aq)


def state(work: TreeWork) -> tuple[str, str]:
    """Where all branches are, and what the checkout holds."""
    return work.git("for-each-ref", "refs/heads"), work.git("status", "--porcelain=v2", "--branch")


def test_work_lands_with_its_trailer_on_the_branch_that_it_began_from(work: TreeWork, aq: Driven) -> None:
    work.task("docs", "--context", "isolated")
    tree = work.tree("docs", 1)
    work.commit(tree, "done", "done\n")
    work.commit(work.path, "meanwhile", "a person's\n")
    done = aq.json("land", "docs/1")
    assert done["landed"] == work.git("rev-parse", "main")
    assert done["items"][0]["message"] == f"docs/1: landed on 'main' as {done['landed']}"
    assert sorted(each.name for each in work.path.iterdir() if each.name != ".git") == ["done", "file", "meanwhile"]
    assert [each["path"] for each in aq.json("diff", "docs/1")["files"]] == ["done"]
    assert "Agentq-Task: docs/1" in work.git("log", "-1", "--format=%B", "main")
    assert aq.json("land", "docs/1")["landed"] == done["landed"]
    work.git("fsck", "--strict")


def test_it_lands_elsewhere_and_as_one_commit(work: TreeWork, aq: Driven) -> None:
    work.git("branch", "release")
    work.commit(work.path, "ahead", "ahead\n")
    tree = work.tree("docs", None)
    assert aq("land", "-s", "docs").stdout == "docs: nothing to land on 'main'\n"
    for name in ("one", "two"):
        work.commit(tree, name, f"{name}\n")
    before = work.git("rev-parse", "main")
    aq("land", "-s", "docs", "--into", "release", "--as", "squash")
    assert work.git("rev-parse", "main") == before
    assert work.git("diff", "--name-only", "release~1", "release").split() == ["ahead", "one", "two"]
    assert aq.items("trees")[0]["state"] == "landed"


def test_what_cannot_land_is_named_and_changes_nothing(work: TreeWork, aq: Driven) -> None:
    work.task("docs", "--context", "isolated")
    tree = work.tree("docs", 1)
    (tree / "new").write_text("new\n")

    def refused(*more: str) -> str:
        before = state(work)
        said = aq.refused("land", "docs/1", *more, code=4)
        assert state(work) == before
        return said

    assert "cannot land on 'main': files are not committed: 'new'" in refused()
    (tree / "new").unlink()
    work.commit(tree, "file", "ours\n")
    work.git("branch", "old")
    work.commit(work.path, "file", "theirs\n")
    assert "cannot land on 'main': conflict: 'file'" in refused()
    assert "there is no branch nowhere" in refused("--into", "nowhere")
    (work.path / "file").write_text("a person's\n")
    assert "cannot land on 'old': it has commits" not in refused("--as", "ff")
    lock = landing_lock.take(f"{work.path}/.git", "old")
    assert lock is not None
    impatient = aq.agentq.constants(**{"trees.by_hand:PATIENCE_MS": 100})
    assert "another landing on it is under way" in aq.refused("land", "docs/1", "--into", "old", code=5, env=impatient)
    assert aq.refused("land", "docs/1", "--as", "rebase", code=2)


CHECK = 'echo "checked in $PWD as $AGENTQ_TASK $AGENTQ_BRANCH $WORD"; ! test -e wrong'


def test_the_check_runs_first_where_it_has_not_passed_on_what_lands(work: TreeWork, aq: Driven) -> None:
    work.task("docs", "--context", "isolated", "--check", CHECK, "-e", "WORD=given")
    tree = work.tree("docs", 1)
    head = work.commit(tree, "wrong", "wrong\n")
    work.commit(work.path, "meanwhile", "a person's\n")
    before = state(work)
    failed = aq("land", "docs/1", code=4)
    assert "'docs/1': cannot land on 'main': its check fails once it is merged with 'main'" in failed.stderr
    assert f"checked in {tree} as docs/1 agentq/t/docs/1 given" in failed.stderr
    assert state(work) == before
    assert work.git("rev-parse", "HEAD", at=tree) == head
    assert not (tree / "meanwhile").exists()
    work.git("rm", "--quiet", "wrong", at=tree)
    work.commit(tree, "done", "done\n")
    assert "landed on 'main'" in aq("land", "docs/1").stdout
    assert (work.path / "done").exists()
    work.commit(work.path, "wrong", "wrong\n")
    work.commit(tree, "more", "more\n")
    before = state(work)
    assert "'main' itself fails its check" in aq("land", "docs/1", code=4).stderr
    assert state(work) == before
    assert work.git("status", "--porcelain", at=tree) == ""


def test_a_tree_that_is_gone_or_in_use_does_not_land(work: TreeWork, aq: Driven) -> None:
    work.task("docs", "--context", "isolated")
    assert "its tree is not made yet" in aq.refused("land", "docs/1", code=4)
    work.tree("docs", 1)
    aq("discard", "docs/1", "--yes")
    assert "`agentq restore docs/1` brings it back" in aq.refused("land", "docs/1", code=4)
