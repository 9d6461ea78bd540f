"""A supervisor's row among the others: while it is renewed, nobody else takes over its runs."""

from __future__ import annotations

import contextlib

from agentq_cli.base.clock import monotonic_ms
from agentq_cli.base.errors import AgentqError
from agentq_cli.host import attendance
from agentq_cli.model.workers import Supervisor
from agentq_cli.supervise.duty import Duty

RENEW_MS = 10_000


class Lease:
    """The row of one supervisor. `joined`: the row has been written."""

    def __init__(self, duty: Duty) -> None:
        self.joined = False
        self._duty = duty
        self._renewed_at = monotonic_ms()

    @property
    def old(self) -> bool:
        """Whether anybody may take its runs."""
        return monotonic_ms() - self._renewed_at >= attendance.LEASE_MS

    def join(self) -> None:
        """Write the row."""
        duty = self._duty
        self._renewed_at = monotonic_ms()
        duty.told = duty.queue.jobs()
        duty.queue.join(Supervisor(duty.identity, duty.jobs, duty.settings.sessions, duty.queue.now, self._renewed_at))
        self.joined = True

    def renew(self) -> None:
        """Renew the row when it is time to. Before a claim too: others take over the runs of a supervisor with an old
        row."""
        now, guard = monotonic_ms(), self._duty.guard
        if now - self._renewed_at >= RENEW_MS and guard.may_run(None, "renew"):
            # If that cannot be written now, nothing is lost but the runs, to a supervisor that can.
            with guard.guarding(None, "renew"):
                self._duty.queue.renew(self._duty.identity, jobs=self._duty.jobs, renewed_at=now)
                self._renewed_at = now

    def tell_jobs(self) -> None:
        """Write how many tasks may run at once, which has changed."""
        with self._duty.guard.guarding(None, "renew"):
            self._duty.queue.renew(self._duty.identity, jobs=self._duty.jobs, renewed_at=monotonic_ms())

    def leave(self) -> None:
        """Remove the row. If it cannot be removed now, others recognize it as a dead one's."""
        with contextlib.suppress(AgentqError, OSError):
            self._duty.queue.leave(self._duty.identity)

    def moment(self) -> int:
        """When to renew it (monotonic)."""
        return self._renewed_at + RENEW_MS
