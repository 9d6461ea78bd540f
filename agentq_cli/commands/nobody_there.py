"""The hint that nothing will start what a command has queued."""

from __future__ import annotations

import os

from agentq_cli.base.defaults import NOBODY_THERE
from agentq_cli.host import attendance
from agentq_cli.show import notices

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from agentq_cli.cli.context import Context
    from agentq_cli.engines.door import Queue
    from agentq_cli.model.tasks import NewTask, Task

NO_HOST = "no host is up: `agentq run` makes a machine one"


def check(at: Context, queue: Queue, tasks: Iterable[Task | NewTask]) -> None:
    """Give the hint, after the command's result, if nobody will run one of these tasks as things are."""
    found = list(tasks)
    if at.url is not None:
        # Asked only for a person, who is told less often than this.
        text = None if not os.isatty(2) else lacking(queue, [task.work.launch.on for task in found])
        if text is not None:
            hint(at, text)
        return
    from agentq_cli.supervise.attended import unattended

    sessions = sorted({task.session for task in found})
    if sessions and unattended(queue, sessions):
        hint(at)


def lacking(queue: Queue, wanted: Collection[tuple[str, ...]]) -> str | None:
    """What is wrong if no host of the fleet is up that has all of what one of these tasks is to be `on`."""
    if not wanted:
        return None
    up = [{host.name, *host.labels} for host in queue.hosts() if host.state in ("up", "late")]
    if not up:
        return NO_HOST
    for on in dict.fromkeys(wanted):
        if not any(has.issuperset(on) for has in up):
            return f"no host that is up is {' and '.join(map(repr, on))}; see `agentq hosts`"
    return None


def hint(at: Context, text: str = NOBODY_THERE) -> None:
    """Give the hint, after the command's result."""
    if attendance.may_hint(at.state_dir, at.now_ms()):
        at.resources.callback(lambda: notices.hint(text))
