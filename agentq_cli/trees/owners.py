"""Whose a branch is: it belongs to one live line of work, and a conversation of a session has one tree.

What says whose a branch is: the record of its tree, its name if that is a default one, and the live tasks. A task that
is given no conversation may come into any of its session.
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
from agentq_cli.model.branches import FIRST, branch_of, conversation_branch, is_own, task_branch
from agentq_cli.trees import register
from agentq_cli.trees.records import shown_line, tree_name

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
    """The tree of a conversation of a session: the options of which it is made. `key` is the conversation's, None if
    that is not chosen yet, and `branch` None the default one. Not `own`: it is that of another conversation."""

    key: str | None
    repository: str
    branch: str | None
    base: str
    setup: str | None
    teardown: str | None
    own: bool = True


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

    def default_branch(self, git: Git, repository: str, asked: TreeAsked, width: int) -> str:
        """The branch of a task for which none is named: that of its conversation, or of its number; `width` is how many
        conversations its session has at most. Raises GitFailed, BadRecord, OSError."""
        if not asked.own:
            taken = self._taken(git, repository, asked.session, width) if asked.conversation is None else None
            return taken or conversation_branch(asked.session, asked.conversation)
        if asked.task is not None:
            return task_branch(*asked.task)
        # Its number is only known once it is stored. What is there already is from another state dir, or from before.
        for name in short_names(git, f"{HEADS}{task_branch(asked.session, 0).removesuffix('/0')}"):
            line = line_of(name)
            made = register.read(self._path(repository, name)) is not None
            if (
                line is not None
                and line.seq is not None
                and not made
                and self._is_next(Address(line.session, line.seq))
            ):
                return name
        return task_branch(asked.session, 0)  # no task has this number, so it is a free name in the same place

    def _taken(self, git: Git, repository: str, session: str, width: int) -> str | None:
        """The branch of a conversation that would be chosen, if somebody else made it; None if there is none."""
        keys = set(map(str, range(2, width + 1)))
        found = short_names(git, HEADS + conversation_branch(session, "2").removesuffix("/2")) if keys else ()
        mine = ((each, line_of(each)) for each in found)
        names = [name for name, line in mine if line is not None and line.session == session and line.key in keys]
        return next(
            (
                name
                for name in names
                if self.tree(repository, name, register.read(self._path(repository, name))) is None
            ),
            None,
        )

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
        BranchTaken if it belongs to another, AnotherTree if the conversation works in another tree, or another one of
        its session in another repository, BadRecord, OSError."""
        record = register.read(self._path(repository, branch))
        for holder in self._holders(record, repository, branch, asked):
            raise BranchTaken(f"--branch '{branch}': it belongs to {holder}")
        for key, other, name in self._others(asked):
            wanted = branch if asked.own else asked.branch or conversation_branch(asked.session, key)
            if other == repository and (name == wanted or not _meet(key, asked.conversation)):
                continue
            where = "" if other == repository else f" of '{other}'"
            who, how = f"task '{asked.task}'", f"{asked.task}`"
            if not asked.own:
                which = "" if key in (None, FIRST) else f" --conversation {key}"
                who, how = f"session '{asked.session}'", f"-s {asked.session}{which}`, or name another session"
            raise AnotherTree(f"--worktree: {who} works in the tree of branch '{name}'{where}; `agentq discard {how}")
        return record

    def known(self, record: TreeRecord | None, asked: TreeAsked) -> list[TreeRecord]:
        """The records of the trees in which a task may come to run, as far as it matters where those began; `record` is
        that of its branch. Raises OSError."""
        matters = asked.base_typed or asked.land is not None
        if asked.own or asked.conversation is not None or not matters:
            return [] if record is None else [record]
        return [each for each in register.records(self._trees) if (each.session, each.seq) == (asked.session, None)]

    def line(self, session: str, key: str | None) -> Line | None:
        """The tree that a conversation of a session has, will have or had; else that of another one, in whose
        repository it will be. None if the session has no business with trees. Raises OSError."""
        found = None
        for line in self.lines(session):
            if line.key in (None, key or FIRST):
                return line
            found = found or line._replace(branch=None, own=False)
        return found

    def lines(self, session: str) -> Iterator[Line]:
        """The trees that the conversations of a session have, will have or had. Raises OSError."""
        for record in register.records(self._trees):
            if (record.session, record.seq) == (session, None):
                branch = None if record.branch == conversation_branch(session, record.key) else record.branch
                yield Line(record.key, record.repository, branch, record.base, record.setup, record.teardown)
        if not self._may_be(session):
            return
        with suppress(NotFound):  # the session begins with this task
            for task in islice(self.queue.tasks(session=session, ended=True), MOST_TASKS):
                launch, key = task.work.launch, task.conversation_key
                if launch.repository is not None and not is_own(task.work):
                    yield Line(key, launch.repository, launch.branch, launch.base or "", launch.setup, launch.teardown)

    def _may_be(self, session: str) -> bool:
        """Whether there may be such a session: which there are is asked at once when somebody asks for many."""
        self._asked.add(session)
        if self._sessions is None and len(self._asked) > FEW:
            self._sessions = frozenset(self.queue.session_names())
        return self._sessions is None or session in self._sessions

    def _holders(self, record: TreeRecord | None, repository: str, branch: str, asked: TreeAsked) -> Iterator[str]:
        """The other lines of work that the branch belongs to: by a record, by its name, by a live task."""
        if record is not None and not _may_be(record.session, record.seq, record.key, asked):
            yield record.line
        if asked.branch is None:
            return
        line = line_of(branch)
        if line is not None and not _may_be(*line, asked):
            yield shown_line(*line)
        for task in self.queue.tasks():
            if _has_tree(task, repository, branch) and not _is_same(task, asked) and not _is_line(task, asked):
                yield shown_line(task.session, task.seq if is_own(task.work) else None, task.conversation_key)

    def _others(self, asked: TreeAsked) -> Iterator[tuple[str | None, str, str]]:
        """Key, repository and branch of the trees that its line of work has, and for a conversation of those that its
        session has or will have."""
        if asked.own and asked.task is None:
            return
        for record in register.records(self._trees):
            if (record.session, record.seq) == (asked.session, _seq(asked)):
                yield record.key, record.repository, record.branch
        if asked.own:
            return
        with suppress(NotFound):  # the session begins with this task
            for task in self.queue.tasks(session=asked.session):
                launch, key = task.work.launch, task.conversation_key
                if launch.repository is not None and not is_own(task.work) and not _is_same(task, asked):
                    yield key, launch.repository, branch_of(task.work, task.address, key)
                    if key in (None, asked.conversation):
                        return  # All that come into this one have the same.

    def _path(self, repository: str, branch: str) -> str:
        return os.path.join(self._trees, tree_name(repository, branch))


def _seq(asked: TreeAsked) -> int | None:
    """The number of the task whose own the tree is; None for that of a conversation, or if there is no number yet."""
    return asked.task.seq if asked.own and asked.task is not None else None


def _may_be(session: str, seq: int | None, key: str | None, asked: TreeAsked) -> bool:
    """Whether a line of work is, or may become, the one that asks."""
    return (session, seq) == (asked.session, _seq(asked)) and _meet(key, asked.conversation)


def _meet(one: str | None, other: str | None) -> bool:
    """Whether two tasks of a session with these keys may come into the same conversation."""
    return one is None or other is None or one == other


def _has_tree(task: Task, repository: str, branch: str) -> bool:
    own = branch_of(task.work, task.address, task.conversation_key)
    return task.work.launch.repository == repository and own == branch


def _is_line(task: Task, asked: TreeAsked) -> bool:
    """Whether a live task is of the line of work that asks, or may come into it."""
    same = not asked.own and not is_own(task.work) and task.session == asked.session
    return same and _meet(task.conversation_key, asked.conversation)


def _is_same(task: Task, asked: TreeAsked) -> bool:
    """Whether a live task is what asks: it is edited, or will be found by its key."""
    if asked.task is not None:
        return task.address == asked.task
    return asked.key is not None and (task.session, task.work.key) == (asked.session, asked.key)
