"""A run: how it ended, its row of the audit log, and its line of an overview."""

from __future__ import annotations

from agentq_cli.base.dataclass import NamedTuple, dataclass
from agentq_cli.model.addresses import RunId

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from agentq_cli.model.actions import Trigger
    from agentq_cli.model.statuses import FailureClass, RunStatus
    from agentq_cli.model.trees import Landing, Left


class Check(NamedTuple):
    """How the check of a run ended: with an `exit_code`, by a `signal`, `stopped` by agentq for this reason (`LIMIT`:
    its own time-out), or with an `error`, which says why it could not be started. `tree` is git's id of the files that
    it ran on, None outside of a tree. `command` is empty in a record of the keeper, since the task has it."""

    exit_code: int | None
    signal: int | None
    stopped: str | None
    error: str | None
    duration_ms: int
    output_bytes: int
    tree: str | None = None
    command: str = ""

    @property
    def passed(self) -> bool:
        """Whether it found the work done. An exit code after our own signal says nothing."""
        return self.exit_code == 0 and self.signal is None and self.stopped is None and self.error is None


LIMIT = "limit"
"""The reason for which a keeper stops a check that has reached its own time-out."""

LEASE = "lease"
"""The reason for which a keeper ends a run when the lease of its host is over."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ended, decided once the process tree is gone; what `finish` writes.

    `conversation_lost`: the agent does not know the conversation. `conversation_full`: the conversation has no room
    left. `nothing_done`: the attempt failed before it had done anything, for a reason that may lie in the conversation
    that it continued. `at_once`: its host failed it, so that nothing is gained by waiting before the next attempt.
    """

    status: RunStatus
    finished_at: int
    duration_ms: int
    exit_code: int | None = None
    signal: int | None = None
    failure_class: FailureClass | None = None
    error: str | None = None
    result: Any = None
    conversation: str | None = None
    conversation_lost: bool = False
    at_once: bool = False
    conversation_full: bool = False
    nothing_done: bool = False
    tokens_in: int | None = None
    tokens_out: int | None = None
    tokens_of_conversation: bool = False
    cost_usd: float | None = None
    list_price: bool = False
    turns: int | None = None
    peak_rss_bytes: int | None = None
    stdout_bytes: int = 0
    stderr_bytes: int = 0
    reset_at: int | None = None
    script_outcome: str | None = None
    check: Check | None = None
    left: Left | None = None
    landing: Landing | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """One row of the audit log (`task_runs`). `list_price`: a subscription pays, so `cost_usd` is what the tokens would
    have cost without it. `turns` is how often the model answered, `checked` how its check ended. `left` is what it left
    in its tree, `landing` how its landing ended; None without a tree, or without a landing."""

    session: str
    seq: int
    attempt: int
    series: int | None
    trigger: Trigger
    agent: str | None
    argv: tuple[str, ...]
    cwd: str
    scheduled_for: int | None
    started_at: int
    finished_at: int | None
    duration_ms: int | None
    status: RunStatus
    exit_code: int | None
    signal: int | None
    failure_class: FailureClass | None
    error: str | None
    result: Any
    script_outcome: str | None
    conversation: str | None
    tokens_in: int | None
    tokens_out: int | None
    cost_usd: float | None
    list_price: bool
    turns: int | None
    peak_rss_bytes: int | None
    stdout_bytes: int | None
    stderr_bytes: int | None
    host: str
    adopted: bool
    checked: Check | None = None
    left: Left | None = None
    landing: Landing | None = None

    @property
    def id(self) -> RunId:
        """`SESSION/N.K`."""
        return RunId(self.session, self.seq, self.attempt)


@dataclass(frozen=True, slots=True)
class PastRun:
    """A run as an overview shows it: when, how and at what cost, and what it left in its tree, without what it printed.
    `error` is shortened."""

    session: str
    seq: int
    attempt: int
    agent: str | None
    status: RunStatus
    started_at: int
    finished_at: int | None
    duration_ms: int | None
    exit_code: int | None = None
    failure_class: str | None = None
    error: str | None = None
    tokens_in: int | None = None
    tokens_out: int | None = None
    cost_usd: float | None = None
    list_price: bool = False
    left: Left | None = None
    landing: Landing | None = None

    @property
    def id(self) -> RunId:
        """`SESSION/N.K`."""
        return RunId(self.session, self.seq, self.attempt)
