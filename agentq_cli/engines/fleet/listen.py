"""The bell of the fleet: a connection that LISTENs, beside this process's doorbell on its machine.

A pooler in transaction mode takes a LISTEN and never passes anything on. So a ring is sent at first, on a channel of
this process's own and through the connection that the queue works with: if it does not come back in time, the bell
rings each second instead, and `slow` says so. It does the same while the connection is lost.
"""

from __future__ import annotations

import contextlib
import select
import uuid

from agentq_cli.base.clock import monotonic_ms
from agentq_cli.base.errors import AgentqError, Busy, Refused
from agentq_cli.engines.fleet import driver, errors
from agentq_cli.engines.fleet.dsn import dsn
from agentq_cli.host import bells
from agentq_cli.host.timer import TimerDescriptor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any, Self

    from agentq_cli.engines.fleet.connection import Connection

ECHO_MS = 2_000
"""How long the first ring may take to come back."""

LOOK_MS = 1_000
"""How often to look when nobody rings."""


class Bell:
    """A context manager (`subdoors.Bell`), which listens from its making on. `directory` has the doorbells of this
    machine; a machine that runs nothing has none. `url` is another way to the database than the queue's."""

    slow: str | None = None

    def __init__(self, database: Connection, directory: str, url: str | None = None) -> None:
        self._database = database
        self._url = url or database.url
        self._own = bells.Bell(directory)
        self._channel = f"agentq_{uuid.uuid4().hex}"
        self._listening: Any = None
        self._echo_by: int | None = None
        self._rung = False
        self._timer = TimerDescriptor()
        self._poll = select.epoll()
        self._poll.register(self._timer.fileno(), select.EPOLLIN)
        if (own := self._doorbell()) is not None:
            self._poll.register(own, select.EPOLLIN)
        with contextlib.suppress(AgentqError):
            self._listen()

    def _doorbell(self) -> int | None:
        try:
            return self._own.fileno()
        except Refused:
            return None

    def fileno(self) -> int:
        """A descriptor to poll for reading."""
        return self._poll.fileno()

    def _listen(self) -> None:
        """Connect, and send the first ring. Raises Busy."""
        self._timer.every(LOOK_MS)
        try:
            self._listening = driver.connect(dsn(self._url))
            with self._listening.cursor() as cursor:
                cursor.execute(f'LISTEN "{self._database.schema}"; LISTEN "{self._channel}"')
        except (driver.Error, driver.Unanswered) as error:
            self._lose()
            raise Busy(errors.at(self._url, f"LISTEN: {errors.line(error)}; try again")) from error
        self._poll.register(self._listening.fileno(), select.EPOLLIN)
        self._database.send(self._database.filled("SELECT pg_notify(%(channel)s, '')", {"channel": self._channel}))
        self._echo_by = monotonic_ms() + ECHO_MS

    def empty(self) -> None:
        """Take all rings; call this before the check that answers them."""
        self.rung()
        self._rung = False

    def rung(self) -> bool:
        """Whether somebody else rang since it was emptied, or it is time to look."""
        if (own := self._doorbell()) is not None and select.select([own], [], [], 0)[0]:
            self._own.empty()
            self._rung = True
        if self._timer.take():
            self._ticked()
        if self._listening is not None:
            self._hear()
        return self._rung

    def _ticked(self) -> None:
        """A second has passed without a bell that can be relied on."""
        if self._listening is None:
            self._rung = True
            if not self._database.lost:  # otherwise the server would not answer here either
                with contextlib.suppress(AgentqError):
                    self._listen()
        elif self._echo_by is not None and monotonic_ms() >= self._echo_by:
            self._rung = True
            self.slow = "its rings do not come through: it looks each second (`listen_url` names a way past a pooler)"

    def _hear(self) -> None:
        try:
            self._listening.poll()
        except driver.Error:
            self._lose()
            return
        me = self._database.server_pid
        for ring in self._listening.notifies:
            if ring.channel == self._channel:
                self._echo_by = self.slow = None
                self._timer.every(None)
            elif ring.pid != me:
                self._rung = True
        self._listening.notifies.clear()

    def _lose(self) -> None:
        """The connection is gone: look each second, until there is another one."""
        self._rung, self._echo_by = True, None
        if self._listening is not None:
            with contextlib.suppress(OSError, ValueError, driver.Error):
                self._poll.unregister(self._listening.fileno())
            self._listening.close()
            self._listening = None
        self._timer.every(LOOK_MS)

    def wait(self, seconds: float) -> bool:
        """Wait for a ring, for at most this many seconds; returns whether there was one. The bell is emptied."""
        end = monotonic_ms() + int(seconds * 1000)
        while not self.rung() and (left := end - monotonic_ms()) > 0:
            select.select([self.fileno()], [], [], left / 1000)
        rung, self._rung = self._rung, False
        return rung

    def tried(self) -> str | None:
        """Wait until the first ring has come back, or would have by now; why it did not, None if it did."""
        descriptor = self.fileno()
        while self._echo_by is not None and self.slow is None:
            select.select([descriptor], [], [], LOOK_MS / 1000)
            self.rung()
        return self.slow

    def close(self) -> None:
        """Remove it."""
        for each in (self._listening, self._poll, self._timer, self._own):
            if each is not None:
                each.close()
        self._listening = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
