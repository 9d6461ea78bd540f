"""What a series does in the store: its live occurrence is found, looked at when it is due, and followed by the next.

The next occurrence is made in the commit that ends the one before, whoever ends it.
"""

from __future__ import annotations

from agentq_cli.clock import rfc3339
from agentq_cli.dataclass import replace
from agentq_cli.errors import Usage
from agentq_cli.model import NewTask, Status, Successor, Task, Trigger
from agentq_cli.policy import series
from agentq_cli.policy.missed import Skipped
from agentq_cli.policy.schedule import Schedule
from agentq_cli.policy.series import Recurrence
from agentq_cli.store.queries import statements

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.store.session_write import SessionWrite

WRITE = statements("write")


def begin(schedule: Schedule, now: int, *, before: Recurrence | None = None) -> Recurrence:
    """What the first occurrence of a new or changed schedule carries. Raises Usage where nothing fires (any more)."""
    runs, streak = (0, 0) if before is None else (before.runs, before.streak)
    step = series.begin(schedule, now, runs=runs, streak=streak)
    if step.recurrence is None:
        raise Usage(f"schedule: nothing fires ({step.ended})")
    return step.recurrence


def live(write: SessionWrite, task: Task) -> Task:
    """The live occurrence that an address of a series stands for; the task itself where it is none, or none lives."""
    if task.series is None or task.extra:
        return task
    row = write.database.execute(WRITE["live_of_series"], {"series": task.series}).fetchone()
    return task if row is None else write.task(row[0])


def arrive(write: SessionWrite, task: Task) -> Task | None:
    """Apply the missed policy to an occurrence that is due and was not looked at; None where it may not start now."""
    assert task.recurrence is not None
    step = series.arrived(task.recurrence, write.now)
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
        expires_at=_moved_expiry(task, slot),
        trigger=step.recurrence.occurrence.trigger,
        arriving=later,
    )
    write.save(task, moved, event="postpone" if later else None)
    return None if later else moved


def refuse(write: SessionWrite, task: Task) -> bool:
    """End an occurrence that `--until` or `--max-runs` forbids to start; whether it did."""
    if task.recurrence is None or task.extra:
        return False
    reason = series.refused(task.recurrence, write.now)
    if reason is None:
        return False
    over = replace(task, status=Status.SKIPPED, ended_at=write.now, reason=reason, arriving=False)
    write.save(task, over, event="skip", rearm=False)
    return True


def rearm(write: SessionWrite, before: Task, ended: Task, finished: int) -> None:
    """Make the occurrence that follows one that has ended, or record that the series is over."""
    assert before.recurrence is not None
    successor = before.successor or Successor()
    if (ended.status is Status.CANCELLED and not ended.goes_on) or successor.ends:
        write.record("end", ended.seq, reason="cancelled" if not successor.ends else "its recurrence was dropped")
        return
    work = successor.work
    changed = None if work is None or work.schedule == before.recurrence.schedule else work.schedule
    step = series.ended(
        before.recurrence,
        ended.status,
        started=ended.last_run is not None,
        finished=finished,
        now=write.now,
        changed=changed,
        changed_at=successor.at,
    )
    _record_skipped(write, ended.seq, step.skipped)
    if step.recurrence is None:
        write.record("end", ended.seq, reason=step.ended)
        return
    reason = step.paused or (successor.reason if successor.paused else None)
    paused = step.paused is not None or successor.paused
    slot = step.recurrence.occurrence.slot
    new = work or again(ended)
    expires = _moved_expiry(replace(ended, expires_at=new.expires_at), slot)
    new = replace(new, due_at=slot, expires_at=expires, key=ended.key)
    seq = write.insert(
        new,
        status=Status.PAUSED if paused else Status.QUEUED,
        reason=reason,
        series=ended.series,
        trigger=step.recurrence.occurrence.trigger,
        recurrence=step.recurrence,
        arriving=paused or slot > write.now,
    )
    write.mirror(seq)
    made = write.task(seq)
    hook = None if step.paused is None else "series.paused"
    write.record("rearm", seq, after=made.shown_status(write.now), reason=reason, hook=hook)


def trigger(write: SessionWrite, task: Task) -> Task:
    """An extra occurrence, due now, beside the schedule."""
    new = replace(again(task), due_at=write.now, key=None, expires_at=None)
    seq = write.insert(new, status=Status.QUEUED, series=task.series, trigger=Trigger.MANUAL, extra=True)
    write.mirror(seq)
    made = write.task(seq)
    write.record("trigger", seq, after=made.status)
    return made


def again(task: Task) -> NewTask:
    """The same work once more."""
    return NewTask(
        session=task.session,
        kind=task.kind,
        cwd=task.cwd,
        prompt=task.prompt,
        argv=task.argv,
        agent=task.agent,
        priority=task.priority,
        labels=task.labels,
        key=task.key,
        context=task.context,
        expires_at=task.expires_at,
        launch=task.launch,
        schedule=None if task.recurrence is None else task.recurrence.schedule,
    )


def _moved_expiry(task: Task, slot: int) -> int | None:
    """An occurrence expires as long after its slot as the first one does after its own."""
    if task.expires_at is None or task.recurrence is None:
        return task.expires_at
    return slot + task.expires_at - task.recurrence.occurrence.slot


def _record_skipped(write: SessionWrite, seq: int, skipped: tuple[Skipped, ...]) -> None:
    for each in skipped:
        span = rfc3339(each.first) if each.count == 1 else f"{rfc3339(each.first)} to {rfc3339(each.last)}"
        slots = "1 slot" if each.count == 1 else f"{each.count} slots"
        write.record("slots_skipped", seq, reason=f"{slots} skipped ({each.why}): {span}")
