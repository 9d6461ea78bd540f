"""Whether a supervisor that has nothing to watch would find anything if it looked around.

Rings wake it, and timers; what can happen without either is found by a look in a while: a process was killed between
its commit and its ring, another supervisor died and left its runs, the wall clock was set. If nothing is due and no
other supervisor runs anything, all of that shows in the mark of the queue, or in the clock, and no look is needed.
"""

from __future__ import annotations

from agentq_cli.base.clock import monotonic_ms
from agentq_cli.supervise.duty import Duty

SAFETY_NET_MS = 30_000
"""How often to look around, or to see that no look is needed, although nothing called for it."""

SOON_MS = 1_000
"""When to look again if something was committed during the last look, or just before it."""

CLOCK_MS = 500
"""By how much the wall clock may differ from what it should be without having been set."""


class Quiet:
    """What one supervisor remembers of its last look."""

    def __init__(self, duty: Duty) -> None:
        self._duty = duty
        self._before: str | None = None
        self._mark: str | None = None
        self._shift = 0
        self._soon = False

    def look(self) -> None:
        """A look begins: nothing has been read."""
        self._before, self._mark = self._duty.queue.mark(), None

    def looked(self, *, strangers: bool) -> None:
        """A look has left nothing to do; `strangers`: others have runs, which are to be watched."""
        self._mark = None if strangers else self._before

    def patience(self) -> int:
        """For how many milliseconds to sleep now, if nothing else wakes it."""
        duty = self._duty
        if self._mark is not None:
            with duty.guard.guarding(None, "rest") as tried:
                # Nothing may tell when what is due can be started, as when a directory is free again.
                self._mark = None if duty.queue.any_due() else self._mark
            self._mark = None if tried.error is not None else self._mark
        self._shift = self._clock_shift()
        self._soon = not self._soon and self._mark is not None and not self.holds
        return SOON_MS if self._soon else SAFETY_NET_MS

    @property
    def holds(self) -> bool:
        """Whether another look would find nothing."""
        was_set = abs(self._clock_shift() - self._shift) >= CLOCK_MS
        return self._mark is not None and not was_set and self._duty.queue.mark() == self._mark

    def _clock_shift(self) -> int:
        duty = self._duty
        return 0 if duty.clock.fixed else duty.queue.now - monotonic_ms()
