"""SIGKILL at every step of making and of removing a tree: done again, it ends as if nothing had happened."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from repositories import Repository
from sampling import some

from agentq_cli.git import trees
from agentq_cli.git.registrations import registrations
from agentq_cli.git.repository import find_repository
from agentq_cli.git.trees import Plan

WAYS = {
    "before git": "kill -9 $PPID",
    "after git": '"$real" "$@"; kill -9 $PPID',
    # agentq dies, and its git goes on: whoever makes the tree again has to wait for that.
    "while git goes on": 'kill -9 $PPID; sleep 0.1; "$real" "$@"',
    "git with its parent": '"$real" "$@" <&0 & sleep 0.0$(($1 % 9)); kill -9 $! $PPID',
    "git alone": '"$real" "$@" <&0 & sleep 0.00$(($1 % 9)); kill -9 $!; wait $!',
}
"""What the git of step N does in place of its work. The group of a git dies with it where its agentq lives on."""


def stopping(place: Path, step: int, way: str) -> str:
    """A PATH whose git counts its calls, and is killed at one of them."""
    place.mkdir(exist_ok=True)
    (place / "count").write_text("")
    program = place / "git"
    program.write_text(
        f"#!/bin/bash\nreal={shutil.which('git')}\necho >> {place}/count\n"
        f"if [ $(wc -l < {place}/count) = {step} ]; then\n  {way.replace('$1', str(step))}\n"
        f'else\n  exec "$real" "$@"\nfi\n'
    )
    program.chmod(0o755)
    return f"{place}:{os.environ['PATH']}"


def killed(act: Callable[[], object]) -> bool:
    """Whether a process of its own that does this is killed, rather than done with it."""
    child = os.fork()
    if child == 0:
        try:
            act()
        except Exception:
            os._exit(1)
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


@pytest.fixture
def busy(repository: Repository) -> Repository:
    """A repository with files of every kind: committed, changed, staged, untracked, ignored and named."""
    repository.commit_file(".gitignore", "*.env\n")
    repository.write(".worktreeinclude", "*.env\n")
    repository.write("a.env")
    repository.write("untracked")
    repository.write("README", "changed\n")
    repository.write("src/a", "staged\n")
    repository.git("add", "src/a")
    return repository


def planned(repository: Repository, tmp_path: Path, step: int) -> Plan:
    head = repository.git("rev-parse", "HEAD")
    return Plan(trees.tree_path(f"{tmp_path}/trees", f"t{step}"), f"agentq/t/docs/{step}", head, f"agentq docs/{step}")


@pytest.mark.parametrize("most", [2, pytest.param(1000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("way", list(WAYS))
def test_a_making_that_was_killed_is_done_again(busy: Repository, tmp_path: Path, way: str, most: int) -> None:
    found = find_repository(busy.ours())
    before = busy.fingerprint()

    def stopped_at(step: int) -> Plan:
        plan = planned(busy, tmp_path, step)
        environ = busy.environ | {"PATH": stopping(tmp_path / "bin", step, WAYS[way])}
        killed(lambda: trees.make(Repository(busy.path, environ).ours(), found, plan))
        return plan

    stopped_at(0)
    calls = len((tmp_path / "bin/count").read_text())
    assert calls > 7
    chosen = some(range(1, calls + 1), most, f"making {way}")
    for steps in chosen:
        plan = stopped_at(steps)
        made = trees.make(busy.ours(), found, plan)
        assert (made.head, made.notes) == (plan.start, ()), steps
        assert busy.git("symbolic-ref", "HEAD", at=Path(plan.path)) == f"refs/heads/{plan.branch}"
        assert busy.git("status", "--porcelain", at=Path(plan.path)) == "", steps
        assert Path(plan.path, "a.env").exists()
        assert busy.fingerprint() == before, steps
    assert whole(busy, tmp_path) == 1 + len(chosen)


@pytest.mark.parametrize("way", list(WAYS))
def test_a_removal_that_was_killed_is_done_again(busy: Repository, tmp_path: Path, way: str) -> None:
    found = find_repository(busy.ours())
    before = busy.fingerprint()
    ended = steps = 0
    trees.make(busy.ours(), found, planned(busy, tmp_path, 0))
    while not ended:
        steps += 1
        plan = planned(busy, tmp_path, steps)
        trees.make(busy.ours(), found, plan)
        environ = busy.environ | {"PATH": stopping(tmp_path / "bin", steps, WAYS[way])}
        stopped = Repository(busy.path, environ)
        killed(lambda plan=plan, stopped=stopped: trees.remove(stopped.ours(), found, plan.path))  # type: ignore[misc]
        ended = len((tmp_path / "bin/count").read_text()) < steps
        trees.remove(busy.ours(), found, plan.path)
        assert busy.git("rev-parse", plan.branch) == plan.start
        assert busy.fingerprint() == before, steps
    assert steps > 1
    assert whole(busy, tmp_path) == 1


@pytest.mark.parametrize("most", [4, pytest.param(1000, marks=pytest.mark.slow)])
def test_a_removal_that_was_killed_can_be_followed_by_a_making(busy: Repository, tmp_path: Path, most: int) -> None:
    """Killed at each rename and each deletion."""
    found = find_repository(busy.ours())
    plan = planned(busy, tmp_path, 0)
    trees.make(busy.ours(), found, plan)
    deeds = removed_up_to(busy, plan, 0)
    assert deeds > 10
    for step in some(range(1, deeds + 1), most, "removal"):
        trees.make(busy.ours(), found, plan)
        assert killed(lambda step=step: removed_up_to(busy, plan, step)), step  # type: ignore[misc]
        assert trees.make(busy.ours(), found, plan).head == plan.start
        assert busy.git("status", "--porcelain", at=Path(plan.path)) == ""
    assert whole(busy, tmp_path) == 1


def removed_up_to(repository: Repository, plan: Plan, calls: int) -> int:
    """Remove a tree, in a process that is killed before the last of so many calls that change a directory; how many
    there were."""
    done = 0
    counts = True

    def counted(event: str, _: object) -> None:
        nonlocal done
        if counts and event in ("os.rename", "os.remove", "os.rmdir"):
            done += 1
            if done == calls:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(counted)
    trees.remove(repository.ours(), find_repository(repository.ours()), plan.path)
    counts = False
    return done


@pytest.mark.parametrize("file", ["commondir", "gitdir", "HEAD", "locked"])
def test_a_registration_that_git_left_half_written_is_made_again(busy: Repository, tmp_path: Path, file: str) -> None:
    found = find_repository(busy.ours())
    plan = planned(busy, tmp_path, 1)
    os.makedirs(f"{tmp_path}/trees")
    busy.git("worktree", "add", "--no-checkout", "--lock", "--reason", plan.reason, "-b", plan.branch, plan.path)
    Path(found.common, "worktrees/t1", file).write_text("")
    if file == "gitdir":
        shutil.rmtree(plan.path)
    assert trees.make(busy.ours(), found, plan).head == plan.start
    assert whole(busy, tmp_path) == 1


def test_the_lock_of_a_branch_that_a_killed_git_left_is_removed(busy: Repository, tmp_path: Path) -> None:
    lock = Path(busy.path, ".git/refs/heads/agentq/t/docs/1.lock")
    lock.parent.mkdir(parents=True)
    lock.touch()
    os.utime(lock, (1, 1))
    trees.make(busy.ours(), find_repository(busy.ours()), planned(busy, tmp_path, 1))
    assert not lock.exists()


def whole(repository: Repository, tmp_path: Path) -> int:
    """How many trees there are: as many directories as registrations, each with its lock file and nothing else."""
    repository.git("fsck", "--strict", "--no-dangling")
    paths = sorted(each.path or "" for each in registrations(f"{repository.path}/.git"))
    assert sorted(os.listdir(tmp_path / "trees")) == sorted(
        name for path in paths for name in (os.path.basename(path), f".{os.path.basename(path)}.lock")
    )
    return len(paths)
