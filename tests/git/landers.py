"""A task's tree for tests, and the loop around `land` that a supervisor has: land, check, land again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from repositories import Repository

from agentq_cli.git.landing import CheckAgain, Outcome, Work, land
from agentq_cli.git.merge import MERGE


class Lander:
    """A task with its tree, whose work is to land on `main`."""

    def __init__(self, repository: Repository, path: Path, name: str, how: str = MERGE) -> None:
        self.repository = repository
        self.name = name
        self.base = repository.git("rev-parse", "main")
        self.how = how
        self.tree = Repository(path, repository.environ)
        self.checked: list[str] = []
        repository.git("worktree", "add", "-q", "-b", self.branch, str(path), "main")

    @property
    def branch(self) -> str:
        return f"agentq/s/{self.name}"

    @property
    def work(self) -> Work:
        return Work(self.branch, self.base, "main", self.how, f"Do {self.name}", f"{self.name}/1")

    def land(self, check: Callable[[], bool] = lambda: True) -> Outcome | str:
        """Land, checking whenever that is asked for; `check` if a check failed."""
        tested = self.tree.git("rev-parse", "HEAD^{tree}")
        while True:
            outcome = land(self.tree.ours(), self.work, tested)
            if not isinstance(outcome, CheckAgain):
                return outcome
            assert self.tree.git("status", "--porcelain") == ""
            assert self.tree.git("rev-parse", "HEAD^{tree}") == outcome.tree
            self.checked.append(outcome.tree)
            if not check():
                return "check"
            tested = outcome.tree


def trailers(repository: Repository, branch: str = "main") -> list[str]:
    """The tasks that the commits of a branch say they land, oldest first."""
    found = repository.git("log", "--reverse", "--format=%(trailers:key=Agentq-Task,valueonly,separator=%x2C)", branch)
    return found.split()
