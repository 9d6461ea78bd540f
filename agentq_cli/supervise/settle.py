"""From the files of an ended run to its outcome, and into the queue."""

from __future__ import annotations

import os

from agentq_cli.agents import reader as readers
from agentq_cli.agents import verdict
from agentq_cli.agents.reader import Verdict
from agentq_cli.base.errors import AgentqError
from agentq_cli.config.configuration import Config
from agentq_cli.host.output import CHUNK, OutputReader, open_regular
from agentq_cli.host.records import Exit, Start
from agentq_cli.host.run_directory import RunDirectory
from agentq_cli.model.runs import Outcome
from agentq_cli.model.tasks import Task
from agentq_cli.supervise.plan import profile_of

STDERR_TAIL = 64 * 1024


class StreamFollower:
    """Feeds a run's stdout to its agent's reader as it grows, in bounded steps; bytes that were cut are skipped."""

    def __init__(self, directory: RunDirectory, reader: readers.Reader) -> None:
        self.reader = reader
        self._output = OutputReader(directory, "stdout")

    def step(self) -> bool:
        """Read the next piece; returns whether there was one."""
        piece = self._output.read()
        self.reader.feed(piece)
        return bool(piece)

    def close(self) -> None:
        """Close the file."""
        self._output.close()

    def finish(self) -> None:
        """Read to the end."""
        while self.step():
            pass
        self.close()

    def said_by(self, offset: int) -> Verdict:
        """The verdict on the first `offset` bytes; only for a follower that has read nothing yet."""
        while (left := offset - self._output.offset) > 0 and (piece := self._output.read(min(left, CHUNK))):
            self.reader.feed(piece)
        self.reader.flush()
        self.close()
        return self.reader.verdict()


def follower(task: Task, directory: RunDirectory, config: Config) -> StreamFollower | None:
    """The follower of a run's stream from its beginning; None for a command and for an agent without a reader."""
    try:
        profile = profile_of(task, config)
    except AgentqError:
        return None
    reader = None if profile is None else readers.open_reader(profile.reader)
    return None if reader is None else StreamFollower(directory, reader)


def outcome(
    task: Task, directory: RunDirectory, record: Exit, stream: StreamFollower | None, config: Config
) -> Outcome:
    """How a run ended, decided from its exit record and what its agent printed."""
    if stream is not None:
        stream.finish()
    try:
        profile = profile_of(task, config)
    except AgentqError:
        profile = None
    return verdict.outcome(
        record,
        None if stream is None else stream.reader,
        _tail(directory.file("stderr")),
        streams=profile is not None and profile.streams,
        result=verdict.read_result(directory.file("result")),
        at_stop=_at_stop(task, directory, record, stream, config),
    )


def _at_stop(
    task: Task, directory: RunDirectory, record: Exit, stream: StreamFollower | None, config: Config
) -> Verdict | None:
    """The verdict on what the agent had printed when it was told to end; None if it was not told to, or was not
    finished then."""
    if stream is None or record.stopped in (None, verdict.CANCELLED) or record.stdout_at_stop is None:
        return None
    again = follower(task, directory, config) if stream.reader.seems_finished() else None
    return None if again is None else again.said_by(record.stdout_at_stop)


def crashed(
    directory: RunDirectory, stream: StreamFollower | None, *, stopped: str | None, why: str, now: int
) -> Outcome:
    """The outcome of a run whose shim left no exit record."""
    if stream is not None:
        stream.finish()
    start = directory.start()
    began = start.started_at if isinstance(start, Start) and start.started_at else now
    return verdict.crashed(
        None if stream is None else stream.reader,
        finished_at=now,
        duration_ms=max(0, now - began),
        error=why,
        stopped=stopped,
        result=verdict.read_result(directory.file("result")),
        stdout_bytes=_size(directory.file("stdout")),
        stderr_bytes=_size(directory.file("stderr")),
    )


def _tail(path: str) -> bytes:
    try:
        descriptor = open_regular(path)
        if descriptor is None:
            return b""
        with open(descriptor, "rb") as file:
            file.seek(max(0, os.fstat(descriptor).st_size - STDERR_TAIL))
            return file.read(STDERR_TAIL)
    except OSError:
        return b""


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0
