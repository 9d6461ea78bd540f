"""The lower lines of a terminal, which are redrawn in place, below lines that stay.

Not `rich.live`: that blocks if the terminal does not accept output, and erases a drawing by its size before a resize.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from agentq_cli.base.clock import monotonic_ms
from agentq_cli.base.dataclass import dataclass
from agentq_cli.show.harmless import harmless
from agentq_cli.show.tables import cells

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

    from agentq_cli.show.drawing import Canvas
    from agentq_cli.show.pen import Pen
    from agentq_cli.show.results import Item

SECOND_MS = 1000
"""How often a terminal is redrawn if nothing happens."""


@dataclass(frozen=True, slots=True)
class Live:
    """How a stream is shown on a terminal: lines that stay, and below them lines that are redrawn.

    `begin` is called once if a terminal is drawn at all. `line(item, pen)` gives the line of an item, or None if the
    screen already shows it; `screen(pen, width, height)` the redrawn lines; `end(pen)` the last lines that stay.
    """

    line: Callable[[Item, Pen], Text | None]
    screen: Callable[[Pen, int, int], Sequence[RenderableType]]
    end: Callable[[Pen], Sequence[Text]] = lambda pen: ()
    begin: Callable[[], None] = lambda: None


LONGEST_HELD = 200
"""How many lines are kept for a terminal that is stopped by Ctrl-S; older lines are dropped."""


class Board:
    """The lower lines of a terminal, which are redrawn in place, below lines that stay.

    Nothing is written while the terminal does not accept output, so that the caller never waits for it.
    """

    def __init__(self, put: Callable[[str], None], descriptor: int, canvas: Canvas) -> None:
        self._put = put
        self._descriptor = descriptor
        self._canvas = canvas
        self._held: list[Text] = []
        self._drawn: list[int] = []
        self._size = (0, 0)
        self._drawn_at = monotonic_ms() - SECOND_MS

    @property
    def width(self) -> int:
        """The most cells of a line; the last column stays free, because only some terminals wrap there."""
        return max(self._dimensions().columns or 80, 20) - 1

    @property
    def height(self) -> int:
        """The most lines of a screen; one more line stays free above it."""
        return max((self._dimensions().lines or 24) - 2, 1)

    def _dimensions(self) -> os.terminal_size:
        try:
            return os.get_terminal_size(self._descriptor)
        except OSError:
            return os.terminal_size((80, 24))  # the terminal is gone

    def add(self, line: Text | None) -> None:
        """Put a line above the redrawn ones at the next draw."""
        if line is not None:
            self._held = [*self._held[1 - LONGEST_HELD :], line]

    def due(self) -> bool:
        """Whether to draw: a line was added, the size changed, or a second has passed."""
        fresh = bool(self._held) or (self.width, self.height) != self._size
        return (fresh or monotonic_ms() - self._drawn_at >= SECOND_MS) and self._takes()

    def draw(self, drawn: Sequence[RenderableType]) -> None:
        """Replace what was drawn before."""
        self._drawn_at = monotonic_ms()
        self._write(drawn)
        self._size = (self.width, self.height)

    def finish(self, lines: Sequence[Text]) -> None:
        """Erase what is drawn and write these lines instead."""
        for line in lines:
            self.add(line)
        if self._takes():
            self._write([])

    def _takes(self) -> bool:
        import select

        return bool(select.select([], [self._descriptor], [], 0)[1])

    def _write(self, drawn: Sequence[RenderableType]) -> None:
        # A terminal that became narrower has wrapped the lines.
        above = sum(max(1, -(-length // (self.width + 1))) for length in self._drawn)
        back = f"\r\x1b[{above}A" if above else "\r"
        held, below = (self._canvas.lines(each, self.width) for each in (self._held, drawn))
        self._held = []
        self._drawn = [cells(harmless(line)) for line in below]
        self._put(back + "".join(f"{line}\x1b[K\n" for line in (*held, *below)) + "\x1b[J")
