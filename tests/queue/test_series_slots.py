"""Whatever people do to a schedule while time passes, every slot is accounted for: by a run, or by an event.

The sequences are drawn anew each day: see `sampling`.
"""

from __future__ import annotations

import contextlib
import random
import re
from dataclasses import dataclass, field
from typing import Any

import pytest
from queue_driver import NOON, Clock, changed, claim_next, command, finish, submit
from sampling import WIDE, chance

from agentq_cli.base.dataclass import replace
from agentq_cli.base.errors import AgentqError
from agentq_cli.engines.door import Queue
from agentq_cli.engines.steps import series
from agentq_cli.model.actions import Actor
from agentq_cli.model.addresses import Address, RunId
from agentq_cli.model.statuses import FailureClass, RunStatus, Status
from agentq_cli.model.tasks import Task
from agentq_cli.policy.missed import Occurrence
from agentq_cli.policy.schedule import Kind, Missed, Overlap, Schedule, anchor, count_slots, same_times

pytestmark = pytest.mark.dear

MINUTE = 60_000


@dataclass
class Life:
    """A series, and the times that it was to come on: each grid with when it began."""

    queue: Queue
    clock: Clock
    draw: random.Random
    address: Address
    grids: list[tuple[Schedule, int]]
    running: RunId | None = None
    told: list[str] = field(default_factory=list)

    def live(self) -> Task:
        return self.queue.live(self.address)

    def begun(self, task: Task) -> bool:
        return task.status is Status.RUNNING or task.attempts > 0

    def check(self) -> None:
        now = self.clock.now
        task = self.live()
        known = series.next_work(task) if self.begun(task) else task
        assert known.recurrence is not None
        schedule, occurrence = known.recurrence.schedule, known.recurrence.occurrence
        waiting = (not self.begun(task) and occurrence.slot <= now) + len(occurrence.backlog)
        self.adds_up(waiting + count_slots(schedule, occurrence.accounted_to, now), occurrence)

    def adds_up(self, waiting: int, occurrence: Occurrence) -> None:
        """Of all slots so many are neither that of a run nor told by an event."""
        now = self.clock.now
        ends = [since for _, since in self.grids[1:]] + [now]
        due = sum(count_slots(grid, since, end) for (grid, since), end in zip(self.grids, ends, strict=True))
        ran = {(run.seq, run.scheduled_for) for run in self.queue.runs()}
        reasons = [event.reason or "" for event in self.queue.events() if event.event == "slots_skipped"]
        skipped = sum(int(found[1]) for reason in reasons if (found := re.match(r"(\d+) slots? skipped", reason)))
        assert len(ran) + skipped + waiting == due, "\n".join(
            [*self.told, *map(str, ran), *reasons, str(occurrence), str(self.grids)]
        )

    def changed(self, schedule: Schedule) -> None:
        if not same_times(schedule, self.grids[-1][0]):
            self.grids.append((schedule, self.clock.now))

    # What may happen

    def time_passes(self) -> None:
        self.clock.forward(self.draw.choice([1, 30, 60, 200, 3000]) * MINUTE)

    def start(self) -> None:
        if self.running is None:
            found = claim_next(self.queue)
            self.running = None if found is None else found.run

    def end(self) -> None:
        if self.running is not None:
            again = self.draw.random() < 0.3
            status, kind = (RunStatus.ERROR, FailureClass.NETWORK) if again else (RunStatus.SUCCESS, None)
            finish(self.queue, self.running, status, failure_class=kind)
            self.running = None

    def look(self) -> None:
        for address, _ in self.queue.arriving():
            self.queue.arrive(address, actor=Actor.SWEEP)

    def pause(self) -> None:
        if self.live().status is not Status.RUNNING or self.live().rearms:
            self.queue.pause(self.address, reason=None)

    def resume(self) -> None:
        with contextlib.suppress(AgentqError):  # it was not paused
            self.queue.resume(self.address)

    def edit(self, **fields: object) -> None:
        def change(task: Task) -> Task:
            assert task.recurrence is not None
            self.new = replace(task.recurrence.schedule, **fields)
            return replace(task, recurrence=replace(task.recurrence, schedule=self.new))

        self.queue.edit(self.address, change)
        self.changed(self.new)

    def edit_nothing(self) -> None:
        self.queue.edit(self.address, lambda task: changed(task, priority=task.work.priority))

    def edit_the_same(self) -> None:
        self.edit()

    def edit_policy(self) -> None:
        self.edit(missed=self.draw.choice([*Missed]), overlap=self.draw.choice([*Overlap]))

    def lower_and_raise_max_runs(self) -> None:
        recurrence = self.live().recurrence
        assert recurrence is not None
        self.edit(max_runs=recurrence.runs + 1)
        self.check()
        self.edit(max_runs=None)

    def edit_interval(self) -> None:
        every = self.draw.choice([7, 60, 90]) * MINUTE
        self.edit(type=Kind.EVERY, expr=None, every_ms=every, start=self.clock.now)

    def edit_expression(self) -> None:
        expr = self.draw.choice(["0 * * * *", "@hourly", "*/20 * * * *", "0 0 * * *", "@daily"])
        self.edit(type=Kind.CRON, expr=expr, every_ms=None, start=None)

    def edit_zone(self) -> None:
        self.edit(tz=self.draw.choice(["UTC", "Europe/Berlin", "Asia/Kolkata"]))

    def register_again(self) -> None:
        """As a script does that hands in the same schedule at each of its runs."""
        task = self.live()
        known = series.next_work(task) if self.begun(task) else task
        assert known.recurrence is not None
        schedule = known.recurrence.schedule
        again = replace(schedule, start=self.clock.now) if schedule.every_ms else schedule
        try:
            submit(self.queue, command(key="k", replace=True, schedule=again, anchored=False, due_at=self.clock.now))
        except AgentqError:
            assert task.status is Status.RUNNING  # an edited one is not replaced while it runs

    # What ends it

    def cancel(self) -> None:
        """Cancel it as it is: what waits stands for its own slot, and the others are told."""
        task = self.live()
        assert task.recurrence is not None
        occurrence = task.recurrence.occurrence
        own = not self.begun(task) and occurrence.slot <= self.clock.now
        self.queue.cancel(self.address)
        if self.running is not None:
            self.queue.request_stop(self.running, reason="cancelled", cancel=True, actor=Actor.USER)
            finish(self.queue, self.running, RunStatus.CANCELLED, failure_class=FailureClass.CANCELLED)
        self.told.append("cancel")
        self.adds_up(int(own), occurrence)


STEPS = [
    name
    for name in vars(Life)
    if not name.startswith("_") and name not in ("live", "begun", "check", "adds_up", "changed", "edit", "cancel")
]
STEPS = [name for name in STEPS if callable(getattr(Life, name))]


@pytest.mark.parametrize("missed", Missed)
def test_every_slot_is_accounted_for(queue: Queue, clock: Clock, missed: Missed) -> None:
    draw = chance(f"series {missed}")
    for _ in range(2 * WIDE):
        schedule = Schedule(Kind.EVERY, every_ms=60 * MINUTE, start=clock.now, missed=missed, pause_after=0)
        (address,) = submit(queue, command(key="k", schedule=schedule))
        before = len(list(queue.events()))
        life = Life(queue, clock, draw, address, [(schedule, clock.now)])
        for _ in range(40):
            step = draw.choice([*STEPS, "time_passes", "time_passes", "start", "end"])
            life.told.append(f"{step} at {(clock.now - NOON) // MINUTE}")
            getattr(life, step)()
            life.check()
        life.cancel()
        for each in list(queue.tasks(ended=True)):
            queue.prune(each.address)
        assert before and list(queue.tasks(ended=True)) == []


def test_the_steps_are_all_there() -> None:
    assert {"edit_nothing", "edit_policy", "edit_zone", "register_again", "pause", "resume", "look"} <= set(STEPS)


def test_an_equal_schedule_in_other_words_is_the_same() -> None:
    daily = Schedule(Kind.CRON, expr="@daily", tz="Europe/Berlin")
    assert same_times(daily, replace(daily, expr="0 0 * * *", until=5, max_runs=3, missed=Missed.ALL))
    assert not same_times(daily, replace(daily, tz="UTC"))
    assert not same_times(daily, replace(daily, expr="0 1 * * *"))
    hourly = Schedule(Kind.EVERY, every_ms=60 * MINUTE, start=5)
    assert same_times(hourly, replace(hourly, tz="Europe/Berlin"))
    assert not same_times(hourly, replace(hourly, start=6))
    assert anchor(Kind.EVERY, 60 * MINUTE, hourly, 99) == 5
    assert anchor(Kind.EVERY, 61 * MINUTE, hourly, 99) == anchor(Kind.EVERY, 60 * MINUTE, daily, 99) == 99
    assert anchor(Kind.CRON, None, hourly, 99) is None


def hourly(queue: Queue, clock: Clock, **fields: Any) -> Address:
    schedule = Schedule(Kind.EVERY, every_ms=60 * MINUTE, start=clock.now, **fields)
    return submit(queue, command(key="k", schedule=schedule))[0]


def skipped(queue: Queue) -> list[str]:
    found = [event.reason or "" for event in queue.events() if event.event == "slots_skipped"]
    return [reason.partition(":")[0] for reason in found]


CANCELLED = "2 slots skipped (the series was cancelled)"


@pytest.mark.parametrize(("max_runs", "told"), [(None, [CANCELLED]), (1, []), (2, [CANCELLED])])
@pytest.mark.parametrize("state", ["running", "retrying"])
def test_a_series_cancelled_once_it_has_begun_tells_what_fell_meanwhile(
    queue: Queue, clock: Clock, state: str, max_runs: int | None, told: list[str]
) -> None:
    address = hourly(queue, clock, max_runs=max_runs)
    clock.forward(60 * MINUTE)
    claimed = claim_next(queue)
    assert claimed is not None
    if state == "retrying":
        finish(queue, claimed.run, RunStatus.ERROR, failure_class=FailureClass.NETWORK)
    clock.forward(150 * MINUTE)
    queue.cancel(address)
    if state == "running":
        queue.request_stop(claimed.run, reason="cancelled", cancel=True, actor=Actor.USER)
        finish(queue, claimed.run, RunStatus.CANCELLED, failure_class=FailureClass.CANCELLED)
    assert queue.task(address).status is Status.CANCELLED
    assert skipped(queue) == told  # what comes after the last of max-runs is no slot


@pytest.mark.parametrize("state", ["running", "retrying", "replaced"])
def test_lower_max_runs_tells_what_they_leave_out(queue: Queue, clock: Clock, state: str) -> None:
    address = hourly(queue, clock, max_runs=5)
    clock.forward(60 * MINUTE)
    claimed = claim_next(queue)
    assert claimed is not None
    if state != "running":
        finish(queue, claimed.run, RunStatus.ERROR, failure_class=FailureClass.NETWORK)

    def lower(max_runs: int) -> None:
        def change(task: Task) -> Task:
            assert task.recurrence is not None
            schedule = replace(task.recurrence.schedule, max_runs=max_runs)
            return replace(task, recurrence=replace(task.recurrence, schedule=schedule))

        if state != "replaced":
            queue.edit(address, change)
            return
        schedule = Schedule(Kind.EVERY, every_ms=60 * MINUTE, start=clock.now, max_runs=max_runs)
        submit(queue, command(key="k", replace=True, schedule=schedule, anchored=False, due_at=clock.now))

    clock.forward(150 * MINUTE)
    lower(1)
    assert skipped(queue) == ["2 slots skipped (the schedule was changed)"]
    clock.forward(60 * MINUTE)
    lower(1)
    lower(4)  # what was told is not told again
    clock.forward(60 * MINUTE)
    if state != "running":
        claimed = claim_next(queue)
        assert claimed is not None
    finish(queue, claimed.run)
    assert sorted(skipped(queue)) == ["2 slots skipped (overlap)", "2 slots skipped (the schedule was changed)"]
    assert queue.live(address).status is Status.QUEUED
