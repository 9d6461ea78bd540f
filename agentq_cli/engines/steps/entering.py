"""New tasks, as they enter the queue."""

from __future__ import annotations

from _operator import attrgetter, is_, is_not
from itertools import repeat

from agentq_cli.base.dataclass import NamedTuple
from agentq_cli.engines.steps import environments, rows
from agentq_cli.model.actions import Trigger
from agentq_cli.model.tasks import NewTask

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from agentq_cli.engines.transaction import Transaction
    from agentq_cli.model.statuses import Status
    from agentq_cli.model.work import Work
    from agentq_cli.policy.series import Recurrence


class Entering(NamedTuple):
    """A new task, to be stored: what can differ from a column's default in its state, and its work."""

    session: str
    seq: int
    work: Work
    environment: int | None
    status: Status
    created_at: int
    due_at: int
    reason: str | None
    series: int | None
    trigger: Trigger
    recurrence: Recurrence | None
    arriving: bool
    extra: bool
    conversation_key: str | None


def entered(
    new: NewTask,
    environment: int | None,
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
) -> Entering:
    """A new task, to be stored as `seq`; the first of a series has its own seq as the series' number. `environment` is
    what its shell's is stored as (`environments.stored`)."""
    return Entering(
        new.session,
        seq,
        new.work,
        environment,
        status,
        now,
        now if new.due_at is None else new.due_at,
        reason or None,
        series or (None if recurrence is None else seq),
        trigger,
        recurrence,
        arriving,
        extra,
        new.work.given_key,
    )


def enter(write: Transaction, new: NewTask, **state: Any) -> int:
    """Insert a new task in a state as `entered` takes it; the caller mirrors and records it. Returns its seq."""
    seq = write.next_seq()
    (environment,) = environments.stored(write, [new])
    write.insert([entered(new, environment, seq, write.now, **state)])
    return seq


def columns(new: Sequence[Entering]) -> dict[str, Sequence[Any]]:
    """The rows of new tasks, column by column; columns that are NULL in all rows are left out.

    Most columns of a batch have one value, which is converted once. What the tasks wait for is stored by
    `dependencies.enter`, once all of those tasks have their addresses.
    """
    state: dict[str, Sequence[Any]] = dict(zip(Entering._fields, zip(*new, strict=True), strict=True))
    del state["session"]
    work = dict(zip(rows.WORK, zip(*map(_of_work, state.pop("work")), strict=True), strict=True))
    del work["after"]
    return {
        name: _written(name, values)
        for name, values in (work | state).items()
        if any(map(is_not, values, repeat(None)))
    }


_of_work = attrgetter(*rows.WORK)


def _written(name: str, values: Sequence[Any]) -> Sequence[Any]:
    write = rows.WRITTEN.get(name)
    if write is None:
        return values
    if all(map(is_, values, repeat(values[0]))):
        return [write(values[0])] * len(values)
    return [None if value is None else write(value) for value in values]
