"""Runs that should have ended and have not: past a limit, told to end, or without a keeper, and something is still
alive.

Nothing is done about them here, because nothing can be: we cannot end a process of another user, or one that hangs in
the kernel. Their slot stays taken, which is right, and the reason is reported.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Collection

from agentq_cli.base.clock import monotonic_ms
from agentq_cli.base.dataclass import dataclass
from agentq_cli.base.errors import AgentqError
from agentq_cli.base.identity import Identity
from agentq_cli.config.configuration import Config
from agentq_cli.engines.door import Queue
from agentq_cli.host import keeper, process, tree
from agentq_cli.host.records import Start
from agentq_cli.host.run_directory import RunDirectory
from agentq_cli.model.tasks import Task
from agentq_cli.model.workers import Worker
from agentq_cli.options.values import format_duration
from agentq_cli.supervise.plan import grace_ms

SLACK_MS = 2_000
"""How long ending a tree may take beyond the grace time."""

LONG_MS = 15_000
"""The same if no process is found that could not be ended."""

MOST = 3
LIMITS = ("timeout", "stalled", "oom", "budget")


@dataclass(frozen=True, slots=True)
class Left:
    """A process that is still there: its user, and whether we can end it."""

    pid: int
    user: str
    hangs: bool
    endable: bool

    def __str__(self) -> str:
        return f"pid {self.pid}, user {self.user}{', hung in the kernel' if self.hangs else ''}"


@dataclass(frozen=True, slots=True)
class Overdue:
    """Why a run should have ended, how long ago if that is known (milliseconds), and its remaining processes."""

    reason: str
    by_ms: int | None
    left: tuple[Left, ...]

    def __str__(self) -> str:
        """In words."""
        if self.by_ms is None:
            since = self.reason
        else:
            ago = format_duration(max(1, self.by_ms // 1000) * 1000)
            limit = self.reason in LIMITS
            since = f"past its limit by {ago} ({self.reason})" if limit else f"told to end {ago} ago ({self.reason})"
        if not self.left:
            return f"{since}; {keeper.ELSEWHERE}"
        more = f", and {len(self.left) - MOST} more" if len(self.left) > MOST else ""
        what = "cannot be ended" if not all(each.endable for each in self.left) else "still there"
        return f"{since}, {what}: {'; '.join(map(str, self.left[:MOST]))}{more}"


def of(queue: Queue, config: Config, worker: Worker) -> Overdue | None:
    """How a live run is overdue; None if it is not, or if that cannot be known here and now."""
    if worker.elsewhere:
        return None
    try:
        task = queue.task(worker.id.address, background=True)
        return find(worker, task, queue.here.run(worker.id), config, queue.here.path)
    except (AgentqError, OSError):
        return None


def of_task(queue: Queue, config: Config, task: Task) -> Overdue | None:
    """The same for the live run of a task; None if it has none."""
    worker = queue.worker(task.address)
    return None if worker is None else of(queue, config, worker)


def find(worker: Worker, task: Task, directory: RunDirectory, config: Config, state_dir: str) -> Overdue | None:
    """The same. Raises OSError out of descriptors."""
    start = directory.start()
    if not isinstance(start, Start) or directory.exit() is not None:
        return None
    if not keeper.keeps(directory, start):
        from agentq_cli.supervise.recovery import left_behind as known

        left = left_behind(worker, known(directory), state_dir)
        return Overdue("its keeper process is gone", None, left) if left else None
    if task.work.launch.repository is not None and directory.passed() is not None and directory.left() is None:
        return None  # Its agent has ended, and what is in its tree is being stored, which no stop keeps it from.
    grace = grace_ms(task, config)
    since = _since(start, task, directory)
    if keeper.is_foreign(start):
        return Overdue(*since, ()) if since is not None and since[1] > grace + LONG_MS else None
    agent = directory.agent()
    if since is not None and since[1] > grace + SLACK_MS:
        # A keeper that has nothing below hangs itself: in a directory, or before a program, that cannot be read.
        left = _sorted(tree.below([start.identity]) or [start.identity])
        if left and (not left[0].endable or since[1] > grace + LONG_MS):
            return Overdue(*since, left)
    elif since is None and agent is not None and not process.alive(agent):
        left = tuple(each for each in _sorted(tree.below([start.identity])) if not each.endable)
        return Overdue("its agent has ended but left processes running", None, left) if left else None
    return None


def left_behind(worker: Worker, known: Collection[Identity], state_dir: str) -> tuple[Left, ...]:
    """The processes of a run whose keeper is gone that we cannot end; `known` is its agent, if that was found."""
    roots = tree.marked(str(worker.id), state_dir).union(each for each in known if process.alive(each))
    return tuple(each for each in _sorted(roots | tree.below(roots)) if not each.endable)


def _since(start: Start, task: Task, directory: RunDirectory) -> tuple[str, int] | None:
    """The reason why the run should have ended, and how many milliseconds ago; None if there is none."""
    timeout = task.work.launch.timeout_ms
    if timeout is not None and process.boot_of(start.identity.boot_id) == process.boot_id():
        by = monotonic_ms() - start.monotonic_ms - timeout
        if by > 0:
            return "timeout", by
    stop = directory.stop()
    if stop is None:
        return None
    # By the file's time: the time in the record is from a clock that may be fixed.
    asked = os.lstat(directory.file("stop")).st_mtime
    return stop.reason, max(0, int((time.time() - asked) * 1000))


def _sorted(found: Collection[Identity]) -> tuple[Left, ...]:
    left = [each for each in map(_left, found) if each is not None]
    return tuple(sorted(left, key=lambda each: (each.endable, each.pid)))


def _left(identity: Identity) -> Left | None:
    # psutil names the user and the state for people. Identity is checked separately: psutil's start times move with the
    # clock.
    import psutil

    try:
        found = psutil.Process(identity.pid)
        hangs, user = found.status() == psutil.STATUS_DISK_SLEEP, found.username()
    except psutil.Error:
        return None
    stat = process.stat_of(identity.pid)
    if stat is None or stat.start_time != identity.start_time:
        return None
    return Left(identity.pid, user, hangs, _is_ours(identity) and not hangs)


def _is_ours(identity: Identity) -> bool:
    pidfd = process.open_pidfd(identity)
    if pidfd is None:
        return True
    try:
        signal.pidfd_send_signal(pidfd, 0)
    except PermissionError:
        return False
    except ProcessLookupError:
        return True
    finally:
        os.close(pidfd)
    return True
