"""The end of a run in the fleet: its result row is in the commit that ends it."""

from __future__ import annotations

import random

from agentq_cli.base.json_text import dumps
from agentq_cli.engines.steps import finish
from agentq_cli.model.runs import Outcome

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.engines.fleet.transaction import SessionWrite
    from agentq_cli.model.addresses import RunId
    from agentq_cli.model.tasks import Task


def ended(write: SessionWrite, run: RunId, outcome: Outcome) -> Task | None:
    """Record how a run ended; None if it has ended before."""
    task = finish.finish(write, run, outcome, posted=True, jitter=random.random())
    if task is not None:
        said = {"run": str(run), "task": str(run.address), "status": str(outcome.status), "result": outcome.result}
        write.tell("dispatch.post", {"id": str(run), "content": dumps(said), "at": outcome.finished_at})
    return task


def lost(write: SessionWrite, run: RunId, *, stop: str | None, why: str) -> Task | None:
    """The same for a run of a host that was lost: it is due at once."""
    from agentq_cli.agents import verdict

    task = write.task(run.seq)
    ((began,),) = write.ask("hosts.began", run._asdict())
    outcome = verdict.crashed(
        None,
        finished_at=write.now,
        duration_ms=max(0, write.now - began),
        error=why,
        stopped="cancelled" if task.cancel_requested else stop,
        at_once=True,
    )
    return ended(write, run, outcome)
