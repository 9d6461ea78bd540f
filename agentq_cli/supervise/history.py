"""What the files of a run report about it, for an engine that has lost its own record of the past."""

from __future__ import annotations

from agentq_cli.agents import verdict
from agentq_cli.base.dataclass import replace
from agentq_cli.config.configuration import Config
from agentq_cli.engines.nouns import FoundRun
from agentq_cli.host.place import Place
from agentq_cli.host.records import Start
from agentq_cli.model.addresses import RunId
from agentq_cli.model.runs import Outcome
from agentq_cli.model.statuses import RunStatus
from agentq_cli.model.tasks import Task
from agentq_cli.supervise import settle

UNTOLD = "the index was lost, and no record of its end is left"


def past(here: Place, config: Config, task: Task, run: RunId, result: tuple[RunStatus, int] | None) -> FoundRun | None:
    """A run according to its files and its result row (how it ended, and when); None if there is neither."""
    directory = here.run(run)
    try:
        record, start = directory.exit(), directory.start()
        began = start.started_at if isinstance(start, Start) and start.started_at else None
        if record is not None:
            outcome = settle.outcome(task, directory, record, settle.follower(task, directory, config), config)
            if outcome.tokens_of_conversation:
                outcome = replace(outcome, tokens_in=None, tokens_out=None)  # they include other runs
            began = record.finished_at - record.duration_ms if began is None else began
            return FoundRun(task, run, began, outcome, result is not None)
    except OSError:
        began = None
    if result is not None:
        status, at = result
        return FoundRun(task, run, at if began is None else began, _of_result(status, at, began), True)
    if began is None:
        return None
    outcome = verdict.crashed(None, finished_at=began, duration_ms=0, error=UNTOLD, stdout_bytes=0, stderr_bytes=0)
    return FoundRun(task, run, began, outcome, False)


def _of_result(status: RunStatus, at: int, began: int | None) -> Outcome:
    return Outcome(status, finished_at=at, duration_ms=0 if began is None else max(0, at - began))
