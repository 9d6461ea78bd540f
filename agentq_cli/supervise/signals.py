"""Signals as events to poll: a handler records each signal, and the loop takes them in the order of arrival."""

from __future__ import annotations

import contextlib
import os
import signal
from types import FrameType, TracebackType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Self

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What ends any program; ignored at our start (nohup, `&` in a script), it stays ignored."""

ORDERS: dict[int, str] = {signal.SIGUSR1: "wait", signal.SIGUSR2: "cancel", signal.SIGRTMIN: "leave"}
"""What the signals of `agentq stop` order, whatever --on-stop says of the others. No shell sends or ignores them."""


class Signals:
    """A context manager that takes over the signals that end a supervisor, in the main thread, until its end."""

    def __init__(self) -> None:
        self._arrived: list[int] = []
        self._before: dict[int, Any] = {}
        self._wakeup = -1

    def fileno(self) -> int:
        """A descriptor to poll for reading."""
        return self._read

    def take(self) -> list[int]:
        """The signals that have arrived since the last call."""
        with contextlib.suppress(BlockingIOError):
            while os.read(self._read, 64):
                pass
        arrived, self._arrived = self._arrived, []
        return arrived

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._arrived.append(number)

    def __enter__(self) -> Self:
        self._read, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._wakeup = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        for number in (*ENDING, *ORDERS):
            if number in ORDERS or signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup)
        os.close(self._read)
        os.close(self._write)
