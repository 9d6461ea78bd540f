"""The record of each tree on this machine: whose it is, where it began, and what was done in it.

It lies beside the tree, and stays when the tree vanishes or its repository is away. A tree belongs to its branch, so
its name is made of repository and branch, and nothing has to be looked up to find the tree of a task.
"""

from __future__ import annotations

import os

from agentq_cli.base.dataclass import dataclass
from agentq_cli.model.branches import FIRST, conversation_branch, task_branch
from agentq_cli.model.work import OWN_BRANCH

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.model.addresses import Address
    from agentq_cli.model.work import Work


@dataclass(frozen=True, slots=True)
class TreeRecord:
    """A tree. `number` is small and unique among the live trees, `path` where the tree is or will be, `session` and
    `seq` the line of work it belongs to: a task, or with `seq` None the session's conversation with the key
    `conversation` (None in a record of an older version). `repository` is the git directory, `checkout` the checkout it
    was made for. `base` is the name at which its branch began, `start` the commit that it stood for,
    `onto` the branch that it lands on, None without. `head` is the last known head of its branch. `set_up`: the setup
    command has succeeded in it. `snapshot` is the ref of what its last run left. Times are milliseconds UTC."""

    number: int
    path: str
    session: str
    seq: int | None
    repository: str
    checkout: str
    branch: str
    base: str
    start: str
    head: str
    made_at: int
    onto: str | None = None
    set_up: bool = False
    setup: str | None = None
    teardown: str | None = None
    snapshot: str | None = None
    conversation: str | None = None

    @property
    def key(self) -> str | None:
        """The key of the conversation that it belongs to; None for the tree of a task."""
        return None if self.seq is not None else self.conversation or FIRST

    @property
    def line(self) -> str:
        """The session, the conversation of it, or the address of the task, that it belongs to."""
        return shown_line(self.session, self.seq, self.key)

    @property
    def words(self) -> str:
        """How a command names it."""
        if self.seq is not None:
            return self.line
        return f"-s {self.session}" if self.key == FIRST else f"-s {self.session} --conversation {self.key}"


def shown_line(session: str, seq: int | None, key: str | None) -> str:
    """How a line of work is named: the address of a task, the session, or another conversation of it than the first."""
    if seq is not None:
        return f"{session}/{seq}"
    return session if key in (None, FIRST) else f"{session} conversation {key}"


def tree_name(repository: str, branch: str) -> str:
    """The name of the tree of a branch, below the directory of the trees: readable, and another one for each repository
    and branch."""
    import hashlib

    mark = hashlib.sha256(f"{repository}\0{branch}".encode("utf-8", "surrogateescape")).hexdigest()[:8]
    shown = "".join(each if (each.isalnum() and each.isascii()) or each in "_-" else "-" for each in branch)
    return f"{shown.removeprefix('agentq-').lstrip('-')[-40:].lstrip('-') or 'tree'}-{mark}"


def tree_of(trees: str, work: Work, address: Address, key: str | None) -> str:
    """The path of the tree of a task, which has one; `trees` is the directory of the trees, without symlinks. `key` is
    that of the task's conversation, None if it has none or no other than the first yet."""
    return tree_at(trees, work.directory, address, key)


def tree_at(trees: str, directory: str, address: Address, key: str | None) -> str:
    """The same by the `Work.directory` of the task."""
    branch, _, repository = directory.partition(":")
    if branch == OWN_BRANCH:
        branch = task_branch(*address)
    return os.path.join(trees, tree_name(repository, branch or conversation_branch(address.session, key)))
