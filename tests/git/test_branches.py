"""The names of branches and refs: one to one with sessions and tasks, and git takes every one."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from repositories import Repository
from sampling import WIDE

from agentq_cli.base.names import CHARACTERS, LETTERS, is_name
from agentq_cli.git import branches, refusals
from agentq_cli.model.branches import FIRST

PIECES = st.sampled_from([".", "..", ".lock", "lock", "-", "_", "a", "A", "7", "HEAD", "s", "t"])
SESSIONS = st.one_of(
    st.builds(str.__add__, st.sampled_from(sorted(LETTERS)), st.text(st.sampled_from(sorted(CHARACTERS)), max_size=63)),
    st.builds(str.__add__, st.just("a"), st.lists(PIECES, max_size=12).map("".join)),
)
NUMBERS = st.integers(1, 10**9)


@given(SESSIONS, SESSIONS, NUMBERS)
def test_a_name_leads_back_to_its_line_of_work(session: str, key: str, number: int) -> None:
    assert is_name(session)
    assert branches.line_of(branches.conversation_branch(session, None)) == (session, None, FIRST)
    assert branches.line_of(branches.conversation_branch(session, key)) == (session, None, key)
    assert branches.line_of(branches.task_branch(session, number)) == (session, number, None)
    assert branches.run_of(branches.snapshot_ref(session, number, 0)) == (session, number, 0)


def test_the_first_conversation_has_the_branch_of_its_session() -> None:
    assert branches.conversation_branch("docs", FIRST) == branches.conversation_branch("docs", None) == "agentq/s/docs"
    assert branches.conversation_branch("docs", "2") == "agentq/c/docs/2"


@given(SESSIONS)
def test_most_sessions_are_seen_as_they_are(session: str) -> None:
    plain = ".." not in session and not session.endswith((".", ".lock"))
    assert (branches.encoded(session) == session) == plain


@settings(max_examples=2 * WIDE)
@given(st.lists(SESSIONS, min_size=40, max_size=40), NUMBERS)
def test_git_takes_every_name(sessions: list[str], number: int) -> None:
    """Asked with the check that git makes before it stores a ref, for many names at once."""
    names = [f"refs/heads/{branches.conversation_branch(each, None)}" for each in sessions]
    names += [
        f"refs/heads/{branches.conversation_branch(*each)}" for each in zip(sessions, reversed(sessions), strict=True)
    ]
    names += [f"refs/heads/{branches.task_branch(each, number)}" for each in sessions]
    names += [branches.snapshot_ref(each, number, 1) for each in sessions]
    assert refused(names) == set()


def test_git_refuses_what_is_not_encoded() -> None:
    bad = ["a..b", "a.", "a.lock", "a..lock"]
    assert refused([f"refs/heads/agentq/s/{each}" for each in bad]) == {f"refs/heads/agentq/s/{each}" for each in bad}


def refused(names: list[str]) -> set[str]:
    """The names that `git check-ref-format` refuses, asked by one shell."""
    done = subprocess.run(
        ["sh", "-c", 'while read -r name; do git check-ref-format "$name" || echo "$name"; done'],
        input="".join(f"{name}\n" for name in names),
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "branch",
    [
        "main",
        "agentq/s/",
        "agentq/s/a..b",
        "agentq/s/a%2Eb",
        "agentq/t/a/07",
        "agentq/t/a",
        "agentq/t/a/b",
        "agentq/s/a/b",
        "agentq/c/a",
        "agentq/c/a/",
        "agentq/c//b",
        "agentq/c/a/1",
        "agentq/c/a/b/c",
        "agentq/c/a/b%2Ec",
        "agentq/c/a%2Eb/c",
    ],
)
def test_another_branch_is_no_default_one(branch: str) -> None:
    assert branches.line_of(branch) is None


def test_a_free_branch_is_to_be_made(repository: Repository) -> None:
    assert branches.check_branch(repository.ours(), "agentq/s/docs") is None


def test_a_branch_of_ours_has_its_commit(repository: Repository, tmp_path: Path) -> None:
    commit = repository.git("rev-parse", "HEAD")
    repository.git("branch", "agentq/s/docs")
    assert branches.check_branch(repository.ours(), "agentq/s/docs", ours=f"{tmp_path}/tree") == commit
    repository.git("worktree", "add", "--quiet", f"{tmp_path}/tree", "agentq/s/docs")
    assert branches.check_branch(repository.ours(), "agentq/s/docs", ours=f"{tmp_path}/tree") == commit


def test_a_branch_that_somebody_made_or_has_checked_out_is_refused(repository: Repository, tmp_path: Path) -> None:
    with pytest.raises(refusals.BranchCheckedOut, match=f"'main': checked out in '{repository.path}'"):
        branches.check_branch(repository.ours(), "main")
    with pytest.raises(refusals.BranchCheckedOut):
        branches.check_branch(repository.ours(), "main", ours=f"{tmp_path}/tree")
    repository.git("branch", "feature")
    with pytest.raises(refusals.BranchTaken, match="'feature': already there"):
        branches.check_branch(repository.ours(), "feature")


@pytest.mark.parametrize("branch", ["", "a..b", "-x", "a b", "x.lock", "@{-1}", "a/", "a\nb", "HEAD~1"])
def test_a_name_that_git_does_not_take_is_refused(repository: Repository, branch: str) -> None:
    with pytest.raises(refusals.BadBranch, match="not a name that git takes"):
        branches.check_branch(repository.ours(), branch)


def test_a_branch_in_the_way_is_named(repository: Repository) -> None:
    repository.git("branch", "agentq")
    with pytest.raises(refusals.BadBranch, match="the branch 'agentq' is in its way"):
        branches.check_branch(repository.ours(), "agentq/s/docs")
    repository.git("branch", "x/y")
    with pytest.raises(refusals.BadBranch, match="the branch 'x/y' is in its way"):
        branches.check_branch(repository.ours(), "x")
