"""Which landing waits for a person, or for the branch to pass its own check; for `trees` and `health`."""

from __future__ import annotations

from agentq_cli.base.dataclass import dataclass
from agentq_cli.base.errors import NotFound
from agentq_cli.model.statuses import Status
from agentq_cli.policy import landed
from agentq_cli.trees.diffs import last_run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.engines.door import Queue
    from agentq_cli.model.addresses import Address
    from agentq_cli.trees.records import TreeRecord


@dataclass(frozen=True, slots=True)
class Stuck:
    """The task whose work waits to land, why, and what comes of it, in words."""

    task: Address
    what: str
    then: str


def find_stuck(queue: Queue, record: TreeRecord) -> Stuck | None:
    """The landing of a tree's work that waits; None if none does."""
    run_id = last_run(queue, record)
    try:
        run = None if run_id is None else queue.run(run_id)
    except NotFound:
        return None
    if run is None or run.landing is None or not landed.lands_alone(run.landing):
        return None
    task = queue.readable([run.id.address]).get(run.id.address)
    if task is None or task.status is Status.COMPLETED or task.runs != run.attempt:
        return None
    again = f"`agentq retry {task.address}` lands it then, without its agent"
    then = again if task.status.ended else "it is tried again by itself, without its agent"
    return Stuck(task.address, landed.shown(run.landing), then)
