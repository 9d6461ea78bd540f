"""The limits of a run that its shim does not enforce: silence, memory, cost, and how long the agent may take to exit
after its final event. Its supervisor or `sweep` checks them.

Also a time-out that the shim has missed because somebody stopped it (SIGSTOP). The process that finds a limit reached
records the stop and tells the shim, which ends the tree; see `stop`.
"""

from __future__ import annotations

import contextlib
import os

from agentq_cli.agents.verdict import LINGER
from agentq_cli.base.clock import awake_ms, monotonic_ms
from agentq_cli.base.dataclass import dataclass
from agentq_cli.base.errors import AgentqError
from agentq_cli.config.configuration import Config
from agentq_cli.engines.door import Queue
from agentq_cli.host import keeper, process, resources, stop, tree
from agentq_cli.host.records import Start
from agentq_cli.host.run_directory import LINGERS, RunDirectory
from agentq_cli.host.said import StreamFollower
from agentq_cli.model.actions import Actor
from agentq_cli.model.addresses import RunId
from agentq_cli.model.tasks import Task
from agentq_cli.options.values import format_cost, format_duration, format_size
from agentq_cli.policy import stall
from agentq_cli.supervise import plan

MEMORY_MS = 1_000
"""How often a supervisor measures a tree's memory: a peak between two measurements is not seen."""

COST_MS = 1_000
"""How often the cost so far is checked, for an agent that reports it during the run."""

LAST_WORD = stall.Signs(None, None, None)
"""After its final event nothing that the agent does is a sign of work: what counts is the time since that event."""

FIRST_CHECK_MS = 1_000
SLACK_MS = 1_000
"""How long a shim is given to notice by itself that a time-out has expired."""


@dataclass(frozen=True, slots=True)
class Reached:
    """A limit that a run has reached: the reason for `stop`, and a description with numbers."""

    reason: str
    detail: str


@dataclass(slots=True)
class RunLimits:
    """The limits of one run, None if it has none, and when to check next: `check_at` is monotonic, None is never.

    `left_usd` is what the earlier runs of its task have left of the task's cost limit. `linger_ms` counts from the
    final event, and so applies only once the run is `finished`.
    """

    stall_timeout_ms: int | None = None
    memory_bytes: int | None = None
    timeout_ms: int | None = None
    left_usd: float | None = None
    linger_ms: int | None = None
    check_at: int | None = None
    memory_at: int = 0
    silence: stall.Silence | None = None
    finished: bool = False
    lingers: stall.Silence | None = None

    @classmethod
    def of(cls, task: Task, config: Config, queue: Queue) -> RunLimits:
        """The limits of a task's run."""
        limits = cls(
            plan.stall_timeout_ms(task, config),
            task.work.launch.memory_bytes,
            task.work.launch.timeout_ms,
            linger_ms=plan.linger_ms(task, config),
        )
        if task.work.launch.max_cost_usd is not None:
            limits.left_usd = task.work.launch.max_cost_usd - queue.spent(task)
        if limits.always:
            first = FIRST_CHECK_MS
            if limits.stall_timeout_ms is not None:
                first = min(first, stall.interval(limits.stall_timeout_ms))
            limits.check_at = monotonic_ms() + first
        return limits

    @property
    def always(self) -> bool:
        """Whether there is a limit to check from the start on."""
        kept = (self.stall_timeout_ms, self.memory_bytes, self.timeout_ms, self.left_usd)
        return any(limit is not None for limit in kept)

    def heard(self, finished: bool) -> None:
        """Note whether the final event has come, once the output has been read to its present end; a change is checked
        at once."""
        if self.linger_ms is not None and finished is not self.finished:
            self.finished, self.check_at = finished, monotonic_ms()

    def due(self) -> bool:
        """Whether it is time to check."""
        return self.check_at is not None and monotonic_ms() >= self.check_at

    def check(
        self, directory: RunDirectory, stream: StreamFollower | None = None, *, remember: bool = True
    ) -> Reached | None:
        """Check a run with a live shim; returns the limit that it has reached, or None. Raises OSError out of
        descriptors.

        `stream` is what its agent has printed, as far as it was read. With `remember`, what was seen of its silence is
        recorded in the directory for the next check.
        """
        waits: list[int] = []
        start = directory.start()
        reached = None
        if isinstance(start, Start) and directory.stop() is None:
            reached = self._timeout(start, waits)
            # What an agent left running when it ended is already being ended.
            if reached is None and _agent_runs(directory, start):
                # What is beside the agent has a time-out of its own, and spends nothing.
                reached = self._memory(start, waits)
                if not directory.is_beside_agent():
                    reached = (
                        reached
                        or self._cost(stream, waits)
                        or self._silence(directory, waits, remember)
                        or self._linger(directory, waits, remember)
                    )
            if reached is not None and not keeper.keeps(directory, start):
                reached = None  # The run has ended, and what was measured may be of the next one of its keeper.
        again = waits or self.always or self.finished
        self.check_at = monotonic_ms() + min(waits, default=FIRST_CHECK_MS) if again else None
        return reached

    def _timeout(self, start: Start, waits: list[int]) -> Reached | None:
        if self.timeout_ms is None:
            return None
        left = start.monotonic_ms + self.timeout_ms + SLACK_MS - monotonic_ms()
        waits.append(left if left > 0 else SLACK_MS)
        if left > 0 or not _stopped(start):
            return None
        return Reached("timeout", f"ran longer than {format_duration(self.timeout_ms)}, and its keeper was stopped")

    def _memory(self, start: Start, waits: list[int]) -> Reached | None:
        if self.memory_bytes is None or keeper.is_foreign(start):  # Its memory cannot be seen from here.
            return None
        now = monotonic_ms()
        if now < self.memory_at:
            waits.append(self.memory_at - now)
            return None
        self.memory_at = now + MEMORY_MS
        waits.append(MEMORY_MS)
        below = tree.below([start.identity])
        if resources.resident(below) <= self.memory_bytes:
            return None
        used = resources.tree_memory(below)
        if used is None or used <= self.memory_bytes:
            return None
        return Reached("oom", f"its processes use {format_size(used)} of {format_size(self.memory_bytes)}")

    def _cost(self, stream: StreamFollower | None, waits: list[int]) -> Reached | None:
        if self.left_usd is None or stream is None:
            return None
        waits.append(COST_MS)
        said = stream.reader.verdict()
        # With its final event the work is done and paid for.
        if said.final or said.cost_usd is None or said.cost_usd < self.left_usd:
            return None
        return Reached("budget", f"cost {format_cost(said.cost_usd)} of {format_cost(self.left_usd)} that was left")

    def _silence(self, directory: RunDirectory, waits: list[int], remember: bool) -> Reached | None:
        limit = self.stall_timeout_ms
        if limit is None:
            return None
        found = _signs(directory)
        if found.stdout is None:  # The pre-task script is still running; it has its own limit.
            waits.append(stall.interval(limit))
            return None
        now = awake_ms()
        before = self.silence or directory.recorded_silence()
        self.silence = stall.observe(before, found, now=now, boot_id=process.boot_id(), limit_ms=limit)
        if remember and (before is None or (before.signs, before.since) != (found, self.silence.since)):
            with contextlib.suppress(OSError):  # A full disk: the next check starts again.
                directory.record_silence(self.silence)
        waits.append(stall.next_check(self.silence, now=now, limit_ms=limit))
        if not stall.stalled(self.silence, now=now, limit_ms=limit):
            return None
        silent = format_duration(now - self.silence.since)
        return Reached("stalled", f"no output and no heartbeat for {silent}")

    def _linger(self, directory: RunDirectory, waits: list[int], remember: bool) -> Reached | None:
        limit = self.linger_ms
        if limit is None:
            return None
        if not self.finished:
            if remember:  # If it continues, that work ends in another final event, or in none.
                directory.forget_silence(LINGERS)
            self.lingers = None
            return None
        now = awake_ms()
        before = self.lingers or directory.recorded_silence(LINGERS)
        self.lingers = stall.observe(before, LAST_WORD, now=now, boot_id=process.boot_id(), limit_ms=limit)
        if remember and (before is None or before.since != self.lingers.since):
            with contextlib.suppress(OSError):
                directory.record_silence(self.lingers, LINGERS)
        waits.append(stall.next_check(self.lingers, now=now, limit_ms=limit))
        if not stall.stalled(self.lingers, now=now, limit_ms=limit):
            return None
        return Reached(
            LINGER, f"its final event came {format_duration(now - self.lingers.since)} ago, and it has not exited"
        )


def enforce(
    queue: Queue, run: RunId, directory: RunDirectory, reached: Reached, *, actor: Actor, dry: bool = False
) -> bool:
    """End the run; False if it has ended by itself meanwhile. With `dry` its shim is not told."""
    try:
        if not queue.request_stop(run, reason=reached.reason, cancel=False, actor=actor, background=True):
            return False
    except AgentqError:
        # Its session's file is busy or broken, perhaps because of this very run: the record in its directory decides.
        pass
    if not dry:
        stop.request_stop(directory, reason=reached.reason, at=queue.now)
    return True


def _agent_runs(directory: RunDirectory, start: Start) -> bool:
    agent = directory.agent()
    if agent is None:
        return False
    return keeper.keeps(directory, start) if keeper.is_foreign(start) else process.alive(agent)


def _stopped(start: Start) -> bool:
    """Whether somebody stopped the shim, which then notices no time-out."""
    found = None if keeper.is_foreign(start) else process.stat_of(start.identity.pid)
    return found is not None and found.start_time == start.identity.start_time and found.state in ("T", "t")


def _signs(directory: RunDirectory) -> stall.Signs:
    return stall.Signs(*(_sign(directory.file(name)) for name in stall.Signs._fields))


def _sign(path: str) -> stall.Sign:
    try:
        # Not followed: a link that the agent made must not lead its supervisor onto a file system that hangs.
        found = os.lstat(path)
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns
