"""The contract's nouns as frozen values. Imports no other room; times are integer milliseconds UTC, durations
milliseconds."""

from __future__ import annotations

from agentq_cli.base.dataclass import NamedTuple, dataclass, field, replace
from agentq_cli.base.enumeration import StrEnum
from agentq_cli.base.identity import Identity as Identity

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from agentq_cli.base.errors import AgentqError
    from agentq_cli.policy.admission import Gate
    from agentq_cli.policy.schedule import Schedule
    from agentq_cli.policy.series import Recurrence

DEFAULT_SESSION = "default"


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
    ERROR = "error"
    CANCELLED = "cancelled"


class Actor(StrEnum):
    """Who changed something."""

    USER = "user"
    SUPERVISOR = "supervisor"
    SWEEP = "sweep"
    SHIM = "shim"
    AGENT = "agent"


class Trigger(StrEnum):
    """What caused a run."""

    SUBMIT = "submit"
    SCHEDULE = "schedule"
    RETRY = "retry"
    MANUAL = "manual"
    CATCHUP = "catchup"


class Address(NamedTuple):
    """`SESSION/N`, the permanent name of a task."""

    session: str
    seq: int

    def __str__(self) -> str:
        return f"{self.session}/{self.seq}"


class RunId(NamedTuple):
    """`SESSION/N.K`, one attempt at a task."""

    session: str
    seq: int
    attempt: int

    def __str__(self) -> str:
        return f"{self.session}/{self.seq}.{self.attempt}"

    @property
    def address(self) -> Address:
        """The task that this is an attempt at."""
        return Address(self.session, self.seq)


@dataclass(frozen=True, slots=True)
class Launch:
    """What only the start of a task's runs needs: environment, limits, retry policy; stored as one JSON column.

    `captured` is the part of the submitting shell's environment that is passed on, `env` what `--env-file` and `-e`
    gave. `umask` is the submitter's. Runs up to K = `earlier_runs` belong to a task that this one replaced.
    """

    env: Mapping[str, str] = field(default_factory=dict)
    captured: Mapping[str, str] = field(default_factory=dict)
    agent_args: tuple[str, ...] = ()
    stdin: str | None = None
    umask: int = 0o022
    timeout_ms: int | None = None
    grace_ms: int | None = None
    stall_timeout_ms: int | None = None
    memory_bytes: int | None = None
    depth: int = 0
    tz: str | None = None
    script: str | None = None
    retries: int | None = None
    backoff_ms: int | None = None
    max_backoff_ms: int | None = None
    on_crash: str | None = None
    max_cost_usd: float | None = None
    earlier_runs: int = 0


class Condition(StrEnum):
    """How a dependency must end for the task that waits for it to start."""

    SUCCESS = "success"
    ANY = "any"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True)
class Dependency:
    """One task that another waits for. In a batch that is being submitted, `ref` is the position of a line of the
    batch."""

    address: Address | None
    on: Condition
    ref: int | None = None


@dataclass(frozen=True, slots=True)
class Work:
    """What is to be done: the part that a new task, a stored one and the next occurrence of a series share.

    Code that passes a task's work on passes on this value. Each field is a column of the same name, in
    `engines/local/rows`.
    """

    kind: str
    cwd: str
    prompt: str | None = None
    argv: tuple[str, ...] | None = None
    agent: str | None = None
    priority: int = 0
    labels: tuple[str, ...] = ()
    key: str | None = None
    context: str = "session"
    launch: Launch = field(default_factory=Launch)
    after: tuple[Dependency, ...] = ()
    on_dep_failure: str = "cancel"
    expires_at: int | None = None

    @property
    def shares_conversation(self) -> bool:
        """Whether it continues its session's conversation, so that no other such task may run beside it."""
        return self.kind == "prompt" and self.context == "session"


@dataclass(frozen=True, slots=True)
class NewTask:
    """A task as submitted; `submit` gives it its address.

    `line` is its line in a batch. `anchored` is whether somebody set the start of its schedule. If not, and the task
    replaces another of the same interval, it keeps that one's grid.
    """

    session: str
    work: Work
    replace: bool = False
    due_at: int | None = None
    schedule: Schedule | None = None
    line: int | None = None
    anchored: bool = True


@dataclass(frozen=True, slots=True)
class Successor:
    """What was changed for the next occurrence while one ran: `work` replaces what it does, None keeps it.

    `schedule` is set together with `work`; None keeps the present one. `at` is when its times were last changed (0:
    never), and `ends` that no next occurrence is to come.
    """

    work: Work | None = None
    schedule: Schedule | None = None
    at: int = 0
    ends: bool = False
    paused: bool = False
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """A task as stored: its work and its state. Each field of its state except the session is a column, in
    `engines/local/rows`.

    `attempts` counts runs against the retry budget, `runs` is the last K that was assigned. For a series: `recurrence`
    belongs to its live occurrence; `arriving`: its missed policy is still to be applied once it is due; `extra`: it was
    made by trigger or retry; `goes_on`: only its run was cancelled. `dep_failed` is the task whose failure cancelled or
    paused it. `tries` is the number of its runs since it was submitted or retried, including those that used no
    attempt. `resumes`: its run continues a conversation. `fresh`: it has had its one extra run after a conversation
    that could not be continued.
    """

    session: str
    seq: int
    work: Work
    status: Status
    created_at: int
    due_at: int
    reason: str | None = None
    ended_at: int | None = None
    attempts: int = 0
    runs: int = 0
    last_run: int | None = None
    exit_code: int | None = None
    cancel_requested: bool = False
    series: int | None = None
    trigger: Trigger = Trigger.SUBMIT
    recurrence: Recurrence | None = None
    successor: Successor | None = None
    extra: bool = False
    arriving: bool = False
    goes_on: bool = False
    dep_failed: Address | None = None
    tries: int = 0
    fresh: bool = False
    resumes: bool = False

    @property
    def address(self) -> Address:
        """`SESSION/N`."""
        return Address(self.session, self.seq)

    @property
    def scheduled_for(self) -> int:
        """The time that its run stands for: the slot of an occurrence, even if the occurrence is late; otherwise the
        due time."""
        return self.due_at if self.recurrence is None else self.recurrence.occurrence.slot

    @property
    def rearms(self) -> bool:
        """Whether its end makes the next occurrence of its series."""
        return self.recurrence is not None and not self.extra

    @property
    def begun(self) -> bool:
        """Whether it has been run since it was submitted or retried: then it comes before what waits behind it."""
        return self.tries > 0

    def shown_status(self, now: int) -> Status:
        """The status as the contract names it at `now`: a status that is stored as queued depends on the clock."""
        if self.status is Status.QUEUED and self.due_at > now:
            return Status.RETRYING if self.attempts else Status.SCHEDULED
        return self.status

    def unbegun(self) -> Task:
        """The task as if it had never been run or stopped; the caller sets its status and its times."""
        return replace(
            self,
            reason=None,
            dep_failed=None,
            ended_at=None,
            attempts=0,
            tries=0,
            fresh=False,
            resumes=False,
            exit_code=None,
            cancel_requested=False,
            goes_on=False,
        )


@dataclass(frozen=True, slots=True)
class WaitingFor:
    """Why a live task is not running; `kind` is one of the contract's.

    `brief` is a short form for a listing, with `until` between it and the `note`. It is empty if the status and the due
    time beside it are enough, or if the task only waits for its turn.
    """

    kind: str
    detail: str
    until: int | None = None
    ids: tuple[str, ...] = ()
    brief: str = ""
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ended, decided once the process tree is gone; what `finish` writes.

    `conversation_lost`: the agent does not know the conversation. `conversation_full`: the conversation has no room
    left. `nothing_done`: the attempt failed before it had done anything, for a reason that may lie in the conversation
    that it continued.
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
    conversation_full: bool = False
    nothing_done: bool = False
    tokens_in: int | None = None
    tokens_out: int | None = None
    tokens_of_conversation: bool = False
    cost_usd: float | None = None
    peak_rss_bytes: int | None = None
    stdout_bytes: int = 0
    stderr_bytes: int = 0
    reset_at: int | None = None
    script_outcome: str | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """One row of the audit log (`task_runs`)."""

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
    peak_rss_bytes: int | None
    stdout_bytes: int | None
    stderr_bytes: int | None
    host: str
    adopted: bool

    @property
    def id(self) -> RunId:
        """`SESSION/N.K`."""
        return RunId(self.session, self.seq, self.attempt)


@dataclass(frozen=True, slots=True)
class PastRun:
    """A run as an overview shows it: when, how and at what cost, without what it printed. `error` is shortened."""

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

    @property
    def id(self) -> RunId:
        """`SESSION/N.K`."""
        return RunId(self.session, self.seq, self.attempt)


@dataclass(frozen=True, slots=True)
class Supervisor:
    """A process running `agentq run`. `renewed_at` is monotonic milliseconds of its boot.

    `gates` are the admission gates with their numbers, while one of them holds back what it would start.
    """

    identity: Identity
    jobs: int
    sessions: tuple[str, ...]
    started_at: int
    renewed_at: int
    gates: tuple[Gate, ...] = ()


class LastStart(NamedTuple):
    """The newest claim of a state dir: its run, and when it was in monotonic milliseconds of a boot.

    All fields are empty if there was none.
    """

    at: int = 0
    boot_id: str = ""
    run: str = ""


@dataclass(frozen=True, slots=True)
class Worker:
    """A live run: claimed, not yet finished. `stop` is the recorded intent to end it."""

    session: str
    seq: int
    attempt: int
    agent: str | None
    claimed_at: int
    shares_conversation: bool
    supervisor: Identity | None
    adopted: bool
    stop: str | None

    @property
    def id(self) -> RunId:
        """The run that it carries out."""
        return RunId(self.session, self.seq, self.attempt)


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """A session as `sessions` lists it; `counts` by shown status."""

    name: str
    counts: Mapping[str, int]
    next_due_at: int | None
    paused: bool
    reason: str | None
    conversation: str | None
    conversations: Mapping[str, str]
    parallel: int | None
    path: str


@dataclass(frozen=True, slots=True)
class Event:
    """One change of state; `from_status` and `to_status` are null for an event that changes no task."""

    id: int
    at: int
    session: str | None
    seq: int | None
    attempt: int | None
    from_status: str | None
    to_status: str | None
    event: str
    actor: str
    reason: str | None


@dataclass(frozen=True, slots=True)
class Message:
    """A row of a session's `messages_out`."""

    id: str
    session: str
    kind: str
    content: Any
    created_at: int


class Undone(NamedTuple):
    """Why an action on one task of several failed, and the task's shown status then; None if there is no such task."""

    error: AgentqError
    status: Status | None = None


@dataclass(frozen=True, slots=True)
class TargetResult:
    """The result for one target of a command that names several, and the shown status of the task then."""

    id: str
    ok: bool
    code: int
    message: str
    status: str | None = None


@dataclass(frozen=True, slots=True)
class SweepAction:
    """One thing that a sweep did, or with `--dry-run` would do."""

    action: str
    session: str | None
    task: str | None
    run: str | None
    detail: str
