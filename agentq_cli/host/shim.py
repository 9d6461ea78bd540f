"""What a keeper does for one run: it stays with the agent until nothing of the run is left.

It takes the run by writing its `start` record, carries out its stages (`policy.stages`), and writes the `exit` record.
Only SIGKILL ends it early. A hang-up or a service manager's SIGTERM only makes it check for a stop record, so that a
run ends by its own limits or at a person's request.
"""

from __future__ import annotations

import os

from agentq_cli.base.clock import Clock, monotonic_ms
from agentq_cli.base.context import suppress
from agentq_cli.base.lean import signal
from agentq_cli.host import kernel, process, taking, tmpdir, tree
from agentq_cli.host.kept import CHECK_MS, WAKING, Kept
from agentq_cli.host.launch import LaunchRequest
from agentq_cli.host.records import Exit
from agentq_cli.host.run_directory import RunDirectory
from agentq_cli.model.runs import LEASE
from agentq_cli.policy import stages
from agentq_cli.policy.stages import Came, Stage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import NoReturn

    from agentq_cli.base.identity import Identity
    from agentq_cli.host.taking import Taken
    from agentq_cli.host.tree_stages import TreeStages
    from agentq_cli.model.runs import Check


def keep(data: bytes, serves: int = 1) -> bool:
    """Take the run of this request, if nobody has it, and keep it to its end. Returns whether this process may keep
    another one.

    `serves` is how many runs this process has been asked to keep by now.
    """
    request = LaunchRequest.decode(data)
    taken = taking.take(request, serves)
    return taken is None or Shim(request, taken).run()


def line_of(request: LaunchRequest) -> tuple[Stage, ...]:
    """The stages of the run that a request asks for."""
    tree = request.tree
    return stages.line(
        script=request.script is not None and not request.lands,
        check=request.check is not None and not request.lands,  # its landing checks
        tree=tree is not None,
        setup=tree is not None and tree.setup is not None,
        land=tree is not None and tree.land is not None,
        agent=not request.lands,
    )


class Shim:
    """A run that this process has taken."""

    def __init__(self, request: LaunchRequest, taken: Taken) -> None:
        self._request = request
        self._directory = taken.directory
        self._slot = taken.slot
        self._start = start = taken.start
        self._private_tmp = taken.private_tmp
        self._fuse = taken.fuse
        self._clock = Clock(request.fixed_now_ms)
        self._deadline = None if request.timeout_ms is None else start.monotonic_ms + request.timeout_ms
        self._line = line_of(request)
        self._env = dict(request.env)
        self._agent: Kept | None = None
        self._programs: list[Kept] = []
        self._unrecorded = False
        self._facts = Exit(
            exit_code=0 if request.lands else None,
            signal=None,
            stopped=None,
            error=taken.failure,
            spawn_error=taken.failure is not None,
            finished_at=0,
            duration_ms=0,
            peak_rss_bytes=None,
            stdout_bytes=0,
            stderr_bytes=0,
            lands=request.lands,
        )

    def run(self) -> bool:
        """Carry out the stages of the run, each until its process tree is gone, and record how it ended. Returns
        whether this is on record, and nothing that others go by is left of it in this process."""
        if self._fuse is not None:
            self._fuse.arm(self._end_by_lease)
        if self._private_tmp is not None:
            self._env["TMPDIR"] = self._private_tmp
        try:
            if not self._facts.spawn_error:
                kernel.become_subreaper()
                self._carry_out()
        except OSError as error:
            why = f"'{error.filename or self._directory.path}': {error.strerror}"
            self._facts = self._facts._replace(error=why, spawn_error=not self._programs)
        except Exception as error:  # Whatever a bug keeps from being done, the end is recorded.
            self._facts = self._facts._replace(error=f"bug in agentq: {error!r}")
        return self._finish() and self._directory.holds_lock()

    def _carry_out(self) -> None:
        came: dict[Stage, Came] = {}
        interruptions = self._request.take - 1
        if interruptions:
            came = self._take_over()
        while (stage := stages.following(self._line, came, interruptions=interruptions)) is not None:
            if self._told_to_end(stage):
                break
            came[stage] = self._begin(stage)
            interruptions += came[stage] is Came.INTERRUPTED

    def _take_over(self) -> dict[Stage, Came]:
        """Go on with a run whose agent has ended, and whose shim died."""
        from agentq_cli.host import check, script, take_over

        known, self._facts = take_over.facts(self._directory, self._facts)
        if self._request.script is not None:
            self._facts = self._facts._replace(script_outcome=script.WAKE)
            self._request = script.with_data(self._request, self._env, script.data_again(self._directory))
        if self._request.tree is not None:
            self._env |= take_over.variables(self._directory)
        done = self._request.lands or check.wanted(self._request, self._directory, self._facts)
        # Without a record of its end, or a word of it, the run has crashed, whatever is done here for its tree.
        self._unrecorded = not (known or done)
        return take_over.came(self._line, self._directory, done=done)

    def _told_to_end(self, stage: Stage) -> bool:
        """Whether a stop is recorded that keeps this stage from beginning."""
        stop = self._directory.stop()
        if stop is None or stage in stages.CLOSING:
            return False
        if stage in stages.AFTER and stop.reason not in stages.ENDING:
            # That was about the agent, which has done its work all the same.
            self._directory.set_stop_aside()
            return False
        check = self._facts.check if stage is Stage.LAND else None
        self._facts = self._facts._replace(stopped=stop.reason, check=check)
        return True

    def _begin(self, stage: Stage) -> Came:
        own = {Stage.SCRIPT: self._run_script, Stage.AGENT: self._run_agent, Stage.CHECK: self._run_check}
        run = own.get(stage)
        if run is not None:
            return run()
        if stage is Stage.SNAPSHOT and self._request.lands:
            self._pass_on()
        return self._run_land() if stage is Stage.LAND else self._in_tree(stage)

    def _in_tree(self, stage: Stage) -> Came:
        found = self._tree_stages().carry_out(stage)
        self._facts = self._facts._replace(**found.facts)
        self._env |= found.env
        self._clear_away()
        return found.came

    def _tree_stages(self) -> TreeStages:
        from agentq_cli.host.tree_stages import TreeStages

        return TreeStages(self._request, self._directory, self._clock, self._deadline, self._keep)

    def _run_land(self) -> Came:
        from agentq_cli.host.landing import Lander

        assert self._request.tree is not None
        program = self._tree_stages().land
        lander = Lander(
            self._request.tree, self._directory, self._clock, self._deadline, program=program, check=self._check
        )
        known = self._facts.check
        found = lander.land(None if self._request.check is None else "" if known is None else known.tree or "")
        self._facts = self._facts._replace(check=found.check or known)
        stop = self._directory.stop()
        if found.came is Came.ENDED and found.landing is None and stop is not None:
            self._facts = self._facts._replace(stopped=stop.reason)
        return found.came

    def _run_script(self) -> Came:
        from agentq_cli.host import script

        verdict = script.run(self._request, self._directory, self._env, WAKING)
        if verdict is None:
            stop = self._directory.stop()
            self._facts = self._facts._replace(stopped="unknown" if stop is None else stop.reason)
            return Came.ENDED
        self._facts = self._facts._replace(script_outcome=verdict.outcome, error=verdict.error)
        self._request = script.with_data(self._request, self._env, verdict.data)
        return Came.PASSED if verdict.outcome == script.WAKE else Came.ENDED

    def _run_agent(self) -> Came:
        agent = self._agent = Kept(self._request, self._directory, self._clock, self._deadline)
        if self._request.checkpoint:
            self._keep_with_checkpoint(agent)
        else:
            self._keep(agent, "stdout", "stderr")
        code = agent.code
        self._facts = self._facts._replace(
            exit_code=code if code is None or code >= 0 else None,
            signal=-code if code is not None and code < 0 else None,
            stopped=agent.stopped,
            error=agent.failure,
            spawn_error=agent.spawn_failed,
            oom_kills=agent.oom_kills,
            stdout_at_stop=agent.stdout_at_stop,
        )
        self._measure()
        if Stage.AGENT is self._line[-1]:
            return Came.PASSED
        done = stages.AFTER.isdisjoint(self._line) or self._is_done()
        if not done and self._request.tree is None:
            return Came.ENDED
        self._clear_away()
        self._pass_on()
        return Came.PASSED if done else Came.ENDED

    def _is_done(self) -> bool:
        """Whether the agent says that its work is done."""
        from agentq_cli.host import check

        return check.wanted(self._request, self._directory, self._timed())

    def _pass_on(self) -> None:
        """Record that the agent has ended, and remove what it may have put in the place of the records that follow."""
        with suppress(OSError):  # Without the record, what the agent printed tells that it is done.
            self._directory.forget_what_follows()
            self._directory.write_passed(self._timed())

    def _keep_with_checkpoint(self, agent: Kept) -> None:
        from agentq_cli.host import checkpoint

        begun = checkpoint.begin(self._directory, self._request.cwd, self._env)
        self._keep(agent, "stdout", "stderr")
        checkpoint.end(self._directory, begun, self._request.cwd, self._env, reader=self._request.reader)

    def _run_check(self) -> Came:
        from agentq_cli.host import check, stage_records

        tree = None if self._request.tree is None else stage_records.read_tree_left(self._directory.path)
        found = self._check(check.OUTPUT)._replace(tree=tree)
        self._facts = self._facts._replace(check=found)
        came = stages.came_of_check(found)
        if came is Came.PASSED and Stage.LAND in self._line:
            stage_records.write_checked(self._directory.path, found)
        return came

    def _check(self, output: str) -> Check:
        """Run the check, which prints to the file of this name."""
        from agentq_cli.host import check

        began = monotonic_ms()
        program = check.program(self._request, self._directory, self._clock, self._deadline)
        if (failure := check.prepared(self._directory, output)) is None:
            self._keep(program, output, output)
        found = check.ended(program, failure, monotonic_ms() - began, output)
        self._measure()
        self._clear_away()
        return found

    def _keep(self, program: Kept, *streams: str) -> None:
        self._programs.append(program)
        program.run(self._env, streams)

    def _measure(self) -> None:
        """Note what the programs have used and printed so far."""
        peaks = [each.peak_rss for each in self._programs if each.peak_rss is not None]
        if self._facts.peak_rss_bytes is not None:
            peaks.append(self._facts.peak_rss_bytes)
        self._facts = self._facts._replace(peak_rss_bytes=max(peaks, default=None))
        if self._agent is not None:
            stdout, stderr = self._agent.bounded_size("stdout"), self._agent.bounded_size("stderr")
            self._facts = self._facts._replace(stdout_bytes=stdout, stderr_bytes=stderr)

    def _timed(self) -> Exit:
        return self._facts._replace(
            finished_at=self._clock.now_ms(), duration_ms=monotonic_ms() - self._start.monotonic_ms
        )

    def _finish(self) -> bool:
        """Record the end, then clean up: the record matters more than the temporary files. False if it is not on
        record."""
        if self._facts.stopped is not None:
            self._kill_marked()
        else:
            self._clear_away()
        if self._fuse is not None:
            self._fuse.disarm()
        self._measure()
        if self._facts.error is None and self._slot.disk_full():
            why = f"no space left on the file system of '{self._directory.path}': output may be missing"
            self._facts = self._facts._replace(error=why)
        return self._record()

    def _record(self) -> bool:
        record, recorded = self._timed(), not self._unrecorded
        try:
            if recorded:
                self._slot.write(record)
            else:
                self._slot.release()
        except OSError:
            recorded = False  # not for sure
            self._rewrite_exit(record)
        if self._private_tmp is not None:
            tmpdir.remove(self._private_tmp)
        return recorded

    def _end_by_lease(self) -> NoReturn:
        """Kill everything of the run, record that, and exit. Called wherever this process is at the deadline: nothing
        that it was about to do is done."""
        from agentq_cli.host import take_over

        # First, since on a busy machine the kernel's timer may end this process before the record of the end is made.
        with suppress(OSError):
            self._directory.post_stop(LEASE, self._clock.now_ms())
        self._kill_marked(grace_ms=0, known=(process.current(),))
        if self._fuse is not None:
            self._fuse.disarm()
        stop = self._directory.stop()
        _, known = take_over.facts(self._directory, self._facts._replace(error=None, spawn_error=False))
        self._facts = known._replace(stopped=LEASE if stop is None else stop.reason)
        self._record()
        os._exit(0)

    def _clear_away(self) -> None:
        """End what a program left behind outside of its tree, if it may have."""
        if any(each.stopped is not None or each.left_something for each in self._programs):
            self._kill_marked()

    def _kill_marked(self, *, grace_ms: int | None = None, known: Iterable[Identity] = ()) -> None:
        """Kill processes that left the tree but still carry the run's marker: the slot is free only once they are
        gone too. The same for those that descend from `known`."""
        grace_ms = self._request.grace_ms if grace_ms is None else grace_ms
        run, state_dir = self._request.env.get("AGENTQ_RUN"), self._request.env.get("AGENTQ_STATE_DIR")
        left = bool(run and state_dir)
        while left:
            try:
                left = not tree.kill_orphans(run or "", state_dir or "", grace_ms=grace_ms, known=known)
            except OSError:  # Out of descriptors: wait, so that the record that follows is correct.
                signal.sigtimedwait(WAKING, CHECK_MS / 1000)

    def _rewrite_exit(self, record: Exit) -> None:
        """Recreate the run's directory for the exit record: the agent removed it, or removed the permission to write to
        it.

        Without the record the run would look as if it had never started, and would be started again.
        """
        directory = RunDirectory(self._directory.path)
        with suppress(OSError):
            os.chmod(directory.path, 0o700)
        with suppress(OSError):
            directory.create()
            if directory.write_start(self._start, self._request.take) or taking.has_taken(directory, self._start):
                directory.reserve_exit().write(record)
