"""What is uncommitted in a tree is stored under a ref, whatever state it was left in, and nothing there is touched."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

import pytest
from repositories import Repository

from agentq_cli.git.snapshot import Snapshot, take_snapshot

REF = "refs/agentq/docs/7.1"
NOW = 1_800_000_000_000


def take(repository: Repository, **options: object) -> Snapshot:
    """A snapshot, after which the repository's own files, index and HEAD are what they were."""
    before = fingerprint(repository)
    taken = take_snapshot(repository.ours(), REF, base=options.pop("base", ""), now_ms=NOW, **options)  # type: ignore[arg-type]
    assert fingerprint(repository) == before
    repository.git("fsck", "--strict", "--no-dangling")
    return taken


def fingerprint(repository: Repository) -> dict[str, tuple[int, int, str]]:
    """Every file of the tree, the index and HEAD: mode, time and content."""
    own = Path(repository.git("rev-parse", "--absolute-git-dir"))
    files = [own / "index", own / "HEAD", own / "index.lock"]
    for directory, names, found in os.walk(repository.path):
        if directory == str(repository.path) and ".git" in names:
            names.remove(".git")
        files += [Path(directory, each) for each in found]
    return {os.fspath(each): described(each) for each in files if os.path.lexists(each)}


def described(file: Path) -> tuple[int, int, str]:
    found = file.lstat()
    content = os.readlink(file) if file.is_symlink() else hashlib.sha1(file.read_bytes()).hexdigest()
    return found.st_mode, found.st_mtime_ns, content


def listed(repository: Repository, commit: str) -> dict[str, tuple[str, str]]:
    """The files of a commit: mode and content."""
    found = {}
    for record in filter(None, repository.git("ls-tree", "-r", "-z", commit).split("\0")):
        about, _, name = record.partition("\t")
        mode, kind, blob = about.split()
        found[name] = (mode, repository.git("cat-file", "blob", blob) if kind == "blob" else blob)
    return found


def test_a_clean_tree_points_the_ref_at_the_head(repository: Repository) -> None:
    head = repository.git("rev-parse", "HEAD")
    assert take(repository) == Snapshot(head, "main", head, False)
    assert repository.git("rev-parse", REF) == head


def test_changed_new_and_removed_files_are_stored_over_the_head(repository: Repository) -> None:
    repository.commit("gone", "moved", "dir/file")
    repository.write(".gitignore", "ignored\n")
    repository.write("ignored", "no")
    repository.write("README", "changed\r\n")
    repository.write('new\nname "quoted" \\ and \' ', "new")
    repository.write("tool", "#!/bin/sh").chmod(0o755)
    (repository.path / "out").symlink_to("/etc/passwd")
    (repository.path / "gone").unlink()
    repository.git("rm", "-q", "--cached", "moved")
    (repository.path / "dir/file").unlink()
    (repository.path / "dir").rmdir()
    repository.write("dir", "a file now")
    (repository.path / "src/a").unlink()
    repository.write("src/a/b", "a directory now")
    head = repository.git("rev-parse", "HEAD")
    taken = take(repository)
    assert (taken.head, taken.dirty, taken.missing, taken.why) == (head, True, (), "")
    assert repository.git("rev-parse", REF, f"{REF}^@") == f"{taken.commit}\n{head}"
    assert listed(repository, REF) == {
        ".gitignore": ("100644", "ignored"),
        "README": ("100644", "changed\r"),
        "dir": ("100644", "a file now"),
        "moved": ("100644", "moved"),
        'new\nname "quoted" \\ and \' ': ("100644", "new"),
        "out": ("120000", "/etc/passwd"),
        "src/a/b": ("100644", "a directory now"),
        "tool": ("100755", "#!/bin/sh"),
    }


def test_names_that_are_no_utf8_and_many_files(repository: Repository) -> None:
    for number in range(300):
        repository.write(f"many/{number}", str(number))
    repository.write("\udcff\udcfe", "bytes")
    take(repository)
    assert len(listed(repository, REF)) == 303
    assert listed(repository, REF)["\udcff\udcfe"] == ("100644", "bytes")


def test_what_was_staged_and_then_changed_again_is_a_second_parent(repository: Repository) -> None:
    repository.write("README", "staged")
    repository.git("add", "README")
    repository.write("README", "later")
    repository.write("src/a", "only staged")
    repository.git("add", "src/a")
    take(repository)
    assert listed(repository, REF) == {"README": ("100644", "later"), "src/a": ("100644", "only staged")}
    assert listed(repository, f"{REF}^2") == {"README": ("100644", "staged"), "src/a": ("100644", "src/a")}
    assert repository.git("rev-parse", f"{REF}^1", f"{REF}^2^") == "\n".join([repository.git("rev-parse", "HEAD")] * 2)


def test_filters_and_line_endings_change_nothing(repository: Repository) -> None:
    repository.write(".gitattributes", "*.txt text eol=lf\n*.bin filter=upper\n")
    repository.git("config", "filter.upper.clean", "tr a-z A-Z")
    repository.git("config", "filter.upper.required", "true")
    repository.write("a.txt").write_bytes(b"one\r\ntwo\r\n")
    repository.write("b.bin", "small")
    take(repository)
    assert repository.git("cat-file", "blob", f"{REF}:a.txt") == "one\r\ntwo\r"
    assert repository.git("cat-file", "blob", f"{REF}:b.bin") == "small"


def test_files_that_agentq_brought_are_left_out_also_when_they_are_not_ignored_any_more(repository: Repository) -> None:
    repository.write(".env", "secret")
    repository.write("own", "own")
    repository.git("add", ".env")
    take(repository, copied=frozenset({".env"}))
    assert set(listed(repository, REF)) == {"README", "src/a", "own"}


def test_a_later_snapshot_replaces_the_earlier_one(repository: Repository) -> None:
    repository.write("a", "1")
    take(repository)
    repository.write("a", "2")
    take(repository)
    assert listed(repository, REF)["a"] == ("100644", "2")
    (repository.path / "a").unlink()
    assert not take(repository).dirty
    assert repository.git("rev-parse", REF) == repository.git("rev-parse", "HEAD")


@pytest.mark.parametrize("lock", ["index.lock", "HEAD.lock"])
def test_a_lock_that_was_left_behind_is_in_nobodys_way(repository: Repository, lock: str) -> None:
    (repository.path / ".git" / lock).touch()
    repository.write("a", "1")
    assert take(repository).why == ""
    assert "a" in listed(repository, REF)


def test_head_is_detached_or_on_another_branch(repository: Repository) -> None:
    repository.git("switch", "-q", "--detach")
    head = repository.commit("detached")
    repository.write("a", "1")
    taken = take(repository)
    assert (taken.head, taken.branch) == (head, "")
    assert set(listed(repository, REF)) == {"README", "src/a", "detached", "a"}
    repository.git("switch", "-q", "-c", "other")
    assert take(repository).branch == "other"


def test_the_branch_was_deleted(repository: Repository) -> None:
    head = repository.commit("last")
    repository.git("update-ref", "-d", "refs/heads/main")
    (repository.path / "README").unlink()
    repository.write("a", "1")
    taken = take(repository)
    assert (taken.head, taken.branch) == (head, "main")
    assert set(listed(repository, REF)) == {"src/a", "last", "a"}
    (repository.path / ".git/logs/HEAD").unlink()
    base = repository.git("rev-parse", f"{head}^")
    assert take(repository, base=base).head == base
    assert set(listed(repository, REF)) == {"src/a", "last", "a"}


def test_a_merge_is_not_finished(repository: Repository) -> None:
    repository.git("switch", "-q", "-c", "other")
    repository.write("README", "theirs")
    repository.git("commit", "-qam", "theirs")
    repository.git("switch", "-q", "main")
    repository.write("README", "ours")
    repository.git("rm", "-q", "src/a")
    repository.git("commit", "-qam", "ours")
    repository.ours().run("merge", "other", ok=(1,))
    taken = take(repository)
    assert taken.why == ""
    assert "<<<<<<<" in listed(repository, REF)["README"][1]
    (repository.path / "README").unlink()
    take(repository)
    assert listed(repository, REF) == {}


def test_nested_repositories_are_named(repository: Repository) -> None:
    for name in ("empty", "with/commit"):
        nested = Repository(repository.path / name, repository.environ)
        nested.path.mkdir(parents=True)
        nested.git("init", "-q")
    nested.commit("inside")
    repository.write("a", "1")
    assert take(repository).missing == ("empty/", "with/commit/")
    assert set(listed(repository, REF)) == {"README", "src/a", "a"}


def test_a_submodule_that_moved_is_stored_and_one_with_edits_is_named(repository: Repository, tmp_path: Path) -> None:
    module = Repository(tmp_path / "module", repository.environ)
    module.path.mkdir()
    module.git("init", "-q")
    module.commit("inside")
    repository.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(module.path), "sub")
    repository.git("commit", "-qm", "a submodule")
    inside = Repository(repository.path / "sub", repository.environ)
    inside.write("inside", "edited")
    head = repository.git("rev-parse", "HEAD")
    assert take(repository) == Snapshot(head, "main", head, True, ("sub",))
    moved = inside.commit("more")
    taken = take(repository)
    assert listed(repository, REF)["sub"] == ("160000", moved)
    assert taken.missing == ("sub",)


def test_a_sparse_checkout_keeps_what_it_does_not_show(repository: Repository) -> None:
    repository.commit("in/a", "out/b")
    repository.write("out/b", "staged")
    repository.git("add", "out/b")
    repository.git("sparse-checkout", "set", "--cone", "in")
    repository.git("update-index", "--skip-worktree", "out/b")
    (repository.path / "out/b").unlink(missing_ok=True)
    repository.write("in/a", "changed")
    take(repository)
    assert listed(repository, REF)["out/b"] == ("100644", "staged")
    assert listed(repository, REF)["in/a"] == ("100644", "changed")


@pytest.mark.parametrize("how", ["--assume-unchanged", "--skip-worktree"])
def test_files_that_git_was_told_not_to_look_at_are_stored(repository: Repository, how: str) -> None:
    repository.commit("same", "gone")
    (repository.path / "link").symlink_to("here")
    repository.commit()
    repository.git("update-index", how, "README", "src/a", "same", "gone", "link")
    assert not take(repository).dirty
    repository.write("README", "changed")
    (repository.path / "src/a").chmod(0o755)
    (repository.path / "link").unlink()
    (repository.path / "link").symlink_to("there")
    (repository.path / "gone").unlink()
    assert repository.git("status", "--porcelain") == ""
    take(repository)
    found = listed(repository, REF)
    # A file that is to be skipped may be absent.
    assert ("gone" in found) == (how == "--skip-worktree")
    assert (found["README"], found["src/a"], found["link"]) == (
        ("100644", "changed"),
        ("100755", "src/a"),
        ("120000", "there"),
    )


def test_a_repository_of_sha256(tmp_path: Path, environ: dict[str, str]) -> None:
    repository = Repository(tmp_path / "repository", environ)
    repository.path.mkdir()
    repository.git("init", "-q", "--object-format=sha256")
    repository.commit("README")
    repository.write("a", "1")
    assert len(take(repository).commit) == 64
    assert set(listed(repository, REF)) == {"README", "a"}


def test_too_much_is_not_stored_and_the_reason_is_given(repository: Repository) -> None:
    with (repository.path / "huge").open("wb") as file:
        file.truncate((1 << 30) + 1)
    taken = take_snapshot(repository.ours(), REF, base="", now_ms=NOW)
    assert (taken.commit, taken.why) == ("", "1073741825 bytes; at most 1073741824 are stored")
    assert repository.git("for-each-ref", REF) == ""


def test_a_snapshot_that_takes_too_long_is_not_stored(repository: Repository) -> None:
    repository.write("a", "1")
    taken = take_snapshot(repository.ours(), REF, base="", now_ms=NOW, seconds=0)
    assert (taken.commit, taken.why) == ("", "not done within 0 s")


def test_a_file_that_nobody_may_read_is_named(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(repository.path / "pipe")
    (repository.path / "README").unlink()
    os.mkfifo(repository.path / "README")
    taken = take_snapshot(repository.ours(), REF, base="", now_ms=NOW)
    assert taken.missing == ("README",)


def test_in_a_worktree_it_is_of_that_tree(repository: Repository, tmp_path: Path) -> None:
    repository.git("worktree", "add", "-q", "-b", "side", str(tmp_path / "tree"))
    repository.write("elsewhere", "1")
    tree = Repository(tmp_path / "tree", repository.environ)
    tree.write("a", "1")
    taken = take(tree)
    assert taken.branch == "side"
    assert set(listed(repository, REF)) == {"README", "src/a", "a"}


def test_a_corrupt_repository_is_the_reason(repository: Repository) -> None:
    repository.write("a", "1")
    head = repository.git("rev-parse", "HEAD^{tree}")
    file = repository.path / ".git/objects" / head[:2] / head[2:]
    file.unlink()
    taken = take_snapshot(repository.ours(), REF, base="", now_ms=NOW)
    assert taken.commit == ""
    assert "tree" in taken.why
    assert repository.git("for-each-ref", REF) == ""


def test_a_commit_that_fails_leaves_no_report_in_the_repository(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.write("README", "longer than before")
    reading = os.fstat

    def longer(descriptor: int) -> object:
        found = reading(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_size != len("longer than before"):
            return found
        return os.stat_result((*found[:6], 100, *found[7:]))

    monkeypatch.setattr(os, "fstat", longer)
    taken = take_snapshot(repository.ours(), REF, base="", now_ms=NOW)
    assert (taken.commit, taken.why) == ("", "'README' changed while it was read")
    assert not list((repository.path / ".git").glob("fast_import*"))
