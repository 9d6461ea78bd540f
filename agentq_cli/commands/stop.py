"""`agentq stop`: end supervisors."""

from __future__ import annotations

import contextlib
import os
import select
from collections.abc import Sequence

from agentq_cli.base import procfs
from agentq_cli.base.errors import NotFound, Usage, WrongState
from agentq_cli.host import process
from agentq_cli.model.actions import TargetResult
from agentq_cli.model.workers import Supervisor
from agentq_cli.show import notices
from agentq_cli.show.results import Result, Results
from agentq_cli.supervise.signals import ORDERS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.cli.context import Context
    from agentq_cli.options.table import Given

HOW = ("wait", "leave", "cancel")
EXAMPLES = (
    ("agentq stop", "Let what runs end, and start nothing new."),
    ("agentq stop --leave", "End at once; the next supervisor takes over what runs."),
    ("agentq stop --cancel 4711", "End one supervisor, and cancel what it runs."),
)


def stop(given: Given, at: Context) -> Result:
    """End the supervisors of the state directory, or one of them, and return once they have ended.

    A supervisor that was told to end starts nothing new. What waits stays in the queue.
    """
    chosen = [name for name in HOW if given[name]]
    if len(chosen) > 1:
        raise Usage(f"--{chosen[1]}: not together with --{chosen[0]}")
    pid = given["pid"]
    if pid is not None and not pid.isdecimal():
        raise Usage(f"PID '{pid}': not a process id")
    near = [each for each in at.open_queue().living() if not each.elsewhere]
    found = [each for each in near if pid is None or str(each.identity.pid) == pid]
    if pid is not None and not found:
        raise NotFound(f"PID '{pid}': no supervisor of this state directory; see `agentq workers`")
    if not found and not at.as_json:
        notices.note("no supervisor runs")
    return Results(_end(found, chosen[0] if chosen else HOW[0]))


def _end(supervisors: Sequence[Supervisor], how: str) -> list[TargetResult]:
    """Tell all of them to end, and then wait until they have."""
    order = next(number for number, meaning in ORDERS.items() if meaning == how)
    items = []
    with contextlib.ExitStack() as opened:
        waiting: list[int] = []
        for supervisor in supervisors:
            identity = supervisor.identity
            descriptor = process.open_pidfd(identity) if identity.boot_id == procfs.realm() else None
            if descriptor is not None:
                opened.callback(os.close, descriptor)
                waiting.append(descriptor)
            told = descriptor is not None and process.send(identity, order)
            items.append(_item(identity.pid, told or not _far(supervisor)))
        for descriptor in waiting:
            poll = select.poll()
            poll.register(descriptor, select.POLLIN)
            poll.poll()
    return items


def _far(supervisor: Supervisor) -> bool:
    """Whether it cannot be reached from here: it lives in another PID namespace, or belongs to another user."""
    return supervisor.identity.boot_id != procfs.realm() or process.alive(supervisor.identity)


def _item(pid: int, ended: bool) -> TargetResult:
    name = str(pid)
    if ended:
        return TargetResult(name, True, 0, f"supervisor {name} has ended")
    error = WrongState(f"supervisor {name}: it cannot be reached from here; stop it where it runs")
    return TargetResult(name, False, error.code, error.message)
