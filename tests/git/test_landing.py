"""Work lands on a branch as it was checked, and where the branch is checked out, a person's files stay."""

from __future__ import annotations

from pathlib import Path

import pytest
from landers import Lander, trailers
from repositories import Repository

from agentq_cli.git.advance import Held
from agentq_cli.git.index_lock import lock_index
from agentq_cli.git.landing import Landed, Nothing, Uncommitted, push
from agentq_cli.git.merge import FF, LANDED, MERGE, SQUASH, UNCHANGED, Conflict, find_landed, landing_message


@pytest.fixture
def lander(repository: Repository, tmp_path: Path) -> Lander:
    return Lander(repository, tmp_path / "tree", "docs")


def clean(repository: Repository) -> bool:
    return repository.git("status", "--porcelain") == ""


@pytest.mark.parametrize("how", [MERGE, FF])
def test_where_nothing_is_to_be_merged_the_branch_is_fast_forwarded(
    repository: Repository, tmp_path: Path, how: str
) -> None:
    lander = Lander(repository, tmp_path / "tree", "docs", how)
    head = lander.tree.commit("work")
    assert lander.land() == Landed(lander.base, head, lander.tree.git("rev-parse", "HEAD^{tree}"))
    assert repository.git("rev-parse", "main") == head
    assert (repository.path / "work").read_text() == "work\n"
    assert clean(repository)
    assert lander.checked == []


def test_a_merge_has_title_and_trailer_and_is_checked_first(repository: Repository, lander: Lander) -> None:
    head = lander.tree.commit("work")
    theirs = repository.commit("theirs")
    outcome = lander.land()
    assert isinstance(outcome, Landed)
    assert lander.checked == [outcome.tree] == [repository.git("rev-parse", "main^{tree}")]
    assert repository.git("log", "-1", "--format=%P|%B|%an %ae", "main") == (
        f"{theirs} {head}|Do docs\n\nAgentq-Task: docs/1\n|Ann Other ann@example.com"
    )
    assert sorted(each.name for each in repository.path.iterdir()) == [".git", "README", "src", "theirs", "work"]
    assert clean(repository)
    assert clean(lander.tree)
    assert lander.tree.git("rev-parse", "HEAD") == outcome.commit


def test_a_squash_is_one_commit_and_what_comes_next_in_the_tree_begins_there(
    repository: Repository, tmp_path: Path
) -> None:
    lander = Lander(repository, tmp_path / "tree", "docs", SQUASH)
    lander.tree.commit("one")
    lander.tree.commit("two")
    theirs = repository.commit("theirs")
    assert isinstance(lander.land(), Landed)
    assert (
        repository.git("log", "--format=%s|%P", f"{lander.base}..main") == f"Do docs|{theirs}\nAdd theirs|{lander.base}"
    )
    lander.base = lander.tree.git("rev-parse", "HEAD")
    assert lander.base == repository.git("rev-parse", "main")
    lander.tree.write("one", "again\n")
    lander.tree.git("commit", "-qam", "again")
    assert isinstance(lander.land(), Landed)
    assert len(repository.git("rev-list", "main").split()) == 4


def test_fast_forward_alone_does_not_merge(repository: Repository, tmp_path: Path) -> None:
    lander = Lander(repository, tmp_path / "tree", "docs", FF)
    lander.tree.commit("work")
    theirs = repository.commit("theirs")
    assert lander.land() == Conflict((), "it has commits that the work does not have")
    assert repository.git("rev-parse", "main") == theirs
    lander.tree.git("merge", "-q", "main")
    assert isinstance(lander.land(), Landed)


def test_a_conflict_names_the_files_and_changes_nothing(repository: Repository, lander: Lander) -> None:
    for side, tree in (("theirs", repository), ("ours", lander.tree)):
        tree.write("src/a", f"{side}\n")
        tree.write("same\nname", f"{side}\n")
        tree.git("add", ".")
        tree.git("commit", "-qm", side)
    before = repository.git("for-each-ref"), lander.tree.git("status")
    assert lander.land() == Conflict(("same\nname", "src/a"))
    assert (repository.git("for-each-ref"), lander.tree.git("status")) == before


def test_no_change_against_the_base_lands_nothing(repository: Repository, lander: Lander) -> None:
    repository.commit("theirs")
    assert lander.land() == Nothing()
    lander.tree.commit()
    assert lander.land() == Nothing()


def test_what_is_uncommitted_stops_it_with_names(repository: Repository, lander: Lander) -> None:
    lander.tree.commit("work")
    lander.tree.write("new")
    lander.tree.write("work", "changed")
    assert lander.land() == Uncommitted(("work", "new"))
    assert repository.git("rev-parse", "main") == lander.base


def test_what_git_was_told_not_to_look_at_stops_it_too(repository: Repository, lander: Lander) -> None:
    lander.tree.commit("work")
    lander.tree.git("update-index", "--assume-unchanged", "README")
    lander.tree.write("README", "only here")
    assert lander.land() == Uncommitted(("README",))


def test_work_that_landed_by_hand_has_landed(repository: Repository, lander: Lander) -> None:
    head = lander.tree.commit("work")
    assert find_landed(repository.ours(), "main", head, lander.base) is None
    repository.git("merge", "-q", "--squash", lander.branch)
    repository.git("commit", "-qm", "by hand")
    repository.commit("later")
    assert find_landed(repository.ours(), "main", head, lander.base) == LANDED
    main = repository.git("rev-parse", "main")
    outcome = lander.land()
    assert isinstance(outcome, Landed)
    assert (outcome.commit, outcome.already) == (repository.git("rev-parse", "main~1"), True)
    assert repository.git("rev-parse", "main") == main


@pytest.mark.parametrize("how", [MERGE, FF, SQUASH])
def test_what_has_landed_lands_once_however_it_landed(repository: Repository, tmp_path: Path, how: str) -> None:
    lander = Lander(repository, tmp_path / "tree", "docs", how)
    lander.tree.commit("work")
    first = lander.land()
    main = repository.commit("later")
    again = lander.land()
    assert isinstance(first, Landed) and isinstance(again, Landed)
    assert (again.commit, again.tree, again.already) == (first.commit, first.tree, True)
    assert repository.git("rev-parse", "main") == main


def test_work_is_landed_unchanged_or_neither(repository: Repository, lander: Lander) -> None:
    ours = repository.ours()
    assert find_landed(ours, "main", lander.base, lander.base) == UNCHANGED
    head = lander.tree.commit("work")
    assert find_landed(ours, "main", head, lander.base) is None
    repository.git("cherry-pick", head)
    assert find_landed(ours, "main", head, lander.base) == LANDED
    repository.git("switch", "-q", "--orphan", "unrelated")
    repository.commit("else")
    assert find_landed(ours, "unrelated", head, lander.base) is None


def test_a_branch_that_moves_during_the_check_is_merged_and_checked_again(
    repository: Repository, lander: Lander
) -> None:
    lander.tree.commit("work")
    repository.commit("first")
    moves = iter(["second", "third"])

    def check() -> bool:
        name = next(moves, None)
        if name is not None:
            repository.commit(name)
        return True

    assert isinstance(lander.land(check), Landed)
    assert len(lander.checked) == 3
    assert trailers(repository) == ["docs/1"]
    subjects = repository.git("log", "--format=%s", "main").split("\n")
    assert sorted(subjects) == sorted(
        ["Do docs", "Add work", "Add first", "Add second", "Add third", "Add README, src/a"]
    )


def test_a_check_that_fails_leaves_the_branch_and_the_merge_in_the_tree(repository: Repository, lander: Lander) -> None:
    lander.tree.commit("work")
    theirs = repository.commit("theirs")
    assert lander.land(lambda: False) == "check"
    assert repository.git("rev-parse", "main") == theirs
    assert clean(lander.tree)
    assert lander.tree.git("symbolic-ref", "--short", "HEAD") == lander.branch
    assert (lander.tree.path / "theirs").exists()
    lander.tree.commit("repaired")
    assert isinstance(lander.land(), Landed)
    assert trailers(repository) == ["docs/1"]


def test_head_that_left_the_branch_and_a_branch_that_is_gone_hold_it(repository: Repository, lander: Lander) -> None:
    lander.tree.commit("work")
    repository.git("switch", "-q", "--detach")
    repository.git("branch", "-q", "-D", "main")
    assert lander.land() == Held("there is no branch main")
    lander.tree.git("switch", "-q", "--detach")
    assert lander.land() == Held("HEAD is not on agentq/s/docs")


def test_drivers_and_attributes_hold(repository: Repository, tmp_path: Path) -> None:
    repository.git("config", "merge.both.driver", "cat %B >> %A")
    repository.write(".gitattributes", "list merge=union\nlog merge=both\n")
    repository.write("list", "")
    repository.write("log", "")
    repository.commit()
    lander = Lander(repository, tmp_path / "other", "other")
    for side, tree in (("theirs", repository), ("ours", lander.tree)):
        tree.write("list", f"{side}\n")
        tree.write("log", f"{side}\n")
        tree.git("commit", "-qam", side)
    assert isinstance(lander.land(), Landed)
    assert set((repository.path / "list").read_text().split()) == {"theirs", "ours"}
    assert set((repository.path / "log").read_text().split()) == {"theirs", "ours"}


def test_a_persons_other_files_stay(repository: Repository, lander: Lander) -> None:
    repository.commit("other", "gone")
    lander.tree.write("README", "from the task\n")
    lander.tree.write("deep/er/new", "new\n")
    lander.tree.commit()
    repository.write("other", "dirty\n")
    repository.write("src/a", "staged\n")
    repository.git("add", "src/a")
    repository.write("mine", "untracked\n")
    (repository.path / "gone").unlink()
    before = repository.git("status", "--porcelain")
    assert isinstance(lander.land(), Landed)
    assert repository.git("status", "--porcelain") == before
    assert (repository.path / "README").read_text() == "from the task\n"
    assert (repository.path / "deep/er/new").read_text() == "new\n"
    assert not (repository.path / ".git/index.lock").exists()
    repository.git("fsck", "--strict", "--no-dangling")


def test_a_path_that_both_changed_holds_it(repository: Repository, lander: Lander) -> None:
    lander.tree.write("README", "from the task\n")
    lander.tree.git("commit", "-qam", "work")
    repository.write("README", "dirty\n")
    before = repository.git("for-each-ref"), repository.git("status")
    assert lander.land() == Held("changed here and in what comes", ("README",))
    assert (repository.git("for-each-ref"), repository.git("status")) == before
    assert (repository.path / "README").read_text() == "dirty\n"
    repository.git("checkout", "-q", "README")
    assert isinstance(lander.land(), Landed)


@pytest.mark.parametrize(
    ("mine", "theirs"), [("new", "new"), ("new", "new/file"), ("new/mine", "new"), ("new/.cache/mine", "new")]
)
@pytest.mark.parametrize("ignored", [False, True])
def test_an_untracked_or_ignored_file_in_the_way_holds_it(
    repository: Repository, lander: Lander, mine: str, theirs: str, ignored: bool
) -> None:
    lander.tree.commit(theirs)
    repository.write(mine, "precious\n")
    if ignored:
        (repository.path / ".git/info/exclude").write_text(f"{mine}\n")
    assert lander.land() == Held("files are in the way", (mine,))
    assert (repository.path / mine).read_text() == "precious\n"
    assert repository.git("rev-parse", "main") == lander.base


def test_a_file_that_was_only_touched_is_in_nobodys_way(repository: Repository, lander: Lander) -> None:
    lander.tree.write("README", "from the task\n")
    lander.tree.git("commit", "-qam", "work")
    repository.write("README", "README\n")
    assert isinstance(lander.land(), Landed)
    assert (repository.path / "README").read_text() == "from the task\n"


def begin_merge(repository: Repository) -> None:
    repository.git("switch", "-q", "-c", "side")
    repository.commit("side")
    repository.git("switch", "-q", "main")
    repository.git("merge", "-q", "--no-ff", "--no-commit", "side")


def begin_bisect(repository: Repository) -> None:
    repository.git("bisect", "start")


def begin_rebase(repository: Repository) -> None:
    repository.git("-c", "sequence.editor=echo break >", "rebase", "-q", "-i", "--root")


def begin_bisecting(repository: Repository) -> None:
    repository.commit("one")
    repository.commit("two")
    repository.git("bisect", "start", "HEAD", "HEAD~2")


@pytest.mark.parametrize(
    ("begin", "what"),
    [(begin_merge, "a merge"), (begin_bisect, "a bisect"), (begin_rebase, "a rebase"), (begin_bisecting, "a bisect")],
)
def test_what_a_person_has_not_finished_holds_it(
    repository: Repository, lander: Lander, begin: object, what: str
) -> None:
    lander.tree.commit("work")
    assert callable(begin)
    begin(repository)
    main = repository.git("rev-parse", "main")
    assert lander.land() == Held(f"{what} is not finished", (str(repository.path),))
    assert repository.git("rev-parse", "main") == main


def test_a_foreign_lock_holds_it_and_stays(
    repository: Repository, lander: Lander, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock_index, "__defaults__", (0.1,))
    lander.tree.commit("work")
    lock = repository.path / ".git/index.lock"
    lock.write_bytes(b"")
    assert lander.land() == Held("another git process holds the index", (str(lock),))
    assert lock.read_bytes() == b""
    assert repository.git("rev-parse", "main") == lander.base


def test_a_lock_of_the_branch_holds_it(repository: Repository, lander: Lander) -> None:
    lander.tree.commit("work")
    (repository.path / ".git/refs/heads/main.lock").touch()
    outcome = lander.land()
    assert isinstance(outcome, Held)
    assert "main.lock" in outcome.why
    assert not (repository.path / ".git/index.lock").exists()


def test_a_branch_that_nobody_has_checked_out_moves_alone(repository: Repository, lander: Lander) -> None:
    repository.git("switch", "-q", "-c", "elsewhere")
    lander.tree.commit("work")
    assert isinstance(lander.land(), Landed)
    assert not (repository.path / "work").exists()
    assert clean(repository)


def test_a_branch_in_another_worktree_moves_there(repository: Repository, lander: Lander, tmp_path: Path) -> None:
    repository.git("switch", "-q", "-c", "elsewhere")
    repository.git("worktree", "add", "-q", str(tmp_path / "second"), "main")
    lander.tree.commit("work")
    assert isinstance(lander.land(), Landed)
    assert (tmp_path / "second/work").exists()
    assert repository.git("-C", str(tmp_path / "second"), "status", "--porcelain") == ""


def test_a_bare_repository_and_sha256(tmp_path: Path, environ: dict[str, str]) -> None:
    first = Repository(tmp_path / "first", environ)
    first.path.mkdir()
    first.git("init", "-q", "--object-format=sha256")
    first.commit("README")
    bare = Repository(tmp_path / "bare", environ)
    first.git("clone", "-q", "--bare", ".", str(bare.path))
    lander = Lander(bare, tmp_path / "tree", "docs")
    head = lander.tree.commit("work")
    assert isinstance(lander.land(), Landed)
    assert bare.git("rev-parse", "main") == head


def test_a_sparse_checkout_stays_sparse(repository: Repository, tmp_path: Path) -> None:
    repository.commit("in/a", "out/b")
    lander = Lander(repository, tmp_path / "tree", "docs")
    repository.git("sparse-checkout", "set", "--cone", "in")
    lander.tree.write("in/a", "work\n")
    lander.tree.write("out/b", "work\n")
    lander.tree.write("out/new", "work\n")
    lander.tree.commit()
    assert isinstance(lander.land(), Landed)
    assert (repository.path / "in/a").read_text() == "work\n"
    assert not (repository.path / "out").exists()
    assert clean(repository)


def test_a_split_index_stays_whole(repository: Repository, lander: Lander) -> None:
    repository.git("config", "core.splitIndex", "true")
    repository.git("update-index", "--split-index")
    lander.tree.commit("work")
    assert isinstance(lander.land(), Landed)
    assert clean(repository)
    assert repository.git("ls-files") == "README\nsrc/a\nwork"


def test_filters_hold_where_a_person_works(repository: Repository, lander: Lander) -> None:
    repository.git("config", "filter.upper.smudge", "tr a-z A-Z")
    repository.git("config", "filter.upper.clean", "tr A-Z a-z")
    lander.tree.write(".gitattributes", "*.up filter=upper\n")
    lander.tree.write("a.up", "work\n")
    lander.tree.commit()
    assert isinstance(lander.land(), Landed)
    assert (repository.path / "a.up").read_text() == "WORK\n"
    assert clean(repository)


def test_what_a_person_staged_as_it_comes_stays(repository: Repository, lander: Lander) -> None:
    lander.tree.write("README", "work\n")
    lander.tree.git("commit", "-qam", "work")
    repository.write("README", "work\n")
    repository.git("add", "README")
    repository.write("README", "work\nand more\n")
    assert isinstance(lander.land(), Landed)
    assert (repository.path / "README").read_text() == "work\nand more\n"
    assert repository.git("status", "--porcelain") == " M README"


def test_hooks_signing_and_line_endings_are_not_in_the_way(repository: Repository, lander: Lander) -> None:
    hook = repository.write(".git/hooks/reference-transaction", "#!/bin/sh\nexit 1\n")
    for name, value in (("commit.gpgSign", "true"), ("gpg.program", "false"), ("core.autocrlf", "true")):
        repository.git("config", name, value)
    lander.tree.git("-c", "commit.gpgSign=false", "commit", "-q", "--allow-empty", "-m", "before the hook")
    lander.tree.write("work", "one\ntwo\n")
    lander.tree.git("-c", "commit.gpgSign=false", "-c", "core.autocrlf=input", "add", "work")
    lander.tree.git("-c", "commit.gpgSign=false", "commit", "-qm", "work")
    repository.git("-c", "commit.gpgSign=false", "commit", "-q", "--allow-empty", "-m", "theirs")
    hook.chmod(0o755)
    assert isinstance(lander.land(), Landed)
    hook.unlink()
    assert (repository.path / "work").read_bytes() == b"one\r\ntwo\r\n"
    assert clean(repository)


def test_a_push_goes_without_force(repository: Repository, lander: Lander, tmp_path: Path) -> None:
    repository.git("clone", "-q", "--bare", ".", str(tmp_path / "remote"))
    repository.git("remote", "add", "origin", str(tmp_path / "remote"))
    lander.tree.commit("work")
    lander.land()
    assert push(lander.tree.ours(), "origin", "main") is None
    remote = Repository(tmp_path / "remote", repository.environ)
    assert remote.git("rev-parse", "main") == repository.git("rev-parse", "main")
    repository.git("reset", "-q", "--hard", "HEAD^")
    repository.commit("other")
    refused = push(lander.tree.ours(), "origin", "main")
    assert refused is not None
    assert "failed to push" in refused.why


def test_a_title_is_one_printable_line() -> None:
    assert landing_message("Fix\tthe\n\x1b[1mdoor\x00 ", "docs/7") == "Fix the [1mdoor\n\nAgentq-Task: docs/7\n"
    assert landing_message(" ", "docs/7") == "Task docs/7\n\nAgentq-Task: docs/7\n"
