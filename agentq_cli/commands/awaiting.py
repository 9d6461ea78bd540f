"""Waits for tasks to end: on a bell that rings whenever a task finishes, and with a check every second in case a ring
is missed."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress

from agentq_cli.base.clock import monotonic_ms
from agentq_cli.base.errors import NotFound, TimedOut
from agentq_cli.commands import following
from agentq_cli.commands.following import STREAMS
from agentq_cli.commands.reading import note_of_end
from agentq_cli.commands.reasons import Reasons
from agentq_cli.engines.door import Queue, done
from agentq_cli.model.addresses import Address, RunId
from agentq_cli.model.statuses import Status
from agentq_cli.model.tasks import Task
from agentq_cli.supervise import attended, wake

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.commands.reading import Reading
    from agentq_cli.engines.subdoors import Bell

CHECK_SECONDS = 1.0
OUTPUT_SECONDS = 0.1
"""The longest delay of followed output."""


def until_ended(
    queue: Queue,
    addresses: Sequence[Address],
    ended: dict[Address, Task],
    *,
    reasons: Reasons | None = None,
    timeout_ms: int | None = None,
    wake_up: bool = False,
) -> Iterator[dict[Address, Task]]:
    """Wait until all of these tasks have ended. Each check puts the tasks that have ended into `ended` and yields those
    that are still open; `reasons` reports why they do not run.

    With `wake_up` a supervisor is started whenever one is needed and none is alive. Raises NotFound, and TimedOut with
    the tasks that are still open.
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
            left = CHECK_SECONDS
            if timeout_ms is not None:
                left = min(left, (began + timeout_ms - monotonic_ms()) / 1000)
                if left <= 0:
                    names = ", ".join(str(task.address) for task in open_tasks[:5])
                    raise TimedOut(f"--timeout: {len(open_tasks)} still open after the time-out ({names})")
            if reasons is not None:
                reasons.update(open_tasks)
            yield {task.address: task for task in open_tasks}
            bell.wait(left)


def wake_for(queue: Queue, tasks: Sequence[Task]) -> None:
    """Start a supervisor if one of these tasks, or a task it waits for, needs one now and none is alive.

    Paused and held tasks do not need one: a supervisor would exit again at once.
    """
    snapshot = queue.snapshot()
    wanted = []
    for task in _with_dependencies(queue, tasks):
        due = task.status is Status.QUEUED and task.due_at <= queue.now
        if task.status is Status.RUNNING or (due and not snapshot.holds_back(task.session, task.work.agent or "")):
            wanted.append(task.session)
    if wanted and not attended.is_served(queue, wanted):
        wake.ensure_supervisor(queue, wanted)


def _with_dependencies(queue: Queue, tasks: Sequence[Task]) -> Iterator[Task]:
    """The tasks and all tasks that they wait for, directly or indirectly."""
    found = list(tasks)
    known = {task.address for task in found}
    while found:
        task = found.pop()
        yield task
        addresses = {each.of.address for each in queue.depends(task) if each.of.address is not None} - known
        known |= addresses
        found += [queue.task(address) for address in addresses]


def output_until_ended(
    queue: Queue,
    address: Address,
    *,
    new: bool,
    wake_up: bool,
    reasons: Reasons,
    read: Callable[[RunId], Reading],
) -> Generator[tuple[str, bytes], None, Task]:
    """What a task's runs write, as `read` shows it, in pairs of stream and bytes, each run from its first byte and with
    a line about its end, one run after the other; returns the task once it has ended.

    For a `new` task this means all of its runs, also those that began before the first check. For a task that already
    existed and that this submit found by its key, it means the runs since the task was submitted or last retried.
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
                # A number whose claim was undone belongs to no run any more and has no output.
                for attempt in range(shown + 1, task.runs + 1):
                    run = RunId(*address, attempt)
                    with suppress(NotFound):
                        yield from _read(_output(queue, run, bell), read(run))
                        yield from note_of_end(queue, run, lambda: bell.wait(OUTPUT_SECONDS))
                shown = task.runs
                seconds = OUTPUT_SECONDS
            elif task.status.ended:
                return task
            else:
                if wake_up:
                    wake_for(queue, [task])
                reasons.update([task])
                bell.wait(seconds)
                seconds = min(seconds * 1.5, CHECK_SECONDS)


def _output(queue: Queue, run: RunId, bell: Bell) -> Iterator[tuple[str, bytes]]:
    """What a run prints, until it has ended; for `submit --follow`, which no supervisor informs."""
    with ExitStack() as stack:
        readers = {stream: stack.enter_context(queue.output(run, stream)) for stream in STREAMS}
        yield from following.output(
            readers,
            lambda: readers["stdout"].ended or _left(queue, run),
            lambda: bell.wait(OUTPUT_SECONDS),
        )


def _read(pieces: Iterable[tuple[str, bytes]], reading: Reading) -> Iterator[tuple[str, bytes]]:
    for stream, piece in pieces:
        yield stream, reading.feed(piece) if stream == "stdout" else piece
    yield "stdout", reading.end()


def _left(queue: Queue, run: RunId) -> bool:
    task = queue.task(run.address)
    return task.status is not Status.RUNNING or task.runs != run.attempt


def code(task: Task) -> int:
    """The exit code of `submit --wait` and `wait` for one task: 0 only if it completed."""
    if task.status == "completed":
        return 0
    return task.exit_code or 1
