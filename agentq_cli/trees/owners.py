"""Whose a branch is: it belongs to one live line of work, and a session's conversation has one tree.

What says whose a branch is: the record of its tree, its name if that is a default one, and the live tasks.
"""

from __future__ import annotations

import os
from itertools import islice

from agentq_cli.base.context import suppress
from agentq_cli.base.dataclass import NamedTuple
from agentq_cli.base.errors import NotFound
from agentq_cli.git.branches import line_of, short_names
from agentq_cli.git.refusals import AnotherTree, BranchTaken
from agentq_cli.git.registrations import is_made
from agentq_cli.git.repository import HEADS
from agentq_cli.model.addresses import Address
from agentq_cli.model.branches import branch_of, is_own, session_branch, task_branch
from agentq_cli.trees import register
from agentq_cli.trees.records import tree_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from agentq_cli.engines.door import Queue
    from agentq_cli.git.runner import Git
    from agentq_cli.model.tasks import Task
    from agentq_cli.options.tree_options import TreeAsked
    from agentq_cli.trees.records import TreeRecord


MOST_TASKS = 40
"""How many tasks of a session are looked at for a tree of which there is no record: those that wait, and the newest."""

FEW = 10
"""For how many sessions each is asked for by itself."""


class Line(NamedTuple):
    """The tree of a session: the options of which it is made. `branch` None is the default one."""

    repository: str
    branch: str | None
    base: str
    setup: str | None
    teardown: str | None


class Owners:
    """Whose the branches are, in the directory `trees` and in a queue, which is opened if it is needed."""

    def __init__(self, trees: str, queue: Callable[[], Queue]) -> None:
        self._trees = trees
        self._open = queue
        self._opened: list[Queue] = []
        self._asked: set[str] = set()
        self._sessions: Collection[str] | None = None

    @property
    def queue(self) -> Queue:
        """The queue."""
        if not self._opened:
            self._opened.append(self._open())
        return self._opened[0]

    def default_branch(self, git: Git, repository: str, asked: TreeAsked) -> str:
        """The branch of a task for which none is named: that of its session, or of its number. Raises GitFailed,
        BadRecord, OSError."""
        if not asked.own:
            return session_branch(asked.session)
        if asked.task is not None:
            return task_branch(*asked.task)
        # Its number is only known once it is stored. What is there already is from another state dir, or from before.
        for name in short_names(git, f"{HEADS}{task_branch(asked.session, 0).removesuffix('/0')}"):
            session, number = line_of(name) or ("", None)
            made = register.read(self._path(repository, name)) is not None
            if number is not None and not made and self._is_next(Address(session, number)):
                return name
        return task_branch(asked.session, 0)  # no task has this number, so it is a free name in the same place

    def _is_next(self, address: Address) -> bool:
        """Whether the next task of a session will have this address."""
        before = Address(address.session, address.seq - 1)
        return not self._is_known(address) and (before.seq == 0 or self._is_known(before))

    def _is_known(self, address: Address) -> bool:
        try:
            self.queue.task(address)
        except NotFound:
            return False
        return True

    def tree(self, repository: str, branch: str, record: TreeRecord | None) -> str | None:
        """The path of the tree with this branch if it was made here, also if its record is lost. Raises OSError."""
        if record is not None:
            return record.path
        path = self._path(repository, branch)
        return path if is_made(repository, path) else None

    def record(self, repository: str, branch: str, asked: TreeAsked) -> TreeRecord | None:
        """The record of the tree with this branch if it belongs to this line of work, None if there is none yet. Raises
        BranchTaken if it belongs to another, AnotherTree if the session works in another tree, BadRecord, OSError."""
        record = register.read(self._path(repository, branch))
        for holder in self._holders(record, repository, branch, asked):
            raise BranchTaken(f"--branch '{branch}': it belongs to {holder}")
        for other in self._others(asked):
            if other != (repository, branch):
                where = "" if other[0] == repository else f" of '{other[0]}'"
                who = f"task '{asked.task}'" if asked.own else f"session '{asked.session}'"
                how = f"{asked.task}`" if asked.own else f"-s {asked.session}`, or name another session"
                raise AnotherTree(
                    f"--worktree: {who} works in the tree of branch '{other[1]}'{where}; `agentq discard {how}"
                )
        return record

    def line(self, session: str) -> Line | None:
        """The tree that the conversation of a session has, will have or had; None if it has no business with trees.
        Raises OSError."""
        for record in register.records(self._trees):
            if (record.session, record.seq) == (session, None):
                branch = None if record.branch == session_branch(session) else record.branch
                return Line(record.repository, branch, record.base, record.setup, record.teardown)
        if not self._may_be(session):
            return None
        with suppress(NotFound):  # the session begins with this task
            for task in islice(self.queue.tasks(session=session, ended=True), MOST_TASKS):
                launch = task.work.launch
                if launch.repository is not None and not is_own(task.work):
                    return Line(launch.repository, launch.branch, launch.base or "", launch.setup, launch.teardown)
        return None

    def _may_be(self, session: str) -> bool:
        """Whether there may be such a session: which there are is asked at once when somebody asks for many."""
        self._asked.add(session)
        if self._sessions is None and len(self._asked) > FEW:
            self._sessions = frozenset(self.queue.session_names())
        return self._sessions is None or session in self._sessions

    def _holders(self, record: TreeRecord | None, repository: str, branch: str, asked: TreeAsked) -> Iterator[str]:
        """The other lines of work that the branch belongs to: by a record, by its name, by a live task."""
        own = _seq(asked)
        if record is not None and (record.session, record.seq) != (asked.session, own):
            yield record.line
        if asked.branch is None:
            return
        line = line_of(branch)
        if line is not None and line != (asked.session, own):
            yield line[0] if line[1] is None else f"{line[0]}/{line[1]}"
        for task in self.queue.tasks():
            if _has_tree(task, repository, branch) and not _is_line(task, asked):
                yield str(task.address) if is_own(task.work) else task.session

    def _others(self, asked: TreeAsked) -> Iterator[tuple[str, str]]:
        """Repository and branch of the trees that its line of work has, and for a session of one that it will have."""
        if asked.own and asked.task is None:
            return
        own = _seq(asked)
        for record in register.records(self._trees):
            if (record.session, record.seq) == (asked.session, own):
                yield record.repository, record.branch
        if asked.own:
            return
        with suppress(NotFound):  # the session begins with this task
            for task in self.queue.tasks(session=asked.session):
                launch = task.work.launch
                # Its tasks all have the same one.
                if launch.repository is not None and not is_own(task.work) and not _is_same(task, asked):
                    yield launch.repository, branch_of(task.work, task.address)
                    return

    def _path(self, repository: str, branch: str) -> str:
        return os.path.join(self._trees, tree_name(repository, branch))


def _seq(asked: TreeAsked) -> int | None:
    """The number of the task whose own the tree is; None for that of a session, or if there is no number yet."""
    return asked.task.seq if asked.own and asked.task is not None else None


def _has_tree(task: Task, repository: str, branch: str) -> bool:
    return task.work.launch.repository == repository and branch_of(task.work, task.address) == branch


def _is_line(task: Task, asked: TreeAsked) -> bool:
    """Whether a live task is of the line of work that asks."""
    if _is_same(task, asked):
        return True
    return not asked.own and not is_own(task.work) and task.session == asked.session


def _is_same(task: Task, asked: TreeAsked) -> bool:
    """Whether a live task is what asks: it is edited, or will be found by its key."""
    if asked.task is not None:
        return task.address == asked.task
    return asked.key is not None and (task.session, task.work.key) == (asked.session, asked.key)
