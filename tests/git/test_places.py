"""Repositories of every kind: submodules, LFS, line ends, sparse, sha256, itself a tree, hostile names, no room."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from repositories import Repository

from agentq_cli.git import trees
from agentq_cli.git.registrations import registrations
from agentq_cli.git.repository import find_repository
from agentq_cli.git.runner import GitFailed
from agentq_cli.git.trees import Made, Plan


def make(repository: Repository, path: Path, at: Path | None = None) -> Made:
    git = repository.ours(at)
    head = repository.git("rev-parse", "HEAD", at=at)
    place = trees.tree_path(str(path.parent), path.name)
    return trees.make(git, find_repository(git), Plan(place, "agentq/t/docs/7", head, "agentq docs/7"))


def is_clean(repository: Repository, tree: Path) -> bool:
    return repository.git("status", "--porcelain", at=tree) == "" and (tree / "README").exists()


def with_submodule(repository: Repository, tmp_path: Path) -> Repository:
    """A repository with `repository` as its submodule `in ner`, which has one itself."""
    deep = new(tmp_path / "deep", repository.environ)
    deep.commit("bottom")
    local = ("-c", "protocol.file.allow=always")
    repository.git(*local, "submodule", "--quiet", "add", f"{tmp_path}/deep", "deep")
    repository.git("commit", "--quiet", "--message", "submodule")
    outer = new(tmp_path / "outer", repository.environ)
    outer.commit("README")
    outer.git(*local, "submodule", "--quiet", "add", str(repository.path), "in ner")
    outer.git("commit", "--quiet", "--message", "submodule")
    outer.git(*local, "submodule", "--quiet", "update", "--init", "--recursive")
    return outer


def new(path: Path, environ: dict[str, str], *options: str) -> Repository:
    path.mkdir()
    made = Repository(path, environ)
    made.git("init", "--quiet", *options)
    return made


def test_submodules_come_from_the_checkout_without_their_server(repository: Repository, tmp_path: Path) -> None:
    outer = with_submodule(repository, tmp_path)
    for server in (repository.path, tmp_path / "deep"):
        server.rename(f"{server}.away")
    before = outer.fingerprint()
    assert make(outer, tmp_path / "tree").notes == ()
    assert outer.fingerprint() == before
    tree = tmp_path / "tree"
    assert (tree / "in ner/deep/bottom").read_text() == "bottom\n"
    assert outer.git("config", "remote.origin.url", at=tree / "in ner") == str(repository.path)
    assert outer.git("rev-parse", "--show-toplevel", at=tree / "in ner") == f"{tree}/in ner"
    assert is_clean(outer, tree)
    git = outer.ours()
    trees.remove(git, find_repository(git), str(tree))
    assert not tree.exists()
    assert is_clean(outer, outer.path)


def test_a_submodule_that_the_checkout_does_without_is_not_made(repository: Repository, tmp_path: Path) -> None:
    outer = with_submodule(repository, tmp_path)
    outer.git("submodule", "--quiet", "deinit", "--all", "--force")
    assert make(outer, tmp_path / "tree").notes == ()
    assert list((tmp_path / "tree/in ner").iterdir()) == []


def test_a_submodule_that_cannot_be_had_is_told_and_does_not_stop_the_tree(
    repository: Repository, tmp_path: Path
) -> None:
    outer = with_submodule(repository, tmp_path)
    shutil.rmtree(outer.path / ".git/modules/in ner/objects")
    (outer.path / ".git/modules/in ner/objects").mkdir()
    made = make(outer, tmp_path / "tree")
    assert [note.partition(":")[0] for note in made.notes] == ["submodule 'in ner' was not initialised"]
    assert (tmp_path / "tree/README").exists()


def test_commits_in_a_submodule_outlive_a_tree_that_vanished(repository: Repository, tmp_path: Path) -> None:
    outer = with_submodule(repository, tmp_path)
    make(outer, tmp_path / "tree")
    outer.git("commit", "--quiet", "--allow-empty", "--message", "work", at=tmp_path / "tree/in ner")
    commit = outer.git("rev-parse", "HEAD", at=tmp_path / "tree/in ner")
    shutil.rmtree(tmp_path / "tree")
    (note,) = make(outer, tmp_path / "tree").notes
    kept = note.rpartition(" '")[2].removesuffix("'")
    assert outer.git("--git-dir", f"{kept}/in ner", "--work-tree", kept, "log", "-1", "--format=%s", commit) == "work"
    assert (tmp_path / "tree/in ner/README").exists()


def test_a_submodule_can_have_trees_itself(repository: Repository, tmp_path: Path) -> None:
    outer = with_submodule(repository, tmp_path)
    make(outer, tmp_path / "tree", at=outer.path / "in ner")
    assert is_clean(repository, tmp_path / "tree")
    assert is_clean(outer, outer.path)


def test_a_tree_can_have_trees_itself(repository: Repository, tmp_path: Path) -> None:
    repository.git("worktree", "add", "--quiet", f"{tmp_path}/side")
    make(repository, tmp_path / "tree", at=tmp_path / "side")
    assert is_clean(repository, tmp_path / "tree")
    assert [each.path for each in registrations(f"{repository.path}/.git")] == [f"{tmp_path}/side", f"{tmp_path}/tree"]


def test_a_missing_lfs_leaves_pointers_and_is_told(repository: Repository, tmp_path: Path) -> None:
    if shutil.which("git-lfs"):
        repository.environ["PATH"] = without("git-lfs", tmp_path / "bin")
    repository.commit_file("sub/.gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n")
    repository.commit("sub/a.bin", "sub/b.bin")
    for name in ("smudge", "process", "clean"):
        repository.git("config", f"filter.lfs.{name}", f"git-lfs {name}")
    repository.git("config", "filter.lfs.required", "true")
    made = make(repository, tmp_path / "tree")
    assert made.notes == ("git-lfs is not installed: 2 files are pointers to what they hold",)
    assert (tmp_path / "tree/sub/a.bin").read_text() == "sub/a.bin\n"


def without(program: str, place: Path) -> str:
    """A PATH with git and a shell, and without this program."""
    place.mkdir()
    for each in ("git", "sh", "uname", "sed", "basename"):
        found = shutil.which(each)
        assert found
        (place / each).symlink_to(found)
    assert not (place / program).exists()
    return str(place)


def test_a_filter_that_is_required_and_fails_is_an_error_and_leaves_nothing(
    repository: Repository, tmp_path: Path
) -> None:
    repository.commit_file(".gitattributes", "*.secret filter=crypt\n")
    repository.commit("a.secret")
    repository.git("config", "filter.crypt.smudge", "no-such-program")
    repository.git("config", "filter.crypt.required", "true")
    with pytest.raises(GitFailed, match="cannot run no-such-program"):
        make(repository, tmp_path / "tree")
    assert not (tmp_path / "tree").exists()
    assert list(registrations(f"{repository.path}/.git")) == []


@pytest.mark.parametrize("autocrlf", ["true", "input"])
def test_line_ends_are_converted_as_in_any_checkout(repository: Repository, tmp_path: Path, autocrlf: str) -> None:
    repository.commit_file("unix", "a\nb\n")
    repository.git("config", "core.autocrlf", autocrlf)
    make(repository, tmp_path / "tree")
    ends = b"\r\n" if autocrlf == "true" else b"\n"
    assert (tmp_path / "tree/unix").read_bytes() == b"a" + ends + b"b" + ends
    assert is_clean(repository, tmp_path / "tree")


@pytest.mark.parametrize("cone", ["--cone", "--no-cone"])
def test_a_sparse_checkout_has_sparse_trees(repository: Repository, tmp_path: Path, cone: str) -> None:
    repository.commit("other/b", "src/c")
    repository.git("sparse-checkout", "set", cone, "src" if cone == "--cone" else "/src/\n/README")
    make(repository, tmp_path / "tree")
    assert (tmp_path / "tree/src/a").exists()
    assert not (tmp_path / "tree/other").exists()
    assert repository.git("status", "--porcelain", at=tmp_path / "tree") == ""


def test_a_repository_with_sha256(tmp_path: Path, environ: dict[str, str]) -> None:
    made = new(tmp_path / "repository", environ, "--object-format=sha256")
    made.commit("README")
    assert len(make(made, tmp_path / "tree").head) == 64
    assert is_clean(made, tmp_path / "tree")


@pytest.mark.parametrize(
    "name", [b"a b", b"-x", b"a\nb", b"'\"$(touch x)`", b"\xff\xfe", b"%2E", b"a:b", b"*", b"a.lock"]
)
def test_paths_may_contain_anything(tmp_path: Path, environ: dict[str, str], name: bytes) -> None:
    word = os.fsdecode(name)
    made = new(tmp_path / word, environ)
    made.commit("README", f"dir/{word}")
    (tmp_path / "trees").mkdir()
    (tmp_path / "link").symlink_to("trees")
    for _ in range(2):
        make(made, tmp_path / "link" / word)
    tree = tmp_path / "trees" / word
    assert (tree / "dir" / word).exists()
    assert is_clean(made, tree)
    git = made.ours()
    trees.remove(git, find_repository(git), str(tree))
    assert os.listdir(tmp_path / "trees") == []
    assert list(registrations(f"{made.path}/.git")) == []


def test_hooks_and_signing_of_the_repository_are_the_agents_business(repository: Repository, tmp_path: Path) -> None:
    for name in ("post-checkout", "reference-transaction", "post-index-change"):
        hook = repository.path / ".git/hooks" / name
        hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\nexit 1\n")
        hook.chmod(0o755)
    make(repository, tmp_path / "tree")
    assert not (tmp_path / "ran").exists()


def test_a_corrupt_object_is_an_error_and_leaves_nothing(repository: Repository, tmp_path: Path) -> None:
    blob = repository.git("rev-parse", "HEAD:src/a")
    (repository.path / f".git/objects/{blob[:2]}/{blob[2:]}").unlink()
    with pytest.raises(GitFailed, match=blob):
        make(repository, tmp_path / "tree")
    assert not (tmp_path / "tree").exists()
    assert list(registrations(f"{repository.path}/.git")) == []


def mounted(options: str, place: Path) -> bool:
    place.mkdir(exist_ok=True)
    done = subprocess.run(["mount", *options.split(), str(place)], capture_output=True, check=False)
    return done.returncode == 0


def test_a_full_disk_is_an_error_and_leaves_nothing(repository: Repository, tmp_path: Path) -> None:
    repository.commit_file("big", os.urandom(1 << 20).hex())
    if not mounted("-t tmpfs -o size=1m tmpfs", tmp_path / "full"):
        pytest.skip("only root can mount")
    try:
        with pytest.raises((GitFailed, OSError), match=r"unable to write file big|No space left"):
            make(repository, tmp_path / "full/tree")
        assert os.listdir(tmp_path / "full") == []
    finally:
        subprocess.run(["umount", str(tmp_path / "full")], check=True)
    assert list(registrations(f"{repository.path}/.git")) == []


def test_a_repository_that_cannot_be_written_is_an_error(repository: Repository, tmp_path: Path) -> None:
    if not mounted(f"--bind {repository.path}", repository.path):
        pytest.skip("only root can mount")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", str(repository.path)], check=True)
        with pytest.raises(GitFailed, match=r"unable to create directory|Read-only file system"):
            make(repository, tmp_path / "tree")
        assert not (tmp_path / "tree").exists()
    finally:
        subprocess.run(["umount", str(repository.path)], check=True)
