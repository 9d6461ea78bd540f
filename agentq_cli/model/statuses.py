"""What may be the state of a task or of a run, and why a run failed."""

from __future__ import annotations

from agentq_cli.base.enumeration import StrEnum


class Status(StrEnum):
    """A task's status. `SCHEDULED` and `RETRYING` are never stored: they are `QUEUED` seen before its time."""

    BLOCKED = "blocked"
    SCHEDULED = "scheduled"
    QUEUED = "queued"
    RUNNING = "running"
    RETRYING = "retrying"
    PAUSED = "paused"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    SKIPPED = "skipped"

    @property
    def ended(self) -> bool:
        """Whether only `retry` can change it."""
        return self in ENDED


ENDED = frozenset({Status.COMPLETED, Status.FAILED, Status.CANCELLED, Status.EXPIRED, Status.SKIPPED})


class RunStatus(StrEnum):
    """The state of one attempt, or how it ended."""

    RUNNING = "running"
    SUCCESS = "success"
    ERROR = "error"
    TIMEOUT = "timeout"
    STALLED = "stalled"
    OOM = "oom"
    CANCELLED = "cancelled"
    CRASHED = "crashed"
    SKIPPED = "skipped"
    SCRIPT_ERROR = "script_error"
    SPAWN_ERROR = "spawn_error"
    RATE_LIMITED = "rate_limited"

    @property
    def may_cost(self) -> bool:
        """Whether an agent may have worked in a run that ended so; of the others none was started."""
        return self not in (RunStatus.RUNNING, RunStatus.SKIPPED, RunStatus.SCRIPT_ERROR, RunStatus.SPAWN_ERROR)


class FailureClass(StrEnum):
    """Why an attempt failed; the retry table is keyed by it (CONTRACT, failure)."""

    CRASHED = "crashed"
    STALLED = "stalled"
    TIMEOUT = "timeout"
    OOM = "oom"
    NETWORK = "network"
    OVERLOADED = "overloaded"
    NO_VERDICT = "no_verdict"
    RATE_LIMITED = "rate_limited"
    AUTH = "auth"
    BILLING = "billing"
    CONFIG = "config"
    SPAWN = "spawn"
    DENIED = "denied"
    CONTEXT = "context"
    BUDGET = "budget"
    CHECK = "check"
    SETUP = "setup"
    LAND = "land"
    CONFLICT = "conflict"
    ERROR = "error"
    CANCELLED = "cancelled"
