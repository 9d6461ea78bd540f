"""Moves a branch together with the checkout that has it, as `git merge --ff-only` does; completed after any kill.

The index stays locked from before the branch moves until the files and the index have followed, so nobody can commit
in between and undo what has just come. The new index is made beside the old one and takes its place at the end.
"""

from __future__ import annotations

import os

from agentq_cli.base.dataclass import dataclass
from agentq_cli.git.carried import copied_index
from agentq_cli.git.index_lock import IndexLock, Locked, lock_index, take_left
from agentq_cli.git.merge import is_ancestor
from agentq_cli.git.moved_files import find_differences, in_the_way, rewind
from agentq_cli.git.runner import WRITE_SECONDS, Git, GitFailed, first_line
from agentq_cli.git.status import find_status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

INDEX = "agentq-index"
HEAD = "HEAD"


@dataclass(frozen=True, slots=True)
class Held:
    """It cannot be done now: why, and the paths that it is about."""

    why: str
    paths: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Moved:
    """The branch was not where it should have been: it is at `commit`, empty if it is gone."""

    commit: str


@dataclass(frozen=True, slots=True)
class Move:
    """A ref of a checkout goes from one commit to another. The ref `HEAD` is detached by that."""

    ref: str
    old: str
    new: str

    def text(self) -> str:
        return f"{self.ref} {self.old} {self.new}\n"

    @staticmethod
    def read(text: str) -> Move:
        ref, old, new = text.split()
        return Move(ref, old, new)


def advance(git: Git, move: Move, reason: str, config: Sequence[str] = ()) -> Held | Moved | None:
    """Move a branch that git's checkout has, and the files with it; None when done. `reason` is for the branch's log.

    Files that the move does not touch stay as they are, changed, staged or untracked. What prevents it changes nothing.
    Raises GitFailed and OSError; if the branch has moved by then, `complete` does the rest.
    """
    own = git.line("rev-parse", "--absolute-git-dir")
    while True:
        try:
            lock = lock_index(own, move.text())
        except Locked:
            return _locked(own)
        if lock.purpose == move.text():
            return _advance(git.holding(lock.descriptor), own, lock, move, reason, config)
        held = _complete(git, own, lock, config)
        if held is not None:
            return held


def complete(git: Git, config: Sequence[str] = ()) -> Held | None:
    """Complete what an agentq that was killed had begun in git's checkout. Raises GitFailed and OSError."""
    own = git.line("rev-parse", "--absolute-git-dir")
    try:
        lock = take_left(own)
    except Locked:
        return _locked(own)
    return None if lock is None else _complete(git, own, lock, config)


def _locked(own: str) -> Held:
    return Held("another git process holds the index", (os.path.join(own, "index.lock"),))


def move_ref(git: Git, move: Move, reason: str) -> Held | Moved | None:
    """Move a ref by compare-and-swap; None when done. Raises GitFailed if it cannot be read."""
    detach = ("--no-deref",) if move.ref == HEAD else ()
    try:
        git.run("update-ref", *detach, "-m", reason, move.ref, move.new, move.old)
    except GitFailed as failure:
        now = commit_at(git, move.ref)
        return Held(first_line(failure.stderr) or failure.message) if now == move.old else Moved(now)
    return None


def commit_at(git: Git, ref: str) -> str:
    """The commit that a ref names; empty if there is none. Raises GitFailed."""
    answer = git.run("rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}", ok=(0, 1, 128))
    return answer.line() if answer.code == 0 else ""


def _advance(
    git: Git, own: str, lock: IndexLock, move: Move, reason: str, config: Sequence[str]
) -> Held | Moved | None:
    try:
        prevented: Held | Moved | None = _try(git, own, move, config)
    except BaseException:
        lock.release()
        raise
    try:
        prevented = prevented or move_ref(git, move, reason)
        if prevented is None:
            _follow(git, own, move, config)
        _forget(own)
    except BaseException:
        lock.leave()
        raise
    lock.release()
    return prevented


def _try(git: Git, own: str, move: Move, config: Sequence[str]) -> Held | None:
    """What prevents the files from following, found out without a change."""
    differences = find_differences(git, move.old, move.new)
    beside = _beside(git, own, config)
    found = in_the_way(beside, differences)
    if found:
        return Held("files are in the way", found)
    answer = beside.run("read-tree", "-m", "-u", "-n", move.old, move.new, config=config, ok=(0, 1, 128))
    if answer.code == 0:
        return None
    touched = {each.path for each in differences}
    both = tuple(path for path in find_status(beside, config=config).paths() if path.rstrip("/") in touched)
    return Held("changed here and in what comes" if both else first_line(answer.err), both)


def _follow(git: Git, own: str, move: Move, config: Sequence[str]) -> None:
    """Bring files and index from the old commit to the new one."""
    beside = _beside(git, own, config)
    beside.run("read-tree", "-m", "-u", move.old, move.new, config=config, seconds=WRITE_SECONDS)
    os.replace(os.path.join(own, INDEX), os.path.join(own, "index"))


def _complete(git: Git, own: str, lock: IndexLock, config: Sequence[str]) -> Held | None:
    """Complete the move that a lock was left for. Held: somebody has changed a file in the meantime; the lock stays."""
    try:
        move = Move.read(lock.purpose)
        git = git.holding(lock.descriptor)
        now = commit_at(git, move.ref)
        if now and (now == move.new or (move.ref != HEAD and is_ancestor(git, move.new, now))):
            beside = _beside(git, own, config)
            changed = rewind(beside, find_differences(git, move.old, move.new), config)
            if changed:
                lock.leave()
                return Held("changed while the files were being updated", changed)
            os.replace(os.path.join(own, INDEX), os.path.join(own, "index"))
            _follow(git, own, move, config)
        _forget(own)
    except BaseException:
        lock.leave()
        raise
    lock.release()
    return None


def _beside(git: Git, own: str, config: Sequence[str]) -> Git:
    """git with a copy of the index, as new as the index is: from its time git tells which files it must read again."""
    _forget(own)
    copy = os.path.join(own, INDEX)
    copied_index(git, copy)
    beside = git.having(GIT_INDEX_FILE=copy)
    beside.run("update-index", "-q", "--refresh", config=config, ok=(0, 1), seconds=WRITE_SECONDS)
    return beside


def _forget(own: str) -> None:
    import contextlib

    for name in (INDEX, f"{INDEX}.lock"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(own, name))
