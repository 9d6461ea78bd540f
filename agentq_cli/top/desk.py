"""The queue in a thread of its own: a file that is busy does not hold up the screen. All reading happens here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from agentq_cli.base.dataclass import NamedTuple, replace
from agentq_cli.base.errors import Refused
from agentq_cli.engines.door import Queue, open_queue
from agentq_cli.model.statuses import Status
from agentq_cli.top import snapshot
from agentq_cli.top.snapshot import Snapshot
from agentq_cli.top.tails import Tails

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeVar

    from agentq_cli.cli.context import Context
    from agentq_cli.engines.subdoors import Bell
    from agentq_cli.show.documents import Item

    Found = TypeVar("Found")

MOST = 200
"""How many items of each kind are read for the screen."""

TICK_SECONDS = 1.0
"""How often ages, last lines and costs are updated while something runs. A start rings no bell, so it is also how often
a start is looked for while something is due."""

WHOLE_TICKS = 5
"""After how many ticks everything is read again, for what leaves no event: memory, gates, a supervisor's death."""

LONGEST_SECONDS = 3600.0


class Seen(NamedTuple):
    """A snapshot, how many seconds it stays true by itself (None if only a ring can change it), and the last event that
    it has seen."""

    snapshot: Snapshot
    lasts: float | None
    event: int


class Desk:
    """Reads the queue for the screen; `asked` counts the readings."""

    def __init__(self, at: Context) -> None:
        self.at = at
        self.asked = 0
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="queue")
        self._queue: Queue | None = None
        self._tails: Tails | None = None
        self._bell: Bell | None = None
        self._existed = False
        self._ticks = 0
        self._last: Seen | None = None

    def open(self) -> Seen:
        """Open the queue and take the first snapshot. Raises Usage, Busy, Unreadable, Refused."""
        return self._pool.submit(self._whole).result()

    async def ask(self, read: Callable[[Queue], Found]) -> Found:
        """What a function reads from the queue. Raises what it raises."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, lambda: read(self._opened()))

    async def look(self, *, rung: bool) -> Seen:
        """The queue as it is now. If no bell has rung, only what has changed without one is read."""
        self.asked += 1
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._whole if rung else self._tick)

    def bell(self) -> int | None:
        """A descriptor that becomes readable when the queue changes; None if there is no bell (yet)."""
        try:
            return None if self._bell is None else self._bell.fileno()
        except Refused:
            return None

    def answered(self) -> None:
        """Take the rings, before the reading that answers them."""
        if self._bell is not None:
            self._bell.empty()

    def close(self) -> None:
        """Close the queue, in the thread that opened it."""
        self._pool.submit(self._close).result()
        self._pool.shutdown()

    # In the thread

    def _opened(self) -> Queue:
        if self._queue is None:
            self._queue = open_queue(
                self.at.state_dir,
                self.at.clock,
                create=False,
                allow_network_fs=self.at.allow_network_fs,
                url=self.at.url,
                settings=self.at.fleet,
            )
            self._tails = Tails(self._queue, self.at.config)
            # Opened before anything was stored, it would read as empty for ever.
            self._existed = self._queue.exists
            if self._existed:
                self._bell = self._queue.bell()
        return self._queue

    def _whole(self) -> Seen:
        queue = self._opened()
        assert self._tails is not None
        event = queue.last_event() if self._existed else 0
        self._ticks = 0
        found = snapshot.take(self.at, queue, limit=MOST)
        self._last = Seen(self._with(found, self._tails.update(found.running)), self._lasts(queue, found), event)
        return self._last

    def _tick(self) -> Seen:
        """A look for what rings no bell."""
        queue, last = self._opened(), self._last
        if not self._existed:
            if last is not None and not queue.exists:
                return last
            self._close()
            return self._whole()
        self._ticks += 1
        if last is None or self._ticks >= WHOLE_TICKS or queue.last_event() != last.event:
            return self._whole()
        if not last.snapshot.running:
            return last if _is_live(last.snapshot) else self._whole()  # something has become due
        assert self._tails is not None
        running = self._tails.update(last.snapshot.running)
        self._last = last._replace(snapshot=self._with(last.snapshot, running))
        return self._last

    @staticmethod
    def _with(found: Snapshot, running: list[Item]) -> Snapshot:
        return replace(found, running=running) if running else found

    def _lasts(self, queue: Queue, found: Snapshot) -> float | None:
        if not self._existed or self.bell() is None or _is_live(found):
            return TICK_SECONDS
        times = [at for at in queue.ahead() if at is not None]
        if not times:
            return None
        # Not much longer, because clocks are set; a little longer, so that it is due then.
        return min(max(0.05, (min(times) - queue.now) / 1000 + 0.05), LONGEST_SECONDS)

    def _close(self) -> None:
        if self._tails is not None:
            self._tails.close()
        if self._bell is not None:
            self._bell.close()
        if self._queue is not None:
            self._queue.close()
        self._queue = self._tails = self._bell = None


def _is_live(found: Snapshot) -> bool:
    """Whether something changes, or may start, without a ring."""
    return bool(found.counts[Status.RUNNING.value] or found.counts[Status.QUEUED.value])
