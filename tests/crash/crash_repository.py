"""A repository in a crash's world, and what must hold in it afterwards."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Iterator

from crash_world import World

CONFIG = "[user]\n\tname = Ann Other\n\temail = ann@example.com\n[init]\n\tdefaultBranch = main\n"


def git(world: World, *words: str) -> str:
    """What git prints in the repository. Raises CalledProcessError."""
    done = subprocess.run(
        ["git", *words], cwd=world.root / "repository", env=world.environ(), capture_output=True, text=True, check=True
    )
    return done.stdout


def make_repository(world: World) -> None:
    """A repository with one commit, and a file in it that the caller has not committed."""
    (world.root / "home/.gitconfig").write_text(CONFIG)
    (world.root / "repository").mkdir()
    git(world, "init", "--quiet")
    (world.root / "repository/file").write_text("1\n")
    git(world, "add", "file")
    git(world, "commit", "--quiet", "--message", "One")
    (world.root / "repository/file").write_text("the caller's\n")
    (world.root / "callers").write_text(_of_caller(world))


def damage(world: World, begun: Iterable[str]) -> Iterator[str]:
    """What is wrong with the repository, if there is one. `begun` are the runs whose agents had begun: each had
    written its name into a file of its tree."""
    if not (world.root / "callers").exists():
        return
    if (world.root / "callers").read_text() != _of_caller(world):
        yield "the caller's checkout is no longer as it was"
    checked = subprocess.run(
        ["git", "fsck", "--strict", "--no-dangling"], cwd=world.root / "repository", capture_output=True, text=True
    )
    if checked.returncode or checked.stdout:
        yield f"git fsck: {checked.stdout} {checked.stderr}"
    for run in begun:
        ref = f"refs/agentq/{run}"
        try:
            if run not in git(world, "show", f"{ref}:work").splitlines():
                yield f"{ref} does not have what {run} left"
        except subprocess.CalledProcessError as error:
            yield f"{ref}: {error.stderr}"
    for name in os.listdir(world.state / "trees") if (world.state / "trees").exists() else ():
        if name.endswith(("gone", ".new")):
            yield f"'{name}' is left in the trees"


def _of_caller(world: World) -> str:
    """The caller's checkout: its files, HEAD, index and stash, with their times."""
    top = world.root / "repository"
    found = []
    for path in sorted(top.rglob("*")):
        name = path.relative_to(top).as_posix()
        if name.startswith(".git/") and name not in (".git/HEAD", ".git/index", ".git/refs/stash", ".git/config"):
            continue
        if path.is_file():
            found.append(f"{name} {path.lstat().st_mtime_ns} {path.read_bytes()!r}")
    return "\n".join(found)
