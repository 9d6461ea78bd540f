"""Lines of text that follow a run: wrapped to the width, and no more of them kept than a person goes back through."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.widgets import RichLog

from agentq_cli.top.printed import MOST_LINES, Line


class Reel(RichLog):
    """Shows the newest line unless somebody has scrolled up."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "scroll_down", show=False),
        Binding("k", "scroll_up", show=False),
        Binding("g", "scroll_home", show=False),
        Binding("G", "scroll_end", show=False),
    ]

    def __init__(self) -> None:
        super().__init__(wrap=True, markup=False, highlight=False, min_width=1, max_lines=2 * MOST_LINES)
        self._kept: deque[Line] = deque(maxlen=MOST_LINES)
        self._width = 0

    def add(self, lines: Sequence[Line]) -> None:
        """More lines."""
        self._kept.extend(lines)
        self._write(lines)

    def begin(self) -> None:
        """Forget the lines."""
        self._kept.clear()
        self.clear()

    @property
    def text(self) -> str:
        """All lines that are kept."""
        return "\n".join(line.text for line in self._kept)

    def on_resize(self, event: events.Resize) -> None:
        """Wrap anew."""
        super().on_resize(event)
        if event.size.width != self._width:
            self._width = event.size.width
            self._again()

    def _again(self) -> None:
        self.clear()
        self._write(self._kept)

    def _write(self, lines: Sequence[Line] | deque[Line]) -> None:
        width, end = self.scrollable_content_region.width, self.is_vertical_scroll_end
        for line in lines if width else ():
            self.write(Text(line.text, style=line.style, overflow="fold"), width=width, scroll_end=end)
