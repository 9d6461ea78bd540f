"""Takes over a whole terminal: single keys, the alternate screen, and everything restored however it ends."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import termios
from collections.abc import Callable, Sequence
from types import FrameType, TracebackType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Self

ENTER = "\x1b[?1049h\x1b[?25l\x1b[H\x1b[2J"
LEAVE = "\x1b[?25h\x1b[?1049l"

KEYS = {
    "\x1b[A": "up",
    "\x1bOA": "up",
    "\x1b[B": "down",
    "\x1bOB": "down",
    "\x1b[5~": "page up",
    "\x1b[6~": "page down",
    "\x1b[H": "home",
    "\x1bOH": "home",
    "\x1b[1~": "home",
    "\x1b[F": "end",
    "\x1bOF": "end",
    "\x1b[4~": "end",
    "\x1b[D": "left",
    "\x1bOD": "left",
    "\x1b[C": "right",
    "\x1bOC": "right",
    "\r": "enter",
    "\n": "enter",
    "\x7f": "left",
    "\x08": "left",
    "\x1b": "escape",
}
LONGEST_KEY = 16


def split_keys(text: str) -> list[str]:
    """What was typed, key by key: a character, or the name of a key; unknown sequences are skipped."""
    keys = []
    at = 0
    while at < len(text):
        end = at + 1
        if text[at] == "\x1b" and text[at + 1 : at + 2] in ("[", "O"):
            end = at + 2
            while end < len(text) and end - at < LONGEST_KEY and not "@" <= text[end] <= "~":
                end += 1
            end += 1
        key = text[at:end]
        at = end
        if key in KEYS:
            keys.append(KEYS[key])
        elif key.isprintable():
            keys.append(key)
    return keys


class Terminal:
    """A context manager over two descriptors of one terminal. Interrupts still raise; Ctrl-Z restores the terminal
    while agentq is stopped.

    `put` writes text to the terminal and flushes it.
    """

    def __init__(self, keyboard: int, screen: int, put: Callable[[str], None]) -> None:
        self._keyboard = keyboard
        self._screen = screen
        self._put = put
        self._before: dict[int, Any] = {}
        self._drawn = ""

    def size(self) -> tuple[int, int]:
        """Columns and lines; 80 and 24 if the terminal does not report them."""
        try:
            found = os.get_terminal_size(self._screen)
        except OSError:
            return 80, 24
        return found.columns or 80, found.lines or 24

    def draw(self, lines: Sequence[str]) -> None:
        """Fill the screen with lines that fit. Writes nothing if nothing changed or it is stopped (Ctrl-S)."""
        text = "\x1b[H" + "\r\n".join(f"{line}\x1b[K" for line in lines) + "\x1b[J"
        if text != self._drawn and select.select([], [self._screen], [], 0)[1]:
            self._put(text)
            self._drawn = text

    def keys(self, seconds: float) -> list[str]:
        """The keys typed within that time; none, at once, if the terminal's size changes.

        Raises EOFError if the terminal is gone.
        """
        ready, _, _ = select.select([self._keyboard, self._wake], [], [], seconds)
        if self._wake in ready:
            with contextlib.suppress(BlockingIOError):
                while os.read(self._wake, 64):
                    pass
        if self._keyboard not in ready:
            return []
        try:
            typed = os.read(self._keyboard, 1024)
        except OSError:
            typed = b""
        if not typed:
            raise EOFError
        return split_keys(typed.decode(errors="replace"))

    def __enter__(self) -> Self:
        self._saved = termios.tcgetattr(self._keyboard)
        self._wake, self._bell = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._wakeup = signal.set_wakeup_fd(self._bell, warn_on_full_buffer=False)
        self._before[signal.SIGWINCH] = signal.signal(signal.SIGWINCH, self._resized)
        self._before[signal.SIGTSTP] = signal.signal(signal.SIGTSTP, self._stopped)
        self._take()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # A second signal must not interrupt restoring the terminal.
        for ending in (signal.SIGINT, signal.SIGTERM):
            self._before[ending] = signal.signal(ending, signal.SIG_IGN)
        try:
            self._give_back()
        finally:
            for number, handler in self._before.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(self._wakeup)
            os.close(self._wake)
            os.close(self._bell)

    def _take(self) -> None:
        attributes = termios.tcgetattr(self._keyboard)
        attributes[3] &= ~(termios.ICANON | termios.ECHO)
        attributes[6][termios.VMIN], attributes[6][termios.VTIME] = 1, 0
        termios.tcsetattr(self._keyboard, termios.TCSADRAIN, attributes)
        self._drawn = ""
        self._put(ENTER)

    def _give_back(self) -> None:
        try:
            with contextlib.suppress(termios.error):  # the terminal is gone
                termios.tcsetattr(self._keyboard, termios.TCSADRAIN, self._saved)
        finally:
            self._put(LEAVE)

    def _resized(self, number: int, frame: FrameType | None) -> None:
        self._drawn = ""

    def _stopped(self, number: int, frame: FrameType | None) -> None:
        self._give_back()
        os.kill(os.getpid(), signal.SIGSTOP)
        self._take()
