"""A supervisor's row among the others, and in a fleet the lease of its host: while they are renewed, nobody else takes
over its runs."""

from __future__ import annotations

import contextlib

from agentq_cli.agents import profile
from agentq_cli.base.clock import monotonic_ms
from agentq_cli.base.errors import AgentqError
from agentq_cli.engines.nouns import Renewal
from agentq_cli.model.actions import Actor
from agentq_cli.model.workers import Supervisor, SupervisorState
from agentq_cli.supervise.duty import Duty

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agentq_cli.model.addresses import RunId
    from agentq_cli.model.statuses import Status
    from agentq_cli.model.workers import Sign

RENEW = "renew"
CLEAR = "clear"
NEW: tuple[SupervisorState, Status | None] = (SupervisorState.IDLE, None)
"""What a new row says of its supervisor."""


class Lease:
    """The row of one supervisor. `joined`: the row has been written. `state` and `last_result` are what it says."""

    def __init__(self, duty: Duty) -> None:
        self.joined = False
        self.state, self.last_result = NEW
        self._duty = duty
        self._last = Renewal(0, 0)

    @property
    def of_host(self) -> bool:
        """Whether its host has a lease, to be renewed whether something runs or not."""
        return self._last.deadline is not None or self._last.superseded

    @property
    def old(self) -> bool:
        """Whether anybody may take its runs."""
        return monotonic_ms() >= self._last.old_at

    @property
    def idle(self) -> bool:
        """Whether the last renewal found that nothing waits or runs in the whole queue."""
        return self.joined and self._last.idle

    @property
    def due(self) -> bool:
        """Whether it is to be renewed now."""
        return monotonic_ms() >= self._last.again_at and self._duty.guard.may_run(None, RENEW)

    @property
    def may_start(self) -> bool:
        """Whether it has long enough to last for what is started now."""
        return self.joined and self._last.may_start(monotonic_ms())

    def join(self) -> None:
        """Write the row, and tell of those that have died."""
        duty = self._duty
        self.bring()
        duty.told = duty.queue.jobs()
        row = Supervisor(duty.identity, duty.jobs, duty.settings.sessions, duty.queue.now, monotonic_ms())
        self._last = duty.queue.join(row)
        self.state, self.last_result = NEW
        self.joined = True
        with duty.guard.guarding(None, CLEAR):
            duty.queue.clear_dead(actor=Actor.SUPERVISOR)

    def bring(self) -> None:
        """Say what this machine brings to a fleet, as the configuration has it."""
        duty = self._duty
        if duty.queue.here.leased:
            duty.queue.bring(duty.config.fleet, profile.available(duty.config, duty.environ.get("PATH")))

    def renew(self, signs: Callable[[], Mapping[RunId, Sign]]) -> Renewal | None:
        """Renew it, with the `signs` of its runs where a fleet wants to know them, or write it again if it is lost.
        None if that cannot be done now: then nothing is lost but the runs, to a supervisor that can."""
        duty = self._duty
        with duty.guard.guarding(None, RENEW):
            if not self.joined:
                self.join()
                return self._last
            given = signs() if self.of_host else {}
            self._last = duty.queue.renew(duty.identity, jobs=duty.jobs, renewed_at=monotonic_ms(), signs=given)
            self.joined = not self._last.superseded
            return self._last
        return None

    def tell(self, state: SupervisorState, last_result: Status | None) -> None:
        """Have the row say this."""
        if self.joined and (state, last_result) != (self.state, self.last_result):
            self._duty.queue.set_state(self._duty.identity, state, last_result=last_result)
            self.state, self.last_result = state, last_result

    def leave(self, reason: str, last_result: Status | None) -> None:
        """Remove the row. If it cannot be removed now, others recognize it as a dead one's."""
        with contextlib.suppress(AgentqError, OSError):
            self._duty.queue.leave(self._duty.identity, reason=reason, last_result=last_result)

    def moment(self) -> int:
        """When to renew it (monotonic); not while the guard puts that off, which knows when to try again."""
        return max(self._last.again_at, self._duty.guard.again_at(None, RENEW))
