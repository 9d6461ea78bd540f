"""`agentq cancel`: end tasks, waiting or running, for good."""

from __future__ import annotations

from collections.abc import Sequence

from agentq_cli.base.errors import AgentqError, Usage, WrongState
from agentq_cli.commands import awaiting, targets, tree_words
from agentq_cli.engines.door import Queue
from agentq_cli.model.actions import Undone
from agentq_cli.model.addresses import Address, RunId
from agentq_cli.model.statuses import Status
from agentq_cli.model.tasks import Task
from agentq_cli.options import values
from agentq_cli.show.results import Result

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeGuard

    from agentq_cli.cli.context import Context
    from agentq_cli.config.configuration import Config
    from agentq_cli.options.table import Given

EXAMPLES = (
    ("agentq cancel 3", "Cancel one task, waiting or running."),
    ("agentq cancel --wait docs/7", "Return once its processes are gone."),
    ("agentq cancel docs/7.2", "Cancel only this run of a schedule."),
    ("agentq cancel -s docs", "Cancel every live task of a session."),
)


def cancel(given: Given, at: Context) -> Result:
    """Cancel tasks, waiting or running, for good.

    A waiting task is cancelled at once. The process tree of a running task gets TERM, and KILL after the grace time.
    Cancelling the live occurrence of a series ends the series; ID.K ends only that run, and the series continues.
    """
    ids, session, everything = given["ids"], given["session"], bool(given["all"])
    dry_run = given["dry_run"]
    from agentq_cli.supervise import cancel

    if (bool(ids), session is not None, everything).count(True) != 1:
        raise Usage("cancel: name tasks, a session with -s, or --all; only one of these")
    if everything and not dry_run:
        targets.confirm(bool(given["yes"]), "cancel --all ends every live task")
    queue = at.open_queue()
    own = None if session is None else values.parse_session(session)
    named = targets.all_expanded(ids) if ids else targets.live(queue, own)
    if dry_run:
        found = targets.each_or_run(queue, named, lambda known: _would(queue, known), targets.run_or_task)
        return targets.results(found, lambda _, task: _would_be(task) + tree_words.stays(at, task), queue.now)
    if not everything:
        targets.confirm_many(bool(given["yes"]), len(named), "cancel")
    found = targets.each_or_run(queue, named, queue.cancel_each, targets.run_or_task)
    targets.settle_dependents(queue)
    running = [(task, _is_run(name)) for name, task in found if _runs(task)]
    stopped = cancel.cancel_runs(queue, at.config, at.environ, running)
    if given["wait"]:
        stopped = _gone(queue, stopped)
    rest = iter(stopped)
    found = [(name, next(rest) if _runs(task) else task) for name, task in found]
    targets.settle_dependents(queue)

    def message(name: str, task: Task) -> str:
        return _message(name, task) + _late(queue, at.config, task) + tree_words.stays(at, task)

    return targets.results(found, message, queue.now)


def _runs(found: Task | Undone) -> TypeGuard[Task]:
    return isinstance(found, Task) and found.status is Status.RUNNING


def _is_run(name: str) -> bool:
    return isinstance(targets.run_or_task(name), RunId)


def _gone(queue: Queue, stopped: Sequence[Task | Undone]) -> list[Task | Undone]:
    """The same, once all tasks that are being stopped have ended."""
    ended: dict[Address, Task] = {}
    addresses = [task.address for task in stopped if isinstance(task, Task)]
    for _ in awaiting.until_ended(queue, addresses, ended):
        pass
    return [ended[task.address] if isinstance(task, Task) else task for task in stopped]


def _would(queue: Queue, named: Sequence[Address | RunId]) -> list[Task | Undone]:
    """The tasks that a cancel of these targets would end now, or why it would not."""
    found = queue.task_each([Address(*target[:2]) for target in named])
    return [_would_one(queue, target, task) for target, task in zip(named, found, strict=True)]


def _would_one(queue: Queue, target: Address | RunId, task: Task | Undone) -> Task | Undone:
    if isinstance(task, Undone):
        if isinstance(target, RunId):
            return task
        try:
            return queue.live(target)  # its own occurrence was pruned
        except AgentqError:
            return task
    try:
        if isinstance(target, RunId):
            run = queue.run(target)
            if run.finished_at is not None:
                raise WrongState(f"run '{run.id}': already ended ({run.status})")
        elif task.status.ended:
            task = queue.live(task.address)
            if task.status.ended:
                raise WrongState(f"task '{task.address}': already {task.status}")
    except AgentqError as error:
        return Undone(error, task.shown_status(queue.now))
    return task


def _would_be(task: Task) -> str:
    return f"{task.address} would be {'stopped' if task.status is Status.RUNNING else 'cancelled'}"


def _late(queue: Queue, config: Config, task: Task) -> str:
    """That the task should have ended already, if an earlier stop could not end it."""
    if task.status is not Status.RUNNING:
        return ""
    from agentq_cli.supervise import overdue

    found = overdue.of_task(queue, config, task)
    return "" if found is None else f"; {found}"


def _message(name: str, task: Task) -> str:
    state = "being stopped" if task.status is Status.RUNNING else task.status
    series = ""
    if task.rearms:
        series = "; its series continues" if _is_run(name) else "; its series has ended"
    return f"{task.address} is {state}{series}"
