"""What a submit with a tree asks of the repository first."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from repositories import Repository

from agentq_cli.git import branches, refusals
from agentq_cli.git.admission import admit


def test_a_branch_begins_where_head_is_and_the_name_is_kept(repository: Repository, tmp_path: Path) -> None:
    repository.write("new")
    repository.write("README", "changed\n")
    before = repository.fingerprint()
    found = admit(repository.ours(repository.path / "src"), trees=f"{tmp_path}/trees")
    assert (found.repository.prefix, found.base) == ("src", "refs/heads/main")
    assert (found.commit, found.left_out) == (repository.git("rev-parse", "main"), 2)
    assert repository.fingerprint() == before
    assert not (tmp_path / "trees").exists()


def test_a_branch_begins_where_it_is_to_land(repository: Repository, tmp_path: Path) -> None:
    repository.git("branch", "release")
    repository.git("tag", "release", repository.commit("more"))
    found = admit(repository.ours(), trees=f"{tmp_path}/trees", land="release")
    assert (found.base, found.commit) == ("refs/heads/release", repository.git("rev-parse", "HEAD~1"))
    found = admit(repository.ours(), trees=f"{tmp_path}/trees", land="release", base="main")
    assert found.base == "main"
    with pytest.raises(refusals.UnknownRef, match="--land 'none': no such branch"):
        admit(repository.ours(), trees=f"{tmp_path}/trees", land="none")
    for name in ("main~1", "-h", ""):
        with pytest.raises(refusals.BadBranch, match=f"--land '{name}': not a name"):
            admit(repository.ours(), trees=f"{tmp_path}/trees", land=name)


def test_what_is_taken_along_is_not_left_out(repository: Repository, tmp_path: Path) -> None:
    repository.write("new")
    found = admit(repository.ours(), trees=f"{tmp_path}/trees", base=".")
    assert (found.base, found.left_out) == (".", 0)


def test_every_refusal_is_a_usage_error(repository: Repository, tmp_path: Path) -> None:
    for asked, error in (
        ({"base": "none"}, refusals.UnknownRef),
        ({"trees": f"{repository.path}/trees"}, refusals.BadPlace),
    ):
        with pytest.raises(error) as raised:
            admit(repository.ours(), **({"trees": f"{tmp_path}/trees"} | asked))
        assert raised.value.code == 2


NAMES = st.lists(st.sampled_from([*"a/.@{}~^:- \\*?[\x7f\nü", "main", "HEAD", ".lock"]), min_size=1, max_size=4)


@example("HEAD")
@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(NAMES.map("".join))
def test_whatever_is_typed_is_a_name_or_refused(repository: Repository, tmp_path: Path, name: str) -> None:
    git = repository.ours()
    try:
        branches.check_branch(git, name)
    except (refusals.BadBranch, refusals.BranchCheckedOut, refusals.BranchTaken):
        pass
    else:
        repository.git("branch", name)
        repository.git("branch", "-D", "--", name)
    try:
        found = admit(git, trees=f"{tmp_path}/trees", base=name)
    except refusals.UnknownRef:
        return
    assert repository.git("cat-file", "-t", found.commit) == "commit"


IN_A_HOOK = """
import json, os, sys
from agentq_cli.git import branches, carried, trees
from agentq_cli.git.admission import admit
from agentq_cli.git.runner import Git

place, said = sys.argv[1:]
git = Git(os.getcwd(), os.environ)
found = admit(git, trees=place)
branches.check_branch(git, "agentq/s/docs")
commit = carried.carry(git, found.repository)
plan = trees.Plan(trees.tree_path(place, "docs"), "agentq/s/docs", commit, "agentq docs/7")
trees.make(git, found.repository, plan)
with open(said, "w") as file:
    json.dump([found.commit, commit], file)
"""


@pytest.mark.parametrize("way", [["commit", "--all"], ["commit", "src/a"], ["commit", "--amend", "--all"]])
def test_a_commit_hook_can_ask_for_a_tree(repository: Repository, tmp_path: Path, way: list[str]) -> None:
    """git sets GIT_DIR, GIT_INDEX_FILE and an author for it, and holds the lock of the index."""
    head = repository.git("rev-parse", "HEAD")
    hook = repository.path / ".git/hooks/pre-commit"
    words = [sys.executable, "-c", IN_A_HOOK, f"{tmp_path}/trees", f"{tmp_path}/said"]
    hook.write_text(f"#!/bin/sh\nexec {shlex.join(words)}\n")
    hook.chmod(0o755)
    repository.write("src/a", "changed\n")
    repository.write("new")
    repository.environ["GIT_AUTHOR_DATE"] = "2001-01-01T00:00:00Z"
    repository.git(*way, "--message", "x")
    base, carried = json.loads((tmp_path / "said").read_text())
    assert base == head
    assert repository.git("rev-parse", f"{carried}~1") == head
    assert repository.git("diff", "--name-only", head, carried).split() == ["new", "src/a"]
    assert (tmp_path / "trees/docs/src/a").read_text() == "changed\n"
    assert repository.git("log", "-1", "--format=%aI", carried) > "2002"
    assert repository.git("show", "--format=", "--name-only", "HEAD").split()[-1] == "src/a"
    assert repository.git("status", "--porcelain") == "?? new"
