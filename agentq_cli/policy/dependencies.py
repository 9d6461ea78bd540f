"""Whether a task that waits for others may proceed (CONTRACT, submit). Pure: takes the states of the others, returns a
decision."""

from __future__ import annotations

from collections.abc import Sequence

from agentq_cli.base.dataclass import dataclass
from agentq_cli.base.enumeration import StrEnum
from agentq_cli.model.statuses import Status
from agentq_cli.model.work import Condition, Dependency

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.model.addresses import Address


class Standing(StrEnum):
    """The state of one dependency: undecided, met, or impossible to meet."""

    PENDING = "pending"
    MET = "met"
    FAILED = "failed"


class Verdict(StrEnum):
    """What happens to the waiting task."""

    WAIT = "wait"
    GO = "go"
    CANCEL = "cancel"
    HOLD = "hold"


@dataclass(frozen=True, slots=True)
class Found:
    """A dependency and the other task's current status (None: it cannot be read). If that task was itself stopped by a
    dependency, `root` is the task whose failure was the cause. `key` is the line of work that the task is in, None for
    none."""

    of: Dependency
    status: Status | None
    root: Address | None = None
    key: str | None = None

    @property
    def cause(self) -> Address | None:
        """The task to name when this dependency fails."""
        return self.root or self.of.address


def standing(on: Condition, status: Status | None) -> Standing:
    """The state of a dependency, from the status of the task it waits for. A `retry` can change it again."""
    if status is None or not status.ended:
        return Standing.PENDING
    if on is Condition.ANY:
        return Standing.MET
    met = status is (Status.COMPLETED if on is Condition.SUCCESS else Status.FAILED)
    return Standing.MET if met else Standing.FAILED


def decide(found: Sequence[Found], policy: str) -> tuple[Verdict, Address | None]:
    """What happens to a blocked task, and the task whose failure caused it.

    One failure decides, whatever the others end as; only the policy `run` waits for all of them.
    """
    standings = [standing(each.of.on, each.status) for each in found]
    if policy != "run":
        for each, how in zip(found, standings, strict=True):
            if how is Standing.FAILED:
                return (Verdict.CANCEL if policy == "cancel" else Verdict.HOLD), each.cause
    return (Verdict.WAIT if Standing.PENDING in standings else Verdict.GO), None


def failed(found: Sequence[Found]) -> bool:
    """Whether a dependency can no longer be met, or cannot be read any more: a task that it stopped stays stopped."""
    return any(each.status is None or standing(each.of.on, each.status) is Standing.FAILED for each in found)


def reason(cause: Address) -> str:
    """Why a task was stopped; every direct and indirect dependent gets the same reason."""
    return f"dependency {cause} failed"
