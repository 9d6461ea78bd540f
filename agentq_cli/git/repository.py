"""The repository that a directory lies in, and what of it `--worktree` needs."""

from __future__ import annotations

import os

from agentq_cli.base.dataclass import dataclass
from agentq_cli.git.refusals import BadPlace, BareRepository, NoRepository, UnbornHead, UnknownRef, UnsafeRepository
from agentq_cli.git.runner import GitFailed, first_line, require_git

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.git.runner import Git

HEADS = "refs/heads/"


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository with a checkout: `toplevel` is the checkout's own directory, `prefix` the subdirectory of it that
    was asked about ('' for itself), `common` the git directory that all checkouts share, `object_format` sha1 or
    sha256. Paths are absolute, without symlinks. `head` is the branch that HEAD is on (`refs/heads/X`), or the commit
    if HEAD is on none."""

    toplevel: str
    prefix: str
    common: str
    object_format: str
    head: str

    @property
    def branch(self) -> str | None:
        """The name of the branch that HEAD is on."""
        return self.head.removeprefix(HEADS) if self.head.startswith(HEADS) else None


def find_repository(git: Git) -> Repository:
    """The repository that git's directory lies in. Raises GitMissing, NoRepository, BareRepository, UnsafeRepository,
    UnbornHead, GitFailed."""
    require_git(git.environ)
    where = git.directory
    try:
        bare, inside, object_format = git.line(
            "rev-parse", "--is-bare-repository", "--is-inside-work-tree", "--show-object-format"
        ).split("\n")
    except GitFailed as error:
        raise _refusal(where, error) from error
    if inside != "true":
        what = "a bare repository, which" if bare == "true" else "the git directory of a repository, which"
        raise BareRepository(f"--worktree: '{where}' is in {what} has no files checked out")
    # One question each: a path may contain a newline.
    toplevel = git.line("rev-parse", "--show-toplevel")
    common = git.line("rev-parse", "--path-format=absolute", "--git-common-dir")
    prefix = os.path.relpath(os.path.realpath(where), toplevel)
    return Repository(
        toplevel, "" if prefix == "." else prefix, os.path.realpath(common), object_format, find_head(git)
    )


def find_common(git: Git) -> str | None:
    """The git directory that all checkouts of the repository share that git's directory lies in; None if it lies in
    none that git can use."""
    try:
        return os.path.realpath(git.line("rev-parse", "--path-format=absolute", "--git-common-dir"))
    except GitFailed:
        return None


def find_head(git: Git) -> str:
    """The branch that HEAD is on as `refs/heads/X`, or the commit if it is on none. Raises UnbornHead, GitFailed."""
    branch = git.run("symbolic-ref", "--quiet", "HEAD", ok=(0, 1)).line()
    commit = git.run("rev-parse", "--verify", "--quiet", "HEAD", ok=(0, 1)).line()
    if not commit:
        raise UnbornHead(
            f"--worktree: HEAD is on '{branch.removeprefix(HEADS)}', which has no commit yet; commit first"
        )
    return branch or commit


def find_commit(git: Git, name: str) -> str:
    """The id of the commit that a name stands for, by git's own rules. Raises UnknownRef, GitFailed."""
    # A name that begins with a dash would be an option.
    if name and not name.startswith("-") and "\0" not in name:
        found = git.run("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}", ok=(0, 1, 128)).line()
        if found.isalnum():  # A range would be two commits, and an excluded one begins with `^`.
            return found
    raise UnknownRef(f"--base '{name}': no commit of this name in '{git.directory}'")


def refuse_inside(repository: Repository, trees: str) -> None:
    """Raise BadPlace if the directory of the trees lies in the repository's checkout or git directory: git and every
    tool that searches the checkout would find the trees."""
    place = os.path.realpath(trees)
    for around in (repository.toplevel, repository.common):
        if os.path.commonpath((place, around)) == around:
            raise BadPlace(f"trees '{trees}': lies inside the repository '{around}'; set `trees` to another place")


def count_uncommitted(git: Git) -> int:
    """How many files of the checkout differ from HEAD or are untracked, and not ignored. Raises GitFailed."""
    told = git.run(
        "status", "--porcelain=v2", "-z", "--untracked-files=all", "--no-renames", "--ignore-submodules=dirty"
    )
    return len(told.records())


def _refusal(where: str, error: GitFailed) -> NoRepository | UnsafeRepository | GitFailed:
    if "dubious ownership" in error.stderr:
        return UnsafeRepository(
            f"--worktree: git refuses the repository of '{where}', which belongs to somebody else;"
            f" `git config --global --add safe.directory` allows it"
        )
    said = first_line(error.stderr)
    if said.startswith("not a git repository (or any"):
        return NoRepository(f"--worktree: '{where}' is in no git repository")
    return NoRepository(f"--worktree: '{where}': {said}") if error.status == 128 else error
