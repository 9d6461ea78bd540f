"""Makes and removes the working tree of a line of work. All of it can be killed anywhere and done again.

A tree is made when its registration carries the mark of `registrations`; until then nobody has worked in it, and what
there is of it is thrown away and made anew. The caller's checkout is read, and never written to.
"""

from __future__ import annotations

import contextlib
import os

from agentq_cli.base.dataclass import dataclass
from agentq_cli.base.environment import find_program
from agentq_cli.base.errors import AgentqError
from agentq_cli.git import included, submodules, tree_lock
from agentq_cli.git.branches import find_branch
from agentq_cli.git.ref_lock import free_ref
from agentq_cli.git.registrations import Registration, registration, registrations
from agentq_cli.git.repository import HEADS
from agentq_cli.git.runner import WRITE_SECONDS
from agentq_cli.host.tmpdir import remove_below

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from agentq_cli.git.repository import Repository
    from agentq_cli.git.runner import Git

GONE = "gone"
LOST = "lost"
"""What lies beside a tree (`tree_lock.beside`): one that is being deleted, and files that were found in its place and
are kept."""

MOST_LINK = 8192
"""How long a `.git` file may be, in bytes."""

FORGOTTEN = "agentq-gone-"
KEPT = "agentq-modules-"
"""How the names begin, in the repository's git directory, of a registration that is being deleted, and of the
repositories of submodules that outlive their tree."""

LFS_OFF = ("filter.lfs.smudge=", "filter.lfs.process=", "filter.lfs.required=false")
LFS_OPTIONAL = ("filter.lfs.required=false",)
"""What holds for a checkout, so that no tree fails because Git LFS is missing, or its server does not answer."""


def lfs_config(git: Git) -> tuple[str, ...]:
    """The settings with which git goes on whether Git LFS is installed or not."""
    return LFS_OFF if find_program("git-lfs", git.environ.get("PATH")) is None else LFS_OPTIONAL


class SpoiledTree(AgentqError):
    """The directory of a tree is not that tree: what would start there would work somewhere else."""

    code = 1
    kind = "spoiled_tree"


@dataclass(frozen=True, slots=True)
class Plan:
    """A tree to be made. `path` is one that `tree_path` gave; `branch` is checked out there, and begins at the commit
    `start` if there is no such branch (its base, later its last known head); `reason` is what git says when it finds
    the tree locked."""

    path: str
    branch: str
    start: str
    reason: str


@dataclass(frozen=True, slots=True)
class Made:
    """A tree that is ready. `head` is the commit that its HEAD holds. `new` says whether it was made now; `vanished`,
    whether it had been made before. `notes` are sentences for whoever reads about the run."""

    head: str
    new: bool
    vanished: bool
    notes: tuple[str, ...] = ()


def tree_path(trees: str, name: str) -> str:
    """The path of a tree in the directory of the trees, as git writes it down: without symlinks. The name begins with
    no dot."""
    return os.path.join(os.path.realpath(trees), name)


def make(git: Git, repository: Repository, plan: Plan, overlay: Callable[[Git], None] | None = None) -> Made:
    """Make the tree, or find it made. `overlay` is called with git in a new tree, before the tree counts as made: it
    puts back what a snapshot holds.

    Raises Busy while another process makes or removes the tree, SpoiledTree, GitFailed, OSError. What was begun is
    then taken back; a new branch stays, at `start`.
    """
    with tree_lock.held(plan.path) as lock:
        git = _outside(git.holding(lock), repository)
        known = registration(repository.common, plan.path)
        vanished = known is not None and known.made
        if known is not None and known.made and _is_directory(plan.path):
            notes = _repair(git, known, plan)
            check_own(git.at(plan.path), known)
            return Made(_head(git.at(plan.path)), new=False, vanished=False, notes=tuple(notes))
        notes = _set_aside(plan.path) if known is None or known.made else []
        if known is not None and known.made:
            notes += _keep_submodules(repository, known)
        _clear(repository, plan)
        try:
            head, more = _make(git, repository, plan, overlay)
        except BaseException:
            with contextlib.suppress(AgentqError, OSError):
                _clear(repository, plan)
            raise
        return Made(head, new=True, vanished=vanished or bool(notes), notes=(*notes, *more))


def remove(git: Git, repository: Repository, path: str) -> None:
    """Remove a tree: its directory from its place at once, then its own registration, then its files.

    The caller knows that nobody works there and that nothing is lost; the branch stays (`delete_branch`). If there is
    no such tree, nothing is done. Raises Busy, GitFailed, OSError.
    """
    with tree_lock.held(path) as lock:
        remove_held(git.holding(lock), repository, path)


def remove_held(git: Git, repository: Repository, path: str) -> None:
    """The same for a caller that holds the lock of the tree. Raises GitFailed, OSError."""
    # While the repository is away, everything stays as it is.
    git.at(repository.common).line("rev-parse", "--git-dir")
    _discard_files(path)
    _forget(repository, path)
    _delete_gone(path)


def remove_files(path: str) -> None:
    """Remove the files of a tree whose repository is away, for a caller that holds its lock. Raises OSError."""
    _discard_files(path)
    _delete_gone(path)


def delete_branch(git: Git, branch: str, commit: str) -> None:
    """Delete a branch if it still holds this commit, with its configuration. Raises GitFailed if it holds another."""
    free_ref(git.line("rev-parse", "--path-format=absolute", "--git-common-dir"), HEADS + branch)
    if find_branch(git, branch) is not None:
        git.run("update-ref", "--no-deref", "-d", HEADS + branch, commit)
    git.run("config", "--local", "--remove-section", f"branch.{branch}", ok=(0, 5, 128))


def check_tree(git: Git) -> None:
    """Raise SpoiledTree unless git's directory is the top of a working tree, as git itself sees it: another `.git`, or
    `core.worktree`, would let an agent work in a checkout that is not its own. Raises GitFailed."""
    found = git.line("rev-parse", "--show-toplevel")
    if found != git.directory:
        raise SpoiledTree(f"tree '{git.directory}': git works in '{found}' there")


def _outside(git: Git, repository: Repository) -> Git:
    """git in the checkout that the tree is made for, or in the git directory if that checkout is gone."""
    if not os.path.lexists(f"{repository.toplevel}/.git"):
        return git.at(repository.common)
    there = git.at(repository.toplevel)
    # 128: no repository that git can use lies there.
    found = there.run("rev-parse", "--path-format=absolute", "--git-common-dir", ok=(0, 128)).line()
    return there if os.path.realpath(found) == repository.common else git.at(repository.common)


def _head(git: Git) -> str:
    check_tree(git)
    return git.line("rev-parse", "--verify", "HEAD")


def _make(git: Git, repository: Repository, plan: Plan, overlay: Callable[[Git], None] | None) -> tuple[str, list[str]]:
    there = git.at(plan.path)
    free_ref(repository.common, HEADS + plan.branch)
    _register(git, plan)
    config = lfs_config(git)
    there.run("read-tree", "--reset", "-u", "HEAD", config=config, seconds=WRITE_SECONDS)
    head = _head(there)
    known = registration(repository.common, plan.path)
    if known is None:
        raise SpoiledTree(f"tree '{plan.path}': '{repository.common}' does not know it")
    notes = []
    if git.directory == repository.toplevel:
        notes += _copy_included(git, known, plan.path)
        notes += submodules.initialise(there, repository.toplevel, config)
    if config is LFS_OFF:
        notes += _pointers(there)
    if overlay is not None:
        overlay(there)
    known.mark_made()
    return head, notes


def _register(git: Git, plan: Plan) -> None:
    new = find_branch(git, plan.branch) is None
    branch = ("-b", plan.branch, "--no-track", plan.path, plan.start) if new else (plan.path, plan.branch)
    git.run("worktree", "add", "--no-checkout", "--lock", "--reason", plan.reason, *branch)


def _copy_included(git: Git, known: Registration, path: str) -> list[str]:
    names = included.named(git)
    if not names:
        return []
    known.mark_copied(names)
    left = included.copy(git.directory, path, names)
    if not left:
        return []
    return [f"{len(left)} of {len(names)} files of {included.FILE} were not copied, such as '{os.fsdecode(left[0])}'"]


def _pointers(git: Git) -> list[str]:
    """Whether files are kept by Git LFS, which is not installed."""
    every = git.having(GIT_LITERAL_PATHSPECS="0")
    asked = ("grep", "--cached", "--quiet", "-e", "filter=lfs", "--", ":(glob)**/.gitattributes")
    if every.run(*asked, ok=(0, 1)).code != 0:
        return []
    files = every.run("ls-files", "-z", "--", ":(attr:filter=lfs)").records()
    return [f"git-lfs is not installed: {len(files)} files are pointers to what they hold"] if files else []


def _repair(git: Git, known: Registration, plan: Plan) -> list[str]:
    """Put back what an agent may have deleted: the `.git` file, without which git would find a repository further up,
    and the branch."""
    mend_link(known, plan.path)
    if find_branch(git, plan.branch) is not None:
        return []
    git.run("update-ref", "--no-deref", HEADS + plan.branch, plan.start, "")
    return [f"the branch '{plan.branch}' was gone; it was made anew at {plan.start}"]


def mend_link(known: Registration, path: str) -> None:
    """Put back the `.git` file of a tree if it is gone or leads elsewhere. Raises OSError."""
    link = f"{path}/.git"
    if os.path.isdir(link) and not os.path.islink(link):
        return  # Another repository, in which somebody may have worked; `check_own` refuses it.
    with contextlib.suppress(OSError), open(link, "rb") as file:
        found = os.fsdecode(file.read(MOST_LINK).removeprefix(b"gitdir: ").rstrip(b"\n"))
        if os.path.realpath(os.path.join(path, found)) == os.path.realpath(known.directory):
            return
    with contextlib.suppress(FileNotFoundError):
        os.unlink(link)
    with open(link, "xb") as file:
        file.write(b"gitdir: " + os.fsencode(known.directory) + b"\n")


def check_own(git: Git, known: Registration) -> None:
    """Raise SpoiledTree unless git's directory is the top of this tree, and of no other repository's. Raises
    GitFailed."""
    check_tree(git)
    found = git.line("rev-parse", "--absolute-git-dir")
    if os.path.realpath(found) != os.path.realpath(known.directory):
        raise SpoiledTree(f"tree '{git.directory}': it is a repository of its own, '{found}'")


def _is_directory(path: str) -> bool:
    return os.path.isdir(path) and not os.path.islink(path)


def _keep_submodules(repository: Repository, known: Registration) -> list[str]:
    """Keep the repositories of the submodules of a tree that vanished: an agent may have committed there."""
    modules = f"{known.directory}/modules"
    if not os.path.isdir(modules):
        return []
    kept = f"{repository.common}/{KEPT}{os.path.basename(known.directory)}-{os.urandom(4).hex()}"
    os.rename(modules, kept)
    return [f"the commits in submodules of the tree that vanished are kept in '{kept}'"]


def _set_aside(path: str) -> list[str]:
    """Rename what lies in the tree's place and is not that tree: somebody may have worked there."""
    with contextlib.suppress(OSError):
        os.rmdir(path)  # An empty directory says nothing.
    if not os.path.lexists(path):
        return []
    number = 1
    while os.path.lexists(aside := tree_lock.beside(path, f"{LOST}-{number}")):
        number += 1
    os.rename(path, aside)
    return [f"what lay in the place of the tree did not belong to the repository any more; it is in '{aside}'"]


def _clear(repository: Repository, plan: Plan) -> None:
    """Throw away what is left of a tree that was not made whole, or that vanished."""
    _discard_files(plan.path)
    _forget(repository, plan.path, plan.reason)
    _delete_gone(plan.path)


def _discard_files(path: str) -> None:
    """Take the directory out of everybody's sight in one step."""
    _delete_gone(path)
    with contextlib.suppress(FileNotFoundError):
        os.rename(path, tree_lock.beside(path, GONE))


def _delete_gone(path: str) -> None:
    gone = tree_lock.beside(path, GONE)
    if os.path.lexists(gone):
        remove_below(os.path.dirname(gone), os.path.basename(gone))


def _forget(repository: Repository, path: str, reason: str | None = None) -> None:
    """Have git forget the tree at `path`, whose files are gone, and no other; also a tree with this reason whose path
    git was killed before writing down.

    Renamed first: what is left of a directory that git was killed in, it takes for a damaged tree and stops at. git
    itself removes no more than this directory (`git worktree remove`), and reads all others for it.
    """
    for each in registrations(repository.common):
        if each.path == path or (each.path is None and each.reason is not None and each.reason == reason):
            name = f"{FORGOTTEN}{os.path.basename(each.directory)}-{os.urandom(4).hex()}"
            os.rename(each.directory, f"{repository.common}/{name}")
    for name in os.listdir(repository.common):
        if name.startswith(FORGOTTEN):
            remove_below(repository.common, name)
    with contextlib.suppress(OSError):  # There are others.
        os.rmdir(f"{repository.common}/worktrees")
