"""`agentq cancel`: end tasks, waiting or running, for good."""

from __future__ import annotations

from agentq_cli import values
from agentq_cli.commands import targets, waiting
from agentq_cli.context import context
from agentq_cli.errors import Usage, WrongState
from agentq_cli.model import RunId, Status, Task
from agentq_cli.output import Result, Results
from agentq_cli.queue import Queue

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.commands import options

EXAMPLES = (
    ("agentq cancel 3", "One task, whatever it is doing."),
    ("agentq cancel --wait docs/7", "Return once its processes are gone."),
    ("agentq cancel docs/7.2", "Only this run of a schedule."),
    ("agentq cancel -s docs", "Every live task of a session."),
)


def cancel(
    ids: options.Ids = None,
    session: options.Session = None,
    all_: options.All = False,
    wait: options.WaitUntilGone = False,
    dry_run: options.DryRun = False,
    yes: options.Yes = False,
) -> Result:
    """Cancel tasks, waiting or running, for good.

    A waiting one is cancelled at once; the process tree of a running one gets TERM, and KILL after the grace time.
    A series ends with its live occurrence; ID.K ends only that run, and the series goes on.
    """
    from agentq_cli.supervise import cancel
    from agentq_cli.supervise.ring import ring

    at = context()
    if (bool(ids), session is not None, all_).count(True) != 1:
        raise Usage("cancel: name tasks, a session with -s, or --all")
    if all_ and not dry_run:
        targets.confirm(yes, "cancel --all ends every live task")
    queue = at.open_queue()
    named = ids or targets.live(queue, None if session is None else values.parse_session(session))
    names = [targets.named(name) for name in named]
    if dry_run:
        return Results(targets.each(names, lambda target: _would(queue, target)))

    def one(target: str) -> tuple[str, Status]:
        address, attempt = values.parse_run(target)
        _still_that_run(queue, address.session, address.seq, attempt)
        task = queue.live(address)
        if task.status is Status.CANCELLED and task.dep_failed is not None and str(task.dep_failed) in names:
            return _message(task, False), task.status  # with what it waited for, which was named too
        task = queue.cancel(address)
        if task.status is Status.RUNNING:
            task = cancel.cancel_run(queue, at.config, task, run_only=attempt is not None)
            if wait and not task.status.ended:
                task = waiting.until_ended(queue, [task.address])[task.address]
        return _message(task, attempt is not None), task.status

    results = Results(targets.each(names, one))
    targets.settle_dependents(queue)
    ring(queue.state.bells)
    return results


def _would(queue: Queue, target: str) -> tuple[str, Status]:
    """What a cancel of it would come to now, and the status as it is. Raises what the cancel would."""
    address, attempt = values.parse_run(target)
    _still_that_run(queue, address.session, address.seq, attempt)
    task = queue.live(address)
    if task.status.ended:
        raise WrongState(f"task '{task.address}': it is {task.status} already")
    what = "stopped" if task.status is Status.RUNNING else "cancelled"
    return f"{task.address} would be {what}", task.shown_status(queue.now)


def _still_that_run(queue: Queue, session: str, seq: int, attempt: int | None) -> None:
    """`ID.K` means the run K alone, so that a later one is not hit. Raises WrongState, NotFound."""
    if attempt is None:
        return
    run = queue.run(RunId(session, seq, attempt))
    if run.finished_at is not None:
        raise WrongState(f"run '{run.id}': it has ended already ({run.status})")


def _message(task: Task, run_only: bool) -> str:
    state = "being stopped" if task.status is Status.RUNNING else task.status
    series = ""
    if task.rearms:
        series = "; its series goes on" if run_only else "; its series has ended"
    return f"{task.address} is {state}{series}"
