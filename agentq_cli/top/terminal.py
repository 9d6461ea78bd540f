"""The terminal of `top`: its screen on stdout, and a mouse that reports clicks and wheels, but not each movement."""

from __future__ import annotations

import sys
from typing import Any

from textual.drivers.linux_driver import LinuxDriver

MOUSE_MODES = (1000, 1006)
"""Presses, releases and wheels, with coordinates in decimal (xterm's ctlseqs). Movements would only cost a line that is
slow."""

PLAIN = str.maketrans("…·•→─━╸╺│┃▌▍╭╮╰╯┌┐└┘├┤┬┴┼▁▂▃▄▅▆▇█▏▎▋▊▉▔▕", "~|*>----||||" + "+" * 13 + " " * 15)
"""What textual draws with, as one character of ASCII each."""


class Terminal(LinuxDriver):
    """textual's driver, on stdout: stderr may be a file."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._file = sys.__stdout__ or self._file

    def _enable_mouse_support(self) -> None:
        if self._mouse:
            self._switch("h")

    def _enable_mouse_pixels(self) -> None:
        """Cells are exact enough."""

    def _disable_mouse_support(self) -> None:
        if self._mouse:
            self._switch("l")

    def use_mouse(self, use: bool) -> None:
        """Take the mouse, or give it back to the terminal, which can then select text."""
        if use:
            self._mouse = True
            self._enable_mouse_support()
        else:
            self._disable_mouse_support()
            self._mouse = False

    def _switch(self, to: str) -> None:
        self.write("".join(f"\x1b[?{mode}{to}" for mode in MOUSE_MODES))
        self.flush()


class PlainTerminal(Terminal):
    """A terminal with another encoding than UTF-8: nothing is drawn with characters that it does not have."""

    def write(self, data: str) -> None:
        """Write these in ASCII, whoever used them; other characters of tasks and agents stay as they are."""
        super().write(data.translate(PLAIN))
