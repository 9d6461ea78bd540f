"""Landing by hand: the steps of a landing (`policy.landing_steps`), taken by a command while a person waits."""

from __future__ import annotations

import contextlib
import os

from agentq_cli.base.clock import awake_ms
from agentq_cli.base.errors import AgentqError, Busy
from agentq_cli.git import tree_lock
from agentq_cli.git.advance import Move, advance
from agentq_cli.git.branches import find_branch
from agentq_cli.git.repository import HEADS
from agentq_cli.git.trees import lfs_config
from agentq_cli.host import landing_lock
from agentq_cli.model.trees import Came
from agentq_cli.policy import landing_steps
from agentq_cli.policy.landing_steps import Do
from agentq_cli.policy.stages import NOT_FOUND
from agentq_cli.trees.landing import perform

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agentq_cli.git.runner import Git
    from agentq_cli.model.trees import Asked, Landing

PATIENCE_MS = 5_000
AGAIN_MS = 100
"""How long another landing on the same branch is waited for, and how often its lock is tried."""

DONE = frozenset({Came.LANDED, Came.NOTHING, Came.REFUSED})
"""How a landing ends that leaves the work where it is on the branch."""


@contextlib.contextmanager
def alone(asked: Asked) -> Iterator[None]:
    """Let nobody else land on the branch, and no run begin in the tree. Raises Busy, OSError."""
    with tree_lock.held(asked.path):
        deadline = awake_ms() + PATIENCE_MS
        while (lock := landing_lock.take(asked.repository, asked.land or "")) is None:
            if awake_ms() >= deadline:
                raise Busy(f"branch '{asked.land}': another landing on it is under way; try again")
            _pause()
        try:
            yield
        finally:
            os.close(lock)


def land(
    git: Git,
    asked: Asked,
    start: str,
    checked: str | None,
    check: Callable[[], int | None],
    tell: Callable[[str], None],
) -> Landing | None:
    """Land the work of the tree that git runs in, which began at the commit `start`; None if nobody can say how it
    went. Call it within `alone`.

    `checked` is the tree that the check has passed on, empty for none, None if there is no check. `check` runs it there
    and returns its exit code, None after its time-out. Unless the work lands, its branch is then where it was. `tell`
    gets a sentence about what is not. Raises GitFailed, OSError.
    """
    head = find_branch(git, asked.branch)
    step = landing_steps.begin(asked.land or "", checked, pushes=asked.push is not None)
    try:
        while step.do is not Do.END:
            if step.do is Do.CHECK:
                code = check()
                step = landing_steps.checked(step, code == 0, absent=code in NOT_FOUND)
            else:
                reply = perform(step.do, git, asked, start, checked=step.checked, onto=step.onto or "")
                step = landing_steps.replied(step, reply)
    finally:
        if step.visiting:
            perform(Do.HOME, git, asked, start)
        if head is not None and (step.landing is None or step.landing.came not in DONE):
            _put_back(git, asked.branch, head, tell)
    return step.landing


def _put_back(git: Git, branch: str, head: str, tell: Callable[[str], None]) -> None:
    """Take back the merge with which the work was to be checked."""
    try:
        now = find_branch(git, branch)
        if now is None or now == head:
            return
        held = advance(git, Move(HEADS + branch, now, head), "agentq: not landed", lfs_config(git))
    except AgentqError as error:
        tell(f"'{branch}' keeps the merge: {error.message}")
    else:
        if held is not None:
            tell(f"'{branch}' keeps the merge that was to land")


def _pause() -> None:
    import time

    time.sleep(AGAIN_MS / 1000)
