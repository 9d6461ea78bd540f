"""A task: as submitted, as stored, and as it waits."""

from __future__ import annotations

from agentq_cli.base.dataclass import NamedTuple, dataclass, replace
from agentq_cli.model.actions import Trigger
from agentq_cli.model.addresses import Address
from agentq_cli.model.statuses import Status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from agentq_cli.model.work import Work
    from agentq_cli.policy.schedule import Schedule
    from agentq_cli.policy.series import Recurrence


class NewTask(NamedTuple):
    """A task as submitted; `submit` gives it its address.

    `line` is its line in a batch. `anchored` is whether somebody set the start of its schedule. If not, and the task
    replaces another of the same interval, it keeps that one's grid. `held`: it is stored paused. `captured` is the
    environment of the submitting shell that is stored with it; None if its work refers to a stored one. `base_of` is
    the position of the line of the batch at whose branch its own begins.
    """

    session: str
    work: Work
    replace: bool = False
    due_at: int | None = None
    schedule: Schedule | None = None
    line: int | None = None
    anchored: bool = True
    held: bool = False
    captured: Mapping[str, str] | None = None
    base_of: int | None = None


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
    `engines/steps/rows`.

    `attempts` counts runs against the retry budget, `runs` is the last K that was assigned. For a series: `recurrence`
    belongs to its live occurrence; `arriving`: its missed policy is still to be applied once it is due; `extra`: it was
    made by trigger or retry; `goes_on`: only its run was cancelled. `dep_failed` is the task whose failure cancelled or
    paused it. `tries` is the number of its runs since it was submitted or retried, including those that used no
    attempt. `resumes`: its run continues a conversation. `fresh`: it has had its one extra run after a conversation
    that could not be continued. `conversation_key` is the line of work of its session that it is in or is to continue;
    None if any will do, or if it is in none (`Work.in_line`).
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
    conversation_key: str | None = None

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
            return Status.RETRYING if self.begun else Status.SCHEDULED
        return self.status

    def unbegun(self, **changes: Any) -> Task:
        """The task as if it had never been run or stopped, with these changes; the caller sets its status and its
        times."""
        never = {
            "reason": None,
            "dep_failed": None,
            "ended_at": None,
            "attempts": 0,
            "tries": 0,
            "fresh": False,
            "resumes": False,
            "exit_code": None,
            "cancel_requested": False,
            "goes_on": False,
        }
        return replace(self, **never | changes)


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
