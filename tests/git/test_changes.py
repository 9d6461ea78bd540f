"""What a line of work changed is counted against its recorded base, uncommitted work included."""

from __future__ import annotations

import pytest
from repositories import Repository

from agentq_cli.git.changes import ChangedFile, Changes, find_changes
from agentq_cli.git.runner import GitFailed
from agentq_cli.git.snapshot import take_snapshot


def since(repository: Repository, base: str) -> Changes:
    taken = take_snapshot(repository.ours(), "refs/agentq/docs/7.1", base=base, now_ms=0)
    return find_changes(repository.ours(), base, taken.head, taken.commit)


def test_nothing_was_done(repository: Repository) -> None:
    assert since(repository, repository.git("rev-parse", "HEAD")) == Changes(0, (), False)


def test_commits_and_what_is_uncommitted_are_counted_together(repository: Repository) -> None:
    base = repository.git("rev-parse", "HEAD")
    repository.write("src/a", "one\ntwo\n")
    repository.git("commit", "-qam", "two lines for one")
    repository.write("README", "changed\n")
    repository.write("new\n\tname", "1\n2\n3\n")
    (repository.path / "binary").write_bytes(bytes(1000))
    changes = since(repository, base)
    assert changes == Changes(
        1,
        (
            ChangedFile("README", 1, 1),
            ChangedFile("binary", None, None),
            ChangedFile("new\n\tname", 3, 0),
            ChangedFile("src/a", 2, 1),
        ),
        True,
    )
    assert (changes.insertions, changes.deletions) == (6, 2)


def test_a_renamed_file_is_one_file(repository: Repository) -> None:
    base = repository.commit("long/name")
    repository.git("mv", "long/name", "short")
    assert since(repository, base) == Changes(0, (ChangedFile("short", 0, 0, "long/name"),), True)


def test_the_recorded_base_counts_after_history_was_rewritten(repository: Repository) -> None:
    base = repository.commit("base")
    repository.git("reset", "-q", "--hard", "HEAD^")
    repository.write("other", "1\n2\n")
    repository.commit()
    assert since(repository, base) == Changes(1, (ChangedFile("base", 0, 1), ChangedFile("other", 2, 0)), False)


def test_settings_of_the_repository_change_no_count(repository: Repository) -> None:
    base = repository.git("rev-parse", "HEAD")
    for name, value in (("diff.external", "false"), ("diff.renames", "false"), ("color.ui", "always")):
        repository.git("config", name, value)
    repository.git("config", "diff.orderFile", "/dev/null")
    repository.write("README", "changed\n")
    assert since(repository, base).files == (ChangedFile("README", 1, 1),)


def test_a_base_that_is_gone_is_an_error(repository: Repository) -> None:
    with pytest.raises(GitFailed):
        find_changes(repository.ours(), "1" * 40, "HEAD")
