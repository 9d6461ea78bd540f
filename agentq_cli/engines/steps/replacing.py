"""`--replace`: the live task with a key becomes what a new submit describes, if that differs.

A submit that changes nothing keeps the place in the queue, the grid and the attempts so far. A task that is given other
work is a new one under its old address: it has no attempt, reason, cost or conversation of the earlier one.
"""

from __future__ import annotations

from collections.abc import Collection

from agentq_cli.base.dataclass import replace
from agentq_cli.base.errors import WrongState
from agentq_cli.engines.steps import dependencies, series
from agentq_cli.model.actions import Trigger
from agentq_cli.model.statuses import Status
from agentq_cli.model.tasks import NewTask, Successor, Task
from agentq_cli.policy.schedule import Kind, Schedule, anchor, same_times

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.engines.transaction import Transaction
    from agentq_cli.model.addresses import Address
    from agentq_cli.model.work import Dependency, Work


def same_recurrence(new: NewTask, live: Task) -> bool:
    """Whether a live task recurs as a new one would. True if the new one has no schedule: it then changes none.

    A schedule that fires once is not a recurrence, whenever it fires: times are not content.
    """
    if new.schedule is None:
        return True
    before = _schedule(series.next_work(live))
    wanted = _anchored(new, before)
    if before is None or before.type is Kind.AT or wanted.type is Kind.AT:
        return wanted.type is Kind.AT and (before is None or before.type is Kind.AT)
    return same_times(wanted, before)


def apply(
    write: Transaction, seq: int, new: NewTask, after: tuple[Dependency, ...], *, known: Collection[Address]
) -> bool:
    """Change a live task to what `new` describes, waiting for `after`; returns whether its wait may be over already.

    `known` are tasks that exist though the index does not have them yet.

    Raises WrongState if the task is running and would change, and Usage if its schedule would never fire.
    """
    live = write.task(seq)
    base = _base(live)
    before = _schedule(base)
    schedule = None if new.schedule is None else _anchored(new, before)
    after = live.work.after if _has_waited(live, before) and schedule is not None else after
    own = live.work.launch
    launch = replace(new.work.launch, earlier_runs=own.earlier_runs, other_words=own.other_words)
    wanted = replace(new.work, after=after, launch=launch)
    other = _content(wanted) != _content(live.work) or (before is None) is not (schedule is None)
    if live.status is Status.RUNNING:
        # A series that is registered again without a change stays as it is, even while it runs.
        if schedule is None or other or schedule != _schedule(live) or _edited(live):
            raise WrongState(f"key '{new.work.key}': {live.address} is running, and cannot be replaced")
        return False
    changed = replace(live, work=wanted)
    if schedule is None:
        # A begun task no longer expires; a submit that sets an expiry therefore means a new task.
        other = other or (live.attempts > 0 and new.work.expires_at not in (None, live.work.expires_at))
        changed = replace(changed, recurrence=None, due_at=_due(live, new, write.now, other=other))
        series.rescheduled(write, base, changed)  # records the slots that the change drops
    else:
        changed = _scheduled(write, base, changed, new, schedule)
        other = other or (live.attempts > 0 and changed.scheduled_for != live.scheduled_for)
    if other:
        changed = _anew(live, changed, has_schedule=schedule is not None)
    if _edited(live):
        changed = replace(changed, successor=None)
    if changed == live:
        return False
    if after != live.work.after:
        dependencies.enter(write, seq, after, known=known)
    write.save(live, changed, event="replace")
    return bool(after)


def _base(live: Task) -> Task:
    """The task whose schedule the new one replaces: for one that waits for a retry, what it passes on."""
    known = series.next_work(live) if live.attempts else live
    return live if known.recurrence is None else known


def _schedule(task: Task) -> Schedule | None:
    return None if task.recurrence is None or task.extra else task.recurrence.schedule


def _anchored(new: NewTask, before: Schedule | None) -> Schedule:
    """The schedule of a new task, with the existing grid if the new task names none."""
    schedule = new.schedule
    assert schedule is not None
    if new.anchored or schedule.start is None:
        return schedule
    return replace(schedule, start=anchor(schedule.type, schedule.every_ms, before, schedule.start))


def _has_waited(live: Task, before: Schedule | None) -> bool:
    """Whether it is an occurrence after the first of its series, which has waited for all dependencies already."""
    return before is not None and live.seq != live.series and not live.work.after


def _edited(live: Task) -> bool:
    """Whether the next occurrence was changed to do something else, or cancelled."""
    return live.successor is not None and (live.successor.work is not None or live.successor.ends)


def _content(work: Work) -> Work:
    """The requested work, without what it inherits from the submitting shell; times are not content."""
    launch = replace(work.launch, captured={}, umask=0, depth=0)
    return replace(work, expires_at=None, environment=None, launch=launch)


def _due(live: Task, new: NewTask, now: int, *, other: bool) -> int:
    """When a task without a schedule is due. A task that was due already keeps its place, or the time of its retry."""
    wanted = now if new.due_at is None else new.due_at
    begun = live.attempts > 0 and not other
    return live.due_at if wanted <= now and (live.due_at <= now or begun) else wanted


def _scheduled(write: Transaction, base: Task, changed: Task, new: NewTask, schedule: Schedule) -> Task:
    """The task with its schedule, and an expiry as long after its slot as that of the new task is."""
    if base.recurrence is None or base.extra:
        recurrence = series.begin(schedule, write.now)
        changed = replace(changed, recurrence=recurrence, due_at=recurrence.occurrence.slot, arriving=True)
        return replace(changed, series=base.seq, extra=False, trigger=Trigger.SCHEDULE)
    changed = replace(changed, recurrence=replace(base.recurrence, schedule=schedule))
    changed = series.rescheduled(write, base, changed)
    if new.work.expires_at is None or new.due_at is None:
        return changed
    expires_at = changed.scheduled_for + new.work.expires_at - new.due_at
    return replace(changed, work=replace(changed.work, expires_at=expires_at))


def _anew(live: Task, changed: Task, *, has_schedule: bool) -> Task:
    """A task with other work has not begun, whatever the task before it in its place has been through."""
    held = live.status is Status.PAUSED and live.dep_failed is None
    status = Status.PAUSED if held else Status.BLOCKED if changed.work.after else Status.QUEUED
    due = changed.due_at
    if has_schedule and live.attempts and changed.recurrence is not None:
        due = changed.recurrence.occurrence.slot  # and not the time of the retry that it waited for
    successor = live.successor and replace(Successor(), paused=live.successor.paused, reason=live.successor.reason)
    return replace(
        changed.unbegun(),
        status=status,
        reason=live.reason if held else None,
        due_at=due,
        successor=successor if successor and successor.paused else None,
        trigger=changed.trigger if has_schedule else Trigger.SUBMIT,
        arriving=changed.arriving if has_schedule else False,
        conversation_key=changed.work.given_key,
        work=replace(changed.work, launch=replace(changed.work.launch, earlier_runs=live.runs)),
    )
