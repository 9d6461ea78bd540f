"""One program of a run, such as its agent or its check, which the keeper starts and stays with until its tree is gone.

Its limits are enforced here, and its outputs bounded; a recorded stop is carried out. The keeper is the subreaper, so
what the program leaves behind is reaped and ended here too.
"""

from __future__ import annotations

import os

from agentq_cli.base.clock import Clock, monotonic_ms
from agentq_cli.base.context import suppress
from agentq_cli.base.dataclass import NamedTuple
from agentq_cli.base.lean import signal
from agentq_cli.host import tree
from agentq_cli.host.bound import BoundedOutput
from agentq_cli.host.launch import LaunchRequest
from agentq_cli.host.oom import oom_kills
from agentq_cli.host.run_directory import RunDirectory
from agentq_cli.host.spawn import Agent, SpawnError, spawn
from agentq_cli.model.runs import LIMIT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

WAKING = frozenset({signal.SIGCHLD, signal.SIGUSR1, signal.SIGTERM})
FIRST_CHECK_MS = 100
CHECK_MS = 1_000
KILL_AGAIN_MS = 100
KILL_SELDOM_MS = 5_000
TIMEOUT = "timeout"

KILLED = (-signal.SIGKILL, 128 + signal.SIGKILL)
"""The codes of a program that the kernel may have killed for lack of memory, and of a shell whose command it killed."""


class Step(NamedTuple):
    """One step of the stop sequence, and when it is due (monotonic)."""

    due: int
    number: int


class Kept:
    """A program of a run. `deadline` is the run's, `limit` its own (both monotonic). Unless it `heeds_stops`, only
    its limit ends it.

    Once `run` has returned: its wait `status` (None: it never ran), why it was `stopped`, why it failed if its status
    does not say so (`failure`, and with `spawn_failed` it could not be started), the peak memory of what it started,
    and how many bytes its stdout had when the stop began.
    """

    def __init__(
        self,
        request: LaunchRequest,
        directory: RunDirectory,
        clock: Clock,
        deadline: int | None,
        limit: int | None = None,
        *,
        heeds_stops: bool = True,
    ) -> None:
        self.status: int | None = None
        self.stopped: str | None = None
        self.failure: str | None = None
        self.spawn_failed = False
        self.peak_rss: int | None = None
        self.oom_kills: int | None = None
        self.stdout_at_stop: int | None = None
        self.left_something = False
        self._request = request
        self._directory = directory
        self._clock = clock
        self._deadline = deadline
        self._limit = limit
        self._heeds_stops = heeds_stops
        self._agent: Agent | None = None
        self._oom_kills_before = oom_kills()
        self._steps: list[Step] = []
        self._killing = False
        self._kill_again = KILL_AGAIN_MS
        self._outputs: dict[str, BoundedOutput] = {}
        self._check_every = FIRST_CHECK_MS
        self._check_at = monotonic_ms() + FIRST_CHECK_MS

    def run(self, env: Mapping[str, str], streams: Sequence[str]) -> None:
        """Start it, and stay until its process tree is gone. `streams` are the files for its stdout and its stderr."""
        try:
            self._spawn(env, streams)
            self._watch()
        except Exception as error:  # A bug must not leave an agent without a keeper.
            self.failure = f"bug in agentq: {error!r}"
            self._kill_everything()

    @property
    def code(self) -> int | None:
        """Its exit code, or a signal as a negative number; None if it never ran."""
        return None if self.status is None or self.spawn_failed else os.waitstatus_to_exitcode(self.status)

    def bounded_size(self, stream: str) -> int:
        """How many bytes were written to one of its files, which is cut to its bound."""
        if stream not in self._outputs:
            return 0
        self._enforce_bound(self._outputs[stream])
        return self._outputs[stream].logical_size()

    def _spawn(self, env: Mapping[str, str], streams: Sequence[str]) -> None:
        try:
            for stream in streams:
                if stream not in self._outputs:
                    self._outputs[stream] = BoundedOutput(self._directory, stream, self._request.output_bytes)
            stdout, stderr = (self._outputs[stream].descriptor for stream in streams)
            self._agent = spawn(self._request, self._directory, env, stdout, stderr)
        except SpawnError as error:
            self._fail_spawn(str(error))
        except OSError as error:
            self._fail_spawn(f"'{error.filename or self._directory.path}': {error.strerror}")

    def _fail_spawn(self, reason: str) -> None:
        self.spawn_failed = True
        self.failure = reason

    def _watch(self) -> None:
        while self._reap():
            try:
                self._act(monotonic_ms())
                wait = max(0, self._next_due() - monotonic_ms())
            except OSError:  # Out of descriptors or a failing disk: no reason to let an agent die.
                wait = CHECK_MS
            signal.sigtimedwait(WAKING, wait / 1000)

    def _act(self, now: int) -> None:
        self._begin_requested_stop(now)
        self._bound_outputs(now)
        while self._steps and self._steps[0].due <= now:
            self._take_step(self._steps[0].number)
            self._steps.pop(0)

    def _reap(self) -> bool:
        """Reap all processes that have ended. False once none is left, children or orphans, which the subreaper
        inherits."""
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            self.peak_rss = max(self.peak_rss or 0, usage.ru_maxrss * 1024)
            if self._agent is not None and pid == self._agent.pid:
                self._ended(status)

    def _ended(self, status: int) -> None:
        self.status = status
        if self.code in KILLED and self._oom_kills_before is not None and (kills := oom_kills()) is not None:
            self.oom_kills = kills - self._oom_kills_before
        if not self._killing:  # Processes that it left behind get a grace time of their own.
            self._steps = self._stop_steps(interrupt_first=False)

    def _begin_requested_stop(self, now: int) -> None:
        """Begin the stop sequence if a stop is recorded or the time is up. Neither matters once the program has
        ended."""
        if self.stopped is not None or self.status is not None:
            return
        expired = self._deadline is not None and now >= self._deadline
        if expired:
            with suppress(OSError):  # The disk is full, but the time is up all the same.
                self._directory.post_stop(TIMEOUT, self._clock.now_ms())
        stop = self._directory.stop() if self._heeds_stops else None
        if stop is not None:
            self.stopped = stop.reason
        elif expired:
            self.stopped = TIMEOUT
        elif self._limit is not None and now >= self._limit:
            self.stopped = LIMIT
        if self.stopped is not None:
            # Measured before any signal: the agent's reaction to it says nothing about its work.
            if (stdout := self._outputs.get("stdout")) is not None:
                self._enforce_bound(stdout)
                self.stdout_at_stop = stdout.logical_size()
            self._steps = self._stop_steps(self._request.interrupt_first)

    def _stop_steps(self, interrupt_first: bool) -> list[Step]:
        now, grace = monotonic_ms(), self._request.grace_ms
        steps = [Step(now, signal.SIGTERM), Step(now + grace, signal.SIGKILL)]
        if interrupt_first:
            steps[:1] = [Step(now, signal.SIGINT), Step(now + grace // 2, signal.SIGTERM)]
        return steps

    def _take_step(self, number: int) -> None:
        if number == signal.SIGKILL:
            self._killing = True
            tree.kill_found(lambda: tree.descendants(os.getpid()))
            # A process that hangs in the kernel dies late, and another user's process never does: retry at growing
            # intervals.
            self._steps.append(Step(monotonic_ms() + self._kill_again, signal.SIGKILL))
            self._kill_again = min(2 * self._kill_again, KILL_SELDOM_MS)
        elif self._agent is not None and self.status is None:
            self._agent.signal(number)
            self._agent.signal(signal.SIGCONT)  # A stopped process reacts to no other signal.
        else:
            self.left_something = True
            tree.terminate(tree.descendants(os.getpid()))

    def _bound_outputs(self, now: int) -> None:
        if now < self._check_at:
            return
        grown = sum(self._enforce_bound(output) for output in self._outputs.values())
        fast = grown > self._request.output_bytes // 4
        self._check_every = FIRST_CHECK_MS if fast else min(2 * self._check_every, CHECK_MS)
        self._check_at = now + self._check_every

    def _enforce_bound(self, output: BoundedOutput) -> int:
        try:
            return output.enforce()
        except OSError:  # Failing to shorten an output is no reason to abandon the agent.
            return 0

    def _next_due(self) -> int:
        dues = [self._check_at, *(step.due for step in self._steps[:1])]
        if self.stopped is None and self.status is None:
            dues += [due for due in (self._deadline, self._limit) if due is not None]
        return min(dues)

    def _kill_everything(self) -> None:
        while self._reap():
            tree.kill_found(lambda: tree.descendants(os.getpid()))
            signal.sigtimedwait(WAKING, KILL_AGAIN_MS / 1000)
