"""Lands a task's work on a branch: merged without a checkout, checked again if need be, and moved by compare-and-swap.

Nothing is remembered between calls. Each call reads where the branches are, so whoever was killed calls again, and what
has landed already is found to have landed.
"""

from __future__ import annotations

from agentq_cli.base.dataclass import dataclass
from agentq_cli.git.advance import Held, Move, Moved, advance, complete, move_ref
from agentq_cli.git.branches import find_branch
from agentq_cli.git.checkouts import find_checkouts
from agentq_cli.git.hidden import find_hidden
from agentq_cli.git.merge import TRAILER, Conflict, is_ancestor, landing_message, make_merge
from agentq_cli.git.repository import HEADS
from agentq_cli.git.runner import WRITE_SECONDS, Git, GitFailed, first_line
from agentq_cli.git.status import find_status
from agentq_cli.git.visit import go_home

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_TRIES = 20
"""How often a call begins again because the branch has moved meanwhile."""


@dataclass(frozen=True, slots=True)
class Work:
    """What is to land: the `branch` of a task that lies in git's tree, which began at `base`, on the branch `onto`.

    `how` is one of merge, squash and ff; `task` the address for the trailer; `copied` what agentq brought into the
    tree; `config` switches filters off there.
    """

    branch: str
    base: str
    onto: str
    how: str
    title: str
    task: str
    copied: frozenset[str] = frozenset()
    config: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Landed:
    """The branch has the work: `before` is where it was, `commit` what landed, `tree` what was checked. `already` if it
    had the work before this call: from one that was killed, or by hand."""

    before: str
    commit: str
    tree: str
    already: bool = False


@dataclass(frozen=True, slots=True)
class Nothing:
    """There is no change against the base."""


@dataclass(frozen=True, slots=True)
class Uncommitted:
    """Files are not committed, so what was checked is not what would land."""

    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CheckAgain:
    """The task's tree was brought to the merge with the branch, which was at `onto`: check it, and land again with this
    `tree` as the one that was checked."""

    tree: str
    onto: str


Outcome = Landed | Nothing | Uncommitted | CheckAgain | Conflict | Held


def land(git: Git, work: Work, checked: str | None) -> Outcome:
    """Land the work of git's tree. `checked` is the tree that the check passed on, None if nothing is checked.

    The branch moves only to exactly that tree. Raises GitFailed and OSError; call again then, or complete the checkout.
    """
    held = go_home(git, work.config)
    if held is not None:
        return held
    status = find_status(git, config=work.config).without(work.copied)
    if status.branch != work.branch:
        return Held(f"HEAD is not on {work.branch}")
    uncommitted = (*status.paths(), *(each for each in find_hidden(git, work.config) if each not in work.copied))
    if uncommitted:
        return Uncommitted(uncommitted)
    for _ in range(MOST_TRIES):
        outcome = _land(git, work, status.head, checked)
        if not isinstance(outcome, Moved):
            return outcome
    return Held(f"{work.onto} moved {MOST_TRIES} times meanwhile")


def _land(git: Git, work: Work, head: str, checked: str | None) -> Outcome | Moved:
    onto = find_branch(git, work.onto)
    if onto is None:
        return Held(f"there is no branch {work.onto}")
    trees = git.run("rev-parse", *(f"{each}^{{tree}}" for each in (head, work.base, onto))).out.decode().split()
    if trees[0] == trees[1]:
        return Nothing()
    if is_ancestor(git, head, onto):
        return complete_checkouts(git, HEADS + work.onto) or _landed(git, work, onto, checked)
    merge = make_merge(git, onto, _own_head(git, work, head, onto), work.how, landing_message(work.title, work.task))
    if isinstance(merge, Conflict):
        return merge
    if merge.tree == trees[2]:
        held = complete_checkouts(git, HEADS + work.onto)
        if held is not None:
            return held
        _settle(git, work, head, onto)
        return _landed(git, work, onto, checked)
    reason = f"agentq: {work.task} lands on {work.onto}"
    if checked is not None and merge.tree != checked:
        brought = advance(git, Move(HEADS + work.branch, head, merge.brought), reason, work.config)
        if isinstance(brought, Moved):
            return Held(f"{work.branch} moved meanwhile")
        return brought or CheckAgain(merge.tree, onto)
    stopped = move_branch(git, Move(HEADS + work.onto, onto, merge.commit), reason)
    if stopped is not None:
        return stopped
    _settle(git, work, head, merge.commit)
    return Landed(onto, merge.commit, merge.tree)


def _landed(git: Git, work: Work, onto: str, checked: str | None) -> Landed:
    """The work that the branch has already: as the commit with the tree that was checked, or, if it landed in another
    way, as the branch is now."""
    told = git.run("log", "--first-parent", "--no-show-signature", "--format=%H %T", onto, f"^{work.base}")
    found = [line.split() for line in told.out.decode().splitlines()]
    commit = next((name for name, tree in found if tree == checked), onto)
    return Landed(onto, commit, git.line("rev-parse", "--verify", f"{commit}^{{tree}}"), already=True)


def work_below(git: Git) -> str | None:
    """The work that the commit of HEAD merged with a branch, if that commit is a landing's; empty if it has the work as
    one commit; None if it is no landing's. Raises GitFailed."""
    parents, tasks = _trailers(git, "HEAD")
    if not tasks:
        return None
    return parents[1] if len(parents) == 2 else ""


def _trailers(git: Git, commit: str) -> tuple[list[str], list[str]]:
    """The parents of a commit, and the tasks that its trailers name."""
    form = f"--format=%P%n%(trailers:key={TRAILER},valueonly)"
    lines = git.run("log", "-1", "--no-show-signature", form, commit).out.decode(errors="replace").split("\n")
    return lines[0].split(), [each for each in lines[1:] if each]


def _own_head(git: Git, work: Work, head: str, onto: str) -> str:
    """The work without a merge that an earlier call brought it to, if the branch has moved since: otherwise each of
    these would land too."""
    parents, tasks = _trailers(git, head)
    if len(parents) != 2 or work.task not in tasks or parents[0] == onto:
        return head
    return parents[1] if is_ancestor(git, parents[0], onto) else head


def _settle(git: Git, work: Work, head: str, landed: str) -> None:
    """Bring the task's branch to what landed, best effort: what comes next in its tree begins there, and a squashed
    commit does not meet the commits that it was made of."""
    import contextlib

    with contextlib.suppress(GitFailed, OSError):
        advance(git, Move(HEADS + work.branch, head, landed), f"agentq: {work.task} has landed", work.config)


def move_branch(git: Git, move: Move, reason: str) -> Held | Moved | None:
    """Move a branch by compare-and-swap, with the files where it is checked out; None when done.

    Held if a person has to finish something there first. Raises GitFailed and OSError.
    """
    checkouts = find_checkouts(git)
    having = [each for each in checkouts if each.branch == move.ref and (each.locked or not each.missing)]
    for each in checkouts:
        if each.returns_to(move.ref):
            return Held(f"{each.unfinished()} is not finished", (each.path,))
    if not having:
        return move_ref(git, move, reason)
    if len(having) > 1:
        return Held("it is checked out more than once", tuple(each.path for each in having))
    (checkout,) = having
    if checkout.missing:
        return Held("it is checked out in a directory that is not there", (checkout.path,))
    unfinished = checkout.unfinished()
    if unfinished:
        return Held(f"{unfinished} is not finished", (checkout.path,))
    return advance(git.at(checkout.path), move, reason)


def complete_checkouts(git: Git, ref: str) -> Held | None:
    """Complete what an agentq that was killed had begun where a branch is checked out. Raises GitFailed and OSError."""
    for checkout in find_checkouts(git):
        if checkout.branch == ref and not checkout.missing:
            held = complete(git.at(checkout.path))
            if held is not None:
                return held
    return None


def push(git: Git, remote: str, branch: str) -> Held | None:
    """Push a branch to a remote without force; None when done. A refusal is Held with what git said of it."""
    ref = HEADS + branch
    try:
        git.run("push", "--porcelain", "--no-verify", "--", remote, f"{ref}:{ref}", seconds=WRITE_SECONDS)
    except GitFailed as failure:
        return Held(first_line(failure.stderr) or failure.message)
    return None
