"""A step for each of many things, several at once: for steps that mostly wait for the disk."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

FEW = 8
"""With fewer things than this, one is done after the other."""

THREADS = 6


def at_once(step: Callable[[str], None], names: Sequence[str]) -> None:
    """Take a step for each name. After an exception no other step is begun, and that of the earliest name is raised:
    the one that would have come if the steps had been taken in order."""
    if len(names) < FEW:
        for name in names:
            step(name)
        return
    from threading import Thread

    left = enumerate(names)
    errors: dict[int, BaseException] = {}

    def work() -> None:
        for position, name in left:  # which gives each name to one thread
            try:
                step(name)
            except BaseException as error:
                errors[position] = error
            if errors:
                return

    threads = [Thread(target=work, daemon=True) for _ in range(THREADS)]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    except BaseException as interrupt:
        errors[len(names)] = interrupt
        for thread in threads:
            if thread.is_alive():
                thread.join()
        raise
    if errors:
        raise errors[min(errors)]
