"""git as its user runs it, for what a person looks at: with the user's pager, colours and settings."""

from __future__ import annotations

from agentq_cli.base.environment import find_program
from agentq_cli.git.runner import KEPT, GitMissing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.git.runner import Git

PERSONAL = KEPT | {"GIT_PAGER", "GIT_EXTERNAL_DIFF", "GIT_DIFF_OPTS"}
"""The variables of git that hold for a person; all others are about another repository (`git rev-parse
--local-env-vars`) or for agentq's own calls."""


def as_user(git: Git, *command: str) -> tuple[list[str], dict[str, str]]:
    """The command line and the environment of a command of the user's own git, to be run in `git.directory`. It writes
    nothing that it need not. Raises GitMissing."""
    program = find_program("git", git.environ.get("PATH"))
    if program is None:
        raise GitMissing("git: no such program on PATH")
    environ = {name: value for name, value in git.environ.items() if not name.startswith("GIT_") or name in PERSONAL}
    return [program, *command], environ | {"GIT_OPTIONAL_LOCKS": "0"} | dict(git.settings)
