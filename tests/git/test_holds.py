"""What a snapshot cannot hold keeps a tree, and is named."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from repositories import Repository

from agentq_cli.git.holds import EDITED, IGNORED, LEFT, NESTED, UNPUBLISHED, WORKTREE, Hold, find_holds

CACHES = ("node_modules", "__pycache__")


def holds(repository: Repository, *copied: str, base: str = "HEAD") -> list[Hold]:
    return list(find_holds(repository.ours(), "main", base, frozenset(copied), CACHES))


def test_what_is_committed_or_untracked_holds_nothing(repository: Repository) -> None:
    repository.write("new")
    repository.write("README", "changed")
    assert holds(repository) == []


def test_ignored_files_hold_it_unless_copied_or_made_again(repository: Repository) -> None:
    repository.write(".gitignore", "data/\n*.pyc\n.env\nnode_modules/\nkeys\n")
    for name in ("data/a", "data/deep/b", "data/node_modules/c", "data/copied", ".env", "keys/one"):
        repository.write(name)
    for name in ("src/__pycache__/a.pyc", "src/b.pyc", "node_modules/x/y", "line\nbreak.pyc"):
        repository.write(name)
    (repository.path / "data/link").symlink_to("deep")
    found = holds(repository, ".env", "data/copied")
    assert found == [
        Hold(IGNORED, path)
        for path in ("data/a", "data/deep/b", "data/link", "keys/one", "line\nbreak.pyc", "src/b.pyc")
    ]


def test_a_large_ignored_directory_is_gone_through_only_as_far_as_asked(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.write(".gitignore", "data/\n")
    for name in "abcdef":
        repository.write(f"data/{name}/file")
    looked: list[str] = []
    scan = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: looked.append(str(path)) or scan(path))
    next(find_holds(repository.ours(), "main", "HEAD", frozenset(), CACHES))
    assert len(looked) == 2


def test_nested_repositories_and_worktrees_hold_it(repository: Repository) -> None:
    repository.write(".gitignore", "hidden/\n")
    for name in ("nested", "hidden/nested"):
        nested = Repository(repository.path / name, repository.environ)
        nested.path.mkdir(parents=True)
        nested.git("init", "-q")
        nested.commit("inside")
    repository.git("worktree", "add", "-q", str(repository.path / "tree"))
    repository.git("worktree", "add", "-q", str(repository.path / "node_modules/cached"))
    assert holds(repository) == [
        Hold(WORKTREE, "node_modules/cached/"),
        Hold(WORKTREE, "tree/"),
        Hold(NESTED, "nested/"),
        Hold(NESTED, "hidden/nested/"),
    ]
    tree = repository.path / "tree"
    repository.git("worktree", "add", "-q", str(tree / "inner"))
    inside = repository.ours().at(str(tree))
    assert list(find_holds(inside, "tree", "HEAD", frozenset(), CACHES)) == [Hold(WORKTREE, "inner/")]


def test_a_head_that_left_its_branch_holds_it(repository: Repository) -> None:
    repository.git("switch", "-q", "-c", "other")
    assert holds(repository) == [Hold(LEFT, "other")]
    repository.git("switch", "-q", "--detach")
    assert holds(repository) == [Hold(LEFT, repository.git("rev-parse", "HEAD"))]
    repository.git("switch", "-q", "main")
    repository.git("update-ref", "-d", "refs/heads/main")
    assert holds(repository, base=repository.git("rev-parse", "other")) == [Hold(LEFT, "main")]


def test_submodules_hold_it_with_edits_or_commits_of_their_own(repository: Repository, tmp_path: Path) -> None:
    module = Repository(tmp_path / "module", repository.environ)
    module.path.mkdir()
    module.git("init", "-q")
    module.commit("inside")
    repository.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(module.path), "sub")
    repository.git("commit", "-qm", "a submodule")
    base = repository.git("rev-parse", "HEAD")
    assert holds(repository, base=base) == []
    inside = Repository(repository.path / "sub", repository.environ)
    inside.write("inside", "edited")
    assert holds(repository, base=base) == [Hold(EDITED, "sub")]
    inside.commit()
    assert holds(repository, base=base) == [Hold(UNPUBLISHED, "sub")]
    # Committed here, it still lies nowhere else.
    repository.git("commit", "-qam", "moved")
    assert holds(repository, base=base) == [Hold(UNPUBLISHED, "sub")]
    inside.git("push", "-q", "origin", "HEAD:refs/heads/there")
    assert holds(repository, base=base) == []


def test_submodules_without_files_hold_nothing(repository: Repository) -> None:
    head = repository.git("rev-parse", "HEAD")
    repository.git("update-index", "--add", "--cacheinfo", f"160000,{head},sub")
    repository.git("commit", "-qm", "a submodule that was never fetched")
    assert holds(repository) == []
