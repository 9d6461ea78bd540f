"""Values that pass through the door in addition to the model's: for claims, requests, lost history and upkeep."""

from __future__ import annotations

from agentq_cli.base.dataclass import NamedTuple, dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from typing import Required, TypedDict

    from agentq_cli.base.errors import AgentqError
    from agentq_cli.base.identity import Identity
    from agentq_cli.model.addresses import Address, RunId
    from agentq_cli.model.runs import Check, Outcome
    from agentq_cli.model.statuses import FailureClass
    from agentq_cli.model.tasks import Task
    from agentq_cli.model.trees import Landing
    from agentq_cli.model.workers import LastStart
    from agentq_cli.policy import order
    from agentq_cli.policy.pool import End, Pool

    class WhichRuns(TypedDict, total=False):
        """The filters of whatever reads runs; one that is None, empty or missing filters nothing. `series` is a seq of
        the session, `label` one of the task; `since` and `until` are about when a run started, in milliseconds."""

        session: str | None
        series: int | None
        agent: str | None
        label: str | None
        statuses: Collection[str]
        since: int | None
        until: int | None

    class Claiming(TypedDict, total=False):
        """What a claim is made with. `jobs` is the cap of this host, `fleet_jobs` that of all hosts together, None if
        there is none; with `newest` it must still be the newest start of any supervisor. `monotonic` is the time of
        this start, in milliseconds of the supervisor's boot, for `last_start`."""

        supervisor: Required[Identity]
        jobs: Required[int]
        parallel: Required[Callable[[str], int | None]]
        host: Required[str]
        fleet_jobs: int | None
        newest: LastStart | None
        monotonic: int


INBOUND, OUTBOUND, RUNS, INDEX = "inbound.db", "outbound.db", "runs", "index"
"""The parts of a session that can be at fault. A fault of INBOUND stops everything in the session, the others stop some
of it."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be started for a task: its command line, what it reads on stdin, the conversation it works in.

    `resumes`: the run continues that conversation. `begun`: the conversation belongs to the run from its start;
    otherwise it does once the agent has named it. `prompt_word` is the position of the prompt in the command line, if
    it is there. `timeout_ms` limits the time of the run, None does not. `directory` is the real path in which its agent
    edits, unless it may do so beside others. `error` says
    why nothing can be started; the run is then closed without a process. `lands`: its agent has done its work, and the
    run only checks and lands it. `cwd` is where it runs, if that is not the task's own: in its tree. `binds`: with
    several hosts the session is bound to this one from now on; `moved` is from where to where, if it was bound to
    another one before.
    """

    argv: tuple[str, ...]
    stdin_text: str | None = None
    conversation: str | None = None
    begun: bool = False
    resumes: bool = False
    prompt_word: int | None = None
    directory: str | None = None
    timeout_ms: int | None = None
    error: str | None = None
    lands: bool = False
    cwd: str | None = None
    binds: bool = False
    moved: str | None = None


@dataclass(frozen=True, slots=True)
class Past:
    """What a run may build on: the `conversation` to continue, and in which `directory` that was last used.

    `interrupted` is how this task's previous run ended in that conversation; None if that run worked in another
    conversation or completed its work. `spent_usd` is what the runs of the task have cost so far, as far as they
    reported it. `unfit` is the failed check of the previous run, if that failed by it, and `unfit_ms` how long the runs
    took that failed so since the task was submitted or retried. `landing` is the landing of the previous run if that
    failed by it. `conversation_key` is the line of work that the run is in, None if it is in none or if none is free;
    `ends` are the conversations that end for it.
    """

    conversation: str | None = None
    interrupted: FailureClass | None = None
    spent_usd: float = 0.0
    directory: str | None = None
    unfit: Check | None = None
    unfit_ms: int = 0
    landing: Landing | None = None
    conversation_key: str | None = None
    ends: tuple[End, ...] = ()


@dataclass(frozen=True, slots=True)
class Candidate:
    """A task that may be started, as it is now, and what its run may build on: what a plan is made from. No process has
    claimed it yet. `environment` is the stored one of the submitting shell; None if an older version stored the task.
    `pool` is what its session keeps."""

    head: order.Head
    task: Task
    past: Past
    pool: Pool
    environment: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """A task that this process has claimed: its run is on record, and so is its place among the workers."""

    task: Task
    run: RunId
    plan: Plan
    environment: Mapping[str, str] | None = None


class Calls(NamedTuple):
    """What a supervisor has to do in addition to starting and settling its runs; `unsettled`: an end or a retry in one
    session is still to be settled in another one (`settle_dependents`); `known` is whether the supervisor itself is on
    record; `jobs` how many tasks `agentq jobs` lets run at once, if it was told. `paused`: nothing may start, since the
    queue is paused, or each of the sessions that it serves."""

    expired: bool = False
    arriving: bool = False
    stops: bool = False
    strangers: bool = False
    unsettled: bool = False
    known: bool = True
    jobs: int | None = None
    paused: bool = False


class Ahead(NamedTuple):
    """When the next task becomes `due`, when the next one `expires`, and when the next hold on an agent ends by itself
    (`lift`); None for never."""

    due: int | None
    expires: int | None
    lift: int | None


@dataclass(frozen=True, slots=True)
class Answer:
    """The result of one request; `stop` is a run that is to be told to end, if any."""

    message: str
    status: str
    task: Address | None
    detail: str
    stop: RunId | None = None


@dataclass(frozen=True, slots=True)
class FoundRun:
    """A run as its files describe it; `posted` is whether outbound.db has its result row."""

    task: Task
    run: RunId
    started_at: int
    outcome: Outcome
    posted: bool


class Fault(NamedTuple):
    """One part of a session that is unfit, and why."""

    part: str
    error: AgentqError

    @property
    def of_all(self) -> bool:
        """Whether the fault stops everything in the session, because its own file is unfit."""
        return self.part == INBOUND

    @property
    def of_voice(self) -> bool:
        """Whether the messages and requests of its agents cannot be read or answered."""
        return self.part == OUTBOUND

    @property
    def of_index(self) -> bool:
        """Whether the index merely lacks something: rebuilding it repairs that."""
        return self.part == INDEX


class Trouble(NamedTuple):
    """What could not be done in a session ("" if it belongs to none). `of_files`: other things can be done in the
    session. `of_voice`: the messages and requests of its agents cannot be read or answered."""

    session: str
    error: AgentqError
    of_files: bool = False
    of_voice: bool = False


@dataclass(frozen=True, slots=True)
class Renewal:
    """What a supervisor learns when it joins or renews; times are milliseconds since boot.

    It renews `again_at`, and from `old_at` on others of this machine may take its runs over. `deadline` is when its
    runs end by themselves, of a lease of `lease_ms`; None: there is no lease, and they never do. `superseded`: others
    have taken this host for lost and its runs are theirs; it has to join again. `known` are the live runs of this host
    that are on record; None if this machine alone knows of them. `anew`: since the last renewal the database was
    reached over another connection, and it may be another one that does not know everything.
    `idle`: nothing waits or runs in the whole queue.
    """

    again_at: int
    old_at: int
    deadline: int | None = None
    lease_ms: int = 0
    superseded: bool = False
    known: frozenset[RunId] | None = None
    anew: bool = False
    idle: bool = False

    def may_start(self, now: int) -> bool:
        """Whether something that is started now has time to be renewed."""
        from agentq_cli.policy import leases

        return self.deadline is None or leases.may_start(now, self.deadline, self.lease_ms)


class Rescued(NamedTuple):
    """What was done about a lost host: `reason` says which. `run` is one of its runs, and `task` its task as it is now
    (None: another process finished it); without a run, the host itself was taken off the fleet."""

    reason: str
    run: RunId | None = None
    task: Task | None = None


class Leftovers(NamedTuple):
    """How many things dead processes have left behind: batches, supervisors on record, doorbells, unfinished
    commits."""

    batches: int
    supervisors: int
    bells: int
    commits: int
