"""Ending a run from any process: the intent is recorded once, then carried out by the process that can."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from agentq_cli.base import clock
from agentq_cli.base.clock import monotonic_ms
from agentq_cli.base.errors import AgentqError, Refused
from agentq_cli.config.configuration import Config
from agentq_cli.engines.door import Queue
from agentq_cli.host import keeper, stop
from agentq_cli.host.records import Start
from agentq_cli.host.run_directory import RunDirectory
from agentq_cli.model.actions import Actor, Undone
from agentq_cli.model.tasks import Task
from agentq_cli.model.workers import Worker
from agentq_cli.supervise import recovery
from agentq_cli.supervise.going_on import Keepers
from agentq_cli.supervise.plan import grace_ms

PATIENCE_MS = 10_000
"""How long, beyond the grace time, a shim may take to end its tree and write its record."""


def cancel_runs(
    queue: Queue, config: Config, environ: Mapping[str, str], tasks: Sequence[tuple[Task, bool]]
) -> list[Task | Undone]:
    """Cancel the live runs of tasks (of those with True only the run), and return each task as it is then.

    If a supervisor watches a run, or another machine has it, this only requests the stop, and returns at once.
    Otherwise it waits for the shim, or kills the processes itself if the shim is gone too, has a new shim close the run
    if that needs one, and settles it.
    All stops are requested before the first wait.
    """
    asked: list[Worker | AgentqError | None] = []
    for task, run_only in tasks:
        try:
            asked.append(_ask(queue, task, run_only))
        except AgentqError as error:
            asked.append(error)
    keepers = Keepers(queue, config, clock.from_environment(environ), environ)
    return [_end(keepers, task, each) for (task, _), each in zip(tasks, asked, strict=True)]


def _ask(queue: Queue, task: Task, run_only: bool) -> Worker | None:
    """Request the end of a task's live run; None if it no longer has one."""
    worker = queue.worker(task.address)
    if worker is None or not queue.request_stop(
        worker.id, reason="cancelled", cancel=True, run_only=run_only, actor=Actor.USER
    ):
        return None
    if worker.elsewhere:
        return worker  # its host was told in the same commit
    directory = queue.here.run(worker.id)
    try:
        # Written even if nothing has started yet: a shim that comes later finds it and starts nothing.
        directory.create()
        stop.request_stop(directory, reason="cancelled", at=queue.now)
    except OSError as error:
        raise _untold(worker, directory, error) from error
    return worker


def _end(keepers: Keepers, task: Task, asked: Worker | AgentqError | None) -> Task | Undone:
    queue = keepers.queue
    if isinstance(asked, AgentqError):
        return Undone(asked, queue.known_status(task.address))
    try:
        if asked is not None and not queue.watched(asked):
            directory = queue.here.run(asked.id)
            try:
                _settle_unwatched(keepers, task, asked, directory)
            except OSError as error:
                raise _untold(asked, directory, error) from error
        return queue.task(task.address)
    except AgentqError as error:
        return Undone(error, queue.known_status(task.address))


def _untold(worker: Worker, directory: RunDirectory, error: OSError) -> Refused:
    what = "the cancel is recorded, but its keeper could not be told"
    return Refused(f"run '{worker.id}': '{directory.path}': {error.strerror}; {what}")


def _settle_unwatched(keepers: Keepers, task: Task, worker: Worker, directory: RunDirectory) -> None:
    queue, config = keepers.queue, keepers.config
    deadline = monotonic_ms() + grace_ms(task, config) + PATIENCE_MS
    while (found := recovery.settle_run(queue, worker, config, actor=Actor.USER)) is None or _is_undone(found):
        start = directory.start()
        left = deadline - monotonic_ms()
        if found is not None and left > 0:
            keepers.launch_alone(worker.id, found.take, wait_ms=left)
            continue
        if left <= 0 or not isinstance(start, Start) or not keeper.keeps(directory, start):
            # Gone between two checks, or nothing more to wait for: one last check, then leave it to the next sweep.
            recovery.settle_run(queue, worker, config, actor=Actor.USER)
            return
        keeper.wait(directory, start, left)


def _is_undone(found: recovery.Recovered) -> bool:
    return found.finding is recovery.Finding.UNDONE
