"""Waiting for more of something that other processes write: a look at growing intervals, quick again once more came."""

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
"""Seconds between two looks: the first after something came, and the longest."""


class Pause:
    """The time between two looks, which grows until `reset`."""

    def __init__(self) -> None:
        self._seconds = QUICK

    def wait(self) -> None:
        """Sleep until the next look is due."""
        time.sleep(self._seconds)
        self._seconds = min(self._seconds * 1.5, SLOW)

    def reset(self) -> None:
        """Something came: look again soon."""
        self._seconds = QUICK


def follow(look: Callable[[], Sequence[Thing]]) -> Iterator[Thing | None]:
    """What each look returns, one by one, for ever; None, which prints nothing, after each look that found nothing."""
    pause = Pause()
    while True:
        found = look()
        yield from found
        if found:
            pause.reset()
        else:
            yield None
            pause.wait()


def appears(path: str) -> Iterator[None]:
    """None after each look that did not find the file; ends once it is there."""
    pause = Pause()
    while not is_there(path):
        yield None
        pause.wait()
