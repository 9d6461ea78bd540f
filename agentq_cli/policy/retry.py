"""What a failed run means for its task and its agent: whether and when to retry, and whether to hold the agent
(CONTRACT, failure). Pure."""

from __future__ import annotations

from collections.abc import Mapping

from agentq_cli.base.clock import rfc3339
from agentq_cli.base.dataclass import dataclass
from agentq_cli.base.defaults import CHECK_RETRIES as CHECK_RETRIES
from agentq_cli.base.defaults import MAX_BACKOFF_MS as MAX_BACKOFF_MS
from agentq_cli.base.defaults import RETRIES as RETRIES
from agentq_cli.model.statuses import FailureClass
from agentq_cli.model.trees import WAITS, Came

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.model.runs import Outcome
    from agentq_cli.model.tasks import Task
    from agentq_cli.model.work import Launch

BACKOFF_MS = 5_000
JITTER = 0.1
"""Up to this fraction is added to a delay, within the longest delay, so that tasks that failed together do not return
together."""

FIRST_WAIT_MS = 60_000
LONGEST_WAIT_MS = 3_600_000
"""How long a landing waits for a branch that fails its check itself: doubled each time, up to the longest."""

FREE_HOLDS = 12
"""How many usage limits in a row, without a success of the agent in between, use up no attempt."""

UNKNOWN_RESET_MS = 5 * 60_000
LONGEST_UNKNOWN_RESET_MS = 30 * 60_000
FARTHEST_RESET_MS = 31 * 86_400_000
"""Limits reset monthly at the latest, so a later reset time is an agent's mistake and treated as unknown."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of the table: whether the failure is retried `by_default`, whether it is retried if `--retries` is given,
    whether it holds the agent, and whether the next run continues the conversation that this run began."""

    by_default: bool = False
    on_request: bool = True
    holds: bool = False
    goes_on: bool = True


RULES: Mapping[FailureClass, Rule] = {
    FailureClass.CRASHED: Rule(by_default=True),
    FailureClass.STALLED: Rule(by_default=True),
    FailureClass.TIMEOUT: Rule(),
    FailureClass.OOM: Rule(by_default=True),
    FailureClass.NETWORK: Rule(by_default=True),
    FailureClass.OVERLOADED: Rule(by_default=True),
    FailureClass.NO_VERDICT: Rule(by_default=True),
    FailureClass.RATE_LIMITED: Rule(by_default=True, holds=True),
    FailureClass.AUTH: Rule(on_request=False, holds=True),
    FailureClass.BILLING: Rule(on_request=False, holds=True),
    FailureClass.CONFIG: Rule(on_request=False),
    FailureClass.SPAWN: Rule(),
    FailureClass.DENIED: Rule(),
    FailureClass.CONTEXT: Rule(goes_on=False),  # A full conversation stays full.
    FailureClass.BUDGET: Rule(on_request=False),
    FailureClass.CHECK: Rule(by_default=True),
    FailureClass.SETUP: Rule(on_request=False),
    FailureClass.LAND: Rule(by_default=True),
    FailureClass.CONFLICT: Rule(by_default=True),
    FailureClass.ERROR: Rule(),
    FailureClass.CANCELLED: Rule(on_request=False, goes_on=False),
}


OF_WORK = frozenset({FailureClass.CHECK, FailureClass.LAND, FailureClass.CONFLICT})
"""The agent says that its work is done, and it is not."""

TOLD = frozenset({FailureClass.LAND, FailureClass.CONFLICT})
"""What is mended by whoever is told of it; a command, which cannot be told, would only do the same again."""


@dataclass(frozen=True, slots=True)
class AgentHold:
    """A hold on an agent's tasks: until when (None: until a person resumes it), and its number among holds in a row."""

    kind: FailureClass
    until: int | None
    count: int


@dataclass(frozen=True, slots=True)
class Again:
    """The task runs again, not before `due_at`. `counted` says whether the failed run used up an attempt; `fresh` says
    that the next run begins a new conversation because the old one cannot be continued."""

    due_at: int
    counted: bool
    fresh: bool = False


def again(
    task: Task, outcome: Outcome, *, now: int, hold: AgentHold | None, jitter: float, waits: int = 0
) -> Again | None:
    """When the task runs again, or None if that was its last run.

    `task.attempts` includes the run that ended; `hold` is the hold that the run put on its agent. `jitter` is a random
    number from 0 to 1. `waits` is how many runs just before this one ended because the branch to land on fails its
    check.
    """
    if outcome.failure_class is None:
        return None
    came = None if outcome.landing is None else outcome.landing.came
    if came in WAITS and outcome.failure_class is FailureClass.LAND:
        if came == Came.FAILING:
            return Again(now + min(FIRST_WAIT_MS << min(waits, 40), LONGEST_WAIT_MS), counted=False)
        if task.work.launch.retries is None:
            return None
    if task.work.kind == "exec" and outcome.failure_class in TOLD and task.work.launch.retries is None:
        return None
    # A reply means nothing in a conversation that does not know what it replies to.
    if unusable(task, outcome) and not task.fresh and task.work.launch.continues is None:
        return Again(task.due_at, counted=False, fresh=True)
    if hold is not None and hold.kind is FailureClass.RATE_LIMITED and hold.count <= FREE_HOLDS:
        return Again(task.due_at, counted=False)
    if not retried(outcome.failure_class, task.work.launch) or task.attempts > most(
        outcome.failure_class, task.work.launch
    ):
        return None
    delay = 0 if outcome.at_once else delay_ms(task.work.launch, task.attempts, jitter)
    return Again(now + delay, counted=True)


def unusable(task: Task, outcome: Outcome) -> bool:
    """Whether the conversation that a run continued cannot be used: it is unknown, full, or was rejected before any
    work was done."""
    return outcome.conversation_lost or (task.resumes and outcome.nothing_done)


def retried(failure: FailureClass, launch: Launch) -> bool:
    """Whether a run that failed in this way may be followed by another."""
    rule = RULES[failure]
    if failure is FailureClass.CRASHED and launch.on_crash is not None:
        return launch.on_crash == "retry"
    return rule.by_default if launch.retries is None else rule.on_request


def most(failure: FailureClass | None, launch: Launch) -> int:
    """How many retries a failure of this class may use up, together with those that came before."""
    return CHECK_RETRIES if failure in OF_WORK and launch.retries is None else launch.max_retries


def goes_on(failure: str | None) -> bool:
    """Whether the run after one of this failure class (None: it did not fail) continues its conversation."""
    return failure is not None and RULES[FailureClass(failure)].goes_on


def exhausted(launch: Launch, spent_usd: float) -> bool:
    """Whether the runs of a task have together cost as much as `--max-cost` allows."""
    return launch.max_cost_usd is not None and spent_usd >= launch.max_cost_usd


def time_left_ms(launch: Launch, spent_ms: int) -> int | None:
    """How long a run may take after runs of its task whose check failed have taken so long; None: there is no limit."""
    return None if launch.timeout_ms is None else max(1, launch.timeout_ms - spent_ms)


def delay_ms(launch: Launch, retry: int, jitter: float) -> int:
    """Milliseconds before retry number `retry` (from 1): doubled each time, with jitter, at most `--max-backoff`."""
    first = BACKOFF_MS if launch.backoff_ms is None else launch.backoff_ms
    longest = MAX_BACKOFF_MS if launch.max_backoff_ms is None else launch.max_backoff_ms
    # A larger shift would only produce a huge number.
    delay = min(first << min(retry - 1, 40), longest)
    return min(delay + int(delay * JITTER * jitter), longest)


def hold(outcome: Outcome, before: AgentHold | None, now: int) -> AgentHold | None:
    """The hold that a run puts on its agent. `before` is the last hold of the same kind, even one that is over."""
    failure = outcome.failure_class
    if failure is None or not RULES[failure].holds:
        return None
    if failure is not FailureClass.RATE_LIMITED:
        return AgentHold(failure, None, 1)
    # Tasks that ran together reach the same limit. It counts once, and the latest end applies.
    held_until = before.until if before is not None and before.until is not None and before.until > now else None
    hits = 0 if before is None else before.count
    count = hits + 1 if held_until is None else max(hits, 1)
    reset = outcome.reset_at
    if reset is not None and now < reset <= now + FARTHEST_RESET_MS:
        reset = max(reset, held_until or 0)
    else:
        reset = held_until or now + min(UNKNOWN_RESET_MS << min(count - 1, 10), LONGEST_UNKNOWN_RESET_MS)
    return AgentHold(failure, reset, count)


def explain(hold: AgentHold, agent: str, why: str | None) -> str:
    """A description of a hold, for its event and for people."""
    until = "until it is resumed" if hold.until is None else f"until {rfc3339(hold.until)}"
    return f"agent '{agent}' is held {until}: {why or hold.kind}"
