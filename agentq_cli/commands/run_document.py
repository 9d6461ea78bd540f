"""The document of a run, with what its agent was asked."""

from __future__ import annotations

from agentq_cli.base.dataclass import replace
from agentq_cli.show import documents

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.engines.door import Queue
    from agentq_cli.engines.subdoors import RunFiles
    from agentq_cli.model.runs import PastRun, Run
    from agentq_cli.model.tasks import Task
    from agentq_cli.model.trees import Left


def of(queue: Queue, run: Run, task: Task | None) -> documents.Item:
    """`agentq.run/1` of a run; `task` is the run's own, None if it can no longer be read."""
    files = queue.files(run.id)
    if run.finished_at is None and task is not None and task.work.launch.repository is not None:
        run = replace(run, left=_place(run, task, files))
    return documents.run(
        run,
        prompt=None if task is None else asked(run, task, files),
        directory=files.path,
        pid=files.pid(),
    )


def _place(run: Run, task: Task, files: RunFiles) -> Left:
    """Where a live run works; what it leaves there is not known yet."""
    from agentq_cli.model.branches import branch_of
    from agentq_cli.model.trees import Left

    launch, made = task.work.launch, files.made()
    worktree = run.cwd.removesuffix(f"/{launch.subdirectory}" if launch.subdirectory else "")
    start = None if made is None else made.start or None
    return Left(launch.checkout or "", worktree, branch_of(task.work, task.address, task.conversation_key), start)


def asked(run: Run | PastRun, task: Task, files: RunFiles) -> str | None:
    """What the agent of a run was asked. Only the last run is sure to have been asked what its task says now."""
    prompt = task.work.prompt
    if prompt is None or run.attempt == task.last_run:
        return prompt
    asked = files.prompt()
    return prompt if asked is None or prompt in asked else asked
