"""Waiting for tasks without a thread for each wait: one thread looks at the tasks of all of them.

It looks when its bell rings, which every commit of another process does, and each second; it sleeps while nobody waits.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterable, Sequence

from agentq_cli.base.errors import AgentqError
from agentq_cli.engines.door import Queue
from agentq_cli.mcp.calls import own_context
from agentq_cli.model.actions import Undone
from agentq_cli.model.addresses import Address
from agentq_cli.model.statuses import Status
from agentq_cli.model.tasks import Task

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.cli.context import Context

CHECK_SECONDS = 1.0

Look = dict[Address, "Task | AgentqError"]
"""What was found of each task: an error if it cannot be read."""


class Watch:
    """The thread that looks. Each wait gives it the tasks, and a function that is called in the loop's thread."""

    def __init__(self, at: Context, loop: asyncio.AbstractEventLoop) -> None:
        self._at = at
        self._loop = loop
        self._waits: dict[Wait, frozenset[Address]] = {}
        self._wanted = threading.Condition()
        self._thread: threading.Thread | None = None
        self.closed = False
        """Whether every wait ends with what is known."""

    def add(self, wait: Wait) -> None:
        """Look for this wait from now on."""
        with self._wanted:
            self._waits[wait] = frozenset(wait.addresses)
            self._wanted.notify()
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
            self._thread.start()

    def remove(self, wait: Wait) -> None:
        """Look no more for this wait."""
        with self._wanted:
            self._waits.pop(wait, None)

    def close(self) -> None:
        """End all waits."""
        self.closed = True
        with self._wanted:
            waits = list(self._waits)
        for wait in waits:
            wait.news.set()

    def _run(self) -> None:
        while True:
            with self._wanted:
                while not self._waits:
                    self._wanted.wait()
            try:
                with own_context(self._at) as here:
                    self._watch(here.open_queue())
            except Exception as error:  # the waits tell it, each to its own client
                self._tell_all(error)
                time.sleep(CHECK_SECONDS)

    def _watch(self, queue: Queue) -> None:
        """Look until nobody waits any more."""
        with queue.bell() as bell:
            while True:
                bell.empty()
                with self._wanted:
                    waits = dict(self._waits)
                if not waits:
                    return
                addresses = sorted({each for wanted in waits.values() for each in wanted})
                found = look(queue, addresses)
                for wait, wanted in waits.items():
                    self._tell(wait, {address: found[address] for address in wanted})
                bell.wait(CHECK_SECONDS)

    def _tell_all(self, error: Exception) -> None:
        with self._wanted:
            waits = list(self._waits)
        for wait in waits:
            self._tell(wait, error)

    def _tell(self, wait: Wait, found: Look | Exception) -> None:
        self._loop.call_soon_threadsafe(wait.looked, found)


class Wait:
    """One wait: what was last found of its tasks, and an event that is set when that may have changed."""

    def __init__(self, addresses: Iterable[Address], first: frozenset[Status], found: Look) -> None:
        self.addresses = tuple(addresses)
        self.first = first
        self.found = found
        self.error: Exception | None = None
        self.news = asyncio.Event()

    def looked(self, found: Look | Exception) -> None:
        """Take what the watch has found."""
        if isinstance(found, Exception):
            self.error = found
        else:
            self.found = found
        self.news.set()

    def tasks(self) -> list[Task]:
        """The tasks as last found. Raises what keeps one of them from being read."""
        if self.error is not None:
            raise self.error
        found = [self.found[address] for address in self.addresses]
        for each in found:
            if isinstance(each, AgentqError):
                raise each
        return [each for each in found if isinstance(each, Task)]

    def is_over(self, tasks: Sequence[Task]) -> bool:
        """Whether what was waited for has come: all have ended, or one with a status that ends the wait."""
        ended = [task.status.ended for task in tasks]
        return all(ended) or any(task.status in self.first for task in tasks)


def look(queue: Queue, addresses: Iterable[Address]) -> Look:
    """The tasks as they are now."""
    wanted = list(addresses)
    return {
        address: task.error if isinstance(task, Undone) else task
        for address, task in zip(wanted, queue.task_each(wanted), strict=True)
    }
