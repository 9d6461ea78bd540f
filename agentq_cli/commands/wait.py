"""`agentq wait`: block until tasks have ended."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from agentq_cli.base.errors import Usage
from agentq_cli.commands import awaiting, filters, targets, watching
from agentq_cli.commands.reasons import Reasons
from agentq_cli.model.addresses import Address
from agentq_cli.model.statuses import Status
from agentq_cli.model.tasks import Task
from agentq_cli.options import values
from agentq_cli.show import documents
from agentq_cli.show.results import Items, Result, Stream

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.cli.context import Context
    from agentq_cli.engines.door import Queue
    from agentq_cli.options.table import Given

EXAMPLES = (
    ("agentq wait 3", "Exit with the task's own exit code."),
    ("agentq wait docs/7 docs/8", "Exit with 1 if one of them failed."),
    ("agentq wait --all --status failed", "Wait for everything, but no longer than until a task fails."),
    ("agentq wait -s docs --timeout 30m", "Wait for a whole session, for at most half an hour."),
)


def wait(given: Given, at: Context) -> Result:
    """Wait for tasks to end.

    With one task it exits with that task's exit code. -s waits for the session's tasks that are live at the time of the
    call, except paused tasks and occurrences that are not yet due; --all waits for those of every session. --status
    ends it with the first of the tasks that gets this status, and prints those that have ended by then.
    """
    queue, addresses, first, limit = wanted(given, at)
    ended: dict[Address, Task] = {}
    still_open: dict[Address, Task] = {}
    why = Reasons(queue, at.config)

    def checks() -> Iterator[None]:
        for found in awaiting.until_ended(queue, addresses, ended, reasons=why, timeout_ms=limit):
            still_open.clear()
            still_open.update(found)
            if any(task.status in first for task in ended.values()):
                return
            yield None

    def items() -> Iterator[documents.Item]:
        found = (ended[address] for address in addresses if address in ended)
        yield from (documents.task(task, now=queue.now, waiting_for=None) for task in found)

    def exit_code() -> int:
        codes = [awaiting.code(task) for task in ended.values()]
        return codes[0] if len(addresses) == 1 and given["ids"] else int(any(codes))

    if at.as_json:
        for _ in checks():
            pass
        return Items("tasks", items(), code=exit_code)
    shown = watching.live_wait(queue, still_open, why)
    return Stream("tasks", chain(checks(), items()), _line, code=exit_code, live=shown)


def wanted(given: Given, at: Context) -> tuple[Queue, list[Address], frozenset[Status], int | None]:
    """The queue, the tasks to wait for, the statuses of which the first ends it, and for how many milliseconds at most.
    Raises Usage."""
    ids, session, timeout = given["ids"], given["session"], given["timeout"]
    if (bool(ids), session is not None, bool(given["all"])).count(True) != 1:
        raise Usage("wait: name tasks, a session with -s, or --all; only one of these")
    first = filters.statuses(given["status"], Status)
    for status in first:
        if not status.ended:
            raise Usage(f"--status '{status}': not how a task ends")
    addresses = [values.parse_address(each) for each in targets.all_expanded(ids or ())]
    limit = None if timeout is None else values.parse_duration(timeout, "--timeout")
    queue = at.open_queue()
    if not ids:
        live = queue.tasks(session=None if session is None else values.parse_session(session))
        waited = (Status.QUEUED, Status.RUNNING, Status.RETRYING, Status.BLOCKED)
        addresses = [task.address for task in live if task.shown_status(queue.now) in waited]
    return queue, addresses, first, limit


def _line(item: documents.Item) -> str:
    why = item["reason"] if item["reason"] != item["status"] else None
    return f"{item['id']} {item['status']}" + (f" ({why})" if why else "")
