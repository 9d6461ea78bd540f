"""The hint that nothing will start what a command has queued."""

from __future__ import annotations

from agentq_cli.base.defaults import NOBODY_THERE
from agentq_cli.host import attendance
from agentq_cli.show import notices

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

    from agentq_cli.cli.context import Context
    from agentq_cli.engines.door import Queue


def check(at: Context, queue: Queue, sessions: Collection[str]) -> None:
    """Give the hint, after the command's result, if no supervisor will run the tasks of one of these sessions."""
    from agentq_cli.supervise.attended import unattended

    if sessions and unattended(queue, sessions):
        hint(at)


def hint(at: Context) -> None:
    """Give the hint, after the command's result."""
    if attendance.may_hint(at.state_dir, at.now_ms()):
        at.resources.callback(lambda: notices.hint(NOBODY_THERE))
