"""New tasks, as they enter the queue."""

from __future__ import annotations

from agentq_cli.engines.steps import environments
from agentq_cli.model.actions import Trigger
from agentq_cli.model.tasks import NewTask, Task

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from agentq_cli.engines.transaction import Transaction
    from agentq_cli.model.statuses import Status
    from agentq_cli.policy.series import Recurrence


def entered(
    new: NewTask,
    seq: int,
    now: int,
    *,
    status: Status,
    reason: str | None = None,
    series: int | None = None,
    trigger: Trigger = Trigger.SUBMIT,
    recurrence: Recurrence | None = None,
    arriving: bool = False,
    extra: bool = False,
) -> Task:
    """A new task, to be stored as `seq`; the first of a series has its own seq as the series' number."""
    return Task(
        session=new.session,
        seq=seq,
        work=new.work,
        status=status,
        created_at=now,
        due_at=now if new.due_at is None else new.due_at,
        reason=reason or None,
        series=series or (None if recurrence is None else seq),
        trigger=trigger,
        recurrence=recurrence,
        arriving=arriving,
        extra=extra,
    )


def enter(write: Transaction, new: NewTask, **state: Any) -> int:
    """Insert a new task in a state as `entered` takes it; the caller mirrors and records it. Returns its seq."""
    seq = write.next_seq()
    write.insert([entered(each, seq, write.now, **state) for each in environments.kept(write, [new])])
    return seq
