"""Whether a task can have a tree of its own, asked before it is stored; what is stored of that tree."""

from __future__ import annotations

import os

from agentq_cli.base.errors import Refused
from agentq_cli.git.admission import CARRIED, admit
from agentq_cli.git.branches import session_branch, task_branch
from agentq_cli.git.carried import carry
from agentq_cli.git.refusals import NoRepository
from agentq_cli.git.runner import Git, GitFailed
from agentq_cli.show import notices
from agentq_cli.trees.place import trees_directory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Protocol

    from agentq_cli.git.admission import Admitted
    from agentq_cli.options.caller import Caller
    from agentq_cli.options.tree_options import TreeAsked

    class Here(Caller, Protocol):
        """A command that stores tasks."""

        @property
        def state_dir(self) -> str:
            """The state dir that they are stored in."""


class Admission:
    """Asks repositories whether they can have the trees of new tasks (`options.tree_options.Admit`).

    Nothing in a repository is changed, but for `--base .`, whose commit is made and kept unless it is a `dry` run.
    """

    def __init__(self, here: Here, *, dry: bool = False) -> None:
        self._environ = here.environ
        self._config = here.config
        self._trees = trees_directory(here.config, here.state_dir)
        self._dry = dry
        self._told: set[str] = set()

    def __call__(self, asked: TreeAsked) -> Mapping[str, Any] | None:
        """The fields of the task's launch; None if only the config asks for a tree, and the directory is in no
        repository. Raises the errors of `git.refusals`, GitMissing, Refused."""
        git = Git(os.path.realpath(asked.directory), self._environ)
        try:
            found = self._admitted(git, asked)
            base = carry(git, found.repository) if found.base == CARRIED and not self._dry else found.base
        except NoRepository as error:
            if asked.typed:
                raise
            self._tell(f"{error.message}; it runs without --worktree, which the config sets")
            return None
        except GitFailed as error:
            raise Refused(f"--worktree: {error.message}") from error
        if found.left_out:
            files = "1 uncommitted file" if found.left_out == 1 else f"{found.left_out} uncommitted files"
            where = found.repository.toplevel
            self._tell(f"--worktree: {files} of '{where}' will not be in the tree; --base . takes them along")
        return {
            "repository": found.repository.common,
            "checkout": found.repository.toplevel,
            "subdirectory": found.repository.prefix,
            "base": base,
        }

    def _admitted(self, git: Git, asked: TreeAsked) -> Admitted:
        # The number of an isolated task is only known once it is stored; no task has the number 0.
        default = task_branch(asked.session, 0) if asked.own else session_branch(asked.session)
        return admit(git, branch=asked.branch or default, trees=self._trees, base=asked.base, land=asked.land)

    def _tell(self, text: str) -> None:
        """Say it once in a command."""
        if text not in self._told:
            self._told.add(text)
            notices.note(text)
