"""`.worktreeinclude`: ignored files that a new tree gets, without following a link and without overwriting."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from repositories import Repository

from agentq_cli.git import included, trees
from agentq_cli.git.registrations import registration
from agentq_cli.git.repository import find_repository
from agentq_cli.git.trees import Made, Plan


def made(repository: Repository, tmp_path: Path) -> tuple[Path, Made, list[bytes]]:
    """A tree of the repository, and the files that it knows as copied."""
    path = trees.tree_path(str(tmp_path), "tree")
    git = repository.ours()
    found = find_repository(git)
    result = trees.make(git, found, Plan(path, "agentq/t/docs/7", repository.git("rev-parse", "HEAD"), "agentq docs/7"))
    known = registration(found.common, path)
    assert known is not None
    return Path(path), result, sorted(known.copied())


def test_ignored_files_that_are_named_are_copied_and_no_others(repository: Repository, tmp_path: Path) -> None:
    repository.commit_file(".gitignore", "*.env\n/cache/\n*.log\n")
    repository.write(".worktreeinclude", "*.env\n/cache/*\n!cache/big\n/notes\nREADME\n")
    for name in ("a.env", "src/b.env", "cache/x/y", "cache/big", "build.log", "notes"):
        repository.write(name)
    os.utime(repository.path / "a.env", ns=(1_000_000_001, 2_000_000_003))
    before = repository.fingerprint()
    tree, result, copied = made(repository, tmp_path)
    assert copied == [b"a.env", b"cache/x/y", b"src/b.env"]
    assert (tree / "cache/x/y").read_text() == "cache/x/y\n"
    assert (tree / "a.env").stat().st_mtime_ns == 2_000_000_003
    assert not (tree / "notes").exists()
    assert not (tree / "cache/big").exists()
    assert result.notes == ()
    assert repository.git("status", "--porcelain", at=tree) == ""
    assert repository.fingerprint() == before


@pytest.mark.parametrize("name", [b"a\nb.env", b":(top).env", b" .env", b"\xff.env", b"-x.env", b'"q".env', b"*.env"])
def test_a_name_may_be_anything(repository: Repository, tmp_path: Path, name: bytes) -> None:
    repository.commit_file(".gitignore", "*.env\n")
    repository.write(".worktreeinclude", "*.env\n")
    (repository.path / os.fsdecode(name)).write_bytes(name)
    tree, _, copied = made(repository, tmp_path)
    assert copied == [name]
    assert (tree / os.fsdecode(name)).read_bytes() == name


def test_repositories_and_trees_inside_the_checkout_are_passed_over(repository: Repository, tmp_path: Path) -> None:
    repository.commit_file(".gitignore", "/in/\n")
    repository.write(".worktreeinclude", "/in/\n")
    repository.git("worktree", "add", "--quiet", "in/tree")
    repository.git("init", "--quiet", "in/nested")
    repository.write("in/nested/file")
    repository.write("in/own")
    assert made(repository, tmp_path)[2] == [b"in/own"]


def test_a_link_is_made_again_and_never_followed(repository: Repository, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("s")
    repository.commit_file(".gitignore", "*.env\n")
    repository.write(".worktreeinclude", "*.env\n")
    (repository.path / "a.env").symlink_to(outside / "secret")
    (repository.path / "b.env").symlink_to("nowhere")
    tree, _, copied = made(repository, tmp_path)
    assert copied == [b"a.env", b"b.env"]
    assert os.readlink(tree / "a.env") == f"{outside}/secret"
    assert os.readlink(tree / "b.env") == "nowhere"


def test_nothing_is_written_through_a_link_or_over_a_file_of_the_tree(repository: Repository, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    source, target = tmp_path / "source", tmp_path / "target"
    for name in ("dir/file", "taken", "gone/file", "file/below"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text("new")
    os.mkfifo(source / "fifo")
    target.mkdir()
    (target / "dir").symlink_to(outside)
    (target / "taken").symlink_to(outside / "file")
    (target / "file").write_text("old")
    (source / "gone/file").unlink()
    (source / "link").symlink_to(source / "dir")
    names = [b"dir/file", b"taken", b"gone/file", b"file/below", b"fifo", b"link/file", b"none/x"]
    assert included.copy(str(source), str(target), names) == names
    assert list(outside.iterdir()) == []
    assert (target / "file").read_text() == "old"


def test_what_was_not_copied_is_told(repository: Repository, tmp_path: Path) -> None:
    repository.commit("a.env")
    repository.git("rm", "--quiet", "a.env")
    repository.commit_file(".gitignore", "*.env\n")
    repository.write(".worktreeinclude", "*.env\n")
    repository.write("a.env", "mine")
    path = trees.tree_path(str(tmp_path), "tree")
    git = repository.ours()
    plan = Plan(path, "work", repository.git("rev-parse", "HEAD~1"), "agentq docs/7")
    result = trees.make(git, find_repository(git), plan)
    assert result.notes == ("1 of 1 files of .worktreeinclude were not copied, such as 'a.env'",)
    assert Path(path, "a.env").read_text() == "a.env\n"


def test_a_list_that_is_a_link_is_not_read(repository: Repository, tmp_path: Path) -> None:
    repository.commit_file(".gitignore", "*.env\n")
    repository.write("a.env")
    (tmp_path / "list").write_text("*.env\n")
    (repository.path / ".worktreeinclude").symlink_to(tmp_path / "list")
    assert made(repository, tmp_path)[2] == []
