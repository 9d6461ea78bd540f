"""The history that a lost index had: what it lacks of each task, and how the history is restored from the files."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence

from agentq_cli.base.dataclass import dataclass
from agentq_cli.base.errors import AgentqError
from agentq_cli.base.json_text import dumps, loads
from agentq_cli.engines.local import connection, files
from agentq_cli.engines.local.asking import Asking
from agentq_cli.engines.local.queries import statement, statements
from agentq_cli.engines.local.state_dir import StateDir
from agentq_cli.engines.nouns import FoundRun
from agentq_cli.engines.shared import read
from agentq_cli.engines.steps import finish, rows
from agentq_cli.model.actions import Actor, Trigger
from agentq_cli.model.sessions import Event
from agentq_cli.model.statuses import RunStatus, Status

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3

    from agentq_cli.model.tasks import Task

HISTORY = statements("history")
HOOKS = statements("hooks")
PAGE = 500


@dataclass(frozen=True, slots=True)
class Lacking:
    """A task of which the audit log has less than its file: attempts without a run, and whether no event is left."""

    task: Task
    attempts: tuple[int, ...]
    eventless: bool


def lacking(state: StateDir, index: sqlite3.Connection, session: str) -> Iterator[Lacking]:
    """The tasks of a session whose history the index lacks, page by page."""
    after = 0
    while True:
        with files.inbound(state, session) as database:
            found = database.execute(HISTORY["seqs"], {"after": after, "limit": PAGE}).fetchall()
            tasks = read.stored_of(Asking(database), [seq for (seq,) in found])
        if not found:
            return
        last = found[-1][0]
        values = {"session": session, "after": after, "last": last}
        known = set(index.execute(HISTORY["runs"], values).fetchall())
        told = {seq for (seq,) in index.execute(HISTORY["told"], values).fetchall()}
        after = last
        for row in tasks:
            task = rows.seen_task(session, row)
            attempts = tuple(k for k in range(1, task.runs + 1) if (task.seq, k) not in known)
            if attempts or task.seq not in told:
                yield Lacking(task, attempts, task.seq not in told)


def results(state: StateDir, session: str) -> Mapping[str, tuple[RunStatus, int]]:
    """How the runs of a session ended, and when, according to their result rows; empty if those cannot be read."""
    found: dict[str, tuple[RunStatus, int]] = {}
    with contextlib.suppress(AgentqError), files.outbound(state, session) as database:
        for name, content, at in database.execute(HISTORY["results"]).fetchall():
            with contextlib.suppress(ValueError, TypeError, AttributeError, RecursionError):
                found[name] = (RunStatus(loads(content).get("status")), int(at))
    return found


def put_back(
    state: StateDir, index: sqlite3.Connection, pasts: Sequence[FoundRun], tasks: Sequence[Task], *, host: str
) -> None:
    """Write runs, and the events of tasks that have none, in the order in which they happened. No hook is called."""
    ordered = sorted(pasts, key=lambda past: (past.started_at, past.run))
    by_task: dict[tuple[str, int], list[FoundRun]] = {}
    for past in ordered:
        by_task.setdefault((past.run.session, past.run.seq), []).append(past)
    events = [event for task in tasks for event in _events(task, by_task.get((task.session, task.seq), []))]
    with connection.transaction(index, state.index):
        (last,) = index.execute(statements("read")["last_event"]).fetchone()
        for past in ordered:
            index.execute(HISTORY["run"], _row(past, host))
            index.execute(HISTORY["started"], {"session": past.run.session, "at": past.started_at})
        for event in sorted(events, key=lambda event: event.at):
            index.execute(statement("write.event"), rows.event_columns(event))
        cursor = index.execute(HOOKS["cursor"]).fetchone()
        if cursor is None or cursor[0] >= last:
            (newest,) = index.execute(statements("read")["last_event"]).fetchone()
            index.execute(HOOKS["set_cursor"], {"id": newest})


def _events(task: Task, pasts: Sequence[FoundRun]) -> Iterator[Event]:
    def event(at: int, name: str, before: Status | None, after: Status | None, **more: object) -> Event:
        values = {"attempt": None, "actor": Actor.SUPERVISOR, "reason": None, **more}
        return Event(0, at, task.session, task.seq, from_status=before, to_status=after, event=name, **values)  # type: ignore[arg-type]

    first = Status.BLOCKED if task.work.after else Status.QUEUED
    if first is Status.QUEUED and task.due_at > task.created_at and not task.runs:
        first = Status.SCHEDULED
    yield event(task.created_at, "submit", None, first, actor=Actor.USER)
    for past in pasts:
        k = past.run.attempt
        yield event(past.started_at, "start", Status.QUEUED, Status.RUNNING, attempt=k)
        last = task.status.ended and k == task.last_run
        after = task.status if last else Status.QUEUED
        yield event(past.outcome.finished_at, "finish", Status.RUNNING, after, attempt=k, reason=past.outcome.error)
    if task.status.ended and task.ended_at is not None and not any(p.run.attempt == task.last_run for p in pasts):
        name = {Status.CANCELLED: "cancel", Status.EXPIRED: "expire"}.get(task.status, "finish")
        yield event(task.ended_at, name, Status.QUEUED, task.status, reason=task.reason, actor=Actor.SWEEP)


def _row(past: FoundRun, host: str) -> dict[str, object]:
    task = past.task
    first = task.trigger
    if first is Trigger.RETRY:
        first = Trigger.SUBMIT if task.series is None else Trigger.SCHEDULE
    return finish.run_columns(past.run, past.outcome, posted=past.posted) | {
        "series": task.series,
        "trigger": first if past.run.attempt == 1 else Trigger.RETRY,
        "agent": task.work.agent,
        "argv": dumps(task.work.argv or ()),
        "cwd": _directory(past),
        "scheduled_for": task.scheduled_for,
        "started_at": past.started_at,
        "host": host,
    }


def _directory(past: FoundRun) -> str:
    """Where a run worked."""
    launch, left = past.task.work.launch, past.outcome.left
    if left is None:
        return past.task.work.cwd
    return f"{left.worktree}/{launch.subdirectory}".rstrip("/")
