"""Trees of lines of work: made, found, made anew, removed; the caller's checkout stays as it is."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from repositories import Repository

from agentq_cli.base.errors import Busy
from agentq_cli.git import tree_lock, trees
from agentq_cli.git.registrations import registration, registrations
from agentq_cli.git.repository import find_repository
from agentq_cli.git.runner import Git, GitFailed
from agentq_cli.git.trees import Made, Plan


@pytest.fixture
def plan(repository: Repository, tmp_path: Path) -> Plan:
    (tmp_path / "trees").mkdir()
    return planned(repository, trees.tree_path(str(tmp_path / "trees"), "docs"))


def planned(repository: Repository, path: str, branch: str = "agentq/s/docs") -> Plan:
    return Plan(path, branch, repository.git("rev-parse", "HEAD"), "agentq docs/7")


def make(repository: Repository, plan: Plan, **more: object) -> Made:
    git = repository.ours()
    return trees.make(git, find_repository(git), plan, **more)  # type: ignore[arg-type]


def remove(repository: Repository, plan: Plan) -> None:
    git = repository.ours()
    trees.remove(git, find_repository(git), plan.path)


def left(plan: Plan) -> list[str]:
    """What lies in the directory of the trees."""
    return sorted(os.listdir(os.path.dirname(plan.path)))


def test_a_tree_has_its_branch_its_files_and_a_lock_with_the_name_of_the_task(
    repository: Repository, plan: Plan
) -> None:
    before = repository.fingerprint()
    made = make(repository, plan)
    assert made == Made(plan.start, new=True, vanished=False)
    tree = Path(plan.path)
    assert (tree / "src/a").read_text() == "src/a\n"
    assert repository.git("symbolic-ref", "HEAD", at=tree) == "refs/heads/agentq/s/docs"
    assert repository.git("status", "--porcelain", at=tree) == ""
    assert "locked agentq docs/7" in repository.git("worktree", "list", "--porcelain").splitlines()
    assert repository.fingerprint() == before


def test_a_tree_that_is_there_is_found_with_what_was_done_in_it(repository: Repository, plan: Plan) -> None:
    make(repository, plan)
    Path(plan.path, "new").write_text("work")
    made = make(repository, plan)
    assert (made.new, made.vanished, made.notes) == (False, False, ())
    assert Path(plan.path, "new").read_text() == "work"


def test_a_tree_that_vanished_is_made_anew_from_its_branch(repository: Repository, plan: Plan) -> None:
    make(repository, plan)
    Path(plan.path, "new").write_text("work")
    repository.git("add", "new", at=Path(plan.path))
    repository.git("commit", "--quiet", "--message", "work", at=Path(plan.path))
    head = repository.git("rev-parse", "agentq/s/docs")
    shutil.rmtree(plan.path)
    made = make(repository, plan)
    assert (made.head, made.new, made.vanished) == (head, True, True)
    assert Path(plan.path, "new").read_text() == "work"
    assert len(list(registrations(f"{repository.path}/.git"))) == 1


def test_a_branch_that_vanished_too_begins_at_its_last_known_head(repository: Repository, plan: Plan) -> None:
    make(repository, plan)
    repository.git("update-ref", "-d", "refs/heads/agentq/s/docs")
    made = make(repository, plan)
    assert made.notes == (f"the branch 'agentq/s/docs' was gone; it was made anew at {plan.start}",)
    shutil.rmtree(plan.path)
    repository.git("update-ref", "-d", "refs/heads/agentq/s/docs")
    assert make(repository, plan).head == plan.start


def test_files_that_the_repository_no_longer_knows_are_kept(repository: Repository, plan: Plan) -> None:
    make(repository, plan)
    Path(plan.path, "new").write_text("work")
    shutil.rmtree(repository.path / ".git/worktrees")
    lost = f"{os.path.dirname(plan.path)}/.docs.lost-1"
    made = make(repository, plan)
    assert made.vanished
    assert made.notes[0].endswith(f"it is in '{lost}'")
    assert Path(lost, "new").read_text() == "work"
    assert not Path(plan.path, "new").exists()


def test_what_took_the_place_of_a_tree_is_kept_and_a_link_is_not_followed(
    repository: Repository, plan: Plan, tmp_path: Path
) -> None:
    make(repository, plan)
    Path(plan.path).rename(tmp_path / "moved")
    (tmp_path / "elsewhere").mkdir()
    Path(plan.path).symlink_to(tmp_path / "elsewhere")
    assert make(repository, plan).vanished
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert Path(plan.path, "README").exists()
    assert not Path(plan.path).is_symlink()
    assert os.readlink(f"{os.path.dirname(plan.path)}/.docs.lost-1") == f"{tmp_path}/elsewhere"


def test_a_checkout_in_whose_place_another_repository_lies_is_not_touched(
    repository: Repository, plan: Plan, tmp_path: Path
) -> None:
    repository.git("worktree", "add", "--quiet", f"{tmp_path}/side")
    found = find_repository(repository.ours(tmp_path / "side"))
    shutil.rmtree(tmp_path / "side")
    (tmp_path / "side").mkdir()
    other = Repository(tmp_path / "side", repository.environ)
    other.git("init", "--quiet")
    other.commit_file(".gitignore", "*.env\n")
    other.write(".worktreeinclude", "*.env\n")
    other.write("a.env")
    before = other.fingerprint()
    trees.make(repository.ours(), found, plan)
    assert not Path(plan.path, "a.env").exists()
    trees.remove(repository.ours(), found, plan.path)
    assert other.fingerprint() == before


def test_an_overlay_belongs_to_the_making(repository: Repository, plan: Plan) -> None:
    def fails(git: Git) -> None:
        raise GitFailed(("read-tree",), 1, "no")

    with pytest.raises(GitFailed):
        make(repository, plan, overlay=fails)
    assert left(plan) == []
    assert list(registrations(f"{repository.path}/.git")) == []

    def overlay(git: Git) -> None:
        Path(git.directory, "README").write_text("restored")

    make(repository, plan, overlay=overlay)
    assert Path(plan.path, "README").read_text() == "restored"


def test_a_git_file_that_an_agent_deleted_is_written_again(repository: Repository, plan: Plan) -> None:
    make(repository, plan)
    Path(plan.path, ".git").unlink()
    Path(plan.path, "new").write_text("work")
    assert not make(repository, plan).new
    assert repository.git("status", "--porcelain", at=Path(plan.path)) == "?? new"


def test_a_git_file_that_leads_elsewhere_is_put_back(repository: Repository, plan: Plan) -> None:
    make(repository, plan)
    before = Path(plan.path, ".git").read_text()
    Path(plan.path, ".git").write_text(f"gitdir: {repository.path}/.git\n")
    repository.git("config", "core.worktree", str(repository.path))
    assert not make(repository, plan).new
    assert Path(plan.path, ".git").read_text() == before
    assert repository.git("rev-parse", "--show-toplevel", at=Path(plan.path)) == plan.path


def test_two_trees_of_one_repository_do_not_meet(repository: Repository, plan: Plan) -> None:
    other = planned(repository, f"{plan.path}2", "agentq/t/default/1")
    for each in (plan, other):
        make(repository, each)
    remove(repository, plan)
    assert left(plan) == [".docs2.lock", "docs2"]
    assert not make(repository, other).new


def test_a_removed_tree_leaves_its_branch_and_no_trace_elsewhere(repository: Repository, plan: Plan) -> None:
    make(repository, plan)
    Path(plan.path, "deep/er").mkdir(parents=True)
    Path(plan.path, "deep/er/file").write_text("x")
    Path(plan.path, "deep").chmod(0o500)
    before = repository.fingerprint()
    for _ in range(2):
        remove(repository, plan)
        assert left(plan) == []
        assert list(registrations(f"{repository.path}/.git")) == []
    assert repository.git("rev-parse", "agentq/s/docs") == plan.start
    assert repository.fingerprint() == before


def test_a_tree_stays_as_it_is_while_its_repository_is_away(repository: Repository, plan: Plan) -> None:
    make(repository, plan)
    git = repository.ours()
    found = find_repository(git)
    repository.path.rename(f"{repository.path}.away")
    with pytest.raises(GitFailed):
        trees.remove(git, found, plan.path)
    assert Path(plan.path, "README").exists()


def test_a_branch_is_deleted_only_at_the_commit_that_was_meant(repository: Repository, plan: Plan) -> None:
    repository.git("branch", "agentq/s/docs")
    repository.git("config", "branch.agentq/s/docs.remote", "origin")
    git = repository.ours()
    later = repository.commit("later")
    with pytest.raises(GitFailed):
        trees.delete_branch(git, "agentq/s/docs", later)
    for _ in range(2):
        trees.delete_branch(git, "agentq/s/docs", plan.start)
    assert repository.git("branch", "--list", "agentq/*") == ""
    assert "agentq" not in (repository.path / ".git/config").read_text()


def hold_at_once(plan: Plan) -> None:
    with tree_lock.held(plan.path, patience_ms=0):
        pass


def test_only_one_process_makes_or_removes_a_tree(plan: Plan) -> None:
    with tree_lock.held(plan.path), pytest.raises(Busy, match="another process is making or removing it"):
        hold_at_once(plan)
    assert left(plan) == []


def test_a_checkout_that_is_gone_does_not_keep_its_trees_from_being_made_or_removed(
    repository: Repository, plan: Plan, tmp_path: Path
) -> None:
    repository.git("worktree", "add", "--quiet", f"{tmp_path}/side")
    git = repository.ours(tmp_path / "side")
    found = find_repository(git)
    shutil.rmtree(tmp_path / "side")
    git = repository.ours()
    assert trees.make(git, found, plan).new
    trees.remove(git, found, plan.path)
    assert left(plan) == []


def test_files_get_the_umask_of_the_task(repository: Repository, plan: Plan) -> None:
    repository.write(".gitignore", ".env\ncache\n")
    repository.write(".worktreeinclude", ".env\ncache\n")
    repository.write(".env").chmod(0o640)
    repository.write("cache/x").chmod(0o755)
    os.umask(0o077)
    git = Git(str(repository.path), repository.environ, umask=0o022)
    trees.make(git, find_repository(git), plan)
    modes = {name: Path(plan.path, name).stat().st_mode & 0o777 for name in (".", "README", "src", ".env", "cache")}
    assert modes == {".": 0o755, "README": 0o644, "src": 0o755, ".env": 0o640, "cache": 0o755}


def test_a_reflog_of_the_branch_tells_who_made_it(repository: Repository, plan: Plan) -> None:
    make(repository, plan)
    assert repository.git("rev-parse", "agentq/s/docs@{0}") == plan.start
    known = registration(f"{repository.path}/.git", plan.path)
    assert known is not None
    assert known.made
    assert known.copied() == []
