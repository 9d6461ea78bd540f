"""What a series does in the store: finds its live occurrence, applies the missed policy when it is due, makes the next
one.

The next occurrence is made in the commit that ends the one before, whichever process ends it.
"""

from __future__ import annotations

from agentq_cli.base.clock import rfc3339
from agentq_cli.base.dataclass import replace
from agentq_cli.base.errors import NotFound, Usage
from agentq_cli.engines.steps import dependencies, keys, pruned
from agentq_cli.engines.steps.entering import enter
from agentq_cli.model.actions import Trigger
from agentq_cli.model.statuses import Status
from agentq_cli.model.tasks import NewTask, Successor, Task
from agentq_cli.policy import missed
from agentq_cli.policy import series as policy
from agentq_cli.policy.missed import Skipped
from agentq_cli.policy.schedule import Schedule
from agentq_cli.policy.series import Recurrence

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.engines.transaction import Transaction
    from agentq_cli.model.work import Work


def begin(schedule: Schedule, now: int) -> Recurrence:
    """The recurrence of the first occurrence of a new schedule. Raises Usage if the schedule never fires."""
    step = policy.begin(schedule, now)
    if step.recurrence is None:
        raise Usage(f"schedule: nothing fires ({step.ended})")
    return step.recurrence


def live(write: Transaction, seq: int) -> Task:
    """The live occurrence that an address of a series means, even if that occurrence was pruned; the task itself if it
    belongs to no series, or if none is live. Raises NotFound."""
    try:
        task = write.task(seq)
    except NotFound:
        live_seq = pruned.live_of(write, seq)
        if live_seq is None:
            raise
        return write.task(live_seq)
    if task.series is None or task.extra:
        return task
    found = write.ask("write.live_of_series", {"series": task.series})
    return write.task(found[0][0]) if found else task


def rescheduled(write: Transaction, before: Task, after: Task) -> Task:
    """The changed, waiting occurrence, with its next time if its schedule has changed.

    Slots that the change drops are recorded. Raises Usage if the new schedule never fires.
    """
    if before.recurrence is None or before.extra or after.recurrence == before.recurrence:
        return after
    if after.recurrence is None:
        # A task that stays due at the same time still stands for its slot.
        begun = before.attempts > 0 or after.due_at == before.due_at
        _record_skipped(write, before.seq, policy.dropped(before.recurrence, write.now, begun=begun))
        return replace(after, arriving=False)
    step = policy.changed(before.recurrence, after.recurrence.schedule, write.now, begun=before.attempts > 0)
    if step.recurrence is None:
        raise Usage(f"schedule: nothing fires ({step.ended})")
    _record_skipped(write, before.seq, step.skipped)
    if step.recurrence.occurrence.slot == before.recurrence.occurrence.slot:
        return replace(after, recurrence=step.recurrence)
    slot = step.recurrence.occurrence.slot
    work = after.work
    if work.expires_at == before.work.expires_at:
        work = replace(work, expires_at=_moved_expiry(before, work.expires_at, slot))
    return replace(after, work=work, recurrence=step.recurrence, due_at=slot, arriving=True)


def next_work(task: Task) -> Task:
    """A begun occurrence as the next one will be, with the changes that were made for it meanwhile."""
    successor = task.successor or Successor()
    # It has already waited for its dependencies.
    known = replace(task, work=successor.work or replace(task.work, after=()))
    if successor.ends or task.recurrence is None:
        return replace(known, recurrence=None)
    if successor.schedule is None:
        return known
    occurrence = task.recurrence.occurrence
    if successor.at:
        occurrence = missed.rebased(occurrence, successor.at)
    return replace(known, recurrence=replace(task.recurrence, schedule=successor.schedule, occurrence=occurrence))


def hand_on(write: Transaction, task: Task, known: Task, after: Task) -> Successor:
    """What a begun occurrence passes on if its next one, until now `known`, is to be `after`; slots that the change
    drops are recorded."""
    successor = task.successor or Successor()
    at = successor.at
    schedule = None if after.recurrence is None else after.recurrence.schedule
    if known.recurrence is not None and after.recurrence != known.recurrence:
        _record_skipped(write, task.seq, policy.changed_meanwhile(known.recurrence, schedule, write.now))
        if policy.settles(known.recurrence, schedule):
            at = write.now
    return replace(successor, work=_own(after.work), schedule=schedule, at=at, ends=after.recurrence is None)


def arrive(write: Transaction, task: Task) -> Task | None:
    """Apply the missed policy to an occurrence that is due, once; None if it may not start now."""
    assert task.recurrence is not None
    step = policy.arrived(task.recurrence, write.now)
    _record_skipped(write, task.seq, step.skipped)
    if step.recurrence is None:
        over = replace(task, status=Status.SKIPPED, ended_at=write.now, reason=step.ended, arriving=False)
        write.save(task, over, event="skip", rearm=False)
        return None
    slot = step.recurrence.occurrence.slot
    later = slot > write.now
    moved = replace(
        task,
        recurrence=step.recurrence,
        due_at=slot,
        work=replace(task.work, expires_at=_moved_expiry(task, task.work.expires_at, slot)),
        trigger=step.recurrence.occurrence.trigger,
        arriving=later,
    )
    write.save(task, moved, event="postpone" if later else None)
    return None if later else moved


def refuse(write: Transaction, task: Task) -> bool:
    """End an occurrence that `--until` or `--max-runs` does not allow to start; returns whether it did."""
    if task.recurrence is None or task.extra:
        return False
    reason = policy.refused(task.recurrence, write.now)
    if reason is None:
        return False
    over = replace(task, status=Status.SKIPPED, ended_at=write.now, reason=reason, arriving=False)
    write.save(task, over, event="skip", rearm=False)
    return True


def rearm(write: Transaction, before: Task, ended: Task, finished: int) -> None:
    """Make the next occurrence after one that has ended, or record that the series is over."""
    assert before.recurrence is not None
    successor = before.successor or Successor()
    started = ended.last_run is not None
    if (ended.status is Status.CANCELLED and not ended.goes_on) or successor.ends:
        known = next_work(before).recurrence
        if known is not None:
            _record_skipped(write, ended.seq, policy.cancelled(known, write.now, started=started))
        write.record("end", ended.seq, reason="cancelled" if not successor.ends else "its recurrence was dropped")
        return
    step = policy.ended(
        before.recurrence,
        ended.status,
        started=started,
        finished=finished,
        now=write.now,
        changed=successor.schedule,
        changed_at=successor.at,
    )
    _record_skipped(write, ended.seq, step.skipped)
    if step.recurrence is None:
        write.record("end", ended.seq, reason=step.ended)
        return
    slot = step.recurrence.occurrence.slot
    work = successor.work or again(ended)
    expires = _moved_expiry(ended, work.expires_at, slot)
    work = replace(work, expires_at=expires, key=_free_key(write, ended, work.key))
    gone = [each for each in work.after if each.address and not dependencies.exists(write, each.address)]
    reason = step.paused or (successor.reason if successor.paused else None)
    if gone and reason is None:
        reason = f"{dependencies.option(gone[0])} '{gone[0].address}': it was pruned"
    paused = bool(gone) or step.paused is not None or successor.paused
    status = Status.PAUSED if paused else Status.BLOCKED if work.after else Status.QUEUED
    seq = enter(
        write,
        NewTask(write.session, work, due_at=slot),
        status=status,
        reason=reason,
        series=ended.series,
        trigger=step.recurrence.occurrence.trigger,
        recurrence=step.recurrence,
        arriving=paused or slot > write.now,
    )
    if work.after:
        dependencies.enter(write, seq, [each for each in work.after if each not in gone])
    write.mirror(seq)
    made = write.task(seq)
    hook = None if step.paused is None else "series.paused"
    write.record("rearm", seq, after=made.shown_status(write.now), reason=reason, hook=hook)
    dependencies.settle(write, seq)


def _free_key(write: Transaction, ended: Task, key: str | None) -> str | None:
    """The key of the next occurrence. If that key was set during the run, another task may hold it by now."""
    if key is None or key == ended.work.key:
        return key
    holder = keys.holder(write, key)
    if holder is None:
        return key
    write.record("edit", ended.seq, reason=f"key '{key}': {holder} holds it now")
    return ended.work.key


def trigger(write: Transaction, task: Task) -> Task:
    """An extra occurrence, due now, outside the schedule."""
    new = NewTask(write.session, replace(_own(task.work), key=None, expires_at=None, after=()))
    seq = enter(write, new, status=Status.QUEUED, series=task.series, trigger=Trigger.MANUAL, extra=True)
    write.mirror(seq)
    made = write.task(seq)
    write.record("trigger", seq, after=made.status)
    return made


def again(task: Task) -> Work:
    """The same work again. Dependencies that one of its runs has waited for are not waited for again."""
    work = _own(task.work)
    return replace(work, after=()) if task.tries else work


def _own(work: Work) -> Work:
    """The work without what it inherited from a task that it replaced."""
    return replace(work, launch=replace(work.launch, earlier_runs=0, other_words=0))


def _moved_expiry(task: Task, expires_at: int | None, slot: int) -> int | None:
    """The expiry of an occurrence, as long after its slot as that of the first one is after its own."""
    if expires_at is None or task.recurrence is None:
        return expires_at
    return slot + expires_at - task.recurrence.occurrence.slot


def _record_skipped(write: Transaction, seq: int, skipped: tuple[Skipped, ...]) -> None:
    for each in skipped:
        span = rfc3339(each.first) if each.count == 1 else f"{rfc3339(each.first)} to {rfc3339(each.last)}"
        slots = "1 slot" if each.count == 1 else f"{each.count} slots"
        write.record("slots_skipped", seq, reason=f"{slots} skipped ({each.why}): {span}")
