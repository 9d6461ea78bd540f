"""What is done about runs that no supervisor watches; the same for `run`, `sweep` and `cancel`.

A claim without a `start` record is void and undone; a run whose shim lives is adoptable; one with an `exit` record is
settled by it, also after a reboot; one with neither shim nor record has crashed: its tree is ended first, only then
slot and session are free.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from enum import Enum

from agentq_cli.config import Config
from agentq_cli.dataclass import dataclass
from agentq_cli.errors import NotFound
from agentq_cli.model import Actor, Outcome, RunId, Task, Worker
from agentq_cli.queue import Queue
from agentq_cli.supervise import overdue, process, settle, stop, tree, wake
from agentq_cli.supervise.plan import grace_ms
from agentq_cli.supervise.records import RunDirectory, Start, Void


class Finding(Enum):
    """What the files of a run say about it."""

    NEVER_STARTED = "never started"
    RUNNING = "running"
    ENDED = "ended"
    CRASHED = "crashed"


@dataclass(frozen=True, slots=True)
class Recovered:
    """One run that was taken care of: what was found, and what its task became (None: somebody else was faster)."""

    worker: Worker
    finding: Finding
    task: Task | None


def orphaned(queue: Queue) -> list[Worker]:
    """The live runs whose supervisor is gone, or has not renewed its row within the lease."""
    # The runs first: a supervisor that came and claimed between the two reads would otherwise be unknown.
    workers = queue.workers()
    known = {supervisor.identity: supervisor for supervisor in queue.supervisors()}
    return [worker for worker in workers if not wake.watched(worker.supervisor, known)]


def look(queue: Queue, run: RunId, directory: RunDirectory, *, dry: bool = False) -> Finding:
    """Find out how a run stands, and make sure that one that never started never will; with `dry` only find out.

    Raises OSError where the directory cannot be used.
    """
    if directory.exit() is not None:
        return Finding.ENDED
    start = directory.start()
    if start is None:
        if tree.marked(str(run), str(queue.state.path)):
            # Something runs under its name, so it did start: its directory was taken away under it.
            return Finding.RUNNING
        start = Void(os.getpid()) if directory.write_void(os.getpid(), dry=dry) else directory.start()
    if not isinstance(start, Start):
        return Finding.NEVER_STARTED
    if process.alive(start.identity):
        return Finding.RUNNING
    # The shim may have written its record between the two looks.
    return Finding.ENDED if directory.exit() is not None else Finding.CRASHED


def settle_run(
    queue: Queue, worker: Worker, config: Config, *, actor: Actor, wait: bool = True, dry: bool = False
) -> Recovered | None:
    """Bring a run that is not watched to its end where it has one; None while its processes run on.

    With a recorded stop that its shim has not been told of, it is told now. Where `wait` is false, a tree that has to
    be ended first is only told to end, for the next look to find gone. With `dry` no process and no file of the run is
    touched, and the queue is a rehearsal's. Raises OSError where the run's directory cannot be used.
    """
    directory = RunDirectory(queue.run_directory(worker.id))
    finding = look(queue, worker.id, directory, dry=dry)
    if finding is Finding.NEVER_STARTED:
        queue.undo_claim(worker.id, actor=actor, reason="it was claimed and never started")
        return Recovered(worker, finding, None)
    if finding is Finding.RUNNING:
        if worker.stop is not None and directory.stop() is None and not dry:
            stop.request_stop(directory, reason=worker.stop, at=queue.now)
        return None
    try:
        task = queue.task(worker.id.address)
    except NotFound:
        return None
    if finding is Finding.ENDED:
        record = directory.exit()
        assert record is not None
        outcome = settle.outcome(task, directory, record, settle.follower(task, directory, config), config)
    else:
        if dry:
            ended = not overdue.unendable(worker, directory, str(queue.state.path))
        else:
            ended = end_tree(queue, worker, directory, grace=grace_ms(task, config))
        if not ended:
            return None
        outcome = crashed(worker, directory, settle.follower(task, directory, config), queue.now)
    return Recovered(worker, finding, queue.finish(worker.id, outcome, actor=actor, background=wait is False))


def crashed(worker: Worker, directory: RunDirectory, stream: settle.StreamFollower | None, now: int) -> Outcome:
    """The outcome of a run whose shim left no exit record and whose tree has ended."""
    stopped = directory.stop()
    start = directory.start()
    rebooted = isinstance(start, Start) and start.identity.boot_id not in ("", process.boot_id())
    why = "the machine was restarted" if rebooted else "its keeper process vanished without a record"
    reason = worker.stop if stopped is None else stopped.reason
    return settle.crashed(directory, stream, stopped=reason, why=why, now=now)


def end_tree(queue: Queue, worker: Worker, directory: RunDirectory, *, grace: int) -> bool:
    """End whatever a run left behind whose shim is gone; False where something cannot be ended."""
    agent = directory.agent()
    known = () if agent is None else (agent,)
    ended = tree.kill_orphans(str(worker.id), str(queue.state.path), grace_ms=grace, known=known)
    remove_tmpdir(directory)
    return ended


def remove_tmpdir(directory: RunDirectory) -> None:
    """Remove the private TMPDIR of a run whose shim can no longer do it."""
    from agentq_cli.supervise import tmpdir

    start = directory.start()
    if isinstance(start, Start) and start.tmpdir:
        tmpdir.remove(start.tmpdir)


def recover(queue: Queue, config: Config, *, actor: Actor, sessions: tuple[str, ...] = ()) -> Iterator[Recovered]:
    """Settle every unwatched run that can be settled, of `sessions` only where given."""
    for worker in orphaned(queue):
        if not sessions or worker.session in sessions:
            recovered = settle_run(queue, worker, config, actor=actor)
            if recovered is not None:
                yield recovered
