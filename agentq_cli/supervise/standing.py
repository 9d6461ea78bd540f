"""What a supervisor does, as others see it: its state, and how its last period of running ended.

A period of running begins with a run, and ends when none is left. Each change is one commit at the end of a round: a
queue that stays busy or idle costs none.
"""

from __future__ import annotations

from agentq_cli.model.statuses import Status
from agentq_cli.model.workers import SupervisorState
from agentq_cli.supervise.duty import Duty
from agentq_cli.supervise.lease import Lease
from agentq_cli.supervise.stopping import Stopping
from agentq_cli.supervise.watched_runs import WatchedRuns

TELL = "state"
"""The guard's step."""

BROKEN = "an error"
"""Why it ends, if it did not decide to."""


class Standing:
    """`paused`: nothing may start, as far as was seen last."""

    def __init__(self, duty: Duty, runs: WatchedRuns, lease: Lease, stopping: Stopping) -> None:
        self.paused = False
        self._duty = duty
        self._runs = runs
        self._lease = lease
        self._stopping = stopping
        self._why = BROKEN
        self._last_result: Status | None = None
        """Of the last period, or of the one that goes on, once a task has ended in it."""

        self._before = (0, 0)
        """How many tasks had ended, and ended unsuccessfully, when the period began."""

    def tell(self, *, over: bool, again: bool, claiming: bool) -> None:
        """Record what has changed, at the end of a round; not yet if there will be another one `again`, at once. If it
        is `over`, its end will say the rest: why, and by itself since it was not `claiming` any more, since it has
        drained, or since it was idle."""
        if over:
            drain = self._duty.settings.drain
            self._why = "max tasks" if not claiming else "drained" if drain else "idle"
        guard = self._duty.guard
        if (over or not again) and guard.may_run(None, TELL):
            with guard.guarding(None, TELL):
                self._tell(over)

    def leave(self) -> None:
        """Go off duty."""
        self._lease.leave(self._stopping.why or self._why, self._last_result)

    def _tell(self, over: bool) -> None:
        runs, lease = self._runs, self._lease
        ended, failed = runs.ended - self._before[0], runs.failed - self._before[1]
        if ended:
            self._last_result = Status.FAILED if failed else Status.COMPLETED
        if ended and not runs.by_id and lease.state is SupervisorState.IDLE:
            # All of it was in one round: others are to see that there was such a period.
            lease.tell(SupervisorState.RUNNING, lease.last_result)
        if not over:
            state = self._state()
            lease.tell(state, lease.last_result if state is SupervisorState.RUNNING else self._last_result)
        if not runs.by_id:
            self._before = (runs.ended, runs.failed)

    def _state(self) -> SupervisorState:
        if self._stopping.how is not None:
            return SupervisorState.DRAINING
        if self.paused:
            return SupervisorState.PAUSED
        return SupervisorState.RUNNING if self._runs.by_id else SupervisorState.IDLE
