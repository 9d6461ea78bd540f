"""What a person reads of the tree of a task, and of what a run of it left there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from agentq_cli.model.statuses import Status
from agentq_cli.policy import landed
from agentq_cli.show import changes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.config.configuration import Config
    from agentq_cli.engines.door import Queue
    from agentq_cli.model.addresses import RunId
    from agentq_cli.model.runs import Run
    from agentq_cli.model.tasks import Task

STAGES = {
    "tree": "its tree is being made",
    "setup": "its setup command runs",
    "snapshot": "its agent has ended, and what it left is being stored",
    "check": "its check runs",
    "land": "its work is being landed",
}
"""What a live run does besides its agent, by the stage."""


def of_task(queue: Queue, config: Config, task: Task, runs: Sequence[Run]) -> Iterator[tuple[str, str]]:
    """The fields of a task about its tree, and what the newest of these runs left there; none without a tree."""
    launch = task.work.launch
    if launch.repository is None:
        return
    from agentq_cli.model.branches import branch_of
    from agentq_cli.policy import pool
    from agentq_cli.trees.asking import in_any_tree, tree_of_task

    yield "Repository", launch.checkout or launch.repository
    base = "" if launch.base is None else f", from {launch.base.removeprefix('refs/heads/')}"
    if in_any_tree(task) and pool.size(config.options(task.session).get("parallel")) > 1:
        yield "Worktree", f"that of the conversation that is chosen when it starts{base}"
    else:
        # Where the last run has left it, which may be on another host; before, where it will be here.
        left = runs[0].left if runs else None
        yield "Worktree", tree_of_task(config, queue.here.path, task) if left is None else left.worktree
        yield "Branch", branch_of(task.work, task.address, task.conversation_key) + base
    if launch.land is not None:
        ways = [f"by {launch.land_as}" if launch.land_as else "", f"pushed to {launch.push}" if launch.push else ""]
        yield "Lands on", ", ".join((launch.land, *filter(None, ways)))
    for label, command in (("Setup", launch.setup), ("Teardown", launch.teardown)):
        if command is not None:
            yield label, command
    for run in runs[:1]:
        yield from _left(queue, run)
        if task.status is Status.FAILED and landed.lands_alone(run.landing):
            yield "To land", f"`agentq retry {task.address}`, without its agent"


def of_run(queue: Queue, run: Run) -> Iterator[tuple[str, str]]:
    """The fields of a run about its tree, what it left there, and how that landed; none without a tree."""
    if (left := run.left) is not None:
        yield "Worktree", left.worktree
        yield "Branch", left.branch if left.base is None else f"{left.branch}, from {left.base[: changes.DIGITS]}"
    yield from _left(queue, run)


def _left(queue: Queue, run: Run) -> Iterator[tuple[str, str]]:
    if run.left is not None:
        yield from changes.fields(run.left)
    if run.landing is not None:
        yield "Landing", changes.landed(run.landing)
    # What a run leaves has the notes about its tree too.
    if run.left is None and (made := queue.files(run.id).made()) is not None:
        for note in made.notes:
            yield "Note", note


def stage(queue: Queue, run: RunId) -> str | None:
    """What a live run does besides its agent, in words; None while that works."""
    found = queue.files(run).stage()
    return None if found is None else STAGES.get(found)
