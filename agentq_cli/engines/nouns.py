"""Values that go through the door beside the model's: of claims, requests, lost history and upkeep."""

from __future__ import annotations

from agentq_cli.base.dataclass import NamedTuple, dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.base.errors import AgentqError
    from agentq_cli.model import Address, FailureClass, Outcome, RunId, Task
    from agentq_cli.policy import order

INBOUND, OUTBOUND, RUNS, INDEX = "inbound.db", "outbound.db", "runs", "index"
"""What of a session can be at fault: with the first nothing goes on in it, the others stop some of it."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be started for a task: its command line, what it reads on stdin, the conversation it works in.

    `resumes` is that it goes on there, `begun` whether that conversation is the run's from its start; else it is once
    the agent has named it. `prompt_word` is where in the command line the prompt stands, if there. `error` says why
    nothing can be started; the run is then closed without a process.
    """

    argv: tuple[str, ...]
    stdin_text: str | None = None
    conversation: str | None = None
    begun: bool = False
    resumes: bool = False
    prompt_word: int | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Past:
    """What a run may build on: the `conversation` to go on in, when that was last used, and in which `directory`.

    `interrupted` is how this task's run before this one ended in that conversation; None where it is another's, or was
    brought to its end. `spent_usd` is what the runs of the task have cost so far, as far as they said.
    """

    conversation: str | None = None
    used_at: int | None = None
    interrupted: FailureClass | None = None
    spent_usd: float = 0.0
    directory: str | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A task that may be started, as it is now, and what its run may build on: what a plan is made of. It is nobody's
    yet."""

    head: order.Head
    task: Task
    past: Past


@dataclass(frozen=True, slots=True)
class Claim:
    """A task that is now ours to start: its run exists, and so does its place among the workers."""

    task: Task
    run: RunId
    plan: Plan


class Calls(NamedTuple):
    """What there is to do for a supervisor besides starting and settling; `known` is whether it is on record itself."""

    expired: bool
    arriving: bool
    stops: bool
    strangers: bool
    known: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one request; `stop` is a run that is to be told to end."""

    message: str
    status: str
    task: Address | None
    detail: str
    stop: RunId | None = None


@dataclass(frozen=True, slots=True)
class FoundRun:
    """A run as its files tell it; `posted` is whether outbound.db has its result row."""

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
        """Whether nothing goes on in the session, its own file being unfit."""
        return self.part == INBOUND

    @property
    def of_voice(self) -> bool:
        """Whether what its agents say cannot be read or answered."""
        return self.part == OUTBOUND

    @property
    def of_index(self) -> bool:
        """Whether it is only that the index does not have it: to be mended by rebuilding that."""
        return self.part == INDEX


class Trouble(NamedTuple):
    """What could not be done in a session, "" for what is of none; `of_files` where other things can be done in it, and
    `of_voice` where what its agents say cannot be read or answered."""

    session: str
    error: AgentqError
    of_files: bool = False
    of_voice: bool = False


class Leftovers(NamedTuple):
    """How much processes that are gone have left: batches, supervisors on record, doorbells, commits begun."""

    batches: int
    supervisors: int
    bells: int
    commits: int
