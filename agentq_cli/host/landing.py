"""The landing of a run, as its keeper carries it out: the steps of `policy.landing_steps`, one landing at a time.

What a step does in git is the program of the stages'; the check between two steps is the run's. Only for use in a
keeper, and loaded by none whose run does not land.
"""

from __future__ import annotations

import os
import signal

from agentq_cli.base.clock import monotonic_ms
from agentq_cli.base.dataclass import dataclass
from agentq_cli.host import check, landing_lock, stage_records
from agentq_cli.host.kept import TIMEOUT, WAKING
from agentq_cli.model.runs import LIMIT
from agentq_cli.model.trees import Came, Landing
from agentq_cli.policy import landing_steps, stages
from agentq_cli.policy.landing_steps import Do, Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from agentq_cli.base.clock import Clock
    from agentq_cli.host.kept import Kept
    from agentq_cli.host.run_directory import RunDirectory
    from agentq_cli.model.runs import Check
    from agentq_cli.model.trees import Asked

ASK_AGAIN_MS = 200
"""How often the lock is tried while another landing holds it."""

ALONE = "check.branch"
"""The file of what the check prints about the branch alone."""

NOBODY_STOPS = frozenset({Do.LAND, Do.VISIT, Do.HOME})
"""What is not interrupted, so that no checkout of a person is left in between."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How landing ended: `came` of its stage, the `landing` if it came to an end, and the last check that says
    something about the work, None if it needed none."""

    came: stages.Came
    landing: Landing | None = None
    check: Check | None = None


class Lander:
    """Lands the work of a run. `program` runs the program of the stages for a step, and `check` the check, with its
    output in the file of that name. `deadline` is the run's (monotonic)."""

    def __init__(
        self,
        asked: Asked,
        directory: RunDirectory,
        clock: Clock,
        deadline: int | None,
        *,
        program: Callable[[Step], Kept],
        check: Callable[[str], Check],
    ) -> None:
        self._asked = asked
        self._directory = directory
        self._clock = clock
        self._deadline = deadline
        self._program = program
        self._check = check
        self._last: Check | None = None

    def land(self, checked: str | None) -> Ended:
        """Land the work; `checked` is the tree that the check passed on, empty if that is not known, None without a
        check. Raises OSError."""
        stage_records.remove(self._directory.path, stage_records.LANDING)
        try:
            lock = self._lock()
        except OSError as error:
            why = f"'{error.filename or self._asked.repository}': {error.strerror}"
            return self._ended(Landing(self._asked.land or "", Came.HELD, why=why))
        try:
            return self._ended(None) if lock is None else self._go(checked)
        finally:
            if lock is not None:
                os.close(lock)

    def _lock(self) -> int | None:
        """Wait for the lock; None if the run is to end before."""
        while not self._to_end():
            lock = landing_lock.take(self._asked.repository, self._asked.land or "")
            if lock is not None:
                return lock
            signal.sigtimedwait(WAKING, ASK_AGAIN_MS / 1000)
        return None

    def _go(self, checked: str | None) -> Ended:
        step = landing_steps.begin(self._asked.land or "", checked, pushes=self._asked.push is not None)
        while step.do is not Do.END:
            following = landing_steps.stopped(step) if self._ends_before(step) else self._take(step)
            if following is None:
                return Ended(stages.Came.INTERRUPTED)
            step = following
        return self._ended(step.landing)

    def _ended(self, landing: Landing | None) -> Ended:
        if landing is not None and landing.came == Came.FAILING:
            self._last = None
        if landing is not None:
            stage_records.write(self._directory.path, stage_records.LANDING, landing._asdict())
        done = landing is not None and landing.came in (Came.LANDED, Came.NOTHING)
        return Ended(stages.Came.PASSED if done else stages.Came.ENDED, landing, self._last)

    def _take(self, step: Step) -> Step | None:
        """The step after this one; None if it was interrupted."""
        if step.do is Do.CHECK:
            return self._take_check(step)
        stage_records.remove(self._directory.path, stage_records.REPLY)
        program = self._program(step)
        reply = stage_records.read_reply(self._directory.path)
        if reply is not None:
            return landing_steps.replied(step, reply)
        return landing_steps.stopped(step) if program.stopped in stages.ENDING else None

    def _take_check(self, step: Step) -> Step | None:
        found = self._check(ALONE if step.visiting else check.OUTPUT)
        came = stages.came_of_check(found)
        if came is stages.Came.INTERRUPTED:
            return None
        if not step.visiting:
            self._last = found._replace(tree=step.tree)
            if found.passed:
                stage_records.write_checked(self._directory.path, self._last)
        if found.stopped is not None and found.stopped != LIMIT:
            return landing_steps.stopped(step)
        absent = found.error is not None or found.exit_code in stages.NOT_FOUND
        return landing_steps.checked(step, found.passed, absent=absent)

    def _ends_before(self, step: Step) -> bool:
        return step.do is not Do.HOME and self._to_end()

    def _to_end(self) -> bool:
        """Whether a person or the time-out ends the run."""
        if self._deadline is not None and monotonic_ms() >= self._deadline:
            self._directory.post_stop(TIMEOUT, self._clock.now_ms())
        stop = self._directory.stop()
        return stop is not None and stop.reason in stages.ENDING
