"""The problems of a state dir, each with what to do about it; for `health`."""

from __future__ import annotations

import os
from collections.abc import Iterator

from agentq_cli.base.clock import rfc3339
from agentq_cli.base.dataclass import dataclass
from agentq_cli.base.defaults import START_ONE
from agentq_cli.base.enumeration import StrEnum
from agentq_cli.config.configuration import Config
from agentq_cli.diagnose import fleet, trees
from agentq_cli.engines.door import Queue
from agentq_cli.host import keeper
from agentq_cli.model.statuses import Status
from agentq_cli.options.values import format_size
from agentq_cli.supervise import attended, overdue, recovery
from agentq_cli.supervise.gates import TROUBLE

LITTLE_SPACE = 64 << 20
"""Bytes; with less free space on the disk of the state dir, the ends of runs may soon not be recorded."""

UNATTENDED_MS = 10 * 60_000
"""How long work may be due without a supervisor before this is an error, not only a warning."""


REPAIRS = {
    "inbound.db": "restore the file from a copy; the other sessions are not affected",
    "outbound.db": "restore the file from a copy, or move it away and run `agentq sweep --reindex` to make a new one",
    "runs": "make it a writable directory of your own; until then no task of this session can start",
    "index": "`agentq sweep --reindex`",
}
"""What to do about each part of a session that is broken."""


class Severity(StrEnum):
    """`ERROR`: work is lost, or stopped until a person fixes the problem. `WARNING`: some work waits."""

    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Issue:
    """A problem: the affected part, what is wrong, and what to do."""

    severity: Severity
    component: str
    message: str
    recommendation: str


def issues(queue: Queue, config: Config) -> Iterator[Issue]:
    """All current problems. That all slots are in use, or that tasks wait their turn, is not a problem."""
    yield from _disk(queue)
    yield from _sessions(queue)
    yield from _agents(queue)
    yield from _attendance(queue)
    yield from _gates(queue)
    yield from _left_behind(queue)
    yield from _runs(queue, config)
    yield from _series(queue, config)
    yield from _hooks(queue, config)
    for part, what, help_ in (*fleet.problems(queue, config), *trees.problems(queue, config)):
        yield Issue(Severity.WARNING, part, what, help_)


def _disk(queue: Queue) -> Iterator[Issue]:
    try:
        found = os.statvfs(queue.here.path)
    except OSError:
        return  # nothing is stored yet
    free = found.f_bavail * found.f_frsize
    if free < LITTLE_SPACE:
        what = f"'{queue.here.path}': only {format_size(free)} free on its disk"
        yield Issue(
            Severity.ERROR, "disk", what, "free some space; `agentq prune --older-than 30d` removes ended tasks"
        )
    if not os.access(queue.here.path, os.W_OK):
        yield Issue(Severity.ERROR, "disk", f"'{queue.here.path}': not writable", "mount it writable, or fix its mode")


def _sessions(queue: Queue) -> Iterator[Issue]:
    for session, fault in queue.upkeep.faults():
        yield Issue(Severity.ERROR, f"session {session}", fault.error.message, REPAIRS[fault.part])


def _agents(queue: Queue) -> Iterator[Issue]:
    for hold in queue.holds():
        if hold.scope != "agent" or hold.kind == "paused":
            continue
        reason = f": {hold.reason}" if hold.reason else ""
        if hold.until is None:
            what = f"its tasks are held by {hold.kind}{reason}"
            help_ = f"fix its login or its account, then run `agentq resume --agent {hold.name}`"
            yield Issue(Severity.ERROR, f"agent {hold.name}", what, help_)
        else:
            what = f"its tasks are held by {hold.kind} until {rfc3339(hold.until)}{reason}"
            help_ = f"they resume by themselves; `agentq resume --agent {hold.name}` retries at once"
            yield Issue(Severity.WARNING, f"agent {hold.name}", what, help_)


def _attendance(queue: Queue) -> Iterator[Issue]:
    snapshot = queue.snapshot()
    due = sorted({session for session, agent in queue.unfinished() if not snapshot.holds_back(session, agent)})
    if not due or not attended.unattended(queue, due):
        return
    heads = [head.due_at for head in snapshot.heads if head.session in due]
    late = bool(heads) and queue.now - min(heads) > UNATTENDED_MS
    names = ", ".join(due[:3]) + (f" and {len(due) - 3} more" if len(due) > 3 else "")
    yield Issue(
        Severity.ERROR if late else Severity.WARNING,
        "supervisor",
        f"work is due in {names}, but no supervisor is running and there was no sweep in the last 5 minutes",
        START_ONE,
    )


def _gates(queue: Queue) -> Iterator[Issue]:
    for supervisor in queue.living():
        for gate in supervisor.gates:
            if gate.name == TROUBLE:
                what = f"supervisor {supervisor.identity.pid}: {gate.detail}"
                yield Issue(Severity.WARNING, "supervisor", what, "it keeps retrying; fix the cause, or restart it")
            elif gate.holding and gate.name != "stagger":
                what = f"supervisor {supervisor.identity.pid} starts nothing: {gate.detail}"
                help_ = "it resumes by itself; see [limits] of the config"
                yield Issue(Severity.WARNING, f"gate {gate.name}", what, help_)


def _left_behind(queue: Queue) -> Iterator[Issue]:
    orphans = []
    for worker in queue.orphaned():
        if keeper.run_is_foreign(queue.here.run(worker.id)):
            what = f"no supervisor watches it, and {keeper.ELSEWHERE}"
            help_ = "`agentq run` or `agentq sweep` there takes it over; here it is settled once its keeper has ended"
            yield Issue(Severity.WARNING, f"run {worker.id}", what, help_)
        else:
            orphans.append(str(worker.id))
    if orphans:
        what = (
            f"{', '.join(orphans[:3])}: no supervisor watches {'it' if len(orphans) == 1 else f'these {len(orphans)}'}"
        )
        yield Issue(Severity.WARNING, "runs", what, "`agentq sweep` or `agentq run` takes over or settles them")
    if queue.upkeep.leftovers().batches:
        what = "a batch was left unfinished by a process that is gone"
        yield Issue(Severity.WARNING, "batches", what, "`agentq sweep` finishes or drops it")


def _runs(queue: Queue, config: Config) -> Iterator[Issue]:
    for worker in queue.workers():
        if worker.elsewhere:
            continue
        late = overdue.of(queue, config, worker)
        if late is not None:
            help_ = "end those processes as that user or as root; until then its slot and its session are in use"
            yield Issue(Severity.ERROR, f"run {worker.id}", str(late), help_)
        try:
            recovery.find(queue, worker.id, queue.here.run(worker.id), dry=True)
        except OSError as error:
            what = f"'{error.filename}': {error.strerror}; a sweep can neither check nor settle its run"
            help_ = "repair its directory, or let `agentq run` record the run as failed"
            yield Issue(Severity.ERROR, f"run {worker.id}", what, help_)


def _series(queue: Queue, config: Config) -> Iterator[Issue]:
    for task in queue.tasks(statuses=(Status.PAUSED,)):
        # A series that was paused automatically has failed or has an invalid schedule; its reason says which.
        if task.rearms and task.recurrence is not None and task.recurrence.streak and task.reason:
            what = f"the series is paused: {task.reason}"
            help_ = f"see `agentq logs {task.address}` and its runs, then `agentq resume {task.address}`"
            yield Issue(Severity.WARNING, f"task {task.address}", what, help_)


def _hooks(queue: Queue, config: Config) -> Iterator[Issue]:
    for failure in queue.hooks.failures():
        if failure.hook in config.hooks:
            times = "its last run failed" if failure.count == 1 else f"its last {failure.count} runs failed"
            help_ = f"fix [hooks] in '{config.path}', or the command itself; its next successful run clears this"
            yield Issue(Severity.WARNING, f"hook {failure.hook}", f"{times}: {failure.reason}", help_)
