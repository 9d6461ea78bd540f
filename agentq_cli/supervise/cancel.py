"""Ending a run from any process: the intent is recorded once, then carried out by whoever is there to do it."""

from __future__ import annotations

from agentq_cli.clock import monotonic_ms
from agentq_cli.config import Config
from agentq_cli.errors import Refused
from agentq_cli.model import Actor, Task, Worker
from agentq_cli.queue import Queue
from agentq_cli.supervise import keeper, recovery, stop, wake
from agentq_cli.supervise.plan import grace_ms
from agentq_cli.supervise.records import RunDirectory, Start

PATIENCE_MS = 10_000
"""How long, beyond the grace time, a shim may take to end its tree and write its record."""


def cancel_run(queue: Queue, config: Config, task: Task, *, run_only: bool = False) -> Task:
    """Cancel a task's live run and return the task as it is then.

    With a supervisor that watches the run this only asks, and returns at once. Without one it waits for the shim, or
    does the killing where that is gone too, and settles the run. Raises Refused where its directory cannot be used.
    """
    worker = queue.worker(task.address)
    if worker is None or not queue.request_stop(
        worker.id, reason="cancelled", cancel=True, run_only=run_only, actor=Actor.USER
    ):
        return queue.task(task.address)
    directory = RunDirectory(queue.run_directory(worker.id))
    try:
        # Posted even where nothing has started yet: a shim that comes later finds it and starts nothing.
        directory.create()
        stop.request_stop(directory, reason="cancelled", at=queue.now)
        if not _watched(queue, worker):
            _settle_unwatched(queue, config, task, worker, directory)
    except OSError as error:
        what = "the cancel is recorded, and its keeper could not be told"
        raise Refused(f"run '{worker.id}': '{directory.path}': {error.strerror}; {what}") from error
    return queue.task(task.address)


def _watched(queue: Queue, worker: Worker) -> bool:
    known = {supervisor.identity: supervisor for supervisor in queue.supervisors()}
    return wake.watched(queue, worker.supervisor, known)


def _settle_unwatched(queue: Queue, config: Config, task: Task, worker: Worker, directory: RunDirectory) -> None:
    deadline = monotonic_ms() + grace_ms(task, config) + PATIENCE_MS
    while recovery.settle_run(queue, worker, config, actor=Actor.USER) is None:
        start = directory.start()
        left = deadline - monotonic_ms()
        if left <= 0 or not isinstance(start, Start) or not keeper.lives(directory, start):
            # Gone between two looks, or nothing more to wait for: one last look, then leave it to the next sweep.
            recovery.settle_run(queue, worker, config, actor=Actor.USER)
            return
        keeper.wait(directory, start, left)
