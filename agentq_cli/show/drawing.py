"""What a terminal shows, drawn by rich; imported only once there is something to draw on one.

All text is data: nothing here reads markup, emoji or links out of it, and nothing is highlighted.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from rich.cells import cell_len
from rich.console import Console, JustifyMethod, RenderableType
from rich.table import Table
from rich.text import Text

from agentq_cli.show.harmless import one_line
from agentq_cli.show.pen import BOLD, DIM, Pen
from agentq_cli.show.tables import NOTHING, TO_THE_RIGHT, Column, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SMALLEST = 4
"""No column is cut to fewer cells than this."""

READABLE = 20
"""Cells that a long text is to have before columns that can be spared are shown beside it."""

TEXTS = {"text": READABLE, "waiting": 2 * READABLE}
"""The kinds of column that may be cut and still say something, each with the cells that it is to have before."""

SCARCE = {2: 16, 3: 12}
"""The same before a column is left out that is spared late."""

GAP = 2
"""Cells between two columns."""

AT_ONCE = 50
"""Rows drawn at once: drawing takes longer than reading, and the first are seen while others are drawn."""


class Canvas:
    """Turns what is drawn into lines that fit, as this pen writes them."""

    def __init__(self, pen: Pen) -> None:
        self.pen = pen
        self._console = Console(
            force_terminal=True,
            color_system="standard" if pen.colours else None,
            no_color=False,
            height=24,
            markup=False,
            emoji=False,
            highlight=False,
            force_jupyter=False,
            legacy_windows=False,
            _environ={},
        )

    def lines(self, drawn: Iterable[RenderableType], width: int) -> list[str]:
        """The lines of all that is drawn, none of more cells than `width`."""
        self._console.width = width
        with self._console.capture() as captured:
            for each in drawn:
                self._console.print(each, no_wrap=True, overflow="ellipsis")
        text = captured.get()
        if self.pen.plain:
            text = text.replace("…", self.pen.ellipsis)  # rich knows no other one
        return [line.rstrip(" ") for line in text.split("\n")[:-1]]


def line(*parts: str | tuple[str, str]) -> Text:
    """One line of texts, some with their style, each made harmless; its end is left out where it does not fit."""
    drawn = Text(no_wrap=True, overflow="ellipsis")
    for part in parts:
        text, style = (part, "") if isinstance(part, str) else part
        drawn.append(text if text.isprintable() else one_line(text), style)
    return drawn


def sentence(parts: Sequence[tuple[str, str]], pen: Pen) -> Text:
    """The same with dots between the parts."""
    dotted = [each for part in parts for each in ((pen.dot, DIM), part)]
    return line(*dotted[1:])


def table(
    columns: Sequence[Column], items: Sequence[Mapping[str, Any]], *, pen: Pen, width: int, now: int, selected: int = -1
) -> Table:
    """A line for the header, and one for each item; the `selected` one is without colours, to be marked."""
    return Pages(columns, Canvas(pen), width=width, now=now).page(items, selected)


class Pages:
    """A table of a terminal, page by page in bounded memory; what does not fit is left out as its columns say."""

    def __init__(self, columns: Sequence[Column], canvas: Canvas, *, width: int, now: int) -> None:
        self._columns = columns
        self._canvas = canvas
        self._width = width
        self._now = now
        self._natural: list[int] = []

    def lines(self, items: Sequence[Mapping[str, Any]]) -> Iterator[str]:
        """The lines of some more items; those of the first page begin with the header."""
        headed, texts = bool(self._natural), self._laid(items)
        for begin in range(0, len(items), AT_ONCE):
            some = [cells[begin : begin + AT_ONCE] for cells in texts]
            yield from self._canvas.lines([self._drawn(some, header=not headed and not begin)], self._width)

    def page(self, items: Sequence[Mapping[str, Any]], selected: int = -1) -> Table:
        """The first page as it is drawn, with its header; the `selected` item is without colours."""
        return self._drawn(self._laid(items), header=True, selected=selected)

    def _laid(self, items: Sequence[Mapping[str, Any]]) -> list[list[str]]:
        """The texts of each column. On the first page the columns are chosen; they only become wider on others."""
        now, arrow = self._now, self._canvas.pen.arrow
        texts = [[shown(column, column.of(item), now, arrow) for item in items] for column in self._columns]
        before = self._natural or [cell_len(column.header) for column in self._columns]
        natural = [max(width, *map(cell_len, cells)) for width, cells in zip(before, texts, strict=True)]
        if not self._natural:
            bare = [set(cells) <= {NOTHING} for cells in texts]
            kept = fitting(self._columns, natural, self._width, bare=bare)
            self._columns, texts = [self._columns[n] for n in kept], [texts[n] for n in kept]
            natural = [natural[n] for n in kept]
        self._natural = natural
        return texts

    def _drawn(self, texts: Sequence[Sequence[str]], *, header: bool, selected: int = -1) -> Table:
        drawn = Table(box=None, padding=(0, GAP, 0, 0), pad_edge=False, header_style="", show_header=header)
        widths = shared(self._columns, self._natural, self._width)
        columns = self._columns[: len(widths)]
        for column, width in zip(columns, widths, strict=True):
            justify: JustifyMethod = "right" if column.kind in TO_THE_RIGHT else "left"
            drawn.add_column(line((column.header, BOLD)), justify=justify, no_wrap=True, width=width)
        for number, row in enumerate(zip(*texts[: len(widths)], strict=True)):
            cells = zip(columns, row, strict=True)
            drawn.add_row(*(line((text, "" if number == selected else each.style_of(text))) for each, text in cells))
        return drawn


def fitting(columns: Sequence[Column], widths: Sequence[int], room: int, *, bare: Sequence[bool]) -> list[int]:
    """Which columns are shown: not the sparse ones that are `bare`, and of those that can be spared what has room."""
    kept = [n for n, column in enumerate(columns) if not (column.sparse and bare[n])]
    wanted = {n: widths[n] if columns[n].keep else min(widths[n], TEXTS.get(columns[n].kind, widths[n])) for n in kept}
    for n in sorted((n for n in kept if columns[n].spare), key=lambda n: (columns[n].spare, -n)):
        # Those that are spared late go only where even texts that are cut short would not do.
        least = SCARCE.get(int(columns[n].spare))
        if least is not None:
            texts = [other for other in wanted if columns[other].kind in TEXTS and not columns[other].keep]
            wanted |= {other: min(wanted[other], least) for other in texts}
        if _taken(wanted.values()) <= room:
            break
        del wanted[n]
    return list(wanted)


def shared(columns: Sequence[Column], natural: Sequence[int], room: int) -> list[int]:
    """The width of each column: texts give way first, the widest of them before others; what is kept never does.

    If even that is too much, the last columns have none.
    """
    widths = [min(width, room) for width in natural]
    others = [n for n, column in enumerate(columns) if not column.keep]
    for group in ([n for n in others if columns[n].kind in TEXTS], others):
        while _taken(widths) > room:
            widest = max(group, key=lambda n: widths[n], default=None)
            if widest is None or widths[widest] <= SMALLEST:
                break
            widths[widest] -= 1
    while len(widths) > 1 and _taken(widths) > room:
        widths.pop()
    return widths


def _taken(widths: Collection[int]) -> int:
    return sum(widths) + GAP * (len(widths) - 1)
