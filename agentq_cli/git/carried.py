"""`--base .`: what a checkout holds beyond HEAD as a commit, over a copy of its index. Nothing of the checkout is
written to: its files, its index, its HEAD and its stash stay as they are."""

from __future__ import annotations

import os
import shutil
import tempfile

from agentq_cli.git.branches import carried_ref
from agentq_cli.git.refusals import Unmerged
from agentq_cli.git.runner import WRITE_SECONDS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from agentq_cli.git.repository import Repository
    from agentq_cli.git.runner import Git

MESSAGE = "Uncommitted work that a task began with"


def carry(git: Git, repository: Repository) -> str:
    """The commit of what the checkout holds: HEAD itself if nothing is uncommitted, else a new one on top of HEAD. A
    ref keeps it (`branches.carried_ref`).

    Files that are ignored are not taken along, nor are repositories that lie in the checkout. Raises Unmerged,
    GitFailed, OSError.
    """
    git = git.at(repository.toplevel)
    refuse_unmerged(git)
    head = git.line("rev-parse", "--verify", "HEAD^{commit}")
    with tempfile.TemporaryDirectory(prefix="agentq-") as place:
        copied_index(git, f"{place}/index")
        tree = work_tree(git.having(GIT_INDEX_FILE=f"{place}/index"))
    commit = head
    if tree != git.line("rev-parse", f"{head}^{{tree}}"):
        commit = git.line("commit-tree", tree, "-p", head, "-m", MESSAGE)
    git.run("update-ref", "--no-deref", carried_ref(commit), commit)
    return commit


def is_carried(git: Git, base: str) -> bool:
    """Whether this base is a commit that `carry` made. Raises GitFailed."""
    if not base.isalnum():
        return False
    return git.run("log", "-1", "--format=%s", carried_ref(base), "--", ok=(0, 128)).line() == MESSAGE


def refuse_unmerged(git: Git) -> None:
    """Raise Unmerged if the checkout has unmerged files: the commit would hold their conflict markers. Raises
    GitFailed."""
    if git.run("ls-files", "-z", "--unmerged").out:
        raise Unmerged(f"--base '.': '{git.directory}' has unmerged files; finish the merge first")


def copied_index(git: Git, place: str) -> None:
    """Copy the index of git's directory, if it has one. Raises GitFailed, OSError."""
    index = os.path.join(git.directory, git.line("rev-parse", "--git-path", "index"))
    try:
        reading = open(index, "rb")  # noqa: SIM115
    except FileNotFoundError:
        return
    with reading, open(place, "wb") as writing:
        found = os.fstat(reading.fileno())
        shutil.copyfileobj(reading, writing)
    # With its time: git reads again what changed in the tick in which the index was written, and no earlier file.
    os.utime(place, ns=(found.st_atime_ns, found.st_mtime_ns))


def work_tree(git: Git) -> str:
    """The tree object of all files of a checkout that are not ignored, made in the index that git was given. Raises
    GitFailed."""
    told = git.run("ls-files", "-z", "--modified", "--deleted", "--others", "--exclude-standard").records()
    # A repository inside the checkout is shown as a directory.
    names = dict.fromkeys(name for name in told if not name.endswith(b"/"))
    gone = [name for name in names if _is_now_directory(os.path.join(os.fsencode(git.directory), name))]
    _update(git, ("--force-remove",), gone)
    _update(git, ("--add", "--remove", "--replace"), names.keys() - set(gone))
    return git.run("write-tree", seconds=WRITE_SECONDS).line()


def _is_now_directory(path: bytes) -> bool:
    """Whether a directory took the place of a file; a submodule's is as it should be."""
    return os.path.isdir(path) and not os.path.islink(path) and not os.path.lexists(path + b"/.git")


def _update(git: Git, how: Sequence[str], names: Collection[bytes]) -> None:
    if names:
        git.run(
            *("update-index", "-z", *how, "--stdin"),
            stdin=b"".join(name + b"\0" for name in names),
            config=("core.splitIndex=false",),
            seconds=WRITE_SECONDS,
        )
