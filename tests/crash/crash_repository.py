"""A repository in a crash's world, and what must hold in it afterwards."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterable, Iterator

from crash_world import World

CONFIG = "[user]\n\tname = Ann Other\n\temail = ann@example.com\n[init]\n\tdefaultBranch = main\n"


def git(world: World, *words: str, stdin: str = "") -> str:
    """What git prints in the repository. Raises CalledProcessError."""
    where, environ = world.root / "repository", world.environ()
    done = subprocess.run(
        ["git", *words], cwd=where, env=environ, input=stdin, capture_output=True, text=True, check=True
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


def make_trunk(world: World) -> None:
    """A branch that nobody has checked out, one commit ahead of what the tasks begin at."""
    tree = git(
        world,
        "mktree",
        stdin=git(world, "ls-tree", "HEAD").replace("\tfile", "\ttheirs") + git(world, "ls-tree", "HEAD"),
    )
    commit = git(world, "commit-tree", tree.strip(), "-p", "HEAD", "-m", "Theirs").strip()
    git(world, "branch", "trunk", commit)
    (world.root / "passed").write_text(f"{tree.strip()}\n")


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
            ended = json.loads(world.ok("runs", run, "--json"))["items"][0]["error"] or ""
            if "times during its snapshot" not in ended:  # nobody tries for ever
                yield f"{ref}: {error.stderr}"
    if (world.root / "passed").exists():
        yield from _damage_of_trunk(world)
    for name in os.listdir(world.state / "trees") if (world.state / "trees").exists() else ():
        if name.endswith(("gone", ".new")):
            yield f"'{name}' is left in the trees"


def _damage_of_trunk(world: World) -> Iterator[str]:
    """Work that landed twice, unchecked, or not although its task is completed."""
    subjects = git(world, "log", "--format=%s", "trunk").splitlines()
    merges = git(world, "rev-list", "--merges", "trunk").split()
    run = json.loads(world.ok("runs", "--json"))["items"][0]
    landed = [each for each in subjects if each == run["id"]]
    if len(landed) != (run["status"] == "success") or len(merges) > 1 or subjects.count("Theirs") != 1:
        yield f"trunk has {subjects}, and {run['id']} ended with {run['status']}"
    if git(world, "rev-parse", "trunk^{tree}").strip() not in (world.root / "passed").read_text().split():
        yield "trunk has files that no check has passed on"
    if landed and run["landed"] != git(world, "rev-parse", "trunk").strip():
        yield f"{run['landed']} is not what landed"


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
