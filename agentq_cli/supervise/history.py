"""What the files of runs tell about the past, for an index that has lost it."""

from __future__ import annotations

from collections.abc import Sequence

from agentq_cli.agents import verdict
from agentq_cli.config import Config
from agentq_cli.dataclass import replace
from agentq_cli.errors import AgentqError
from agentq_cli.model import Outcome, RunId, RunStatus, Status, Task
from agentq_cli.queue import FoundRun, Queue
from agentq_cli.supervise import settle
from agentq_cli.supervise.records import RunDirectory, Start

UNTOLD = "the index was lost, and no record of its end is left"


def put_back(queue: Queue, config: Config, sessions: Sequence[str], *, host: str) -> tuple[int, int]:
    """Give the index back the history of these sessions; returns how many runs came back and how many did not."""
    pasts: list[FoundRun] = []
    tasks: list[Task] = []
    untold = 0
    for session in sessions:
        results = queue.results(session)
        try:
            for lacking in queue.lacking_history(session):
                task = lacking.task
                if lacking.eventless:
                    tasks.append(task)
                for attempt in lacking.attempts:
                    if task.status is Status.RUNNING and attempt == task.runs:
                        continue  # it has its row, and whoever looks after it closes that
                    run = RunId(task.session, task.seq, attempt)
                    past = _past(queue, config, task, run, results.get(str(run)))
                    if past is not None:
                        pasts.append(past)
                    else:
                        untold += 1
        except AgentqError:
            continue  # the session's trouble, which is told already
    if pasts or tasks:
        queue.put_back_history(pasts, tasks, host=host)
    return len(pasts), untold


def _past(
    queue: Queue, config: Config, task: Task, run: RunId, result: tuple[RunStatus, int] | None
) -> FoundRun | None:
    directory = RunDirectory(queue.run_directory(run))
    try:
        record, start = directory.exit(), directory.start()
        began = start.started_at if isinstance(start, Start) and start.started_at else None
        if record is not None:
            outcome = settle.outcome(task, directory, record, settle.follower(task, directory, config), config)
            if outcome.tokens_of_conversation:
                outcome = replace(outcome, tokens_in=None, tokens_out=None)  # of more runs than this one
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
