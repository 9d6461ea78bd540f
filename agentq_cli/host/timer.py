"""A timer that can be polled beside other descriptors (timerfd_create(2)); Python has it from 3.13 on."""

from __future__ import annotations

import ctypes
import os
import time

TFD_NONBLOCK, TFD_CLOEXEC = os.O_NONBLOCK, os.O_CLOEXEC

_libc = ctypes.CDLL(None, use_errno=True)


class TimerDescriptor:
    """It is readable when a period has passed. Its clock goes on while the machine sleeps. Raises OSError."""

    def __init__(self) -> None:
        self._descriptor: int = _libc.timerfd_create(time.CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC)
        if self._descriptor < 0:
            _fail()

    def fileno(self) -> int:
        """The descriptor to poll for reading."""
        return self._descriptor

    def every(self, period_ms: int | None) -> None:
        """Have it end each period from now on; None: not any more."""
        seconds, rest = divmod(period_ms or 0, 1000)
        period = (seconds, rest * 1_000_000)
        when = (ctypes.c_long * 4)(*period, *period)  # struct itimerspec: each period, and the first
        if _libc.timerfd_settime(self._descriptor, 0, when, None) != 0:
            _fail()

    def take(self) -> bool:
        """Whether a period has passed since the last call."""
        try:
            return bool(os.read(self._descriptor, 8))
        except BlockingIOError:
            return False

    def close(self) -> None:
        """Close it."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _fail() -> None:
    number = ctypes.get_errno()
    raise OSError(number, os.strerror(number))
