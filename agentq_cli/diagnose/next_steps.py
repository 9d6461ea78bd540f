"""What to do next, given the current state: what `agentq` without arguments prints after its help."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from agentq_cli.base.dataclass import dataclass
from agentq_cli.base.errors import AgentqError
from agentq_cli.model.statuses import Status
from agentq_cli.options import moments
from agentq_cli.policy import figures
from agentq_cli.policy.waiting import Hold

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.cli.context import Context

RECENT_MS = 24 * 3_600_000
"""A failure older than this is no longer mentioned."""

CRON = "* * * * * agentq sweep"


@dataclass(frozen=True, slots=True)
class Seen:
    """The state: whether anything is stored, the live tasks by status, the tasks that ended within a day, whether
    due work has nobody to run it, the newest task that failed within a day, and the holds on agents or the queue."""

    stored: bool
    live: Mapping[Status, int]
    ended: Mapping[Status, int]
    unattended: bool
    failed: str | None
    holds: Sequence[Hold]


def lines(at: Context) -> list[str]:
    """A summary of the state and what to do next, or why the state cannot be read. Creates nothing."""
    try:
        queue = at.open_queue()
        if not queue.exists:
            return advice(Seen(False, {}, {}, False, None, ()), at.now_ms())
        seen = _survey(at)
    except AgentqError as error:
        return [f"State: {error.message}", *_steps([("agentq health", "shows what is wrong and what to do")])]
    return advice(seen, at.now_ms())


def _survey(at: Context) -> Seen:
    from agentq_cli.supervise import attended

    queue = at.open_queue()
    live = queue.figures.live_counts()
    due = [session for session, counts in live.items() if counts.get(Status.QUEUED)]
    since = at.now_ms() - RECENT_MS
    failed = queue.figures.last_failed(since)
    return Seen(
        stored=queue.figures.anything(),
        live=figures.total(live),
        ended=queue.figures.ended_counts(since),
        unattended=bool(due) and attended.unattended(queue, due),
        failed=None if failed is None else str(failed),
        holds=queue.holds(),
    )


def advice(seen: Seen, now: int) -> list[str]:
    """The lines for a given state at `now`. Pure."""
    if not seen.stored:
        first = [
            ('agentq submit --agent demo "Say hello"', "submit a first task; the demo agent needs no key"),
            ("agentq run --drain", "run it"),
        ]
        return ["Nothing is stored yet.", *_steps(first)]
    steps: list[tuple[str, str]] = []
    if seen.unattended:
        steps.append(("agentq run --drain", "no supervisor is running: run what is due now"))
        steps.append((CRON, "or add this line to your crontab, so that due work is always run"))
    steps += [step for hold in seen.holds if (step := _lift(hold, now)) is not None]
    if seen.failed is not None:
        steps.append((f"agentq logs {seen.failed}", "show the output of the last failed task"))
        steps.append((f"agentq retry {seen.failed}", "retry it; `agentq list --status failed` lists all failed ones"))
    return [_summary(seen), *_steps(steps or [("agentq top", "watch it live")])]


def _summary(seen: Seen) -> str:
    order = (Status.RUNNING, Status.QUEUED, Status.RETRYING, Status.SCHEDULED, Status.BLOCKED, Status.PAUSED)
    live = ", ".join(f"{seen.live[status]} {status}" for status in order if seen.live.get(status)) or "no live tasks"
    ended = ", ".join(f"{count} {status}" for status, count in sorted(seen.ended.items()))
    return f"Now: {live}." + (f" In the last day: {ended}." if ended else "")


def _lift(hold: Hold, now: int) -> tuple[str, str] | None:
    if hold.scope == "queue":
        return "agentq resume --all", "the queue is paused"
    command = f"agentq resume --agent {hold.name}"
    if hold.kind == "paused":
        return command, f"{hold.name} is paused"
    if hold.until is None:
        return command, f"{hold.name} is held ({hold.kind}): fix its login or account first"
    return (
        command,
        f"{hold.name} is held until {moments.clock(hold.until, now)} ({hold.kind}): this retries at once",
    )


def _steps(steps: Sequence[tuple[str, str]]) -> list[str]:
    return ["Next:", *[line for command, what in steps for line in (f"  {command}", f"      {what}")]]
