"""What is done about runs that no supervisor watches; the same for `run`, `sweep` and `cancel`.

A claim without a `start` record is void and undone. A run whose shim is alive can be adopted. A run with an `exit`
record is settled by it, also after a reboot. A run with neither shim nor record has crashed: its tree is ended first,
and only then are slot and session released.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from agentq_cli.base.dataclass import dataclass
from agentq_cli.base.enumeration import StrEnum
from agentq_cli.base.errors import NotFound
from agentq_cli.base.identity import Identity
from agentq_cli.config.configuration import Config
from agentq_cli.engines.door import Queue
from agentq_cli.host import keeper, process, stop, tree
from agentq_cli.host.records import Start, Void
from agentq_cli.host.run_directory import OUTPUTS, RunDirectory
from agentq_cli.host.said import StreamFollower
from agentq_cli.model.actions import Actor
from agentq_cli.model.addresses import RunId
from agentq_cli.model.runs import Outcome
from agentq_cli.model.tasks import Task
from agentq_cli.model.workers import Worker
from agentq_cli.supervise import going_on, overdue, settle
from agentq_cli.supervise.plan import grace_ms

ENDING_MS = 1_000
"""How long a keeper may take to let go of a run after writing its record; if it keeps it, it did not write that."""


class Finding(StrEnum):
    """What the files of a run show about it. `UNDONE`: its shim died, and something is left to be done that
    comes after its agent."""

    NEVER_STARTED = "never started"
    RUNNING = "running"
    ENDED = "ended"
    CRASHED = "crashed"
    UNDONE = "undone"


@dataclass(frozen=True, slots=True)
class Recovered:
    """One run that was dealt with: what was found, and what its task became (None: another process was faster).

    An undone one is yet to be taken over, by a keeper with this `take`."""

    worker: Worker
    finding: Finding
    task: Task | None
    take: int = 0


def find(queue: Queue, run: RunId, directory: RunDirectory, *, dry: bool = False) -> Finding:
    """Find out the state of a run, and make sure that a run that never started never will; with `dry` only find out.

    An `exit` record counts once the run is kept no more: an agent can write one too. Hence this order: the `start`
    record, whether it is kept, the `exit` record. Raises OSError if the directory cannot be used.
    """
    start = directory.start()
    if not isinstance(start, Start):
        if directory.exit() is not None:
            return Finding.ENDED
        if tree.marked(str(run), queue.here.path):
            # Something runs under its name, so it did start: its directory, or its record, was removed meanwhile.
            return Finding.RUNNING
        if start is None:
            start = Void(os.getpid()) if directory.write_void(os.getpid(), dry=dry) else directory.start()
        if not isinstance(start, Start):
            return Finding.NEVER_STARTED
    if keeper.keeps(directory, start) and not (directory.exit() and keeper.wait(directory, start, ENDING_MS)):
        return Finding.RUNNING
    return Finding.ENDED if directory.exit() is not None else Finding.CRASHED


def settle_run(
    queue: Queue, worker: Worker, config: Config, *, actor: Actor, wait: bool = True, dry: bool = False
) -> Recovered | None:
    """Settle an unwatched run if it has ended; None while its processes are still running.

    If a stop is recorded and its shim has not been told, the shim is told now. If `wait` is false, a tree that has to
    be ended first is only told to end, and the next check finds it gone. With `dry` no process and no file of the run
    is touched, and the queue is a rehearsal's. Raises OSError if the run's directory cannot be used.
    """
    directory = queue.here.run(worker.id)
    finding = find(queue, worker.id, directory, dry=dry)
    if finding is Finding.NEVER_STARTED:
        queue.undo_claim(worker.id, actor=actor, reason="it was claimed and never started")
        return Recovered(worker, finding, None)
    if finding is Finding.RUNNING:
        if worker.stop is not None and not directory.told(worker.stop) and not dry:
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
        take = directory.takes() + 1
        if dry:
            left = overdue.left_behind(worker, left_behind(directory), queue.here.path)
            ended = not left and not _may_leave_processes(directory)
        else:
            ended = end_tree(queue, worker, directory, take, grace=grace_ms(task, config))
        if not ended:
            return None
        stream = settle.follower(task, directory, config)
        end = crashed(worker, task, directory, stream, config, queue.now, dry=dry)
        if end is None:
            return Recovered(worker, Finding.UNDONE, None, take)
        outcome = end
    if not dry:
        queue.put_output(worker.id, directory, over=True)
    return Recovered(worker, finding, queue.finish(worker.id, outcome, actor=actor, background=wait is False))


def crashed(
    worker: Worker,
    task: Task,
    directory: RunDirectory,
    stream: StreamFollower | None,
    config: Config,
    now: int,
    *,
    dry: bool = False,
) -> Outcome | None:
    """The outcome of a run whose shim left no exit record and whose processes have ended; None if a new shim is to take
    the run over, since something is left to be done after its agent. What the run left in a repository is recorded
    unless `dry`."""
    if not dry and directory.checkpoint() is not None:
        from agentq_cli.host import checkpoint

        launch = task.work.launch
        there = f"{worker.directory}/{launch.subdirectory}" if launch.repository is not None else task.work.cwd
        checkpoint.end_late(directory, there, os.environ, reader=settle.read_as(task, config)[0])
    stopped = directory.stop()
    start = directory.start()
    boot = process.boot_of(start.identity.boot_id) if isinstance(start, Start) else ""
    rebooted = boot not in ("", process.boot_id())
    why = "the machine was restarted" if rebooted else "its keeper process vanished without a record"
    reason = worker.stop if stopped is None else stopped.reason
    if task.cancel_requested:
        reason = "cancelled"
    if going_on.goes_on(task) and (passed := directory.passed()) is not None:
        outcome = settle.agent_outcome(task, directory, passed, stream, config)
    else:
        outcome = settle.crashed(task, directory, stream, stopped=reason, why=why, now=now)
    return going_on.judged(task, directory, outcome, stopped=reason)


def end_tree(queue: Queue, worker: Worker, directory: RunDirectory, take: int, *, grace: int) -> bool:
    """End everything that a run whose shim is gone left running; False if something cannot be ended, or cannot be
    seen, or if another shim has the run as its `take` or a later one."""
    known = left_behind(directory)
    mine = untaken(directory, take)
    if not tree.kill_orphans(str(worker.id), queue.here.path, grace_ms=grace, known=known, mine=mine):
        return False
    return bury(directory)


def untaken(directory: RunDirectory, take: int) -> Callable[[], bool]:
    """Tells whether no shim has the run as its `take` or a later one: the check that another recoverer has started
    goes on."""
    return lambda: directory.takes() < take


def left_behind(directory: RunDirectory) -> tuple[Identity, ...]:
    """What may carry no marker of a run whose keeper is gone: an agent that cleared its environment, and one that its
    keeper had no time to record, before its exec or after it; what has the run's files open as only its processes do.
    """
    start = directory.start()
    found = tree.writing(directory.path, (directory.taking(), *OUTPUTS))
    # The keeper itself may have let go of the run and keep another one by now.
    gone = {start.identity} if isinstance(start, Start) else set()
    return (*(found - gone), *_agent(directory))


def _agent(directory: RunDirectory) -> tuple[Identity, ...]:
    """The agent from its record. The agent can write that: the process that it names is the run's only if it prints to
    the run's own files."""
    agent = directory.agent()
    if agent is None or not process.alive(agent):
        return ()
    own = [found for name in ("stdout", "stderr") if (found := tree.regular(directory.file(name))) is not None]
    for number in (1, 2):
        try:
            printed = os.stat(f"/proc/{agent.pid}/fd/{number}")
        except PermissionError:
            # Another user's process, such as a program that became root: our signals do not reach it, and the run must
            # not end before it does.
            return (agent,)
        except OSError:
            continue
        if any(os.path.samestat(printed, each) for each in own):
            return (agent,)
    return ()


def bury(directory: RunDirectory) -> bool:
    """Clean up after a run of which no process can be seen; False if a process that cannot be seen may be left."""
    from agentq_cli.host import tmpdir

    if _may_leave_processes(directory):
        return False
    tmpdir.remove_left_behind(os.environ, directory.path)
    return True


def _may_leave_processes(directory: RunDirectory) -> bool:
    start = directory.start()
    return keeper.may_leave_processes(directory, start if isinstance(start, Start) else None)
