"""The keeper of one run: forked by the launcher, alone with the agent until nothing of it is left.

It takes the run by its `start` record, starts the agent, enforces `--timeout` and the output bound, carries out a
recorded stop, and writes the `exit` record. Nothing but SIGKILL ends it early: a hang-up or a service manager's
SIGTERM only makes it look for a stop record, so that a run ends by its own limits or by a person's wish.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterable

from agentq_cli.clock import Clock, monotonic_ms
from agentq_cli.dataclass import NamedTuple
from agentq_cli.supervise import keeper, kernel, process, tmpdir, tree
from agentq_cli.supervise.bound import BoundedOutput
from agentq_cli.supervise.launch import LaunchRequest
from agentq_cli.supervise.oom import oom_kills
from agentq_cli.supervise.records import Exit, ExitSlot, RunDirectory, Start
from agentq_cli.supervise.spawn import Agent, SpawnError, spawn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

WAKING = frozenset({signal.SIGCHLD, signal.SIGUSR1, signal.SIGTERM})
FIRST_LOOK_MS = 100
LOOK_MS = 1_000
KILL_AGAIN_MS = 100
KILL_SELDOM_MS = 5_000
TIMEOUT = "timeout"


def main(data: bytes, inherited: Iterable[int]) -> NoReturn:
    """Carry out one launch request in this process, which was just forked for it, and end.

    `inherited` are the launcher's descriptors: held open here, they would keep a supervisor from seeing its end.
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
    """Take the run, or leave it: it is void, another shim has it, or its directory cannot be written."""
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
        # In place but perhaps not on disk: the run is taken, and fails.
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
    """One rung of the stop ladder and when it is due (monotonic)."""

    due: int
    number: int


class Shim:
    """A taken run. `failure` is why it cannot be started, where that is known already."""

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
        self._look_every = FIRST_LOOK_MS
        self._look_at = start.monotonic_ms + FIRST_LOOK_MS

    def run(self) -> None:
        """Start the agent, keep it until its tree is gone, record how it ended."""
        try:
            if (stop := self._directory.stop()) is not None:
                self._stopped = stop.reason
            elif not self._spawn_failed:
                self._spawn()
            self._watch()
        except Exception as error:  # A bug must not leave an agent that nobody keeps.
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
        """Run the pre-task script; whether the agent is to be started."""
        from agentq_cli.supervise import script

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
            except OSError:  # Out of descriptors, a disk that fails: nothing that an agent should die of.
                wait = LOOK_MS
            signal.sigtimedwait(WAKING, wait / 1000)

    def _act(self, now: int) -> None:
        self._look_for_stop(now)
        self._look_at_output(now)
        while self._steps and self._steps[0].due <= now:
            self._take_step(self._steps[0].number)
            self._steps.pop(0)

    def _reap(self) -> bool:
        """Wait for all that has ended; False once nothing is left, here or below: orphans come to the subreaper."""
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
        if not self._killing:  # What it left running has a grace time of its own.
            self._steps = self._ladder(interrupt_first=False)

    def _look_for_stop(self, now: int) -> None:
        """Begin the ladder where a stop is recorded or the time is up; an agent that has ended is past both."""
        if self._stopped is not None or self._status is not None:
            return
        expired = self._deadline is not None and now >= self._deadline
        if expired:
            with contextlib.suppress(OSError):  # The disk is full; the time is up all the same.
                self._directory.post_stop(TIMEOUT, self._clock.now_ms())
        stop = self._directory.stop()
        if stop is not None or expired:
            self._stopped = TIMEOUT if stop is None else stop.reason
            # Before any signal: what it says to that is no news about its work.
            if (stdout := self._outputs.get("stdout")) is not None:
                self._look(stdout)
                self._stdout_at_stop = stdout.logical_size()
            self._steps = self._ladder(self._request.interrupt_first)

    def _ladder(self, interrupt_first: bool) -> list[Step]:
        now, grace = monotonic_ms(), self._request.grace_ms
        steps = [Step(now, signal.SIGTERM), Step(now + grace, signal.SIGKILL)]
        if interrupt_first:
            steps[:1] = [Step(now, signal.SIGINT), Step(now + grace // 2, signal.SIGTERM)]
        return steps

    def _take_step(self, number: int) -> None:
        if number == signal.SIGKILL:
            self._killing = True
            tree.kill_found(lambda: tree.descendants(os.getpid()))
            # What hangs in the kernel dies late, and what is another user's not at all: look ever more rarely.
            self._steps.append(Step(monotonic_ms() + self._kill_again, signal.SIGKILL))
            self._kill_again = min(2 * self._kill_again, KILL_SELDOM_MS)
        elif self._agent is not None and self._status is None:
            self._agent.signal(number)
            self._agent.signal(signal.SIGCONT)  # A stopped process hears nothing else.
        else:
            self._left_something = True
            tree.terminate(tree.descendants(os.getpid()))

    def _look_at_output(self, now: int) -> None:
        if now < self._look_at:
            return
        grown = sum(self._look(output) for output in self._outputs.values())
        fast = grown > self._request.output_bytes // 4
        self._look_every = FIRST_LOOK_MS if fast else min(2 * self._look_every, LOOK_MS)
        self._look_at = now + self._look_every

    def _look(self, output: BoundedOutput) -> int:
        try:
            return output.look()
        except OSError:  # An output that cannot be shortened is no reason to leave the agent alone.
            return 0

    def _next_due(self) -> int:
        dues = [self._look_at, *(step.due for step in self._steps[:1])]
        if self._deadline is not None and self._stopped is None and self._status is None:
            dues.append(self._deadline)
        return min(dues)

    def _kill_everything(self) -> None:
        while self._reap():
            tree.kill_found(lambda: tree.descendants(os.getpid()))
            signal.sigtimedwait(WAKING, KILL_AGAIN_MS / 1000)

    def _finish(self) -> None:
        """Record the end, then tidy up: the record is worth more than the temporary files."""
        if self._stopped is not None or self._left_something:
            self._kill_marked()
        for output in self._outputs.values():
            self._look(output)
        if self._failure is None and self._slot.disk_full():
            self._failure = f"no space left where '{self._directory.path}' is: output may be missing"
        record = self._exit()
        try:
            self._slot.write(record)
        except OSError:
            self._write_anew(record)
        if self._private_tmp is not None:
            tmpdir.remove(self._private_tmp)

    def _kill_marked(self) -> None:
        """What left the tree and still carries the run's name: the slot is free only once that is gone too."""
        run, state_dir = self._request.env.get("AGENTQ_RUN"), self._request.env.get("AGENTQ_STATE_DIR")
        left = bool(run and state_dir)
        while left:
            try:
                left = not tree.kill_orphans(run or "", state_dir or "", grace_ms=self._request.grace_ms)
            except OSError:  # Out of descriptors: the record that follows is worth waiting for.
                signal.sigtimedwait(WAKING, LOOK_MS / 1000)

    def _write_anew(self, record: Exit) -> None:
        """The agent took the run's directory away, or the right to write there: it is made anew for the record.

        Without one the run would look as if it had never started, and be started again.
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
