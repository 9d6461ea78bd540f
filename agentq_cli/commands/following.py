"""Follows something that other processes write: polls at growing intervals, and quickly again after new data came."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

from agentq_cli.host.place import is_there

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeVar

    Thing = TypeVar("Thing")


QUICK = 0.05
SLOW = 0.5
"""Seconds between two polls: after new data came, and at most."""


class Pause:
    """The time between two polls, which grows until `reset`."""

    def __init__(self) -> None:
        self._seconds = QUICK

    def wait(self) -> None:
        """Sleep until the next poll is due."""
        time.sleep(self._seconds)
        self._seconds = min(self._seconds * 1.5, SLOW)

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


def appears(path: str) -> Iterator[None]:
    """None after each poll that did not find the file; ends once the file exists."""
    pause = Pause()
    while not is_there(path):
        yield None
        pause.wait()
