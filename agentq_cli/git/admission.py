"""What is asked of a repository before a task with a tree of its own is stored. Reads, and changes nothing."""

from __future__ import annotations

from agentq_cli.base.dataclass import dataclass
from agentq_cli.git.branches import check_branch, find_branch
from agentq_cli.git.carried import refuse_unmerged
from agentq_cli.git.refusals import UnknownRef
from agentq_cli.git.repository import HEADS, Repository, count_uncommitted, find_commit, find_repository, refuse_inside

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.git.runner import Git

CARRIED = "."
"""The base that takes the caller's uncommitted files along (`carried.carry`)."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """A task can have its tree in `repository`. `base` is the name to be stored and resolved when the tree is made,
    `commit` what it stands for now. `left_out` is how many uncommitted files of the checkout the tree will not have."""

    repository: Repository
    base: str
    commit: str
    left_out: int


def admit(
    git: Git, *, branch: str, trees: str, ours: str | None = None, base: str | None = None, land: str | None = None
) -> Admitted:
    """Whether a tree with this branch can be made for git's directory, in the directory `trees`.

    `ours` is the path of the tree that the branch belongs to, if this line of work has one already. Without `base` the
    branch begins where `land` is, else where HEAD is. Raises GitMissing, every error of `refusals`, GitFailed.
    """
    repository = find_repository(git)
    refuse_inside(repository, trees)
    check_branch(git, branch, ours=ours)
    if land is not None and find_branch(git, land) is None:
        raise UnknownRef(f"--land '{land}': no such branch in '{repository.toplevel}'")
    name = base or (repository.head if land is None else HEADS + land)
    if name == CARRIED:
        refuse_unmerged(git.at(repository.toplevel))
        return Admitted(repository, CARRIED, find_commit(git, "HEAD"), 0)
    return Admitted(repository, name, find_commit(git, name), count_uncommitted(git))
