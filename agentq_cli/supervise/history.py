"""Rebuilding the index of sessions, and what the files of runs tell about the past that it has lost."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from agentq_cli.agents import verdict
from agentq_cli.config import Config
from agentq_cli.dataclass import replace
from agentq_cli.errors import AgentqError
from agentq_cli.model import Outcome, RunId, RunStatus, Status, Task
from agentq_cli.queue import FoundRun, Queue
from agentq_cli.supervise import settle
from agentq_cli.supervise.records import RunDirectory, Start

UNTOLD = "the index was lost, and no record of its end is left"


def rebuild(
    queue: Queue, config: Config, sessions: Iterable[str], *, host: str
) -> Iterator[tuple[str, list[str] | AgentqError]]:
    """Rebuild the index of these sessions from their files; of each what was mended, or why it could not be."""
    mended: dict[str, list[str]] = {}
    for session in sessions:
        try:
            mended[session] = queue.reindex(session, host=host)
        except AgentqError as error:
            yield session, error
    try:
        _put_back(queue, config, mended, host)
    except AgentqError as error:
        for texts in mended.values():
            texts.append(f"the history could not be put back: {error.message}")
    yield from mended.items()


def _put_back(queue: Queue, config: Config, mended: Mapping[str, list[str]], host: str) -> None:
    """Give the index back the history of these sessions, in one order of time, and say how much that was."""
    pasts: list[FoundRun] = []
    tasks: list[Task] = []
    for session, texts in mended.items():
        before, untold = len(pasts), 0
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
        except AgentqError as error:
            texts.append(f"not all of its history is back: {error.message}")
        if len(pasts) > before:
            texts.append(f"runs put back into the audit log: {len(pasts) - before}")
        if untold:
            texts.append(f"runs that left no record: {untold}")
    if pasts or tasks:
        queue.put_back_history(pasts, tasks, host=host)


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
