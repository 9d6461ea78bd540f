"""What a tree of its own adds to a task, end to end: submitted and run by agentq's own commands, in a repository with
many files; and how the commands do that look at many trees.

    python tests/bench/tree_tasks.py [--files N] [--rounds N] [--trees N] [--tree-files N]

A round does each of these once: `git worktree add` and `true`, a task `true` without a tree, and one with. What is left
of the third without the others is what agentq adds. Then as many tasks as --trees says each get a tree of a smaller
repository, one after another, and the first are set against the last.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import datetime
from itertools import pairwise
from pathlib import Path

from trees import filled, git

ROOT = Path(__file__).resolve().parent.parent.parent
FIRST = 10
"""How many of the first and of the last trees are compared."""


class Queue:
    """agentq with a state dir of its own, run as processes."""

    def __init__(self, place: Path) -> None:
        home = place / "home"
        home.mkdir()
        self.environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(ROOT),
            "AGENTQ_STATE_DIR": str(place / "state"),
        }

    def __call__(self, *words: str, told: str = "") -> str:
        """What a command prints, `told` that on its stdin."""
        command = [sys.executable, "-m", "agentq_cli", *words]
        done = subprocess.run(command, cwd="/", env=self.environ, input=told, capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(f"{words}: {done.stderr or done.stdout}")
        return done.stdout

    def task(self, *given: str) -> None:
        """Run `true` as a task."""
        self("submit", "--exec", *given, "--", "true")
        self("run", "--drain")


def seconds(do: Callable[[], object]) -> float:
    began = time.monotonic()
    do()
    return time.monotonic() - began


def one(place: Path, files: int, rounds: int) -> None:
    """A tree of a large repository."""
    repository = place / "large"
    filled(repository, files, 0)
    queue = Queue(place)
    taken: dict[str, list[float]] = {"git": [], "without": [], "with": []}
    for number in range(rounds):
        tree = place / f"git-{number}"
        branch = f"measured-{number}"

        def by_git(tree: Path = tree, branch: str = branch) -> None:
            git(repository, "worktree", "add", "--quiet", "-b", branch, str(tree), "main")
            subprocess.run(["true"], cwd=tree, check=True)

        taken["git"].append(seconds(by_git))
        git(repository, "worktree", "remove", "--force", str(tree))
        taken["without"].append(seconds(lambda: queue.task("--cwd", str(place))))
        taken["with"].append(seconds(lambda: queue.task("--cwd", str(repository), "--worktree")))
        queue("prune", "--older-than", "1ms", "--yes")
        print("  ".join(f"{name} {times[-1]:.3f} s" for name, times in taken.items()), flush=True)
    of_git, without, of_tree = (statistics.median(times) for times in taken.values())
    print(f"a task in a tree of {files} files: {of_tree:.3f} s, {of_tree / of_git:.2f} of git worktree add and true")
    print(f"without what a task takes and what git takes: {of_tree - without - of_git:+.3f} s")


def many(place: Path, files: int, trees: int) -> None:
    """Many trees of a smaller repository."""
    repository = place / "small"
    filled(repository, files, 0)
    queue = Queue(place / "many")
    line = json.dumps({"exec": ["true"], "cwd": str(repository), "worktree": True})
    queue("submit", "--batch", "-", told=f"{line}\n" * trees)
    queue("run", "--drain", "-j", "1")
    runs = json.loads(queue("runs", "--limit", str(trees), "--json"))["items"]
    ends = sorted(datetime.fromisoformat(run["finished_at"]).timestamp() for run in runs)
    taken = [after - before for before, after in pairwise(ends)]
    first, last = (statistics.median(times) for times in (taken[:FIRST], taken[-FIRST:]))
    print(f"{trees} trees of {files} files: the first {first:.3f} s each, the last {last:.3f} s, {last / first:.2f}")
    for words in (("trees",), ("trees", "--json"), ("health",), ("prune", "--older-than", "1ms", "--yes")):
        print(f"agentq {' '.join(words)}: {seconds(lambda words=words: queue(*words)):.3f} s", flush=True)
    left = [each for each in os.listdir(place / "many" / "state" / "trees") if not each.startswith(".")]
    print(f"left after prune: {len(left)}")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--files", type=int, default=50_000)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--trees", type=int, default=200)
    options.add_argument("--tree-files", type=int, default=500)
    given = options.parse_args()
    place = Path(os.path.realpath(tempfile.mkdtemp(prefix="agentq-bench-")))
    try:
        (place / "many").mkdir()
        if given.rounds:
            one(place, given.files, given.rounds)
        if given.trees:
            many(place, given.tree_files, given.trees)
    finally:
        shutil.rmtree(place, ignore_errors=True)


if __name__ == "__main__":
    main()
