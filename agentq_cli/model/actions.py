"""Actions: who takes one, what causes a run, and what came of an action on several tasks or of a sweep."""

from __future__ import annotations

from agentq_cli.base.dataclass import NamedTuple, dataclass
from agentq_cli.base.enumeration import StrEnum

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.base.errors import AgentqError
    from agentq_cli.model.statuses import Status


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
    REPLY = "reply"
    MANUAL = "manual"
    CATCHUP = "catchup"


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
