"""`agentq retry`: run ended tasks again under their addresses, as they were or changed."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence

from agentq_cli.base.errors import AgentqError, Usage
from agentq_cli.commands import edit, filters, nobody_there, targets, tree_words
from agentq_cli.diagnose.why import Why
from agentq_cli.engines.door import Queue, done
from agentq_cli.model.actions import Undone
from agentq_cli.model.addresses import Address
from agentq_cli.model.statuses import Status
from agentq_cli.model.tasks import Task
from agentq_cli.options import values
from agentq_cli.options.new_task import TaskMaker, spelled
from agentq_cli.show import documents, notices
from agentq_cli.show.results import Items, Result
from agentq_cli.trees.place import trees_directory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from agentq_cli.cli.context import Context
    from agentq_cli.options.table import Given

KEEPS = True
"""Options that are not given keep the task's values, so the options have no defaults here."""

USAGES = ("[OPTIONS] ID...", "[OPTIONS] --failed")
EXAMPLES = (
    ("agentq retry 3", "Run a task again."),
    ("agentq retry 3 --timeout 2h --agent-arg=--verbose", "Run it again, with these changes."),
    ("agentq retry 5 -c 'make test | tee log'", "Run a command again, with other words."),
    ("agentq retry --failed --since 12h", "Run again all that failed in the last twelve hours."),
)
FILTERS = ("session", "label", "since")


def retry(given: Given, at: Context) -> Result:
    """Run ended tasks again.

    Each runs under its own address, as a new attempt with a fresh retry budget. Tasks that its failure had cancelled
    are reopened. Options change the tasks first, as 'agentq edit' does; -s, --label and --since choose among the tasks
    of --failed.
    """
    ids, failed = given["ids"], bool(given["failed"])
    if bool(ids) is failed:
        raise Usage("retry: name the tasks to run again, or --failed" + ("; not both" if ids else ""))
    for name in FILTERS:
        if given[name] is not None and not failed:
            raise Usage(f"--{name} '{given[name]}': only together with --failed")
    changes = edit.asked("retry", {**given, "label": None, "session": None})
    queue = at.open_queue()
    words = targets.all_expanded(ids) if ids else failed_tasks(queue, at, given)
    targets.confirm_many(bool(given["yes"]), len(words), "retry")
    _tell_trees(queue, at, words)
    found = targets.each(queue, words, lambda addresses: _again(queue, at, addresses, changes))
    targets.settle_dependents(queue)
    if any(isinstance(task, Undone) for _, task in found):
        now = queue.now
        return targets.results(found, lambda _, task: f"{task.address} is {task.shown_status(now)}", now)
    tasks = [done(task) for _, task in found]
    nobody_there.check(at, queue, tasks)
    why = Why(queue, at.config)
    # A document has all of a task, which takes as long as its retry; a line has its address.
    items = (
        documents.task(task, now=queue.now, waiting_for=why.of(task), host=why.host(task))
        if at.as_json
        else {"id": str(task.address)}
        for task in tasks
    )
    return Items("tasks", items, line=lambda item: str(item["id"]), empty="nothing has failed")


def _tell_trees(queue: Queue, at: Context, words: Sequence[str]) -> None:
    """Say before which of these tasks begin in a new tree."""
    if not os.path.isdir(trees_directory(at.config, queue.here.path)):
        return
    with contextlib.suppress(AgentqError):  # told by the retry itself
        for task in queue.readable([targets.address(word) for word in words]).values():
            note = tree_words.begins_anew(at, task)
            if note:
                notices.note(note)


def failed_tasks(queue: Queue, at: Context, given: Given) -> list[str]:
    """The addresses of the failed tasks that the filters of `--failed` leave."""
    session = None if given["session"] is None else values.parse_session(given["session"])
    since = filters.since(at, given["since"])
    found = queue.tasks(session=session, statuses=[Status.FAILED], label=given["label"], ended=True)
    chosen = [str(task.address) for task in found if since is None or (task.ended_at or 0) >= since]
    return chosen[::-1]  # what failed first is retried first


def _again(queue: Queue, at: Context, addresses: Sequence[Address], changes: dict[str, Any]) -> Sequence[Task | Undone]:
    """Run these again, with the changes. A task for which an option makes no sense is left alone."""
    if not changes:
        return queue.retry_each(addresses)
    admit = at.admission()
    edits: dict[Address, Callable[[Task], Task]] = {}
    refused: dict[Address, Undone] = {}
    for address, task in zip(addresses, queue.task_each(addresses), strict=True):
        try:
            if isinstance(task, Task):
                made = TaskMaker(at, admit=admit, changed=address).make(edit.whole(task, changes), spelled)
                edits[address] = edit.change(at, changes, made, {})
            else:
                refused[address] = task
        except AgentqError as error:
            refused[address] = Undone(error, done(task).shown_status(queue.now))
    rest = iter(queue.retry_each(list(edits), lambda task: edits[task.address](task)))
    again = dict(zip(edits, rest, strict=True))
    return [refused.get(address) or again[address] for address in addresses]
