"""Whether a task can have a tree of its own, asked before it is stored; what is stored of that tree."""

from __future__ import annotations

import os

from agentq_cli.base.context import suppress
from agentq_cli.base.errors import NotFound, Refused, Usage
from agentq_cli.git.admission import CARRIED, admit, lasting_checkout, require_remote
from agentq_cli.git.branches import check_branch
from agentq_cli.git.carried import carry, is_carried
from agentq_cli.git.refusals import AnotherTree, BadBranch, NoRepository, UnknownRef
from agentq_cli.git.repository import HEADS, find_common
from agentq_cli.git.runner import Git, GitFailed
from agentq_cli.model.addresses import Address
from agentq_cli.model.branches import conversation_branch
from agentq_cli.options.tree_options import LANDS_MORE, LineOfBatch, base_task
from agentq_cli.policy import pool
from agentq_cli.trees.owners import Line, Owners
from agentq_cli.trees.place import trees_directory
from agentq_cli.trees.records import shown_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from agentq_cli.config.configuration import Config
    from agentq_cli.engines.door import Queue
    from agentq_cli.git.admission import Admitted
    from agentq_cli.options.tree_options import TreeAsked
    from agentq_cli.trees.records import TreeRecord


class Admission:
    """Asks repositories whether they can have the trees of tasks (`options.tree_options.Admit`), for one command.

    Nothing in a repository is changed, but for `--base .`, whose commit is made and kept unless it is a `dry` run.
    `say` gets what a person should know and nothing is wrong with, each text once.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        config: Config,
        state_dir: str,
        queue: Callable[[], Queue],
        *,
        dry: bool = False,
        say: Callable[[str], None] | None = None,
    ) -> None:
        self._environ = environ
        self._trees = trees_directory(config, state_dir)
        self._owners = Owners(self._trees, queue)
        self._dry = dry
        self._say = say
        self._told: set[str] = set()
        self._admitted: dict[tuple[str, str | None, str | None], Admitted] = {}
        self._carried: dict[str, str] = {}
        self._lines: dict[tuple[str, str | None], Line] = {}
        self._sessions = config.sessions

    def __call__(self, asked: TreeAsked) -> Mapping[str, Any] | None:
        """The fields of the task's launch; None if only the config asks for a tree, and the directory is in no
        repository, or if nobody does, and the session has no tree of this repository. Raises the errors of
        `git.refusals`, GitMissing, NotFound for the task of `--base @ID`, Refused, Usage."""
        git = Git(os.path.realpath(asked.directory), self._environ)
        try:
            return self._fields(git, asked) if asked.wanted else self._inherited(git, asked)
        except NoRepository as error:
            if asked.typed:
                raise
            self._tell(f"{error.message}; it runs without --worktree, which the config sets")
            return None
        except GitFailed as error:
            raise Refused(f"--worktree: {error.message}") from error
        except OSError as error:
            raise Refused(f"--worktree: '{error.filename}': {error.strerror}") from error

    def _inherited(self, git: Git, asked: TreeAsked) -> Mapping[str, Any] | None:
        """The fields of a task that runs in the tree of its session without having asked for that; None if there is no
        such tree of the repository around the directory."""
        line = self._line(asked)
        if line is None or find_common(git) != line.repository:
            return None
        asked = asked._replace(branch=asked.branch or (None if self._in_pool(asked) else line.branch))
        fields = {
            **self._fields(git, asked),
            "branch": asked.branch,
            "setup": asked.setup or line.setup,
            "teardown": asked.teardown or line.teardown,
        }
        name = asked.branch or conversation_branch(asked.session, asked.conversation)
        where = "in trees" if self._in_pool(asked) else f"in the tree of branch '{name}'"
        self._tell(f"session '{asked.session}' works {where}, and so does this; --context isolated does not")
        return fields if asked.base_typed else {**fields, "base": line.base}

    def _line(self, asked: TreeAsked) -> Line | None:
        """The tree of the conversation in which a task is to run, or another one of its session."""
        before = self._lines.get((asked.session, asked.conversation)) or self._lines.get((asked.session, None))
        return before or self._owners.line(asked.session, asked.conversation)

    def _in_pool(self, asked: TreeAsked) -> bool:
        """Whether a task will come into one of several conversations, each with a tree of its own."""
        return self._width(asked.session) > 1 and not asked.own and asked.conversation is None

    def _width(self, session: str) -> int:
        """How many conversations a session has at most."""
        return pool.size(self._sessions.get(session, {}).get("parallel"))

    def _fields(self, git: Git, asked: TreeAsked) -> Mapping[str, Any]:
        found = self._admit(git, asked)
        repository = found.repository
        if self._in_pool(asked) and asked.branch is not None:
            raise BadBranch(
                f"--branch '{asked.branch}': each conversation of session '{asked.session}' has a tree of its own;"
                f" name the one that is meant with --conversation"
            )
        width = self._width(asked.session)
        branch = asked.branch or self._owners.default_branch(git, repository.common, asked, width)
        if asked.land == branch:
            raise BadBranch(f"--land '{branch}': that is the branch of the task itself")
        record = self._owners.record(repository.common, branch, asked)
        check_branch(git, branch, ours=self._owners.tree(repository.common, branch, record))
        known = self._owners.known(record, asked)
        if asked.land is not None:
            self._refuse_carried(git, known, asked)
        if known:
            for each in known:
                self._refuse_other_base(each, found, asked)
        elif asked.base_typed and not asked.own:
            self._tell_other_base(found, asked)
        elif found.left_out:
            files = "1 uncommitted file" if found.left_out == 1 else f"{found.left_out} uncommitted files"
            where = repository.toplevel
            self._tell(f"--worktree: {files} of '{where}' will not be in the tree; --base . takes them along")
        if asked.push is not None:
            require_remote(git, asked.push)
        base = self._base(git, found, asked)
        key = asked.session, asked.conversation
        if not asked.own and key not in self._lines:
            before = None if asked.task is not None else self._owners.line(*key)
            made = Line(key[1], repository.common, asked.branch, base, asked.setup, asked.teardown)
            self._lines[key] = before if before is not None and before.own else made
        return {
            "repository": repository.common,
            "checkout": lasting_checkout(git, repository, self._trees),
            "subdirectory": repository.prefix,
            "base": base,
        }

    def _admit(self, git: Git, asked: TreeAsked) -> Admitted:
        """What the repository says to all tasks that begin at the same place; each is asked once."""
        base = None if asked.base_task is not None else asked.base
        key = (git.directory, base, asked.land)
        if key not in self._admitted:
            self._admitted[key] = admit(git, trees=self._trees, base=base, land=asked.land)
        return self._admitted[key]

    def _base(self, git: Git, found: Admitted, asked: TreeAsked) -> str:
        """The name that is stored of where the branch begins."""
        if asked.base_task is not None:
            if not isinstance(asked.base_task, LineOfBatch):
                self._refuse_no_tree(asked.base_task, found)
            return asked.base or ""
        if found.base != CARRIED or self._dry:
            return found.base
        place = found.repository.toplevel
        if place not in self._carried:
            self._carried[place] = carry(git, found.repository)
        return self._carried[place]

    def _refuse_no_tree(self, address: Address, found: Admitted) -> None:
        """Raise UnknownRef if `--base @ID` names a task without a branch in this repository."""
        try:
            other = self._owners.queue.task(address)
        except NotFound as error:
            raise NotFound(f"--base '@{address}': {error.message}") from None
        if other.work.launch.repository != found.repository.common:
            raise UnknownRef(f"--base '@{address}': that task has no tree in '{found.repository.toplevel}'")

    def _refuse_other_base(self, record: TreeRecord, found: Admitted, asked: TreeAsked) -> None:
        """Raise AnotherTree if the tree is there and began elsewhere than a person now says."""
        if asked.base is None or not asked.base_typed:
            return
        same = asked.base in (record.base, record.base.removeprefix(HEADS))
        if not same and (asked.base == CARRIED or asked.base_task is not None or found.commit != record.start):
            raise AnotherTree(
                f"--base '{asked.base}': the tree of {record.line} began at '{record.base}' already;"
                f" `agentq discard` makes room for another"
            )

    def _tell_other_base(self, found: Admitted, asked: TreeAsked) -> None:
        """Say that a base has no effect, if an earlier task of the session makes the tree at another one."""
        line = None if asked.task is not None else self._line(asked)
        if line is None or not line.own or line.base.removeprefix(HEADS) == (asked.base or "").removeprefix(HEADS):
            return
        self._tell(
            f"--base '{asked.base}': the tree of {shown_line(asked.session, None, line.key)} begins at"
            f" '{line.base.removeprefix(HEADS)}' already, which an earlier task asked for"
        )

    def _refuse_carried(self, git: Git, known: Sequence[TreeRecord], asked: TreeAsked) -> None:
        """Raise Usage if the branch begins with what a person has not committed (`--base .`), which would land too."""
        for record in known:
            self._refuse_carried_at(git, record.base, asked)
        if known:
            return
        line = None if asked.own else self._line(asked)
        name = None if isinstance(asked.base_task, LineOfBatch) else asked.base  # a line says so itself
        if line is not None and line.own:
            name = line.base
        elif asked.task is not None and not asked.base_typed:
            name = self._owners.queue.task(asked.task).work.launch.base
        self._refuse_carried_at(git, name, asked)

    def _refuse_carried_at(self, git: Git, name: str | None, asked: TreeAsked) -> None:
        with suppress(NotFound):  # the base is what a task did that is gone
            while name is not None and (other := base_task(name, str)) is not None:
                name = self._owners.queue.task(other).work.launch.base
        if name is not None and is_carried(git, name):
            where = "its branch" if name == asked.base else "the branch that it works on"
            raise Usage(f"--land '{asked.land}': {where} begins with --base ., and {LANDS_MORE}")

    def _tell(self, text: str) -> None:
        if self._say is not None and text not in self._told:
            self._told.add(text)
            self._say(text)
