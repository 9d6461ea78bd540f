"""The document of a run, with what its agent was asked."""

from __future__ import annotations

from agentq_cli.show import documents

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.engines.door import Queue
    from agentq_cli.host.run_directory import RunDirectory
    from agentq_cli.model.runs import PastRun, Run
    from agentq_cli.model.tasks import Task


def of(queue: Queue, run: Run, task: Task | None) -> documents.Item:
    """`agentq.run/1` of a run; `task` is the run's own, None if it can no longer be read."""
    directory = queue.here.run(run.id)
    agent = directory.agent()
    return documents.run(
        run,
        prompt=None if task is None else asked(run, task, directory),
        directory=directory.path,
        pid=None if agent is None else agent.pid,
    )


def asked(run: Run | PastRun, task: Task, directory: RunDirectory) -> str | None:
    """What the agent of a run was asked. Only the last run is sure to have been asked what its task says now."""
    prompt = task.work.prompt
    if prompt is None or run.attempt == task.last_run:
        return prompt
    asked = directory.prompt()
    return prompt if asked is None or prompt in asked else asked
