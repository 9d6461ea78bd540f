"""git as its user runs it, for what a person looks at: with the user's pager, colours and settings."""

from __future__ import annotations

from agentq_cli.base.environment import OF_REPOSITORY, find_program, matches
from agentq_cli.git.runner import GitMissing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.git.runner import Git


def as_user(git: Git, *command: str) -> tuple[list[str], dict[str, str]]:
    """The command line and the environment of a command of the user's own git, to be run in `git.directory`. It writes
    nothing that it need not. Raises GitMissing."""
    program = find_program("git", git.environ.get("PATH"))
    if program is None:
        raise GitMissing("git: no such program on PATH")
    environ = {name: value for name, value in git.environ.items() if not matches(name, OF_REPOSITORY)}
    return [program, *command], environ | {"GIT_OPTIONAL_LOCKS": "0"} | dict(git.settings)
