"""`agentq prune`: remove ended tasks with their runs and files."""

from __future__ import annotations

import os

from agentq_cli.base.errors import Usage, WrongState
from agentq_cli.commands import targets
from agentq_cli.commands.targets import Done
from agentq_cli.engines.door import Queue
from agentq_cli.model.actions import Undone
from agentq_cli.model.tasks import Task
from agentq_cli.options import values
from agentq_cli.show import notices
from agentq_cli.show.results import Result
from agentq_cli.trees import register
from agentq_cli.trees.place import trees_directory
from agentq_cli.trees.pruning import Pruned, Pruner

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from agentq_cli.cli.context import Context
    from agentq_cli.options.table import Given

EXAMPLES = (
    ("agentq prune --older-than 90d --dry-run", "Show what would be removed."),
    ("agentq prune --older-than 90d --yes", "Remove what ended more than 90 days ago, from a script."),
    ("agentq prune docs/7 docs/8", "Remove two tasks."),
)


def prune(given: Given, at: Context) -> Result:
    """Remove ended tasks, their runs and their output, for good.

    Their addresses are not used again. A task on which a live task depends is kept. Their trees go with them, and with
    --older-than also those of sessions, if their work has landed or nothing was done; 'agentq restore' brings one back.
    """
    ids, older_than, session = given["ids"], given["older_than"], given["session"]
    if bool(ids) == (older_than is not None):
        raise Usage("prune: name tasks, or an age with --older-than" + ("; not both" if ids else ""))
    if ids and session is not None:
        raise Usage(f"--session '{session}': only together with --older-than")
    queue = at.open_queue()
    only = None if session is None else values.parse_session(session)
    if older_than is None:
        names = targets.all_expanded(ids)
    else:
        age = values.parse_duration(older_than, "--older-than")
        names = [str(address) for address in queue.ended_before(queue.now - age, session=only)]
    trees = _Trees(queue, at, None if older_than is None else queue.now - age, only)
    if given["dry_run"]:
        found = targets.each(
            queue, names, lambda addresses: [_would(queue, task) for task in queue.task_each(addresses)]
        )
        gone = trees.pruned(found, dry=True)
        return targets.results(found, lambda _, task: f"{task.address} would be pruned{gone(task)}", queue.now)
    if names:
        tasks = f"{len(names)} {'task' if len(names) == 1 else 'tasks'}"
        targets.confirm(bool(given["yes"]), f"prune {tasks}{trees.said(names)} for good")
    found = targets.each(queue, names, queue.prune_each)
    gone = trees.pruned(found)
    return targets.results(found, lambda _, task: f"{task.address} is pruned{gone(task)}", queue.now)


class _Trees:
    """The trees that go with what is pruned: those of the tasks themselves, and with an age (`before`) every one that
    nobody has used since."""

    def __init__(self, queue: Queue, at: Context, before: int | None, session: str | None) -> None:
        self._queue = queue
        self._at = at
        self._before = before
        self._session = session
        self._place = trees_directory(at.config, queue.here.path)

    def said(self, names: Sequence[str]) -> str:
        """How many trees may go too, for the question before; empty for none."""
        if not os.path.isdir(self._place):
            return ""
        count = sum(not each.kept and not each.snapshots for each in self._prune(set(names), dry=True))
        return "" if not count else f", and {count} {'tree' if count == 1 else 'trees'},"

    def pruned(self, found: Sequence[Done], *, dry: bool = False) -> Callable[[Task], str]:
        """Remove what may go; returns what to say about a task's own tree. What is no task's is said at once."""
        said: dict[str, str] = {}
        names = {str(task.address) for _, task in found if isinstance(task, Task)}
        if os.path.isdir(self._place):
            for each in self._prune(names, dry=dry):
                if each.record.line in names:
                    said[each.record.line] = f"; {each}" if each.kept else f", with {each}"
                else:
                    notices.note(f"{each.record.line}: {'to be pruned' if dry else 'pruned'}: {each}")
        return lambda task: said.get(str(task.address), "")

    def _prune(self, names: Collection[str], *, dry: bool) -> Iterator[Pruned]:
        now = self._queue.now
        before = now + 1 if self._before is None else self._before
        lasts = before if self._at.config.retention_ms is None else now - self._at.config.retention_ms
        place, environ = self._place, self._at.environ
        pruner = Pruner(self._queue, place, environ, self._at.config.caches, before, lasts, frozenset(names), dry)
        yield from pruner.of(each for each in register.records(place) if each.line in names)
        if self._before is not None:
            yield from pruner.run(self._session)


def _would(queue: Queue, task: Task | Undone) -> Task | Undone:
    """The same, or why it would not be pruned."""
    if isinstance(task, Undone):
        return task
    if not task.status.ended:
        status = task.shown_status(queue.now)
        return Undone(WrongState(f"task '{task.address}': it is {status}; only an ended task can be pruned"), status)
    waiting = queue.depended_on(task.address)
    if waiting is not None:
        return Undone(WrongState(f"task '{task.address}': {waiting} depends on it"), task.status)
    return task
