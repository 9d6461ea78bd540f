"""Storing new tasks in a session: those of one submit, or their part of a batch over several sessions."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Mapping, Sequence

from agentq_cli.base import errors
from agentq_cli.base.dataclass import replace
from agentq_cli.base.errors import AgentqError, Busy, LimitReached, WrongState
from agentq_cli.engines.steps import dependencies, environments, rows
from agentq_cli.engines.steps.entering import Entering, entered
from agentq_cli.model.actions import Trigger
from agentq_cli.model.addresses import Address
from agentq_cli.model.statuses import Status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from agentq_cli.engines.transaction import Reading, Transaction
    from agentq_cli.model.tasks import NewTask, Task

MOST_ROWS = 200
"""How many new tasks an engine gets at once: a server does not wait for long in mid-transaction."""

CONTENT = ("kind", "prompt", "argv", "agent", "cwd")
"""The columns that make two tasks with a key the same, as `write.holder_of_key` has them."""


def submit(write: Transaction, tasks: Sequence[NewTask], *, max_queued: int) -> list[tuple[Address, bool]]:
    """Store the tasks of this session, and return each with whether it is new (False: a live task with its key was
    found). Raises LimitReached, WrongState (a key that another task holds), NotFound (a dependency)."""
    check_room(write, tasks, max_queued)
    write.tell("write.create_session", {"name": write.session, "at": write.now})
    stored = insert(write, tasks)
    addresses = dict(enumerate(stored))
    waiting = enter_waits(write, tasks, addresses) + _replace(write, tasks, addresses)
    first = next((address.seq for address, is_new in stored if is_new), None)
    if first is not None:
        write.publish(first)
    for seq in waiting:
        dependencies.settle(write, seq)
    return stored


def insert(write: Transaction, tasks: Collection[NewTask], batch: str | None = None) -> list[tuple[Address, bool]]:
    """Add the tasks' rows, staged if they belong to a batch; each with whether it is new."""
    stored: list[tuple[Address, bool]] = []
    new: list[Entering] = []
    seq = write.next_seq()
    keys: set[str] = set()
    for task, environment in zip(tasks, environments.stored(write, tasks), strict=True):
        key = task.work.key
        if key is not None:
            if key in keys:
                # A row of this batch has it: that row must be stored to be found.
                write.insert(new, batch)
                new.clear()
                keys.clear()
            with of_line(task):
                found = _of_key(write, task, batch)
            if found is not None:
                stored.append((found, False))
                continue
            keys.add(key)
        new.append(begun(task, environment, seq, write.now))
        stored.append((Address(write.session, seq), True))
        seq += 1
        if len(new) == MOST_ROWS:
            write.insert(new, batch)
            new.clear()
    write.insert(new, batch)
    return stored


def begun(task: NewTask, environment: int | None, seq: int, now: int) -> Entering:
    """A new task as it begins; `environment` as `entered` takes it."""
    state: dict[str, Any] = {}
    if task.schedule is not None:
        from agentq_cli.engines.steps import series

        state = {"trigger": Trigger.SCHEDULE, "recurrence": series.begin(task.schedule, now), "arriving": True}
    return entered(task, environment, seq, now, status=first_status(task), **state)


def first_status(task: NewTask) -> Status:
    """The status of a new task."""
    return Status.PAUSED if task.held else Status.BLOCKED if task.work.after else Status.QUEUED


def enter_waits(write: Transaction, tasks: Sequence[NewTask], stored: Mapping[int, tuple[Address, bool]]) -> list[int]:
    """Store what the tasks of this session wait for, now that every line has its address. Returns the tasks whose wait
    may be over already: no new task has ended."""
    if not any(task.work.after for task in tasks):
        return []
    addresses = {position: address for position, (address, _) in stored.items()}
    new = {address for address, is_new in stored.values() if is_new}
    waiting = []
    for position, task in enumerate(tasks):
        address = addresses.get(position)
        # A task that was found by a key waits for what it did before, unless it is replaced.
        if task.work.after and task.session == write.session and address is not None and stored[position][1]:
            after = dependencies.resolve(task.work.after, addresses)
            with of_line(task):
                dependencies.enter(write, address.seq, after, known=new)
            if task.base_of is not None:
                from agentq_cli.policy import placement

                work = _based(task, addresses).work
                values = {"launch": rows.launch_text(work.launch), "needs": placement.needs(work).text}
                write.tell("write.set_launch", {"seq": address.seq, **values})
            if any(each.address not in new for each in after):
                waiting.append(address.seq)
    return waiting


def _based(task: NewTask, stored: Mapping[int, Address]) -> NewTask:
    """The task with the address that the line of a batch was given at whose branch its own begins."""
    if task.base_of is None:
        return task
    launch = replace(task.work.launch, base=f"@{stored[task.base_of]}")
    return task._replace(work=replace(task.work, launch=launch))


def _replace(write: Transaction, tasks: Sequence[NewTask], stored: Mapping[int, tuple[Address, bool]]) -> list[int]:
    """Change the live tasks that were found by a key. Returns those whose wait may be over already."""
    found = [position for position, task in enumerate(tasks) if task.replace and not stored[position][1]]
    if not found:
        return []
    from agentq_cli.engines.steps import replacing

    addresses = {position: address for position, (address, _) in stored.items()}
    new = {address for address, is_new in stored.values() if is_new}
    waiting = []
    for position in found:
        (environment,) = environments.stored(write, [tasks[position]])
        task, seq = _based(tasks[position], addresses), addresses[position].seq
        task = task._replace(captured=None, work=replace(task.work, environment=environment))
        after = dependencies.resolve(task.work.after, addresses)
        with of_line(task):
            if replacing.apply(write, seq, task, after, known=new):
                waiting.append(seq)
    return waiting


def _of_key(write: Transaction, task: NewTask, batch: str | None = None) -> Address | None:
    """The live task with the same key. Raises WrongState if it is another task and `--replace` does not change it, and
    Busy if it belongs to a batch that may still be undone."""
    key = task.work.key
    found = write.ask("write.holder_of_key", {"key": key})
    if not found:
        return None
    staged_by, seq, *known = found[0]
    if staged_by not in (None, batch):
        raise Busy(f"key '{key}': a batch that holds it is being stored; try again")
    address = Address(write.session, seq)
    if task.replace:
        return address
    wanted = rows.work_columns(task.work)
    if known != [wanted.get(name) for name in CONTENT]:
        raise WrongState(f"key '{key}': {address} holds it with different content; --replace changes it")
    if task.schedule is not None and not _same_recurrence(task, write.task(address.seq)):
        raise WrongState(f"key '{key}': {address} holds it with another schedule; --replace changes it")
    return address


def _same_recurrence(task: NewTask, known: Task) -> bool:
    from agentq_cli.engines.steps import replacing

    return replacing.same_recurrence(task, known)


@contextlib.contextmanager
def of_line(task: NewTask) -> Iterator[None]:
    """Report what is wrong with a task of a batch with its line number."""
    try:
        yield
    except AgentqError as error:
        if task.line is None:
            raise
        raise errors.of_line(error, task.line) from None


def check_room(reading: Reading, coming: Sequence[NewTask], max_queued: int) -> None:
    """Raises LimitReached if there would be more than `max_queued` live tasks."""
    ((live,),) = reading.ask("write.live_count")
    if live + len(coming) > max_queued:
        more = f"{len(coming)} more {'was' if len(coming) == 1 else 'were'} submitted"
        with of_line(coming[max(0, max_queued - live)]):
            raise LimitReached(f"max_queued {max_queued}: {live} tasks are already live, {more}")
