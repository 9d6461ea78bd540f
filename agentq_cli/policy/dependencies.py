"""Whether a task that waits for others may go on (CONTRACT, submit). Pure: how the others stand in, a decision out."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from agentq_cli.dataclass import dataclass
from agentq_cli.model import Address, Condition, Dependency, Status


class Standing(Enum):
    """How one dependency stands: not decided yet, met, or one that can no longer hold."""

    PENDING = "pending"
    MET = "met"
    FAILED = "failed"


class Verdict(Enum):
    """What becomes of the task that waits."""

    WAIT = "wait"
    GO = "go"
    CANCEL = "cancel"
    HOLD = "hold"


@dataclass(frozen=True, slots=True)
class Looked:
    """A dependency as it is found: the other's status (None: it cannot be seen), and the task to whose failure that
    goes back where the other was itself stopped by a dependency."""

    of: Dependency
    status: Status | None
    root: Address | None = None

    @property
    def cause(self) -> Address | None:
        """The task that is named when this one fails."""
        return self.root or self.of.address


POLICIES = ("cancel", "hold", "run")
"""What `--on-dep-failure` may say; the first is the default."""


def standing(on: Condition, status: Status | None) -> Standing:
    """How a dependency stands, by the status of the task that is waited for. `retry` can change it again."""
    if status is None or not status.ended:
        return Standing.PENDING
    if on is Condition.ANY:
        return Standing.MET
    met = status is (Status.COMPLETED if on is Condition.SUCCESS else Status.FAILED)
    return Standing.MET if met else Standing.FAILED


def decide(looked: Sequence[Looked], policy: str) -> tuple[Verdict, Address | None]:
    """What becomes of a blocked task, and the task whose failure it is due to.

    One failure decides, whatever the others come to; only with `run` are all of them waited for.
    """
    standings = [standing(each.of.on, each.status) for each in looked]
    if policy != "run":
        for each, how in zip(looked, standings, strict=True):
            if how is Standing.FAILED:
                return (Verdict.CANCEL if policy == "cancel" else Verdict.HOLD), each.cause
    return (Verdict.WAIT if Standing.PENDING in standings else Verdict.GO), None


def failed(looked: Sequence[Looked]) -> bool:
    """Whether one of them can no longer hold, or cannot be seen any more: what it stopped stays stopped."""
    return any(each.status is None or standing(each.of.on, each.status) is Standing.FAILED for each in looked)


def reason(cause: Address) -> str:
    """Why a task was stopped, as every one of the closure has it."""
    return f"dependency {cause} failed"
