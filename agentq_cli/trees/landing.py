"""What git does to land the work of a task's tree, each part a step of `policy.landing_steps`; and one at a time for
each branch of a repository."""

from __future__ import annotations

import os

from agentq_cli.base.clock import awake_ms
from agentq_cli.base.errors import AgentqError
from agentq_cli.git import landing as git_landing
from agentq_cli.git.advance import Held, commit_at
from agentq_cli.git.landing import CheckAgain, Landed, Nothing, Uncommitted, Work
from agentq_cli.git.merge import MERGE, Conflict
from agentq_cli.git.registrations import registration
from agentq_cli.git.repository import HEADS, find_common
from agentq_cli.git.trees import lfs_config
from agentq_cli.git.visit import go_home, visit
from agentq_cli.model.trees import Came
from agentq_cli.policy.landing_steps import AGAIN, DONE, Do, Reply, few

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.git.runner import Git
    from agentq_cli.model.trees import Asked

PATIENCE_MS = 5_000
AGAIN_MS = 100
"""How long a lock of somebody's git is waited for, such as that of a person's commit, and how often it is tried."""


def perform(do: Do, git: Git, asked: Asked, start: str, *, checked: str | None = None, onto: str = "") -> Reply:
    """Do a step in the tree that git runs in; `start` is the commit at which its branch began. `checked` is the tree
    that the check passed on, None if there is no check; `onto` the commit to visit.

    What git cannot do holds the landing, with what git said.
    """
    try:
        if do is Do.LAND:
            return _land(git, work_of(git, asked, start), checked)
        if do is Do.PUSH:
            return _done(git_landing.push(_pushing(git, asked), asked.push or "", asked.land or ""))
        if do is Do.VISIT:
            return _done(visit(git, asked.branch, onto, lfs_config(git)))
        return _done(go_home(git, lfs_config(git)))
    except AgentqError as error:
        return Reply(Came.HELD, why=error.message)
    except OSError as error:
        return Reply(Came.HELD, why=f"'{error.filename or git.directory}': {error.strerror}")


def _pushing(git: Git, asked: Asked) -> Git:
    """Where the push runs: a remote may have a relative path, which is meant from the checkout."""
    checkout = git.at(asked.checkout)
    return checkout if os.path.isdir(asked.checkout) and find_common(checkout) == asked.repository else git


def work_of(git: Git, asked: Asked, start: str) -> Work:
    """What is to land of a tree that git runs in."""
    known = registration(asked.repository, asked.path)
    return Work(
        branch=asked.branch,
        base=start,
        onto=asked.land or "",
        how=asked.land_as or MERGE,
        title=asked.title,
        task=f"{asked.session}/{asked.number}",
        copied=frozenset(map(os.fsdecode, () if known is None else known.copied())),
        config=lfs_config(git),
    )


def _land(git: Git, work: Work, checked: str | None) -> Reply:
    deadline = awake_ms() + PATIENCE_MS
    while True:
        found = git_landing.land(git, work, checked)
        if isinstance(found, Nothing) and checked == "":
            # Nothing is completed unchecked, not even work that changes nothing.
            return Reply(AGAIN, tree=git.line("rev-parse", "HEAD^{tree}"), onto=commit_at(git, HEADS + work.onto))
        if not (isinstance(found, Held) and _is_lock(found)) or awake_ms() >= deadline:
            return reply_to(found)
        _pause()


def reply_to(found: git_landing.Outcome) -> Reply:
    """What git's part of a landing came to."""
    match found:
        case Landed():
            return Reply(Came.LANDED, found.commit, found.tree)
        case Nothing():
            return Reply(Came.NOTHING)
        case Uncommitted():
            return Reply(Came.UNCOMMITTED, paths=few(found.paths))
        case CheckAgain():
            return Reply(AGAIN, tree=found.tree, onto=found.onto)
        case Conflict():
            return Reply(Came.CONFLICT, paths=few(found.paths), why=found.why or None)
        case Held():
            return _done(found)


def _done(held: Held | None) -> Reply:
    return Reply(DONE) if held is None else Reply(Came.HELD, paths=few(held.paths), why=held.why)


def _is_lock(held: Held) -> bool:
    """Whether another process of git holds it, which may end at any moment."""
    return ".lock'" in held.why or any(path.endswith(".lock") for path in held.paths)


def _pause() -> None:
    import time

    time.sleep(AGAIN_MS / 1000)
