"""Which repository a directory lies in, and what `--worktree` refuses, each by name."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from repositories import Repository

from agentq_cli.git import refusals
from agentq_cli.git.repository import count_uncommitted, find_commit, find_repository, refuse_inside


def test_a_repository_is_found_from_a_subdirectory_and_through_a_link(repository: Repository, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(repository.path / "src")
    found = find_repository(repository.ours(tmp_path / "link"))
    assert (found.toplevel, found.prefix) == (str(repository.path), "src")
    assert (found.common, found.object_format) == (str(repository.path / ".git"), "sha1")
    assert (found.head, found.branch) == ("refs/heads/main", "main")
    assert find_repository(repository.ours()).prefix == ""


def test_a_detached_head_is_its_commit(repository: Repository) -> None:
    commit = repository.git("rev-parse", "HEAD")
    repository.git("checkout", "--quiet", "--detach")
    found = find_repository(repository.ours())
    assert (found.head, found.branch) == (commit, None)


def test_a_path_may_contain_anything(tmp_path: Path, environ: dict[str, str]) -> None:
    path = tmp_path / os.fsdecode(b"a\nb 'c' \xff ")
    path.mkdir()
    made = Repository(path, environ)
    made.git("init", "--quiet")
    made.commit("x")
    (path / "sub\ndirectory\n").mkdir()
    found = find_repository(made.ours(path / "sub\ndirectory\n"))
    assert (found.toplevel, found.prefix) == (str(path), "sub\ndirectory\n")


def test_a_sha256_repository_a_worktree_and_a_submodule_are_repositories(
    repository: Repository, tmp_path: Path, environ: dict[str, str]
) -> None:
    new = Repository(tmp_path / "sha256", environ)
    new.path.mkdir()
    new.git("init", "--quiet", "--object-format=sha256")
    new.commit("x")
    assert find_repository(new.ours()).object_format == "sha256"
    repository.git("worktree", "add", "--quiet", f"{tmp_path}/other")
    assert find_repository(repository.ours(tmp_path / "other")).common == str(repository.path / ".git")
    outer = Repository(tmp_path / "outer", environ)
    outer.path.mkdir()
    outer.git("init", "--quiet")
    outer.git("-c", "protocol.file.allow=always", "submodule", "add", "--quiet", str(repository.path), "inner")
    found = find_repository(repository.ours(outer.path / "inner"))
    assert (found.toplevel, found.common) == (f"{outer.path}/inner", f"{outer.path}/.git/modules/inner")


def test_what_has_no_checkout_is_refused(repository: Repository, tmp_path: Path) -> None:
    with pytest.raises(refusals.NoRepository, match=f"'{tmp_path}' is in no git repository"):
        find_repository(repository.ours(tmp_path))
    repository.git("clone", "--quiet", "--bare", ".", f"{tmp_path}/bare")
    with pytest.raises(refusals.BareRepository, match="in a bare repository"):
        find_repository(repository.ours(tmp_path / "bare"))
    with pytest.raises(refusals.BareRepository, match="in the git directory of a repository"):
        find_repository(repository.ours(repository.path / ".git"))


def test_a_git_file_that_leads_nowhere_is_refused_with_the_reason(tmp_path: Path, repository: Repository) -> None:
    (tmp_path / "lost").mkdir()
    (tmp_path / "lost/.git").write_text(f"gitdir: {tmp_path}/gone\n")
    with pytest.raises(refusals.NoRepository, match=f"not a git repository: {tmp_path}/gone"):
        find_repository(repository.ours(tmp_path / "lost"))


def test_a_repository_of_a_newer_format_is_refused_with_the_reason(repository: Repository) -> None:
    repository.git("config", "core.repositoryFormatVersion", "99")
    with pytest.raises(refusals.NoRepository, match="found 99"):
        find_repository(repository.ours())


def test_an_unborn_head_is_refused(empty: Repository) -> None:
    with pytest.raises(refusals.UnbornHead, match="HEAD is on 'main', which has no commit yet"):
        find_repository(empty.ours())


def test_a_repository_of_somebody_else_is_refused_and_the_setting_named(repository: Repository) -> None:
    foreign = repository.ours().having(GIT_TEST_ASSUME_DIFFERENT_OWNER="1")
    with pytest.raises(refusals.UnsafeRepository, match=r"belongs to somebody else; .*safe\.directory"):
        find_repository(foreign)
    repository.git("config", "--global", "safe.directory", str(repository.path))
    assert find_repository(foreign).toplevel == str(repository.path)


def test_a_base_is_any_name_of_a_commit(repository: Repository) -> None:
    first = repository.git("rev-parse", "HEAD")
    repository.git("tag", "--annotate", "--message", "x", "v1")
    second = repository.commit("b")
    git = repository.ours()
    assert find_commit(git, "v1") == find_commit(git, "main~1") == find_commit(git, first[:10]) == first
    assert find_commit(git, "refs/heads/main") == second


@pytest.mark.parametrize("name", ["no-such", "", "-h", "--all", "^main", "main..main", "main:README", "a\0b", "a\nb"])
def test_what_names_no_commit_is_refused(repository: Repository, name: str) -> None:
    with pytest.raises(refusals.UnknownRef) as raised:
        find_commit(repository.ours(), name)
    assert raised.value.message.startswith(f"--base '{name}': no commit of this name")
    assert raised.value.code == 2


def test_trees_never_lie_inside_the_repository(repository: Repository, tmp_path: Path) -> None:
    found = find_repository(repository.ours())
    (tmp_path / "link").symlink_to(repository.path)
    for place in (repository.path, repository.path / "deep/trees", repository.path / ".git/trees", tmp_path / "link/t"):
        with pytest.raises(refusals.BadPlace):
            refuse_inside(found, str(place))
    refuse_inside(found, f"{repository.path}-trees")


def test_uncommitted_files_are_counted_and_ignored_ones_are_not(repository: Repository) -> None:
    assert count_uncommitted(repository.ours()) == 0
    repository.write(".gitignore", "*.log\n")
    repository.write("x.log")
    repository.write("new/a b")
    repository.write("new/c\nd")
    (repository.path / "README").unlink()
    repository.git("mv", "src/a", "src/b")
    assert count_uncommitted(repository.ours()) == 6
