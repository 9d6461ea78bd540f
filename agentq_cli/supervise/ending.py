"""Whether a supervisor that has nothing to watch has a reason to end: its drain is done, or it was idle for long."""

from __future__ import annotations

from agentq_cli.base.clock import monotonic_ms
from agentq_cli.supervise.duty import Duty
from agentq_cli.supervise.fitting import Fitting
from agentq_cli.supervise.hooks import PATIENCE_MS
from agentq_cli.supervise.starting import START


class Ending:
    """`deferred_until` is when the usage limit ends that holds everything a drain left undone, None without one."""

    def __init__(self, duty: Duty, fitting: Fitting) -> None:
        self.deferred_until: int | None = None
        self._fitting = fitting
        self._duty = duty
        self._idle_since = monotonic_ms()
        self._over_since: int | None = None

    def busy(self) -> None:
        """Note that there is work."""
        self._idle_since = monotonic_ms()
        self._over_since = None

    def due(self, *, claiming: bool, undecided: bool, hooks: bool) -> bool:
        """Whether to end now that there is no work; running hooks are waited for, for a while.

        `claiming`: it still starts tasks; `undecided`: a dependency is still to be settled.
        """
        if not self._over(claiming, undecided):
            self._over_since = None
            return False
        if self._over_since is None:
            self._over_since = monotonic_ms()
        return not hooks or monotonic_ms() - self._over_since >= PATIENCE_MS

    def moments(self) -> list[int]:
        """When it has been idle for long enough (monotonic), if nothing starts until then."""
        limit = self._duty.settings.idle_exit_ms
        return [] if limit is None else [self._idle_since + limit]

    def _over(self, claiming: bool, undecided: bool) -> bool:
        if not claiming:
            return True
        if self._duty.settings.drain:
            if undecided or self._pending():
                return False
            limited = self._duty.queue.limited_until().items()
            self.deferred_until = min((until for name, until in limited if not self._duty.outside(name)), default=None)
            return True
        limit = self._duty.settings.idle_exit_ms
        return limit is not None and monotonic_ms() - self._idle_since >= limit

    def _pending(self) -> bool:
        """Whether a drain has something left that will run without a person's help."""
        duty = self._duty
        around, troubled = duty.queue.around(), duty.guard.lasting(START)
        mine = [session for session, lane in around.lanes.items() if lane.running and not duty.outside(session)]
        if any(session not in troubled for session in mine):
            return True
        return any(
            not duty.outside(session)
            and session not in troubled
            and not around.holds_back(session, agent)
            and not self._fitting.passed_over(session, agent)
            for session, agent in duty.queue.unfinished()
        )
