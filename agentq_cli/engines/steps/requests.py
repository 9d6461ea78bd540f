"""Carrying out what agents request: each request once, in the same commit as the answer to it."""

from __future__ import annotations

from agentq_cli.base.dataclass import replace
from agentq_cli.base.errors import AgentqError, LimitReached, Usage
from agentq_cli.engines.nouns import Answer
from agentq_cli.engines.steps import change, claim, series
from agentq_cli.engines.steps.entering import enter
from agentq_cli.model.actions import Trigger
from agentq_cli.model.addresses import Address, RunId
from agentq_cli.model.statuses import Status
from agentq_cli.options.requests import Refusal, Request

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.engines.subdoors import Reschedule, Template
    from agentq_cli.engines.transaction import Transaction
    from agentq_cli.model.tasks import Task


def apply(
    write: Transaction,
    message: str,
    request: Request | Refusal,
    *,
    template: Template,
    reschedule: Reschedule,
    max_queued: int,
) -> Answer | None:
    """Carry out one request and record the answer; None if it was answered before."""
    if write.ask("requests.is_delivered", {"id": message}):
        return None
    answer = _carry_out(write, message, request, template, reschedule, max_queued)
    values = {"id": message, "status": answer.status, "detail": answer.detail, "at": write.now}
    values["task"] = None if answer.task is None else str(answer.task)
    write.tell("requests.deliver", values)
    seq = None if answer.task is None else answer.task.seq
    write.record(f"request_{answer.status}", seq, reason=answer.detail)
    return answer


def _carry_out(
    write: Transaction,
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
    except AgentqError as error:
        return Answer(message, "refused", request.task, error.message)


def _schedule(write: Transaction, message: str, request: Request, template: Template, max_queued: int) -> Answer:
    ((live,),) = write.ask("write.live_count")
    if live >= max_queued:
        raise LimitReached(f"max_queued {max_queued}: {live} tasks are already live")
    known = write.ask("requests.template")
    new = template(request, write.task(known[0][0]) if known else None)
    step = None if new.schedule is None else series.begin(new.schedule, write.now)
    due = request.due_at if step is None else step.occurrence.slot
    seq = enter(
        write,
        new._replace(due_at=due),
        status=Status.QUEUED,
        recurrence=step,
        trigger=Trigger.SUBMIT if step is None else step.occurrence.trigger,
        arriving=step is not None,
    )
    write.mirror(seq)
    made = write.task(seq)
    write.record("submit", seq, after=made.shown_status(write.now))
    return Answer(message, "applied", made.address, f"{request.action}: {made.shown_status(write.now)}")


def _change(write: Transaction, message: str, request: Request, address: Address, reschedule: Reschedule) -> Answer:
    stop: RunId | None = None
    if request.action == "cancel_task":
        task = change.cancel(write, address)
        if task.status is Status.RUNNING:
            stop = RunId(*task.address, task.runs)
            claim.request_stop(write, stop, reason="cancelled", cancel=True)
    elif request.action == "pause_task":
        task = change.pause(write, address, request.reason or "asked for by the agent")
    elif request.action == "resume_task":
        task = change.resume(write, address)
    else:
        task = change.edit(write, address, lambda before: _updated(before, request, reschedule, write.now))
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
