"""Waiting for tasks to end: on a bell that every finish rings, with a look each second as the safety net."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack

from agentq_cli.base.clock import monotonic_ms
from agentq_cli.base.errors import TimedOut
from agentq_cli.commands.reasons import Reasons
from agentq_cli.engines.door import Queue, done
from agentq_cli.model import Address, RunId, Status, Task
from agentq_cli.supervise import wake

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.host.bells import Bell

LOOK_SECONDS = 1.0
OUTPUT_SECONDS = 0.1
"""How late followed output may be."""

STREAMS = ("stdout", "stderr")


def looks(
    queue: Queue,
    addresses: Sequence[Address],
    ended: dict[Address, Task],
    *,
    reasons: Reasons | None = None,
    timeout_ms: int | None = None,
    wake_up: bool = False,
) -> Iterator[dict[Address, Task]]:
    """Wait until all of these tasks have ended, step by step: after each look what is still open; what has ended is
    put into `ended`. `reasons` tells why the others do not run.

    With `wake_up` a supervisor is started whenever one is wanted and none lives. Raises NotFound, and TimedOut with
    what is still open.
    """
    began = monotonic_ms()
    with queue.bell() as bell:
        while True:
            bell.empty()
            waiting = [address for address in addresses if address not in ended]
            found = [done(each) for each in queue.task_each(waiting)]
            ended |= {task.address: task for task in found if task.status.ended}
            open_tasks = [task for task in found if not task.status.ended]
            if not open_tasks:
                return
            if wake_up:
                wake_for(queue, open_tasks)
            left = LOOK_SECONDS
            if timeout_ms is not None:
                left = min(left, (began + timeout_ms - monotonic_ms()) / 1000)
                if left <= 0:
                    names = ", ".join(str(task.address) for task in open_tasks[:5])
                    raise TimedOut(f"--timeout: {len(open_tasks)} still open after the time ({names})")
            if reasons is not None:
                reasons.look(open_tasks)
            yield {task.address: task for task in open_tasks}
            bell.wait(left)


def wake_for(queue: Queue, tasks: Sequence[Task]) -> None:
    """Start a supervisor where one of these tasks, or what it waits for, needs one now and none lives.

    For what is paused or held none would stay.
    """
    snapshot = queue.snapshot()
    wanted = []
    for task in _with_dependencies(queue, tasks):
        due = task.status is Status.QUEUED and task.due_at <= queue.now
        if task.status is Status.RUNNING or (due and not snapshot.holds_back(task.session, task.work.agent or "")):
            wanted.append(task.session)
    if wanted and not wake.is_served(queue, wanted):
        wake.ensure_supervisor(queue, wanted)


def _with_dependencies(queue: Queue, tasks: Sequence[Task]) -> Iterator[Task]:
    """The tasks and everything that they wait for, directly or not."""
    found = list(tasks)
    known = {task.address for task in found}
    while found:
        task = found.pop()
        yield task
        addresses = {each.of.address for each in queue.depends(task) if each.of.address is not None} - known
        known |= addresses
        found += [queue.task(address) for address in addresses]


def output_until_ended(
    queue: Queue, address: Address, *, new: bool, wake_up: bool, reasons: Reasons
) -> Generator[tuple[str, bytes], None, Task]:
    """Stream and bytes of each of a task's runs from its first byte, one run after the other; returns the task once it
    has ended.

    A `new` task has had no run before this submit, however many it has had before the first look. Of one that was
    there before, whose key this submit found, the runs are those since it was submitted or last retried.
    """
    with queue.bell() as bell:
        shown: int | None = 0 if new else None
        seconds = OUTPUT_SECONDS
        while True:
            bell.empty()
            task = queue.task(address)
            if shown is None:
                shown = task.runs - task.tries
            if task.runs > shown:
                # A number that belongs to no run any more, since its claim was undone, has no output.
                for attempt in range(shown + 1, task.runs + 1):
                    yield from _output(queue, RunId(*address, attempt), bell)
                shown = task.runs
                seconds = OUTPUT_SECONDS
            elif task.status.ended:
                return task
            else:
                if wake_up:
                    wake_for(queue, [task])
                reasons.look([task])
                bell.wait(seconds)
                seconds = min(seconds * 1.5, LOOK_SECONDS)


def _output(queue: Queue, run: RunId, bell: Bell) -> Iterator[tuple[str, bytes]]:
    """What a run prints, until it has ended; for `submit --follow`, which has no supervisor's word for it."""
    with ExitStack() as stack:
        readers = [(stream, stack.enter_context(queue.output(run, stream))) for stream in STREAMS]
        over = False
        while not over:
            # Asked before reading: what was written before the end is still read after it.
            over = readers[0][1].ended or _left(queue, run)
            for stream, reader in readers:
                while piece := reader.read():
                    yield stream, piece
            if not over:
                bell.wait(OUTPUT_SECONDS)


def _left(queue: Queue, run: RunId) -> bool:
    task = queue.task(run.address)
    return task.status is not Status.RUNNING or task.runs != run.attempt
