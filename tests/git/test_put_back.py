"""What a snapshot holds comes back into a new tree as it was: byte for byte, and not committed."""

from __future__ import annotations

from pathlib import Path

from repositories import Repository

from agentq_cli.git.put_back import put_back, snapshot_head
from agentq_cli.git.snapshot import take_snapshot

REF = "refs/agentq/docs/7.1"


def files(repository: Repository) -> dict[str, tuple[int, object]]:
    """All files but git's own: mode, and content or target."""
    return {
        str(each.relative_to(repository.path)): (
            each.lstat().st_mode,
            each.readlink() if each.is_symlink() else each.read_bytes(),
        )
        for each in repository.path.rglob("*")
        if ".git" not in each.relative_to(repository.path).parts and (each.is_symlink() or each.is_file())
    }


def again(repository: Repository, path: Path) -> tuple[Repository, tuple[str, ...]]:
    """A new tree of the snapshot's head, with the snapshot put back."""
    head = snapshot_head(repository.ours(), REF)
    repository.git("worktree", "add", "-q", "--detach", str(path), head)
    tree = Repository(path, repository.environ)
    return tree, put_back(tree.ours(), REF)


def test_everything_comes_back_as_it_was(repository: Repository, tmp_path: Path) -> None:
    repository.write(".gitattributes", "*.txt text eol=lf working-tree-encoding=UTF-16\n*.bin filter=upper\n")
    repository.git("config", "filter.upper.smudge", "tr a-z A-Z")
    repository.commit("gone", "dir/file", "other/file", "swap")
    repository.write("a.txt").write_bytes(b"one\r\ntwo\xff\r\n")
    repository.write("b.bin", "small")
    repository.write("README", "changed\n")
    repository.write('new\nname "quoted"', "new")
    repository.write("tool", "#!/bin/sh").chmod(0o755)
    repository.write("empty").write_bytes(b"")
    (repository.path / "src/a").chmod(0o755)
    (repository.path / "link").symlink_to("/etc/passwd")
    (repository.path / "gone").unlink()
    (repository.path / "dir/file").unlink()
    (repository.path / "dir").rmdir()
    repository.write("dir", "a file now")
    (repository.path / "swap").unlink()
    repository.write("swap/in", "a directory now")
    (repository.path / "large").write_bytes(bytes(range(256)) * 20_000)
    take_snapshot(repository.ours(), REF, base="", now_ms=0)
    tree, odd = again(repository, tmp_path / "tree")
    assert odd == ()
    assert files(tree) == files(repository)
    assert tree.git("rev-parse", "HEAD") == repository.git("rev-parse", "HEAD")
    assert tree.git("diff", "--cached", "--name-only") == ""


def test_a_clean_snapshot_has_nothing_to_put_back(repository: Repository, tmp_path: Path) -> None:
    take_snapshot(repository.ours(), REF, base="", now_ms=0)
    tree, odd = again(repository, tmp_path / "tree")
    assert odd == ()
    assert tree.git("status", "--porcelain") == ""
    assert snapshot_head(repository.ours(), REF) == repository.git("rev-parse", "HEAD")


def test_what_the_branch_has_otherwise_by_now_is_named(repository: Repository, tmp_path: Path) -> None:
    repository.write("README", "uncommitted\n")
    repository.write("new", "uncommitted\n")
    take_snapshot(repository.ours(), REF, base="", now_ms=0)
    repository.git("worktree", "add", "-q", "-b", "side", str(tmp_path / "tree"))
    tree = Repository(tmp_path / "tree", repository.environ)
    tree.write("README", "committed\n")
    tree.commit()
    assert put_back(tree.ours(), REF) == ("README",)
    assert (tree.path / "README").read_text() == "uncommitted\n"


def test_nothing_is_written_behind_a_link(repository: Repository, tmp_path: Path) -> None:
    repository.write("out/file", "uncommitted\n")
    take_snapshot(repository.ours(), REF, base="", now_ms=0)
    (tmp_path / "outside").mkdir()
    repository.git("worktree", "add", "-q", "-b", "side", str(tmp_path / "tree"))
    tree = Repository(tmp_path / "tree", repository.environ)
    (tree.path / "out").symlink_to(tmp_path / "outside")
    tree.commit()
    assert put_back(tree.ours(), REF) == ("out/file",)
    assert list((tmp_path / "outside").iterdir()) == []
