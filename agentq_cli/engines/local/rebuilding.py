"""Rebuilding the index of sessions, and restoring the history that it has lost from the files of runs."""

from __future__ import annotations

from agentq_cli.base.errors import AgentqError
from agentq_cli.engines.local import history
from agentq_cli.model.addresses import RunId
from agentq_cli.model.statuses import RunStatus, Status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import Protocol, TypeAlias

    from agentq_cli.engines.local.opened import Opened
    from agentq_cli.engines.nouns import FoundRun
    from agentq_cli.model.tasks import Task

    FindRun: TypeAlias = "Callable[[Task, RunId, tuple[RunStatus, int] | None], FoundRun | None]"
    """What the files of a run report about it, together with its result row (how it ended, and when)."""

    class Reindex(Protocol):
        """Rebuilds the index of one session; returns what had to be repaired."""

        def __call__(self, session: str, *, host: str) -> list[str]: ...


def rebuild(
    queue: Opened, reindex: Reindex, find_run: FindRun, sessions: Iterable[str], *, host: str
) -> Iterator[tuple[str, list[str] | AgentqError]]:
    """Rebuild the index of these sessions from their files; yields for each what was repaired, or why that failed."""
    mended: dict[str, list[str]] = {}
    for session in sessions:
        try:
            mended[session] = reindex(session, host=host)
        except AgentqError as error:
            yield session, error
    try:
        _put_back(queue, find_run, mended, host)
    except AgentqError as error:
        for texts in mended.values():
            texts.append(f"its history could not be restored: {error.message}")
    yield from mended.items()


def _put_back(queue: Opened, find_run: FindRun, mended: Mapping[str, list[str]], host: str) -> None:
    """Restore the history of these sessions to the index, in one order of time, and report how much that was."""
    pasts: list[FoundRun] = []
    tasks: list[Task] = []
    for session, texts in mended.items():
        before, untold = len(pasts), 0
        results = history.results(queue.state, session)
        try:
            for lacking in history.lacking(queue.state, queue.index, session):
                task = lacking.task
                if lacking.eventless:
                    tasks.append(task)
                for attempt in lacking.attempts:
                    if task.status is Status.RUNNING and attempt == task.runs:
                        continue  # it has its row, and its supervisor or a sweep closes it
                    run = RunId(task.session, task.seq, attempt)
                    past = find_run(task, run, results.get(str(run)))
                    if past is not None:
                        pasts.append(past)
                    else:
                        untold += 1
        except AgentqError as error:
            texts.append(f"not all of its history was restored: {error.message}")
        if len(pasts) > before:
            texts.append(f"runs restored to the audit log: {len(pasts) - before}")
        if untold:
            texts.append(f"runs that left no record: {untold}")
    if pasts or tasks:
        history.put_back(queue.state, queue.index, pasts, tasks, host=host)
