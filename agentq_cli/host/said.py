"""What an ended agent has said, read from the files of its run, and how the run ended by that."""

from __future__ import annotations

import os

from agentq_cli.agents import reader as readers
from agentq_cli.agents import verdict
from agentq_cli.host.output import CHUNK, OutputReader, open_regular

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.agents.reader import Verdict
    from agentq_cli.host.output import Output
    from agentq_cli.host.records import Exit
    from agentq_cli.host.run_directory import RunDirectory
    from agentq_cli.model.runs import Outcome

STDERR_TAIL = 64 * 1024


class StreamFollower:
    """Feeds a run's stdout to its agent's reader as it grows, in bounded steps; bytes that were cut are skipped."""

    def __init__(self, output: Output, reader: readers.Reader) -> None:
        self.reader = reader
        self._output = output

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


def follower(directory: RunDirectory, reader: str) -> StreamFollower | None:
    """The follower of a run's stream from its beginning, by the name of its reader; None without a reader."""
    found = readers.open_reader(reader)
    return None if found is None else StreamFollower(OutputReader(directory, "stdout"), found)


def outcome(
    directory: RunDirectory, record: Exit, stream: StreamFollower | None, *, reader: str, streams: bool
) -> Outcome:
    """How a run ended, decided from its exit record and what its agent printed. `reader` and `streams` are those of
    its agent's profile."""
    if record.lands:
        stream, streams = None, False
    if stream is not None:
        stream.finish()
    return verdict.outcome(
        record,
        None if stream is None else stream.reader,
        _tail(directory.file("stderr")),
        streams=streams,
        result=verdict.read_result(directory.file("result")),
        at_stop=_at_stop(directory, record, stream, reader),
    )


def _at_stop(directory: RunDirectory, record: Exit, stream: StreamFollower | None, reader: str) -> Verdict | None:
    """The verdict on what the agent had printed when it was told to end; None if it was not told to, or was not
    finished then."""
    if stream is None or record.stopped in (None, verdict.CANCELLED) or record.stdout_at_stop is None:
        return None
    again = follower(directory, reader) if stream.reader.seems_finished() else None
    return None if again is None else again.said_by(record.stdout_at_stop)


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
