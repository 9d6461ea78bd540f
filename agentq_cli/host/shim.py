"""The keeper of one run: forked by the launcher, it stays with the agent until nothing of the run is left.

It takes the run by writing its `start` record, starts the agent, enforces `--timeout` and the output bound, carries out
a recorded stop, and writes the `exit` record. Only SIGKILL ends it early. A hang-up or a service manager's SIGTERM only
makes it check for a stop record, so that a run ends by its own limits or at a person's request.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterable

from agentq_cli.base.clock import Clock, monotonic_ms
from agentq_cli.base.dataclass import NamedTuple
from agentq_cli.host import keeper, kernel, process, tmpdir, tree
from agentq_cli.host.bound import BoundedOutput
from agentq_cli.host.launch import LaunchRequest
from agentq_cli.host.oom import oom_kills
from agentq_cli.host.records import Exit, Start
from agentq_cli.host.run_directory import ExitSlot, RunDirectory
from agentq_cli.host.spawn import Agent, SpawnError, spawn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

WAKING = frozenset({signal.SIGCHLD, signal.SIGUSR1, signal.SIGTERM})
FIRST_CHECK_MS = 100
CHECK_MS = 1_000
KILL_AGAIN_MS = 100
KILL_SELDOM_MS = 5_000
TIMEOUT = "timeout"


def main(data: bytes, inherited: Iterable[int]) -> NoReturn:
    """Carry out one launch request in this process, which was forked for it, then exit.

    `inherited` are the launcher's descriptors. If they stayed open here, a supervisor would not notice that the
    launcher ended.
    """
    try:
        os.setsid()
        for descriptor in inherited:
            os.close(descriptor)
        kernel.name_process(keeper.NAME)
        if (shim := _take(LaunchRequest.decode(data))) is not None:
            shim.run()
    finally:
        os._exit(0)


def _take(request: LaunchRequest) -> Shim | None:
    """Take the run. None if it is void, another shim has it, or its directory cannot be written."""
    directory = RunDirectory(request.run_dir)
    private, failure = None, None
    try:
        directory.create()
        slot = directory.reserve_exit()
    except OSError:
        return None
    if request.private_tmp:
        try:
            private = tmpdir.create(os.environ, request.run_dir)
        except OSError as error:
            failure = f"TMPDIR: {error.strerror}"
    clock = Clock(request.fixed_now_ms)
    start = Start(process.current(), clock.now_ms(), monotonic_ms())
    try:
        taken = directory.write_start(start)
    except OSError as error:
        # The record is in place but perhaps not on disk: the run is taken, and fails.
        taken = _has_taken(directory, start)
        failure = f"'{directory.file('start')}': {error.strerror}"
    if taken:
        return Shim(request, directory, slot, start, private, failure)
    slot.release()
    if private is not None:
        tmpdir.remove(private)
    return None


def _has_taken(directory: RunDirectory, start: Start) -> bool:
    found = directory.start()
    return isinstance(found, Start) and found.identity == start.identity


class Step(NamedTuple):
    """One step of the stop sequence, and when it is due (monotonic)."""

    due: int
    number: int


class Shim:
    """A run that this process has taken. `failure` is why it cannot be started, if that is known already."""

    def __init__(
        self,
        request: LaunchRequest,
        directory: RunDirectory,
        slot: ExitSlot,
        start: Start,
        private_tmp: str | None,
        failure: str | None,
    ) -> None:
        self._request = request
        self._directory = directory
        self._slot = slot
        self._start = start
        self._private_tmp = private_tmp
        self._clock = Clock(request.fixed_now_ms)
        self._deadline = None if request.timeout_ms is None else start.monotonic_ms + request.timeout_ms
        self._agent: Agent | None = None
        self._status: int | None = None
        self._peak_rss: int | None = None
        self._oom_kills: int | None = None
        self._oom_kills_before = oom_kills()
        self._stopped: str | None = None
        self._stdout_at_stop: int | None = None
        self._failure = failure
        self._spawn_failed = failure is not None
        self._steps: list[Step] = []
        self._killing = False
        self._script_outcome: str | None = None
        self._kill_again = KILL_AGAIN_MS
        self._left_something = False
        self._outputs: dict[str, BoundedOutput] = {}
        self._check_every = FIRST_CHECK_MS
        self._check_at = start.monotonic_ms + FIRST_CHECK_MS

    def run(self) -> None:
        """Start the agent, stay until its process tree is gone, and record how it ended."""
        try:
            if (stop := self._directory.stop()) is not None:
                self._stopped = stop.reason
            elif not self._spawn_failed:
                self._spawn()
            self._watch()
        except Exception as error:  # A bug must not leave an agent without a keeper.
            self._failure = f"bug in agentq: {error!r}"
            self._kill_everything()
        self._finish()

    def _spawn(self) -> None:
        env = dict(self._request.env)
        if self._private_tmp is not None:
            env["TMPDIR"] = self._private_tmp
        try:
            kernel.become_subreaper()
            if self._request.script is not None and not self._run_script(env):
                return
            for stream in ("stdout", "stderr"):
                self._outputs[stream] = BoundedOutput(self._directory, stream, self._request.output_bytes)
            stdout, stderr = (output.descriptor for output in self._outputs.values())
            self._agent = spawn(self._request, self._directory, env, stdout, stderr)
        except SpawnError as error:
            self._fail_spawn(str(error))
        except OSError as error:
            self._fail_spawn(f"'{error.filename or self._directory.path}': {error.strerror}")

    def _run_script(self, env: dict[str, str]) -> bool:
        """Run the pre-task script; return whether to start the agent."""
        from agentq_cli.host import script

        verdict = script.run(self._request, self._directory, env, WAKING)
        if verdict is None:
            stop = self._directory.stop()
            self._stopped = "unknown" if stop is None else stop.reason
            return False
        self._script_outcome, self._failure = verdict.outcome, verdict.error
        self._request = script.with_data(self._request, env, verdict.data)
        return verdict.outcome == script.WAKE

    def _fail_spawn(self, reason: str) -> None:
        self._spawn_failed = True
        self._failure = reason

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
            self._peak_rss = max(self._peak_rss or 0, usage.ru_maxrss * 1024)
            if self._agent is not None and pid == self._agent.pid:
                self._agent_ended(self._agent, status)

    def _agent_ended(self, agent: Agent, status: int) -> None:
        self._status = status
        if (kills := oom_kills()) is not None and self._oom_kills_before is not None:
            self._oom_kills = kills - self._oom_kills_before
        if (reason := agent.failure()) is not None:
            self._fail_spawn(reason)
        if not self._killing:  # Processes that it left behind get a grace time of their own.
            self._steps = self._stop_steps(interrupt_first=False)

    def _begin_requested_stop(self, now: int) -> None:
        """Begin the stop sequence if a stop is recorded or the time is up. Neither matters once the agent has ended."""
        if self._stopped is not None or self._status is not None:
            return
        expired = self._deadline is not None and now >= self._deadline
        if expired:
            with contextlib.suppress(OSError):  # The disk is full, but the time is up all the same.
                self._directory.post_stop(TIMEOUT, self._clock.now_ms())
        stop = self._directory.stop()
        if stop is not None or expired:
            self._stopped = TIMEOUT if stop is None else stop.reason
            # Measured before any signal: the agent's reaction to it says nothing about its work.
            if (stdout := self._outputs.get("stdout")) is not None:
                self._enforce_bound(stdout)
                self._stdout_at_stop = stdout.logical_size()
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
        elif self._agent is not None and self._status is None:
            self._agent.signal(number)
            self._agent.signal(signal.SIGCONT)  # A stopped process reacts to no other signal.
        else:
            self._left_something = True
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
        if self._deadline is not None and self._stopped is None and self._status is None:
            dues.append(self._deadline)
        return min(dues)

    def _kill_everything(self) -> None:
        while self._reap():
            tree.kill_found(lambda: tree.descendants(os.getpid()))
            signal.sigtimedwait(WAKING, KILL_AGAIN_MS / 1000)

    def _finish(self) -> None:
        """Record the end, then clean up: the record matters more than the temporary files."""
        if self._stopped is not None or self._left_something:
            self._kill_marked()
        for output in self._outputs.values():
            self._enforce_bound(output)
        if self._failure is None and self._slot.disk_full():
            self._failure = f"no space left on the file system of '{self._directory.path}': output may be missing"
        record = self._exit()
        try:
            self._slot.write(record)
        except OSError:
            self._rewrite_exit(record)
        if self._private_tmp is not None:
            tmpdir.remove(self._private_tmp)

    def _kill_marked(self) -> None:
        """Kill processes that left the tree but still carry the run's marker: the slot is free only once they are
        gone too."""
        run, state_dir = self._request.env.get("AGENTQ_RUN"), self._request.env.get("AGENTQ_STATE_DIR")
        left = bool(run and state_dir)
        while left:
            try:
                left = not tree.kill_orphans(run or "", state_dir or "", grace_ms=self._request.grace_ms)
            except OSError:  # Out of descriptors: wait, so that the record that follows is correct.
                signal.sigtimedwait(WAKING, CHECK_MS / 1000)

    def _rewrite_exit(self, record: Exit) -> None:
        """Recreate the run's directory for the exit record: the agent removed it, or removed the permission to write to
        it.

        Without the record the run would look as if it had never started, and would be started again.
        """
        directory = RunDirectory(self._directory.path)
        with contextlib.suppress(OSError):
            os.chmod(directory.path, 0o700)
        with contextlib.suppress(OSError):
            directory.create()
            if directory.write_start(self._start) or _has_taken(directory, self._start):
                directory.reserve_exit().write(record)

    def _exit(self) -> Exit:
        code = None if self._status is None or self._spawn_failed else os.waitstatus_to_exitcode(self._status)
        sizes = {stream: output.logical_size() for stream, output in self._outputs.items()}
        return Exit(
            exit_code=code if code is None or code >= 0 else None,
            signal=-code if code is not None and code < 0 else None,
            stopped=self._stopped,
            error=self._failure,
            spawn_error=self._spawn_failed,
            finished_at=self._clock.now_ms(),
            duration_ms=monotonic_ms() - self._start.monotonic_ms,
            peak_rss_bytes=self._peak_rss,
            stdout_bytes=sizes.get("stdout", 0),
            stderr_bytes=sizes.get("stderr", 0),
            script_outcome=self._script_outcome,
            oom_kills=self._oom_kills,
            stdout_at_stop=self._stdout_at_stop,
        )
