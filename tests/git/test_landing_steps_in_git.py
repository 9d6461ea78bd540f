"""What the program of a landing does in git, a step at a time."""

from __future__ import annotations

from pathlib import Path

from landers import Lander
from repositories import Repository

from agentq_cli.model.trees import Asked, Came
from agentq_cli.policy.landing_steps import AGAIN, DONE, Do, Reply
from agentq_cli.trees.landing import perform


def asked(lander: Lander) -> Asked:
    repository = lander.repository.path
    return Asked(
        path=str(lander.tree.path),
        session=lander.name,
        number=1,
        attempt=1,
        own=False,
        repository=str(repository / ".git"),
        checkout=str(repository),
        subdirectory="",
        branch=lander.branch,
        base="main",
        title="Do it",
        land="main",
    )


def test_what_a_check_leaves_behind_on_the_branch_is_in_nobodys_way_home(
    repository: Repository, tmp_path: Path
) -> None:
    lander = Lander(repository, tmp_path / "tree", "docs")
    lander.tree.commit_file("README", "ours\n")
    head = lander.tree.commit("made/ours", "ours")
    before = lander.tree.git("ls-tree", "-r", "HEAD")
    git, main = lander.tree.ours(), repository.git("rev-parse", "main")
    assert perform(Do.VISIT, git, asked(lander), lander.base, onto=main) == Reply(DONE)
    assert not (lander.tree.path / "ours").exists()
    lander.tree.write("README", "built\n")
    lander.tree.write("ours", "built\n")
    lander.tree.write("made", "built\n")
    lander.tree.write("new", "built\n")
    assert perform(Do.HOME, git, asked(lander), lander.base) == Reply(DONE)
    assert lander.tree.git("symbolic-ref", "HEAD") == f"refs/heads/{lander.branch}"
    assert (lander.tree.git("rev-parse", "HEAD"), lander.tree.git("ls-tree", "-r", "HEAD")) == (head, before)
    assert lander.tree.git("status", "--porcelain") == "?? new"


def test_nothing_lands_unchecked_not_even_nothing(repository: Repository, tmp_path: Path) -> None:
    lander = Lander(repository, tmp_path / "tree", "docs")
    git, tree = lander.tree.ours(), repository.git("rev-parse", "main^{tree}")
    reply = perform(Do.LAND, git, asked(lander), lander.base, checked="")
    assert reply == Reply(AGAIN, tree=tree, onto=repository.git("rev-parse", "main"))
    assert perform(Do.LAND, git, asked(lander), lander.base, checked=tree) == Reply(Came.NOTHING)
