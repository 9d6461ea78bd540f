"""`--base .`: uncommitted and untracked files as a commit, over a copy of the index."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from repositories import Repository

from agentq_cli.git import carried, refusals, trees
from agentq_cli.git.branches import carried_ref
from agentq_cli.git.repository import find_repository
from agentq_cli.git.trees import Plan


def carry(repository: Repository) -> str:
    git = repository.ours()
    return carried.carry(git, find_repository(git))


def files(repository: Repository, commit: str) -> list[str]:
    return repository.git("ls-tree", "-r", "-z", "--name-only", commit).split("\0")[:-1]


def test_a_clean_checkout_is_its_head(repository: Repository) -> None:
    before = repository.fingerprint()
    commit = carry(repository)
    assert commit == repository.git("rev-parse", "HEAD") == repository.git("rev-parse", carried_ref(commit))
    assert repository.fingerprint() == before


def test_uncommitted_and_untracked_files_come_along_and_the_checkout_stays(repository: Repository) -> None:
    repository.commit("gone", "both", "mode")
    head = repository.git("rev-parse", "HEAD")
    repository.commit_file(".gitignore", "*.log\n")
    repository.git("stash", "list")
    repository.write("both", "staged\n")
    repository.git("add", "both")
    repository.write("both", "in the file\n")
    repository.write("new/a\nb", "new\n")
    repository.write("x.log")
    (repository.path / "gone").unlink()
    (repository.path / "mode").chmod(0o755)
    (repository.path / "link").symlink_to("/outside")
    (repository.path / "README").unlink()
    repository.write("README/inside")
    before = repository.fingerprint()
    commit = carry(repository)
    assert repository.fingerprint() == before
    assert repository.git("rev-parse", f"{commit}~2") == head
    assert sorted(files(repository, commit)) == sorted(
        [".gitignore", "README/inside", "both", "link", "mode", "new/a\nb", "src/a"]
    )
    assert repository.git("show", f"{commit}:both") == "in the file"
    assert repository.git("ls-tree", commit, "mode").startswith("100755")
    assert repository.git("rev-parse", carried_ref(commit)) == commit
    assert repository.git("status", "--porcelain") != ""


def test_a_tree_begins_with_what_was_carried(repository: Repository, tmp_path: Path) -> None:
    repository.write("new")
    git = repository.ours()
    path = trees.tree_path(str(tmp_path), "tree")
    trees.make(git, find_repository(git), Plan(path, "agentq/t/docs/7", carry(repository), "agentq docs/7"))
    assert Path(path, "new").read_text() == "new\n"
    assert repository.git("status", "--porcelain", at=Path(path)) == ""


def test_a_file_that_changed_in_the_tick_of_the_index_is_seen(repository: Repository) -> None:
    file = repository.write("README", "README\n")
    repository.git("update-index", "--refresh")
    file.write_text("readme\n")
    index = (repository.path / ".git/index").stat()
    os.utime(file, ns=(index.st_mtime_ns, index.st_mtime_ns))
    assert repository.git("show", f"{carry(repository)}:README") == "readme"


def test_repositories_in_the_checkout_stay_where_they_are(repository: Repository) -> None:
    repository.git("init", "--quiet", "nested")
    repository.write("nested/file")
    repository.git("worktree", "add", "--quiet", "side")
    repository.write("own")
    assert sorted(files(repository, carry(repository))) == ["README", "own", "src/a"]


def test_a_split_index_and_one_with_marks_are_copied(repository: Repository) -> None:
    repository.commit("b", "c")
    repository.git("update-index", "--split-index")
    repository.git("update-index", "--assume-unchanged", "b")
    repository.write("c", "changed\n")
    before = repository.fingerprint()
    commit = carry(repository)
    assert repository.git("diff", "--name-only", "HEAD", commit) == "c"
    assert repository.fingerprint() == before


def test_line_ends_are_stored_as_git_would(repository: Repository) -> None:
    repository.git("config", "core.autocrlf", "true")
    (repository.path / "new").write_bytes(b"a\r\nb\r\n")
    assert repository.git("cat-file", "-s", f"{carry(repository)}:new") == "4"


def test_a_merge_that_is_not_finished_is_refused(repository: Repository) -> None:
    repository.git("checkout", "--quiet", "-b", "other")
    repository.commit_file("README", "theirs\n")
    repository.git("checkout", "--quiet", "main")
    repository.commit_file("README", "ours\n")
    with pytest.raises(AssertionError):
        repository.git("merge", "other")
    before = repository.fingerprint()
    with pytest.raises(refusals.Unmerged, match="has unmerged files"):
        carry(repository)
    assert repository.fingerprint() == before
