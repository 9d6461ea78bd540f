"""Merges without a checkout: what a branch would become, and whether it has a piece of work already."""

from __future__ import annotations

import os

from agentq_cli.base.dataclass import dataclass
from agentq_cli.git.runner import GitFailed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.git.runner import Git

MERGE, SQUASH, FF = "merge", "squash", "ff"
"""How work lands: as a merge commit, as one commit, or only if nothing is to be merged."""

MERGE_SECONDS = 600
"""A merge driver of the repository may take its time."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """The work and the branch do not merge: `paths` are both's, none if `why` is something else."""

    paths: tuple[str, ...]
    why: str = ""


@dataclass(frozen=True, slots=True)
class Merge:
    """What a branch becomes (`commit`), and what the work's own branch becomes to be checked (`brought`): both have the
    same `tree`."""

    commit: str
    brought: str
    tree: str


def merge_tree(git: Git, onto: str, head: str) -> str | Conflict:
    """The tree of a merge of two commits; merge drivers and attributes are those of the tree that git runs in.

    Raises GitFailed.
    """
    command = ("merge-tree", "--write-tree", "-z", "--name-only", "--no-messages", onto, head)
    answer = git.run(*command, ok=(0, 1, 128), seconds=MERGE_SECONDS)
    if answer.code == 128:
        if "unrelated histories" not in answer.err:
            raise GitFailed(command, answer.code, answer.err)
        return Conflict((), "they have no commit in common")
    tree, *paths = map(os.fsdecode, answer.records())
    return tree if answer.code == 0 else Conflict(tuple(dict.fromkeys(filter(None, paths))))


def is_ancestor(git: Git, old: str, new: str) -> bool:
    """Whether one commit is in the history of another, or is the same. Raises GitFailed."""
    return git.run("merge-base", "--is-ancestor", old, new, ok=(0, 1)).code == 0


LANDED, UNCHANGED = "landed", "unchanged"


def find_landed(git: Git, onto: str, head: str, base: str) -> str | None:
    """LANDED if a branch has the work that began at `base`, UNCHANGED if none was done, else None. Raises GitFailed."""
    if head == base:
        return UNCHANGED
    return LANDED if is_landed(git, onto, head) else None


def is_landed(git: Git, onto: str, head: str) -> bool:
    """Whether merging the work into a branch would change no file: it was merged, squashed or picked. Raises
    GitFailed."""
    return merge_tree(git, onto, head) == git.line("rev-parse", "--verify", f"{onto}^{{tree}}")


def make_merge(git: Git, onto: str, head: str, how: str, message: str) -> Merge | Conflict:
    """The commits with which the work would land on a branch that is at `onto`. No ref is changed. Raises GitFailed, if
    git does not know who commits too."""
    if is_ancestor(git, onto, head):
        tree = git.line("rev-parse", "--verify", f"{head}^{{tree}}")
        commit = head if how != SQUASH else _commit(git, tree, message, onto)
        return Merge(commit, head, tree)
    if how == FF:
        return Conflict((), "it has commits that the work does not have")
    merged = merge_tree(git, onto, head)
    if isinstance(merged, Conflict):
        return merged
    brought = _commit(git, merged, message, onto, head)
    return Merge(brought if how == MERGE else _commit(git, merged, message, onto), brought, merged)


def landing_message(title: str, task: str) -> str:
    """The message of a commit that lands a task, with the task's address as its trailer."""
    words = " ".join("".join(each if each.isprintable() else " " for each in title).split())
    return f"{words or f'Task {task}'}\n\n{TRAILER}: {task}\n"


TRAILER = "Agentq-Task"


def _commit(git: Git, tree: str, message: str, *parents: str) -> str:
    options = [word for parent in parents for word in ("-p", parent)]
    config = ("i18n.commitEncoding=UTF-8",)
    return git.run("commit-tree", tree, *options, stdin=message.encode(errors="replace"), config=config).line()
