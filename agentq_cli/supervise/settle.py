"""From the files of an ended run to its outcome, and into the queue."""

from __future__ import annotations

import os

from agentq_cli.agents import verdict
from agentq_cli.agents.profile import profile
from agentq_cli.base.dataclass import replace
from agentq_cli.base.errors import AgentqError
from agentq_cli.config.configuration import Config
from agentq_cli.host import said
from agentq_cli.host.records import Exit, Start
from agentq_cli.host.run_directory import RunDirectory
from agentq_cli.host.said import StreamFollower
from agentq_cli.model.runs import Outcome
from agentq_cli.model.statuses import RunStatus
from agentq_cli.model.tasks import Task
from agentq_cli.policy import checked, landed
from agentq_cli.supervise.plan import read_by


def read_as(task: Task, config: Config) -> tuple[str, bool]:
    """As `read_by`; the output of an agent whose profile no longer exists is read by nothing."""
    try:
        return read_by(task, config)
    except AgentqError:
        return "none", False


def follower(task: Task, directory: RunDirectory, config: Config) -> StreamFollower | None:
    """The follower of a run's stream from its beginning; None for a command and for an agent without a reader."""
    return said.follower(directory, read_as(task, config)[0])


def outcome(
    task: Task, directory: RunDirectory, record: Exit, stream: StreamFollower | None, config: Config
) -> Outcome:
    """How a run ended, decided from its exit record, what its agent printed, and how check and landing
    ended."""
    found = agent_outcome(task, directory, record, stream, config)
    # What lands without an agent is checked on its way, if it comes so far.
    command = None if record.lands and record.check is None else task.work.launch.check
    judged = checked.judged(found, record.check, command, stopped=record.stopped)
    return landed.judged(judged, found.landing, task.work.launch.land, stopped=record.stopped)


def agent_outcome(
    task: Task, directory: RunDirectory, record: Exit, stream: StreamFollower | None, config: Config
) -> Outcome:
    """How its agent ended, whatever came after it."""
    reader, streams = read_as(task, config)
    found = said.outcome(directory, record, stream, reader=reader, streams=streams)
    return _in_tree(task, directory, _unanswered(task, config, found))


def _unanswered(task: Task, config: Config, outcome: Outcome) -> Outcome:
    """The outcome of a failed agent in a tree, with what it may have asked there, if nothing answered that."""
    if outcome.status is not RunStatus.ERROR or task.work.agent is None or task.work.launch.repository is None:
        return outcome
    try:
        asked = profile(config, task.work.agent).unanswered
    except AgentqError:
        return outcome
    return outcome if asked is None else replace(outcome, error=f"{outcome.error}; {task.work.agent} {asked}")


def _in_tree(task: Task, directory: RunDirectory, outcome: Outcome) -> Outcome:
    """The outcome with what the run left in its tree, and how its landing ended, if its task has a tree."""
    if task.work.launch.repository is None:
        return outcome
    return replace(outcome, left=directory.left(), landing=directory.landing())


def crashed(
    task: Task, directory: RunDirectory, stream: StreamFollower | None, *, stopped: str | None, why: str, now: int
) -> Outcome:
    """The outcome of a run whose shim left no exit record, without regard to its check."""
    if stream is not None:
        stream.finish()
    start = directory.start()
    began = start.started_at if isinstance(start, Start) and start.started_at else now
    outcome = verdict.crashed(
        None if stream is None else stream.reader,
        finished_at=now,
        duration_ms=max(0, now - began),
        error=why,
        stopped=stopped,
        result=verdict.read_result(directory.file("result")),
        stdout_bytes=_size(directory.file("stdout")),
        stderr_bytes=_size(directory.file("stderr")),
    )
    return _in_tree(task, directory, outcome)


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0
