"""What is asked of a repository before a task with a tree of its own is stored. Reads, and changes nothing."""

from __future__ import annotations

from agentq_cli.base.dataclass import dataclass
from agentq_cli.git.branches import find_branch, require_name
from agentq_cli.git.carried import refuse_unmerged
from agentq_cli.git.checkouts import find_checkouts
from agentq_cli.git.refusals import UnknownRef, UnknownRemote
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


def admit(git: Git, *, trees: str, base: str | None = None, land: str | None = None) -> Admitted:
    """Whether trees of git's directory can be made in the directory `trees`; `branches.check_branch` says whether one
    can have its branch.

    Without `base` the branch begins where `land` is, else where HEAD is. Raises GitMissing, every error of `refusals`,
    GitFailed.
    """
    repository = find_repository(git)
    refuse_inside(repository, trees)
    if land is not None:
        require_name(git, land, "--land")
    if land is not None and find_branch(git, land) is None:
        raise UnknownRef(f"--land '{land}': no such branch in '{repository.toplevel}'")
    name = base or (repository.head if land is None else HEADS + land)
    if name == CARRIED:
        refuse_unmerged(git.at(repository.toplevel))
        return Admitted(repository, CARRIED, find_commit(git, "HEAD"), 0)
    return Admitted(repository, name, find_commit(git, name), count_uncommitted(git))


def require_remote(git: Git, remote: str) -> None:
    """Raise UnknownRemote unless the repository has a remote of this name. Raises GitFailed."""
    known = git.run("remote").out.decode(errors="surrogateescape").splitlines()
    if remote not in known:
        raise UnknownRemote(f"--push '{remote}': no such remote in '{git.directory}'")


def lasting_checkout(git: Git, repository: Repository, trees: str) -> str:
    """The checkout that a task belongs to: where it was submitted, but not a tree of agentq, which will be gone one
    day; then the main one. Raises GitFailed."""
    if not repository.toplevel.startswith(f"{trees}/"):
        return repository.toplevel
    return next((each.path for each in find_checkouts(git) if not each.missing), repository.toplevel)
