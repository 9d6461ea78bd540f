"""The door of the fleet's engine."""

from __future__ import annotations

from agentq_cli.engines.fleet.hosts import Hosts
from agentq_cli.engines.fleet.opened import Opened
from agentq_cli.engines.shared.readings import Readings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from agentq_cli.model.actions import Actor
    from agentq_cli.model.addresses import RunId
    from agentq_cli.model.runs import Outcome
    from agentq_cli.model.tasks import Task


class FleetQueue(Opened, Hosts, Readings):
    """An open fleet."""

    def __init__(self, *args: Any, **options: Any) -> None:
        Hosts.__init__(self)
        Opened.__init__(self, *args, **options)

    def finish(self, run: RunId, outcome: Outcome, *, actor: Actor, background: bool = False) -> Task | None:
        from agentq_cli.engines.fleet import ending

        with self.in_session(run.session, actor=actor, background=background) as write:
            return ending.ended(write, run, outcome)

    def why_unposted(self, run: RunId | str) -> str | None:
        return None  # its result row is in the commit that ended it
