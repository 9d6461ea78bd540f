"""What follows from every change of a task: its event, the next occurrence of its series, what waits for it.

Steps call `write.save` and `write.record`, which are these for every engine: so a step that changes a task need not
know what follows.
"""

from __future__ import annotations

from agentq_cli.engines.steps import rows
from agentq_cli.policy import states

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.engines.transaction import Transaction, Writing
    from agentq_cli.model.addresses import RunId
    from agentq_cli.model.statuses import Status
    from agentq_cli.model.tasks import Task
    from agentq_cli.model.workers import SupervisorState


def save(
    write: Transaction,
    before: Task,
    after: Task,
    *,
    event: str | None,
    run: RunId | None = None,
    reason: str | None = None,
    rearm: bool = True,
    finished: int | None = None,
) -> bool:
    """Take a task from one state to the next, with its event. False: it was no longer as `before`; nothing changed.

    The end of an occurrence makes the next one in the same commit, unless `rearm` is false; `finished` is when it
    ended, if that was before now.
    """
    if before.status is not after.status:
        assert states.allowed(before.status, after.status, write.actor), (before.status, after.status, write.actor)
    if not write.put(before, after):
        return False
    if event is not None:
        write.record(
            event,
            after.seq,
            run=run,
            before=before.shown_status(write.now),
            after=after.shown_status(write.now),
            reason=reason if reason is not None else after.reason,
        )
    if rearm and before.rearms and after.status.ended and not before.status.ended:
        from agentq_cli.engines.steps import series  # with the calendar, which most changes do not need

        series.rearm(write, before, after, write.now if finished is None else finished)
    if before.status.ended is not after.status.ended:
        from agentq_cli.engines.steps import dependencies

        dependencies.changed(write, after.seq)
    return True


def record(
    write: Writing,
    event: str,
    seq: int | None = None,
    *,
    run: RunId | None = None,
    before: Status | SupervisorState | None = None,
    after: Status | SupervisorState | None = None,
    reason: str | None = None,
    hook: str | None = None,
    agent: str | None = None,
) -> None:
    """Record an event, of the transaction's session if it is over one. `hook` is the hook that it calls, of `agent`, if
    its statuses do not imply it."""
    from agentq_cli.model.sessions import Event

    attempt = None if run is None else run.attempt
    told = Event(0, write.now, write.session, seq, attempt, before, after, event, write.actor, reason)
    write.tell("write.event", rows.event_columns(told, hook=hook, agent=agent))
