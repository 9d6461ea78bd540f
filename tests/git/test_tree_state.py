"""What is there of a tree, as listings and health tell it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from repositories import Repository

from agentq_cli.git import trees
from agentq_cli.git.repository import find_repository
from agentq_cli.git.tree_state import Condition, disk_usage, find_condition, find_strays
from agentq_cli.git.trees import Plan


def make(repository: Repository, trees_dir: Path, name: str) -> str:
    path = trees.tree_path(str(trees_dir), name)
    git = repository.ours()
    head = repository.git("rev-parse", "HEAD")
    trees.make(git, find_repository(git), Plan(path, f"agentq/s/{name}", head, f"agentq {name}/1"))
    return path


def test_each_condition_is_told_apart(repository: Repository, tmp_path: Path) -> None:
    common = f"{repository.path}/.git"
    path = f"{tmp_path}/trees/docs"
    assert find_condition(common, path) is Condition.UNMADE
    make(repository, tmp_path / "trees", "docs")
    assert find_condition(common, path) is Condition.READY
    Path(path).rename(f"{path}.away")
    assert find_condition(common, path) is Condition.VANISHED
    Path(f"{path}.away").rename(path)
    shutil.rmtree(f"{common}/worktrees")
    assert find_condition(common, path) is Condition.UNKNOWN
    repository.path.rename(f"{repository.path}.away")
    assert find_condition(common, path) is Condition.AWAY


def test_a_tree_that_git_alone_made_is_not_ready(repository: Repository, tmp_path: Path) -> None:
    repository.git("worktree", "add", "--quiet", "--no-checkout", f"{tmp_path}/tree")
    assert find_condition(f"{repository.path}/.git", f"{tmp_path}/tree") is Condition.UNMADE


def test_what_no_task_knows_is_found(repository: Repository, tmp_path: Path) -> None:
    place = tmp_path / "trees"
    assert find_strays(str(place), []) == []
    docs, other = make(repository, place, "docs"), make(repository, place, "other")
    (place / ".old.lost-1").mkdir()
    (tmp_path / "link").symlink_to(place)
    assert find_strays(str(tmp_path / "link"), [docs]) == sorted([other, f"{place}/.old.lost-1"])


def test_disk_usage_is_that_of_du(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/large").write_bytes(os.urandom(300_000))
    os.link(tmp_path / "a/large", tmp_path / "a/b/same")
    (tmp_path / "a/out").symlink_to("/usr")
    with (tmp_path / "a/holes").open("wb") as file:
        file.truncate(1 << 30)
    own = os.lstat(tmp_path / "a").st_blocks * 512
    told = subprocess.run(["du", "-s", "-B1", "a"], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert disk_usage(str(tmp_path / "a")) + own == int(told.split()[0])
    assert disk_usage(str(tmp_path / "none")) == 0
