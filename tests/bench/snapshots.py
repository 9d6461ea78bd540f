"""A snapshot of a clean tree beside `git status`, in one repository and in turn.

    python3 tests/bench/snapshots.py --files 50000

A round does each once; the ratio is the median of the ratios of the rounds. Ends with 1 if the ratio is above the
limit. Lies beside the other measurements, and is not one of their rows: it needs git and no other program.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from agentq_cli.git.runner import Git
from agentq_cli.git.snapshot import take_snapshot

LIMIT = 1.5
IN_A_DIRECTORY = 100
REF = "refs/agentq/bench/1.1"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="agentq-bench-") as place:
        environ = os.environ | {"HOME": place, "GIT_CONFIG_NOSYSTEM": "1"}
        tree = make_tree(Path(place), environ, options.files)
        git = Git(str(tree), environ)

        def status() -> None:
            subprocess.run(["git", "status"], cwd=tree, env=environ, stdout=subprocess.DEVNULL, check=True)

        def snapshot() -> None:
            taken = take_snapshot(git, REF, base="", now_ms=0)
            assert not taken.dirty, taken

        status()
        snapshot()
        rounds = [(seconds(status), seconds(snapshot)) for _ in range(options.rounds)]
    ratio = statistics.median(ours / gits for gits, ours in rounds)
    gits, ours = (1000 * statistics.median(each) for each in zip(*rounds, strict=True))
    print(f"{options.files} files: git status {gits:.0f} ms, a snapshot {ours:.0f} ms")
    print(f"ratio {ratio:.2f}, at most {LIMIT}")
    return int(ratio > LIMIT)


def make_tree(place: Path, environ: dict[str, str], files: int) -> Path:
    """A worktree of a new repository with so many files."""
    repository = place / "repository"
    for first in range(0, files, IN_A_DIRECTORY):
        directory = repository / f"{first // IN_A_DIRECTORY // 20}" / f"{first // IN_A_DIRECTORY}"
        directory.mkdir(parents=True)
        for number in range(first, min(first + IN_A_DIRECTORY, files)):
            (directory / f"{number}.txt").write_text(f"{number}\n")
    name = ("-c", "user.name=bench", "-c", "user.email=bench@localhost")
    for words in (
        ("init", "-q"),
        ("add", "."),
        (*name, "commit", "-q", "-m", "files"),
        ("worktree", "add", "-q", "-b", "bench", str(place / "tree")),
    ):
        subprocess.run(["git", *words], cwd=repository, env=environ, check=True)
    return place / "tree"


def seconds(do: Callable[[], None]) -> float:
    began = time.perf_counter()
    do()
    return time.perf_counter() - began


if __name__ == "__main__":
    sys.exit(main())
