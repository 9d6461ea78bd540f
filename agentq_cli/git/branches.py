"""The refs of sessions and tasks, and whether a branch is free."""

from __future__ import annotations

import os

from agentq_cli.base.dataclass import NamedTuple
from agentq_cli.base.names import is_name
from agentq_cli.git.refusals import BadBranch, BranchCheckedOut, BranchTaken
from agentq_cli.git.repository import HEADS
from agentq_cli.model.branches import (
    FIRST,
    OF_CONVERSATIONS,
    OF_SESSIONS,
    OF_TASKS,
    conversation_branch,
    decoded,
    encoded,
    task_branch,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.git.runner import Git

SNAPSHOTS = "refs/agentq/"
CARRIED = "refs/agentq/%carried/"


class OfLine(NamedTuple):
    """Whose a default branch is: a task's, or a session's conversation's with this key."""

    session: str
    seq: int | None
    key: str | None


def line_of(branch: str) -> OfLine | None:
    """Whose the branch is by its name; None for a branch that is no default one."""
    if branch.startswith(OF_SESSIONS):
        found = OfLine(decoded(branch.removeprefix(OF_SESSIONS)), None, FIRST)
        again = conversation_branch(found.session, None)
    elif branch.startswith(OF_CONVERSATIONS):
        session, _, key = branch.removeprefix(OF_CONVERSATIONS).partition("/")
        found = OfLine(decoded(session), None, decoded(key))
        again = conversation_branch(found.session, found.key)
    else:
        session, _, digits = branch.removeprefix(OF_TASKS).partition("/")
        if not branch.startswith(OF_TASKS) or not digits.isdecimal():
            return None
        found = OfLine(decoded(session), int(digits), None)
        again = task_branch(found.session, int(digits))
    if not is_name(found.session) or not (found.key is None or is_name(found.key)):
        return None
    return found if again == branch else None


def snapshot_ref(session: str, number: int, run: int) -> str:
    """The ref of what run K of task SESSION/N left."""
    return f"{SNAPSHOTS}{encoded(session)}/{number}.{run}"


def carried_ref(commit: str) -> str:
    """The ref that keeps what was taken along from a checkout (`--base .`), until no task begins there any more: then
    whoever prunes removes it. No session has a percent sign in its name."""
    return f"{CARRIED}{commit}"


def removal_ref(session: str, tree: str, at: int) -> str:
    """The ref of what a tree of a session held when it was removed, by the tree's name and the time in milliseconds
    UTC."""
    return f"{SNAPSHOTS}{encoded(session)}/removed-{tree}-{at}"


def run_of(ref: str) -> tuple[str, int, int] | None:
    """Session, task and run of a snapshot's ref; None for another ref."""
    component, _, rest = ref.removeprefix(SNAPSHOTS).partition("/")
    number, _, run = rest.partition(".")
    if not (number.isdecimal() and run.isdecimal()):
        return None
    found = decoded(component), int(number), int(run)
    return found if is_name(found[0]) and snapshot_ref(*found) == ref else None


def find_branch(git: Git, branch: str) -> str | None:
    """The commit that a branch of exactly this name holds; None if there is no such branch. Raises GitFailed."""
    return git.run("show-ref", "--verify", "--hash", HEADS + branch, ok=(0, 1, 128)).line() or None


def short_names(git: Git, *below: str) -> list[str]:
    """The short names of all refs below these, such as `refs/tags`. Raises GitFailed."""
    told = git.run("for-each-ref", "--format=%(refname:short)", *below, seconds=2)
    return told.out.decode(errors="surrogateescape").splitlines()


def require_name(git: Git, branch: str, what: str) -> None:
    """Raise BadBranch, which names the option, unless a branch can have this name. Raises GitFailed.

    git-branch(1) makes no branch `HEAD` or `@`, which mean another thing everywhere; and one below `refs/` would be
    another than the one that is meant.
    """
    odd = branch in ("", "HEAD", "@") or branch.startswith(("-", "refs/"))
    if odd or git.run("check-ref-format", HEADS + branch, ok=(0, 1)).code != 0:
        raise BadBranch(f"{what} '{branch}': not a name that git takes for a branch")


def check_branch(git: Git, branch: str, *, ours: str | None = None) -> str | None:
    """The commit that the branch holds, or None if it is to be made.

    `ours` is the path of the tree that the branch belongs to, if agentq made the branch for this line of work. Raises
    BadBranch for a name that git does not take or that another branch stands in the way of, BranchCheckedOut if it is
    checked out in another tree, BranchTaken if somebody else made it, GitFailed.
    """
    require_name(git, branch, "--branch")
    found = False
    for each in _branches_around(git, branch):
        if each != branch:
            raise BadBranch(f"--branch '{branch}': the branch '{each}' is in its way; git keeps both as files")
        found = True
    if not found:
        return None
    held = _holder(git, branch)
    if held is not None and held != ours:
        raise BranchCheckedOut(f"--branch '{branch}': checked out in '{held}'; name another one")
    if ours is None:
        raise BranchTaken(f"--branch '{branch}': already there, and not made for this; name another one")
    return find_branch(git, branch)


def _branches_around(git: Git, branch: str) -> list[str]:
    """The branch itself if it exists, what lies below its name, and those that its name lies below."""
    below = git.run("for-each-ref", "--format=%(refname)", HEADS + branch).out.decode(errors="surrogateescape")
    found = [line.removeprefix(HEADS) for line in below.splitlines()]
    words = branch.split("/")
    above = ["/".join(words[:count]) for count in range(1, len(words))]
    asked = "".join(f"{HEADS}{each}\n" for each in above)
    told = git.run("cat-file", "--batch-check", stdin=os.fsencode(asked)).out.splitlines()
    return found + [each for each, line in zip(above, told, strict=True) if not line.endswith(b" missing")]


def _holder(git: Git, branch: str) -> str | None:
    """The working tree that a branch is checked out in."""
    path = git.run("for-each-ref", "--format=%(worktreepath)", HEADS + branch).line()
    return path or None
