"""`agentq wait`: block until tasks have ended."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from agentq_cli.base.errors import Usage
from agentq_cli.commands import awaiting, targets, watching
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
    from agentq_cli.options.table import Given

EXAMPLES = (
    ("agentq wait 3", "Exit with the task's own exit code."),
    ("agentq wait docs/7 docs/8", "Exit with 1 if one of them failed."),
    ("agentq wait -s docs --timeout 30m", "Wait for a whole session, for at most half an hour."),
)


def wait(given: Given, at: Context) -> Result:
    """Wait for tasks to end.

    With one task it exits with that task's exit code. -s waits for the session's tasks that are live at the time of the
    call, except paused tasks and occurrences that are not yet due.
    """
    ids, session, timeout = given["ids"], given["session"], given["timeout"]
    if bool(ids) is (session is not None):
        raise Usage("wait: name tasks, or a session with -s" + ("; not both" if ids else ""))
    addresses = [values.parse_address(each) for each in targets.all_expanded(ids or ())]
    limit = None if timeout is None else values.parse_duration(timeout, "--timeout")
    queue = at.open_queue()
    if session is not None:
        live = queue.tasks(session=values.parse_session(session))
        wanted = (Status.QUEUED, Status.RUNNING, Status.RETRYING, Status.BLOCKED)
        addresses = [task.address for task in live if task.shown_status(queue.now) in wanted]
    ended: dict[Address, Task] = {}
    still_open: dict[Address, Task] = {}
    why = Reasons(queue, at.config)

    def checks() -> Iterator[None]:
        for found in awaiting.until_ended(queue, addresses, ended, reasons=why, timeout_ms=limit):
            still_open.clear()
            still_open.update(found)
            yield None

    def items() -> Iterator[documents.Item]:
        found = (ended[address] for address in addresses)
        yield from (documents.task(task, now=queue.now, waiting_for=None) for task in found)

    def exit_code() -> int:
        codes = [awaiting.code(ended[address]) for address in addresses]
        return codes[0] if len(codes) == 1 and session is None else int(any(codes))

    if at.as_json:
        for _ in checks():
            pass
        return Items("tasks", items(), code=exit_code)
    shown = watching.live_wait(queue, still_open, why)
    return Stream("tasks", chain(checks(), items()), _line, code=exit_code, live=shown)


def _line(item: documents.Item) -> str:
    why = item["reason"] if item["reason"] != item["status"] else None
    return f"{item['id']} {item['status']}" + (f" ({why})" if why else "")
