"""Shows another commit in a tree for a while, such as the branch alone for a check, and goes back; completed after any
kill."""

from __future__ import annotations

import contextlib
import os

from agentq_cli.git.advance import HEAD, Held, Move, Moved, advance, commit_at, complete
from agentq_cli.git.repository import HEADS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentq_cli.git.runner import Git

MARK = "agentq-visit"
"""A file in the repository's directory for the tree, with the branch to go back to: it tells a HEAD that we detached
from one that an agent did."""


def visit(git: Git, branch: str, commit: str, config: Sequence[str] = ()) -> Held | None:
    """Bring the files of git's tree, which is on `branch` and clean, to a commit; None when done.

    HEAD is detached until `go_home`. The branch stays where it is. Raises GitFailed and OSError.
    """
    with open(_mark(git), "wb") as file:
        file.write(os.fsencode(branch))
    head = commit_at(git, HEAD)
    held = _move(git, head, commit, f"agentq: a look at {commit}", config)
    if held is not None:
        os.unlink(_mark(git))
    return held


def go_home(git: Git, config: Sequence[str] = ()) -> Held | None:
    """Complete what a killed agentq had begun in git's tree, and go back to the branch if a visit is not over; None
    when done, and if there was nothing to do.

    Comes before a snapshot of the tree and before everything else there. What a check wrote into files of the branch
    holds it. Raises GitFailed and OSError.
    """
    held = complete(git, config)
    if held is not None:
        return held
    mark = _mark(git)
    try:
        with open(mark, "rb") as file:
            branch = os.fsdecode(file.read())
    except FileNotFoundError:
        return None
    if branch:
        head, commit = commit_at(git, HEAD), commit_at(git, HEADS + branch)
        held = _move(git, head, commit, f"agentq: back to {branch}", config)
        if held is not None:
            return held
        git.run("symbolic-ref", "-m", f"agentq: back to {branch}", HEAD, HEADS + branch)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(mark)
    return None


def _move(git: Git, old: str, new: str, reason: str, config: Sequence[str]) -> Held | None:
    stopped = advance(git, Move(HEAD, old, new), reason, config)
    return Held("HEAD moved meanwhile") if isinstance(stopped, Moved) else stopped


def _mark(git: Git) -> str:
    return os.path.join(git.line("rev-parse", "--absolute-git-dir"), MARK)
