"""Whoever is killed at any call of git is completed by the next one: nothing is lost, nothing lands twice."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from killing import NEVER, counted, having_git, killing_git, was_killed
from landers import Lander, trailers
from repositories import Repository
from sampling import some

from agentq_cli.git.advance import Held
from agentq_cli.git.index_lock import take_left
from agentq_cli.git.landing import Landed, land
from agentq_cli.git.merge import MERGE, SQUASH
from agentq_cli.git.snapshot import take_snapshot

FEW, ALL = 3, 1000
"""At how many of its calls something is killed: in the gate others every day, in the slow tier at all of them."""
REF = "refs/agentq/docs/1.1"


def prepared(repository: Repository, path: Path, how: str) -> Lander:
    """Work that has to be merged, and a person's checkout that is not clean."""
    repository.commit("other", "gone")
    lander = Lander(repository, path, "docs", how)
    lander.tree.write("README", "from the task\n")
    lander.tree.write("deep/new", "new\n")
    (lander.tree.path / "gone").unlink()
    lander.tree.commit()
    repository.commit("theirs")
    repository.write("other", "dirty\n")
    repository.write("src/a", "staged\n")
    repository.git("add", "src/a")
    repository.write("mine", "untracked\n")
    return lander


def own_files(repository: Repository) -> tuple[str, ...]:
    """What a person has in the checkout and has not committed."""
    names = ("other", "src/a", "mine")
    return repository.git("status", "--porcelain"), *((repository.path / each).read_text() for each in names)


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("how", "most"), [(MERGE, FEW), *(pytest.param(how, ALL, marks=pytest.mark.slow) for how in (MERGE, SQUASH))]
)
def test_a_landing_that_was_killed_anywhere_is_completed(
    repository: Repository, tmp_path: Path, how: str, most: int
) -> None:
    lander = prepared(repository, tmp_path / "tree", how)
    start = repository.git("rev-parse", "main"), lander.tree.git("rev-parse", "HEAD")
    before = own_files(repository)

    def killed_at(number: int) -> bool:
        killed = Repository(lander.tree.path, killing_git(tmp_path / "bin", number, repository.environ))

        def run() -> None:
            tree = killed.git("rev-parse", "HEAD^{tree}")
            land(killed.ours(), lander.work, tree)
            land(killed.ours(), lander.work, killed.git("rev-parse", "HEAD^{tree}"))

        return was_killed(run)

    def back() -> None:
        """Back to the beginning."""
        lander.tree.git("reset", "-q", "--hard", start[1])
        repository.git("stash", "-q")
        repository.git("reset", "-q", "--hard", start[0])
        repository.git("stash", "pop", "-q", "--index")
        assert own_files(repository) == before

    assert not killed_at(NEVER)
    calls = counted(tmp_path / "bin")
    assert calls > 20
    for number in some(range(1, calls + 1), most, f"landing {how}"):
        back()
        assert killed_at(number)
        assert trailers(repository) in ([], ["docs/1"]), number
        outcome = lander.land()
        assert isinstance(outcome, Landed), (number, outcome)
        check_landed(repository, lander, before, number)


def check_landed(repository: Repository, lander: Lander, before: tuple[str, ...], number: int) -> None:
    assert trailers(repository) == ["docs/1"], number
    assert own_files(repository) == before, number
    assert (repository.path / "README").read_text() == "from the task\n"
    assert (repository.path / "deep/new").read_text() == "new\n"
    assert not (repository.path / "gone").exists()
    assert lander.tree.git("status", "--porcelain") == ""
    assert lander.tree.git("rev-parse", "HEAD") == repository.git("rev-parse", "main")
    left = [each.name for each in (repository.path / ".git").rglob("*") if "agentq-" in each.name]
    assert not left, number
    assert not list((repository.path / ".git").rglob("index.lock")), number
    repository.git("fsck", "--strict", "--no-dangling")


HALF = """#!/bin/sh
case "$*" in
*"read-tree -m -u -n"*) ;;
*"read-tree -m -u"*) {spoil}; kill -9 $PPID; exit 137 ;;
esac
exec {git} "$@"
"""

SPOILS = {
    "nothing yet": "",
    "a file is gone": "rm README",
    "half a file": "printf 'from t' > README",
    "all of a file": "echo 'from the task' > README",
    "all of a new file": "mkdir deep; echo new > deep/new",
    "half of a new file": "mkdir deep; printf ne > deep/new",
    "one that goes": "rm gone",
    "a file becomes a directory": "rm swap; mkdir swap; echo in > swap/in",
    "a link": "ln -sfn README link",
    "all": "echo 'from the task' > README; mkdir deep; echo new > deep/new; rm gone swap; mkdir swap; "
    "echo in > swap/in; ln -sfn README link",
}


OUTLIVING = """#!/bin/sh
case "$*" in
*"read-tree -m -u -n"*) ;;
*"read-tree -m -u"*) echo $$ > {place}/pid; kill -9 $PPID; read go < {place}/go ;;
esac
exec {git} "$@"
"""


@pytest.fixture
def outliving(tmp_path: Path, repository: Repository) -> Iterator[dict[str, str]]:
    """An environment whose git kills its caller and goes on once it is let; it ends with the test, however
    that ends."""
    place = tmp_path / "bin"
    environ = having_git(place, OUTLIVING, repository.environ)
    os.mkfifo(place / "go")
    yield environ
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        pid = int((place / "pid").read_text())
        if str(place) in Path(f"/proc/{pid}/cmdline").read_text():
            os.kill(pid, signal.SIGKILL)


def test_a_git_that_outlives_its_agentq_is_waited_for(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, outliving: dict[str, str]
) -> None:
    lander = prepared(repository, tmp_path / "tree", MERGE)
    before = own_files(repository)
    lander.tree.git("merge", "-q", "-m", "Do docs\n\nAgentq-Task: docs/1", "main")
    checked = lander.tree.git("rev-parse", "HEAD^{tree}")
    assert was_killed(lambda: land(Repository(lander.tree.path, outliving).ours(), lander.work, checked))
    with monkeypatch.context() as patch:
        patch.setattr(take_left, "__defaults__", (0.1,))
        lock = str(repository.path / ".git/index.lock")
        assert lander.land() == Held("another git process holds the index", (lock,))
    (tmp_path / "bin/go").write_text("go\n")
    assert isinstance(lander.land(), Landed)
    check_landed(repository, lander, before, 0)


@pytest.mark.parametrize("spoil", SPOILS)
def test_files_that_git_was_killed_over_are_completed(repository: Repository, tmp_path: Path, spoil: str) -> None:
    lander = half_landed(repository, tmp_path, SPOILS[spoil])
    outcome = lander.land()
    assert isinstance(outcome, Landed)
    assert outcome.already
    check_landed(repository, lander, own_files(repository), 0)
    assert (repository.path / "swap/in").read_text() == "in\n"
    assert (repository.path / "link").readlink() == Path("README")
    assert repository.git("status", "--porcelain").split("\n") == [" M other", "M  src/a", "?? mine"]


def half_landed(
    repository: Repository, tmp_path: Path, spoil: str, before: Callable[[], None] = lambda: None
) -> Lander:
    repository.commit("swap")
    (repository.path / "link").symlink_to("nowhere")
    repository.commit()
    lander = prepared(repository, tmp_path / "tree", MERGE)
    (lander.tree.path / "swap").unlink()
    lander.tree.write("swap/in", "in\n")
    (lander.tree.path / "link").unlink()
    (lander.tree.path / "link").symlink_to("README")
    lander.tree.commit()
    lander.tree.git("merge", "-q", "-m", "Do docs\n\nAgentq-Task: docs/1", "main")
    before()
    environ = having_git(tmp_path / "bin", HALF, repository.environ, spoil=spoil or ":")
    checked = lander.tree.git("rev-parse", "HEAD^{tree}")
    assert was_killed(lambda: land(Repository(lander.tree.path, environ).ours(), lander.work, checked))
    assert (repository.path / ".git/index.lock").exists()
    return lander


def test_what_a_person_staged_as_it_comes_is_not_undone(repository: Repository, tmp_path: Path) -> None:
    def stage() -> None:
        repository.write("README", "from the task\n")
        repository.git("add", "README")
        repository.write("README", "from the task, and more\n")

    lander = half_landed(repository, tmp_path, "printf ne > new; mkdir deep; mv new deep/new", stage)
    assert isinstance(lander.land(), Landed)
    assert (repository.path / "README").read_text() == "from the task, and more\n"
    assert (repository.path / "deep/new").read_text() == "new\n"


def test_an_edit_after_the_kill_is_not_overwritten(repository: Repository, tmp_path: Path) -> None:
    lander = half_landed(repository, tmp_path, SPOILS["all"])
    repository.write("README", "a person's\n")
    assert lander.land() == Held("changed while the files were being updated", ("README",))
    assert (repository.path / "README").read_text() == "a person's\n"
    repository.write("README", "from the task\n")
    assert isinstance(lander.land(), Landed)


def test_a_snapshot_that_was_killed_anywhere_is_taken_again(repository: Repository, tmp_path: Path) -> None:
    repository.write("new", "new\n")
    repository.write("README", "staged\n")
    repository.git("add", "README")
    repository.write("README", "changed\n")
    index = (repository.path / ".git/index").read_bytes()
    trees = set()
    for number in range(1, 10):
        killed = Repository(repository.path, killing_git(tmp_path / "bin", number, repository.environ))
        ended = not was_killed(lambda killed=killed: take_snapshot(killed.ours(), REF, base="", now_ms=0))  # type: ignore[misc]
        assert take_snapshot(repository.ours(), REF, base="", now_ms=0).why == ""
        trees.add(repository.git("rev-parse", f"{REF}^{{tree}}", f"{REF}^1", f"{REF}^2^{{tree}}"))
        assert (repository.path / ".git/index").read_bytes() == index
        repository.git("fsck", "--strict", "--no-dangling")
        if ended:
            break
    assert 1 < number < 10
    assert len(trees) == 1
