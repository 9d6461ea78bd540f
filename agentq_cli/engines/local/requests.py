"""Applying what agents request with rows in outbound.db: each row once, in the same commit as its effect."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator, Mapping

from agentq_cli.base.dataclass import replace
from agentq_cli.base.errors import AgentqError, LimitReached, Usage
from agentq_cli.engines.local import change, connection, dispatch, read, seen, series
from agentq_cli.engines.local.queries import statements
from agentq_cli.engines.local.session_write import WRITE, SessionWrite, session_write
from agentq_cli.engines.local.state_dir import StateDir
from agentq_cli.engines.nouns import Answer
from agentq_cli.model.actions import Actor, Trigger
from agentq_cli.model.addresses import Address, RunId
from agentq_cli.model.statuses import Status
from agentq_cli.options.requests import LONGEST, Refusal, Request
from agentq_cli.policy.schedule import Schedule

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from typing import TypeAlias

    from agentq_cli.model.tasks import NewTask, Task
else:
    import _sqlite3 as sqlite3

REQUESTS = statements("requests")


Template: TypeAlias = "Callable[[Request, Task | None], NewTask]"
"""The task that a session's agent requests, from the session's last prompt. Raises Usage."""

Reschedule: TypeAlias = "Callable[[Request, Schedule | None], Schedule]"
"""The schedule that the agent requests, from what it was before. Raises Usage."""


def stamp(state: StateDir, session: str) -> str | None:
    """A stamp that changes when the session's outbound.db does; None if there is no such file."""
    return seen.outbound(os.path.join(state.path, "sessions"), session)


def quiet(state: StateDir, session: str) -> str | None:
    """The stamp of an outbound.db without unanswered requests; None if it has some, or cannot be read."""
    found = stamp(state, session)
    try:
        return None if _unanswered(state, session, 1) else found
    except AgentqError:
        return None


def check(state: StateDir, session: str) -> None:
    """Raises NotFound, Unreadable, Refused or Usage if the session's requests cannot be read, and Busy."""
    _unanswered(state, session, 1)
    with read.outbound(state, session) as database:
        database.execute(REQUESTS["count"]).fetchone()


def asked(state: StateDir, session: str, most: int) -> Iterator[tuple[str, object]]:
    """Up to `most` unanswered requests of a session: id and content, in the order in which they were written.

    Only one content is in memory at a time; it is None if it is too long to be a request.
    """
    for message, position in _unanswered(state, session, most):
        with read.outbound(state, session) as database:
            values = {"position": position, "longest": LONGEST}
            row = database.execute(REQUESTS["content"], values).fetchone()
        if row is not None:
            yield message, row[0]


def _unanswered(state: StateDir, session: str, most: int) -> list[tuple[str, int]]:
    found: list[tuple[str, int]] = []
    after = -(1 << 63)
    with contextlib.ExitStack() as opened:
        database = opened.enter_context(read.outbound(state, session))
        inbound: sqlite3.Connection | None = None
        while page := database.execute(REQUESTS["asked"], {"after": after}).fetchall():
            # Most sessions never request anything: their inbound.db is not opened.
            inbound = inbound or opened.enter_context(read.inbound(state, session))
            ids = json.dumps([row[0] for row in page], ensure_ascii=False)
            found += [page[key] for (key,) in inbound.execute(REQUESTS["unanswered"], {"ids": ids}).fetchall()]
            if len(found) >= most:
                return found[:most]
            after = page[-1][1]
    return found


def apply(
    state: StateDir,
    session: str,
    message: str,
    request: Request | Refusal,
    *,
    template: Template,
    reschedule: Reschedule,
    max_queued: int,
    now: int,
) -> Answer | None:
    """Carry out one request and record the answer; None if it was answered before."""
    with session_write(state, session, now=now, actor=Actor.AGENT, busy_ms=connection.BACKGROUND_BUSY_MS) as write:
        if write.database.execute(REQUESTS["is_delivered"], {"id": message}).fetchone():
            return None
        answer = _carry_out(write, message, request, template, reschedule, max_queued)
        values = {"id": message, "status": answer.status, "detail": answer.detail, "at": now}
        values["task"] = None if answer.task is None else str(answer.task)
        write.database.execute(REQUESTS["deliver"], values)
        seq = None if answer.task is None else answer.task.seq
        write.record(f"request_{answer.status}", seq, reason=answer.detail)
        return answer


def _carry_out(
    write: SessionWrite,
    message: str,
    request: Request | Refusal,
    template: Template,
    reschedule: Reschedule,
    max_queued: int,
) -> Answer:
    if isinstance(request, Refusal):
        return Answer(message, "refused", None, request.why)
    try:
        if request.action == "schedule_task":
            return _schedule(write, message, request, template, max_queued)
        assert request.task is not None
        return _change(write, message, request, request.task, reschedule)
    except sqlite3.Error:
        raise
    except AgentqError as error:
        return Answer(message, "refused", request.task, error.message)


def _schedule(write: SessionWrite, message: str, request: Request, template: Template, max_queued: int) -> Answer:
    (live,) = write.database.execute(WRITE["live_count"]).fetchone()
    if live >= max_queued:
        raise LimitReached(f"max_queued {max_queued}: {live} tasks are already live")
    row = write.database.execute(REQUESTS["template"]).fetchone()
    new = template(request, None if row is None else write.task(row[0]))
    step = None if new.schedule is None else series.begin(new.schedule, write.now)
    due = request.due_at if step is None else step.occurrence.slot
    seq = write.insert(
        replace(new, due_at=due),
        status=Status.QUEUED,
        recurrence=step,
        trigger=Trigger.SUBMIT if step is None else step.occurrence.trigger,
        arriving=step is not None,
    )
    write.mirror(seq)
    made = write.task(seq)
    write.record("submit", seq, after=made.shown_status(write.now))
    return Answer(message, "applied", made.address, f"{request.action}: {made.shown_status(write.now)}")


def _change(write: SessionWrite, message: str, request: Request, address: Address, reschedule: Reschedule) -> Answer:
    stop: RunId | None = None
    if request.action == "cancel_task":
        task = change.cancel_in(write, address)
        if task.status is Status.RUNNING:
            stop = RunId(*task.address, task.runs)
            dispatch.stop_in(write, stop, reason="cancelled", cancel=True)
    elif request.action == "pause_task":
        task = change.pause_in(write, address, request.reason or "asked for by the agent")
    elif request.action == "resume_task":
        task = change.resume_in(write, address)
    else:
        task = change.edit_in(write, address, lambda before: _updated(before, request, reschedule, write.now))
    return Answer(message, "applied", task.address, f"{request.action}: {task.shown_status(write.now)}", stop)


def _updated(task: Task, request: Request, reschedule: Reschedule, now: int) -> Task:
    if task.work.kind != "prompt":
        raise Usage(f"task '{task.address}': it is a command; an agent may change only prompts")
    changed = replace(task, work=replace(task.work, **request.changes))
    if not request.recurs:
        return changed if request.due_at is None else replace(changed, due_at=request.due_at)
    if task.recurrence is not None:
        schedule = reschedule(request, task.recurrence.schedule)
        return replace(changed, recurrence=replace(task.recurrence, schedule=schedule))
    recurrence = series.begin(reschedule(request, None), now)
    return replace(
        changed, recurrence=recurrence, due_at=recurrence.occurrence.slot, series=task.seq, extra=False, arriving=True
    )


def record(index: sqlite3.Connection, state: StateDir, answered: Mapping[str, str | None]) -> None:
    """Record the stamp of each outbound.db from when its requests were read."""
    values = [{"session": session, "stamp": stamp} for session, stamp in answered.items()]
    if values:
        with contextlib.suppress(AgentqError), connection.transaction(index, state.index):
            index.executemany(REQUESTS["set_stamp"], values)
