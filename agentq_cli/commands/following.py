"""Follows something that other processes write: polls at growing intervals, and quickly again after new data came."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from agentq_cli.base.errors import NotFound
from agentq_cli.show.results import NOTE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeVar

    from agentq_cli.engines.door import Queue
    from agentq_cli.host.output import Output
    from agentq_cli.model.addresses import Address, RunId

    Thing = TypeVar("Thing")


STREAMS = ("stdout", "stderr")
"""The streams of a run."""

QUICK = 0.05
SLOW = 0.5
"""Seconds between two polls: after new data came, and at most."""


class Pause:
    """The time between two polls, which grows until `reset`, to at most so many seconds."""

    def __init__(self, most: float = SLOW) -> None:
        self._seconds = QUICK
        self._most = most

    def wait(self) -> None:
        """Sleep until the next poll is due."""
        time.sleep(self._seconds)
        self._seconds = min(self._seconds * 1.5, self._most)

    def reset(self) -> None:
        """Poll quickly again, because new data came."""
        self._seconds = QUICK


def follow(find_new: Callable[[], Sequence[Thing]]) -> Iterator[Thing | None]:
    """What each poll returns, one by one, for ever; None, which prints nothing, after each poll that found nothing."""
    pause = Pause()
    while True:
        found = find_new()
        yield from found
        if found:
            pause.reset()
        else:
            yield None
            pause.wait()


def output(
    streams: Mapping[str, Output],
    has_ended: Callable[[], bool],
    wait: Callable[[], object],
    note: Callable[[], str | None] = lambda: None,
) -> Iterator[tuple[str, bytes]]:
    """What a run writes, as name of the stream and bytes, until it has ended; waits whenever there is nothing new. What
    `note` then says comes as a NOTE."""
    ended = False
    while not ended:
        # Checked before reading, so that everything written before the end is read.
        ended = has_ended()
        for name, reader in streams.items():
            while piece := reader.read():
                yield name, piece
        if not ended:
            if (text := note()) is not None:
                yield NOTE, text.encode()
            wait()


def newest_run(queue: Queue) -> tuple[Address, int]:
    """The run that was started last. Raises NotFound."""
    run = next(queue.runs(limit=1), None)
    if run is None:
        raise NotFound("nothing has run yet; `agentq list` says what waits")
    return run.id.address, run.attempt


def last_said(queue: Queue, run: RunId) -> str:
    """The last line that a run's agent wrote; empty if there is none."""
    from agentq_cli.agents.last_words import last_words
    from agentq_cli.host.output import last_line

    try:
        return last_words(last_line(queue.output(run, stream) for stream in STREAMS))
    except OSError:
        return ""  # the agent changed its output files, but the run continues


def appears(is_there: Callable[[], bool]) -> Iterator[None]:
    """None after each poll that found nothing; ends once it is there."""
    pause = Pause()
    while not is_there():
        yield None
        pause.wait()
