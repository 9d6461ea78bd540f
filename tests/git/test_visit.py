"""A tree shows another commit for a check, and comes back to its branch, killed or not."""

from __future__ import annotations

from pathlib import Path

import pytest
from killing import NEVER, counted, killing_git, was_killed
from landers import Lander
from repositories import Repository
from sampling import some

from agentq_cli.git.advance import Held
from agentq_cli.git.landing import Landed, land
from agentq_cli.git.visit import go_home, visit


@pytest.fixture
def lander(repository: Repository, tmp_path: Path) -> Lander:
    made = Lander(repository, tmp_path / "tree", "docs")
    made.tree.write("README", "work\n")
    made.tree.write("new")
    made.tree.commit()
    repository.commit("theirs")
    return made


def at_home(lander: Lander, head: str) -> bool:
    tree = lander.tree
    names = sorted(each.name for each in tree.path.iterdir())
    assert tree.git("rev-parse", "HEAD", lander.branch) == f"{head}\n{head}"
    assert tree.git("symbolic-ref", "--short", "HEAD") == lander.branch
    return names == [".git", "README", "new", "src"] and tree.git("status", "--porcelain") == ""


def test_a_visit_shows_the_commit_and_ends_at_home(repository: Repository, lander: Lander) -> None:
    head = lander.tree.git("rev-parse", "HEAD")
    main = repository.git("rev-parse", "main")
    assert visit(lander.tree.ours(), lander.branch, main) is None
    assert sorted(each.name for each in lander.tree.path.iterdir()) == [".git", "README", "src", "theirs"]
    assert lander.tree.git("status", "--porcelain") == ""
    assert go_home(lander.tree.ours()) is None
    assert at_home(lander, head)
    assert go_home(lander.tree.ours()) is None
    assert isinstance(lander.land(), Landed)


def test_a_file_that_a_check_changed_holds_the_way_home(repository: Repository, lander: Lander) -> None:
    head = lander.tree.git("rev-parse", "HEAD")
    visit(lander.tree.ours(), lander.branch, repository.git("rev-parse", "main"))
    lander.tree.write("README", "by the check\n")
    assert go_home(lander.tree.ours()) == Held("changed here and in what comes", ("README",))
    lander.tree.git("checkout", "-q", "README")
    assert go_home(lander.tree.ours()) is None
    assert at_home(lander, head)


@pytest.mark.parametrize("most", [4, pytest.param(1000, marks=pytest.mark.slow)])
def test_a_visit_that_was_killed_anywhere_ends_at_home(
    repository: Repository, lander: Lander, tmp_path: Path, most: int
) -> None:
    head = lander.tree.git("rev-parse", "HEAD")
    main = repository.git("rev-parse", "main")

    def killed_at(number: int) -> bool:
        killed = Repository(lander.tree.path, killing_git(tmp_path / "bin", number, repository.environ))

        def run() -> None:
            visit(killed.ours(), lander.branch, main)
            go_home(killed.ours())

        return was_killed(run)

    assert not killed_at(NEVER)
    assert at_home(lander, head)
    calls = counted(tmp_path / "bin")
    assert calls > 15
    for number in some(range(1, calls + 1), most, "visit"):
        assert killed_at(number)
        assert go_home(lander.tree.ours()) is None, number
        assert at_home(lander, head), number


def test_landing_goes_home_first(repository: Repository, lander: Lander) -> None:
    visit(lander.tree.ours(), lander.branch, repository.git("rev-parse", "main"))
    assert isinstance(land(lander.tree.ours(), lander.work, None), Landed)
    assert lander.tree.git("symbolic-ref", "--short", "HEAD") == lander.branch
