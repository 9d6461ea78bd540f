"""What is wrong with a state dir, each with what to do about it; for `health`."""

from __future__ import annotations

import os
from collections.abc import Iterator

from agentq_cli.base.clock import rfc3339
from agentq_cli.base.dataclass import dataclass
from agentq_cli.base.enumeration import StrEnum
from agentq_cli.config.configuration import Config
from agentq_cli.engines.door import Queue
from agentq_cli.host import keeper
from agentq_cli.model import Status
from agentq_cli.supervise import overdue, recovery, wake
from agentq_cli.supervise.gates import TROUBLE

LITTLE_SPACE = 64 << 20
"""Bytes; with less on the disk of the state dir an end of a run may soon not be recorded any more."""

UNATTENDED_MS = 10 * 60_000
"""How long work may be due with nobody there before it is more than a command that was not given yet."""


REPAIRS = {
    "inbound.db": "put the file back from a copy; the other sessions go on",
    "outbound.db": "put the file back from a copy, or move it away and `agentq sweep --reindex` makes one",
    "runs": "make it a directory of yours that can be written; nothing of this session can be started before",
    "index": "`agentq sweep --reindex`",
}
"""What is to be done about each part of a session that is at fault."""


class Severity(StrEnum):
    """`ERROR`: work is lost or stands still until somebody helps. `WARNING`: some of it waits."""

    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Issue:
    """One thing that is wrong: in which part, what, and what to do."""

    severity: Severity
    component: str
    message: str
    recommendation: str


def issues(queue: Queue, config: Config) -> Iterator[Issue]:
    """Everything that is wrong at this moment; all slots in use, and tasks that wait their turn, are not."""
    yield from _disk(queue)
    yield from _sessions(queue)
    yield from _agents(queue)
    yield from _attendance(queue)
    yield from _gates(queue)
    yield from _left_behind(queue)
    yield from _runs(queue, config)
    yield from _series(queue, config)
    yield from _hooks(queue, config)


def _disk(queue: Queue) -> Iterator[Issue]:
    try:
        found = os.statvfs(queue.here.path)
    except OSError:
        return  # nothing is stored yet
    free = found.f_bavail * found.f_frsize
    if free < LITTLE_SPACE:
        what = f"'{queue.here.path}': {free // 1024} KiB are free on its disk"
        yield Issue(Severity.ERROR, "disk", what, "make room; `agentq prune --older-than 30d` removes ended tasks")
    if not os.access(queue.here.path, os.W_OK):
        yield Issue(Severity.ERROR, "disk", f"'{queue.here.path}': not writable", "mount it writable, or mend its mode")


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
            help_ = f"mend its login or its account, then `agentq resume --agent {hold.name}`"
            yield Issue(Severity.ERROR, f"agent {hold.name}", what, help_)
        else:
            what = f"its tasks are held by {hold.kind} until {rfc3339(hold.until)}{reason}"
            help_ = f"they go on by themselves; `agentq resume --agent {hold.name}` tries at once"
            yield Issue(Severity.WARNING, f"agent {hold.name}", what, help_)


def _attendance(queue: Queue) -> Iterator[Issue]:
    snapshot = queue.snapshot()
    due = sorted({session for session, agent in queue.unfinished() if not snapshot.holds_back(session, agent)})
    if not due or not wake.unattended(queue, due):
        return
    heads = [head.due_at for head in snapshot.heads if head.session in due]
    late = bool(heads) and queue.now - min(heads) > UNATTENDED_MS
    names = ", ".join(due[:3]) + (f" and {len(due) - 3} more" if len(due) > 3 else "")
    yield Issue(
        Severity.ERROR if late else Severity.WARNING,
        "supervisor",
        f"work is due in {names}, no supervisor lives and nobody has swept in the last 5 minutes",
        "start `agentq run`, or have cron or systemd call `agentq sweep`",
    )


def _gates(queue: Queue) -> Iterator[Issue]:
    for supervisor in queue.living():
        for gate in supervisor.gates:
            if gate.name == TROUBLE:
                what = f"supervisor {supervisor.identity.pid}: {gate.detail}"
                yield Issue(Severity.WARNING, "supervisor", what, "it tries again and again; help it, or start it anew")
            elif gate.holding and gate.name != "stagger":
                what = f"supervisor {supervisor.identity.pid} starts nothing: {gate.detail}"
                help_ = "it goes on by itself; see [limits] of the config"
                yield Issue(Severity.WARNING, f"gate {gate.name}", what, help_)


def _left_behind(queue: Queue) -> Iterator[Issue]:
    orphans = []
    for worker in queue.orphaned():
        if keeper.run_is_foreign(queue.here.run(worker.id)):
            what = f"no supervisor watches it, and {keeper.ELSEWHERE}"
            help_ = "`agentq run`, or `agentq sweep`, there takes it over; here it is settled once its keeper has ended"
            yield Issue(Severity.WARNING, f"run {worker.id}", what, help_)
        else:
            orphans.append(str(worker.id))
    if orphans:
        what = (
            f"{', '.join(orphans[:3])}: no supervisor watches {'it' if len(orphans) == 1 else f'these {len(orphans)}'}"
        )
        yield Issue(Severity.WARNING, "runs", what, "`agentq sweep`, or `agentq run`, takes over or settles them")
    if queue.upkeep.leftovers().batches:
        what = "a batch was left unfinished by a process that is gone"
        yield Issue(Severity.WARNING, "batches", what, "`agentq sweep` finishes or drops it")


def _runs(queue: Queue, config: Config) -> Iterator[Issue]:
    for worker in queue.workers():
        late = overdue.of(queue, config, worker)
        if late is not None:
            help_ = "end those processes as that user, or as root: until then its slot and its session are taken"
            yield Issue(Severity.ERROR, f"run {worker.id}", str(late), help_)
        try:
            recovery.find(queue, worker.id, queue.here.run(worker.id), dry=True)
        except OSError as error:
            what = f"'{error.filename}': {error.strerror}; its run cannot be looked at, nor settled by a sweep"
            help_ = "put its directory in order; or `agentq run` gives the run up"
            yield Issue(Severity.ERROR, f"run {worker.id}", what, help_)


def _series(queue: Queue, config: Config) -> Iterator[Issue]:
    for task in queue.tasks(statuses=(Status.PAUSED,)):
        # What paused itself has failed, or has a schedule that is no longer valid: its reason says so.
        if task.rearms and task.recurrence is not None and task.recurrence.streak and task.reason:
            what = f"the series is paused: {task.reason}"
            help_ = f"see `agentq logs {task.address}` and its runs, then `agentq resume {task.address}`"
            yield Issue(Severity.WARNING, f"task {task.address}", what, help_)


def _hooks(queue: Queue, config: Config) -> Iterator[Issue]:
    for failure in queue.hooks.failures():
        if failure.hook in config.hooks:
            times = "its last run failed" if failure.count == 1 else f"its last {failure.count} runs failed"
            help_ = f"mend [hooks] in '{config.path}', or the command itself; the next run that succeeds clears this"
            yield Issue(Severity.WARNING, f"hook {failure.hook}", f"{times}: {failure.reason}", help_)
