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
from agentq_cli.base.errors import AgentqError, Busy
from agentq_cli.engines.fleet import driver, errors
from agentq_cli.engines.fleet.connection import dsn
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
    """A context manager, as `host.bells.Bell`. Nothing is opened before it is used."""

    def __init__(self, database: Connection, directory: str, url: str | None = None) -> None:
        self._database = database
        self._url = url or database.url
        self._own = bells.Bell(directory)
        self._channel = f"agentq_{uuid.uuid4().hex}"
        self._listening: Any = None
        self._poll: select.epoll | None = None
        self._timer: TimerDescriptor | None = None
        self._echo_by: int | None = None
        self._rung = False
        self.slow: str | None = None
        """Why it rings each second and not when something happens; None: it need not."""

    def fileno(self) -> int:
        """A descriptor to poll for reading. Raises Refused if there is no doorbell, and Busy."""
        if self._poll is None:
            self._open()
        assert self._poll is not None
        return self._poll.fileno()

    def _open(self) -> None:
        own, timer = self._own.fileno(), TimerDescriptor()
        self._timer, self._poll = timer, select.epoll()
        self._poll.register(own, select.EPOLLIN)
        self._poll.register(timer.fileno(), select.EPOLLIN)
        self._listen()

    def _listen(self) -> None:
        """Connect, and send the first ring. Raises Busy."""
        assert self._poll is not None and self._timer is not None
        self._rung = True  # whatever happened while nobody listened
        self._timer.every(LOOK_MS)
        try:
            self._listening = driver.connect(dsn(self._url))
            with self._listening.cursor() as cursor:
                cursor.execute(f'LISTEN "{self._database.schema}"; LISTEN "{self._channel}"')
        except (driver.Error, driver.Unanswered) as error:
            self._lose()
            raise Busy(errors.at(self._url, f"LISTEN: {error}; try again")) from error
        self._poll.register(self._listening.fileno(), select.EPOLLIN)
        self._database.send(self._database.filled("SELECT pg_notify(%(channel)s, '')", {"channel": self._channel}))
        self._echo_by = monotonic_ms() + ECHO_MS

    def empty(self) -> None:
        """Take all rings; call this before the check that answers them."""
        self.rung()
        self._rung = False

    def rung(self) -> bool:
        """Whether somebody else rang since it was emptied, or it is time to look."""
        self._own_rings()
        if self._timer is not None and self._timer.take():
            self._ticked()
        if self._listening is not None:
            self._hear()
        return self._rung

    def _own_rings(self) -> None:
        with contextlib.suppress(AgentqError):
            if select.select([self._own.fileno()], [], [], 0)[0]:
                self._own.empty()
                self._rung = True

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
                assert self._timer is not None
                self._timer.every(None)
            elif ring.pid != me:
                self._rung = True
        self._listening.notifies.clear()

    def _lose(self) -> None:
        """The connection is gone: look each second, until there is another one."""
        self._rung, self._echo_by = True, None
        if self._listening is not None:
            with contextlib.suppress(OSError, ValueError, driver.Error):
                assert self._poll is not None
                self._poll.unregister(self._listening.fileno())
            self._listening.close()
            self._listening = None
        if self._timer is not None:
            self._timer.every(LOOK_MS)

    def wait(self, seconds: float) -> bool:
        """Wait for a ring, for at most this many seconds; returns whether there was one. The bell is emptied."""
        end = monotonic_ms() + int(seconds * 1000)
        descriptor = self.fileno()
        while not self.rung() and (left := end - monotonic_ms()) > 0:
            select.select([descriptor], [], [], left / 1000)
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
        self._listening = self._poll = self._timer = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
