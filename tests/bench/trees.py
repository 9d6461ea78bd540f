"""How long agentq takes to make a tree, against `git worktree add` of the same commit, in a repository with many files
and many trees.

    python tests/bench/trees.py [--files N] [--trees N] [--rounds N]

The two take turns, and each tree is removed again before the next is made. Prints each round, and the ratio of the
medians; what is allowed is 1.3.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from agentq_cli.git import trees
from agentq_cli.git.repository import find_repository
from agentq_cli.git.runner import Git

ALLOWED = 1.3
FILES_A_DIRECTORY = 100


def git(place: Path, *words: str, stdin: bytes = b"") -> None:
    subprocess.run(["git", *words], cwd=place, input=stdin, check=True, capture_output=True)


def filled(place: Path, files: int, many: int) -> None:
    """A repository with one commit of so many files, and so many other trees without files."""
    place.mkdir()
    git(place, "init", "--quiet")
    stream = [b"commit refs/heads/main\ncommitter A <a@b> 0 +0000\ndata 1\nx\n"]
    for number in range(files):
        content = f"{number}\n".encode() * 200
        name = f"d{number // FILES_A_DIRECTORY}/f{number}"
        stream.append(f"M 100644 inline {name}\ndata {len(content)}\n".encode() + content + b"\n")
    git(place, "fast-import", "--quiet", stdin=b"".join(stream))
    git(place, "checkout", "--quiet", "--force", "main")
    for number in range(many):
        git(place, "worktree", "add", "--quiet", "--no-checkout", "-b", f"b{number}", f"{place}-trees/{number}", "main")


def by_git(place: Path, tree: Path) -> float:
    started = time.monotonic()
    git(place, "worktree", "add", "--quiet", "-b", "measured", str(tree), "main")
    took = time.monotonic() - started
    git(place, "worktree", "remove", "--force", str(tree))
    git(place, "branch", "-D", "measured")
    return took


def by_agentq(place: Path, tree: Path) -> float:
    ours = Git(str(place), os.environ)
    started = time.monotonic()
    found = find_repository(ours)
    head = ours.line("rev-parse", "main")
    trees.make(ours, found, trees.Plan(str(tree), "measured", head, "agentq docs/7"))
    took = time.monotonic() - started
    trees.remove(ours, found, str(tree))
    trees.delete_branch(ours, "measured", head)
    return took


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--files", type=int, default=50_000)
    options.add_argument("--trees", type=int, default=200)
    options.add_argument("--rounds", type=int, default=5)
    given = options.parse_args()
    place = Path(os.path.realpath(tempfile.mkdtemp(prefix="agentq-bench-")))
    try:
        filled(place / "repository", given.files, given.trees)
        taken: dict[str, list[float]] = {"git": [], "agentq": []}
        for number in range(given.rounds):
            for name, measure in (("git", by_git), ("agentq", by_agentq)):
                taken[name].append(measure(place / "repository", place / "trees" / f"{name}-{number}"))
            print("  ".join(f"{name} {times[-1]:.3f} s" for name, times in taken.items()), flush=True)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    ratio = statistics.median(taken["agentq"]) / statistics.median(taken["git"])
    print(f"ratio of the medians: {ratio:.2f}, allowed {ALLOWED}")
    return 0 if ratio <= ALLOWED else 1


if __name__ == "__main__":
    sys.exit(main())
