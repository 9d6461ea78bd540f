"""What to do next, given the current state: the last line of `agentq` alone."""

from __future__ import annotations

from collections.abc import Sequence

from agentq_cli.base.dataclass import dataclass
from agentq_cli.engines.door import Queue
from agentq_cli.model.statuses import Status
from agentq_cli.options import moments
from agentq_cli.policy.waiting import Hold

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.diagnose.overview import Overview

FIRST = (
    ('agentq submit --agent demo "Say hello"', "submit a first task; the demo agent needs no key"),
    ("agentq run --drain", "run it"),
    ("agentq show", "read what it answered"),
)
"""What to type where nothing is stored yet."""


@dataclass(frozen=True, slots=True)
class Seen:
    """The state: whether due work has nobody to run it, the holds on agents or the queue, the newest task that failed
    since the last look, whether something runs or waits, at a time."""

    unattended: bool
    holds: Sequence[Hold]
    failed: str | None
    live: bool
    now: int


def step(queue: Queue, seen: Overview) -> tuple[str, str]:
    """The next command, and why."""
    from agentq_cli.supervise import attended

    live = queue.figures.live_counts()
    due = [session for session, counts in live.items() if counts.get(Status.QUEUED)]
    return advice(
        Seen(
            unattended=bool(due) and attended.unattended(queue, due),
            holds=queue.holds(),
            failed=str(seen.failed[0].address) if seen.failed else None,
            live=bool(live),
            now=seen.at,
        )
    )


def advice(seen: Seen) -> tuple[str, str]:
    """The same for a given state. Pure."""
    for hold in seen.holds:
        if hold.kind != "rate_limited" or hold.until is None:
            return _lift(hold, seen.now)
    if seen.unattended:
        return "agentq run --drain", "no supervisor is running: run what is due now"
    if seen.failed is not None:
        return f"agentq show {seen.failed}", "why it failed; 'agentq retry --failed' runs all of them again"
    if seen.holds:
        return _lift(seen.holds[0], seen.now)
    if seen.live:
        return "agentq top", "watch it live"
    return "agentq show", "read what the newest run answered"


def _lift(hold: Hold, now: int) -> tuple[str, str]:
    if hold.scope == "queue":
        return "agentq resume --all", "the queue is paused"
    command = f"agentq resume --agent {hold.name}"
    if hold.kind == "paused":
        return command, f"{hold.name} is paused"
    if hold.until is None:
        return command, f"{hold.name} is held ({hold.kind}): fix its login or account first"
    until = moments.clock(hold.until, now)
    return command, f"{hold.name} is held until {until} ({hold.kind}): this retries at once"


def lines(steps: Sequence[tuple[str, str]]) -> list[str]:
    """Several steps, a line each."""
    width = max(len(command) for command, _ in steps)
    return [f"  {command:<{width}}   {why}" for command, why in steps]
