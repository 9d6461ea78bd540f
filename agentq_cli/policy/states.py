"""Which changes of a task's status are allowed, and which of a supervisor's state: one table of each."""

from __future__ import annotations

from agentq_cli.model.actions import Actor
from agentq_cli.model.statuses import ENDED, RunStatus, Status
from agentq_cli.model.workers import SupervisorState

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.model.runs import Outcome

_WAITING = {Status.BLOCKED, Status.QUEUED, Status.PAUSED}

# `QUEUED` includes scheduled and retrying: the clock tells them apart, and no event marks the transition.
TRANSITIONS: dict[Status | None, frozenset[Status]] = {
    None: frozenset(_WAITING),
    Status.BLOCKED: frozenset({Status.QUEUED, Status.PAUSED, Status.CANCELLED, Status.EXPIRED}),
    # An occurrence is skipped without a run if its series has ended by the time it may start.
    Status.QUEUED: frozenset(
        {Status.RUNNING, Status.BLOCKED, Status.PAUSED, Status.CANCELLED, Status.EXPIRED, Status.SKIPPED}
    ),
    Status.PAUSED: frozenset({Status.QUEUED, Status.BLOCKED, Status.CANCELLED, Status.EXPIRED}),
    Status.RUNNING: frozenset({Status.QUEUED, Status.PAUSED, *ENDED} - {Status.EXPIRED}),
    # Only a person's `retry` re-opens an ended task: the task itself, or a dependent that was cancelled because of it.
    Status.COMPLETED: frozenset({Status.QUEUED, Status.BLOCKED}),
    Status.FAILED: frozenset({Status.QUEUED, Status.BLOCKED}),
    Status.CANCELLED: frozenset({Status.QUEUED, Status.BLOCKED}),
    Status.EXPIRED: frozenset({Status.QUEUED, Status.BLOCKED}),
    Status.SKIPPED: frozenset({Status.QUEUED, Status.BLOCKED}),
}

_AT_WORK = {SupervisorState.IDLE, SupervisorState.RUNNING, SupervisorState.PAUSED}
_STOPPING = {SupervisorState.DRAINING, SupervisorState.ENDED}

SUPERVISOR_TRANSITIONS: dict[SupervisorState | None, frozenset[SupervisorState]] = {
    None: frozenset({SupervisorState.IDLE}),
    **{state: frozenset(_AT_WORK - {state} | _STOPPING) for state in _AT_WORK},
    # Whoever was told to stop starts nothing any more, even if the queue is resumed.
    SupervisorState.DRAINING: frozenset({SupervisorState.ENDED}),
    SupervisorState.ENDED: frozenset(),
}


def allowed_supervisor(before: SupervisorState | None, after: SupervisorState) -> bool:
    """Whether a supervisor may change from `before` (None: it is new) to `after`."""
    return after in SUPERVISOR_TRANSITIONS[before]


def allowed(before: Status | None, after: Status, actor: Actor) -> bool:
    """Whether `actor` may change a task from `before` (None: it is new) to `after`."""
    reopened = before is Status.CANCELLED and after is Status.BLOCKED  # done by whichever process comes across it
    if before is not None and before.ended and actor is not Actor.USER and not reopened:
        return False
    return after in TRANSITIONS[before]


def ended_status(outcome: Outcome, *, cancel_requested: bool) -> Status:
    """The task's status after its last attempt. A cancelled task is `cancelled`, whatever its agent exits with."""
    if cancel_requested or outcome.status is RunStatus.CANCELLED:
        return Status.CANCELLED
    if outcome.status is RunStatus.SUCCESS:
        return Status.COMPLETED
    if outcome.status is RunStatus.SKIPPED:
        return Status.SKIPPED
    return Status.FAILED
