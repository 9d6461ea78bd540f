"""Draws on a terminal with rich; imported only if there is something to draw.

All text is data: it is never read as markup, emoji or links, and never highlighted.
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
"""The fewest cells to which a column is cut."""

READABLE = 20
"""How many cells a long text must have before optional columns are shown next to it."""

TEXTS = {"text": READABLE, "words": READABLE, "waiting": 2 * READABLE}
"""The kinds of column that are still useful when cut, each with the cells that it must have first."""

SCARCE = {2: 16, 3: 10}
"""The same, before columns with a higher `spare` are left out."""

GAP = 2
"""Cells between two columns."""

WIDE = 120
"""From this width on a row may have a line under it."""

AT_ONCE = 50
"""How many rows are drawn at once: drawing is slower than reading, so the first rows appear while others are drawn."""


class Canvas:
    """Turns drawings into lines that fit, written by this pen."""

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
        """The lines of the drawings, none of more cells than `width`."""
        self._console.width = width
        with self._console.capture() as captured:
            for each in drawn:
                self._console.print(each, no_wrap=True, overflow="ellipsis")
        text = self.pen.spelled(captured.get())  # rich has no other ellipsis
        return [line.rstrip(" ") for line in text.split("\n")[:-1]]

    def wrapped(self, drawn: RenderableType, width: int) -> list[str]:
        """The lines of a drawing whose texts are wrapped to this width."""
        self._console.width = width
        with self._console.capture() as captured:
            self._console.print(drawn)
        return [line.rstrip(" ") for line in captured.get().strip("\n").split("\n")]


def line(*parts: str | tuple[str, str]) -> Text:
    """One line of texts, some with a style, all made harmless; the end is cut off if it does not fit."""
    drawn = Text(no_wrap=True, overflow="ellipsis")
    for part in parts:
        text, style = (part, "") if isinstance(part, str) else part
        drawn.append(text if text.isprintable() else one_line(text), style)
    return drawn


def sentence(parts: Sequence[tuple[str, str]], pen: Pen) -> Text:
    """The same with dots between the parts."""
    dotted = [each for part in parts for each in ((pen.dot, DIM), part)]
    return line(*dotted[1:])


def table(columns: Sequence[Column], items: Sequence[Mapping[str, Any]], *, pen: Pen, width: int, now: int) -> Table:
    """A table with a header line and a line for each item."""
    return Pages(columns, Canvas(pen), width=width, now=now).page(items)


class Pages:
    """A table for a terminal, page by page in bounded memory; its columns define what is left out if it does not
    fit."""

    def __init__(self, columns: Sequence[Column], canvas: Canvas, *, width: int, now: int) -> None:
        self._columns = columns
        self._canvas = canvas
        self._width = width
        self._now = now
        self._natural: list[int] = []

    def lines(self, items: Sequence[Mapping[str, Any]]) -> Iterator[str]:
        """The lines of more items; the first page begins with the header."""
        headed, texts = bool(self._natural), self._laid(items)
        for begin in range(0, len(texts[0]), AT_ONCE):
            some = [cells[begin : begin + AT_ONCE] for cells in texts]
            yield from self._canvas.lines([self._drawn(some, header=not headed and not begin)], self._width)

    def page(self, items: Sequence[Mapping[str, Any]]) -> Table:
        """The first page as a drawing with a header."""
        return self._drawn(self._laid(items), header=True)

    def _laid(self, items: Sequence[Mapping[str, Any]]) -> list[list[str]]:
        """The texts of each column. The first page chooses the columns; later pages can only make them wider."""
        texts = [list(self._cells(column, items)) for column in self._columns]
        before = self._natural or [cell_len(column.header) for column in self._columns]
        natural = [max(width, *map(cell_len, cells)) for width, cells in zip(before, texts, strict=True)]
        if not self._natural:
            bare = [set(cells) <= {NOTHING, ""} for cells in texts]
            kept = fitting(self._columns, natural, self._width, bare=bare)
            self._columns, texts = [self._columns[n] for n in kept], [texts[n] for n in kept]
            natural = [natural[n] for n in kept]
        self._natural = natural
        return texts

    def _cells(self, column: Column, items: Sequence[Mapping[str, Any]]) -> Iterator[str]:
        """The texts of a column: one for each item, and one for the line under it if it has one."""
        now, arrow, wide = self._now, self._canvas.pen.arrow, self._width >= WIDE
        under = {each.under for each in self._columns if each.under} if wide else ()
        for item in items:
            yield shown(column, column.of(item, wide=wide), now, arrow)
            for name in under:
                if item[name]:
                    yield one_line(str(item[name])) if name == column.under else ""

    def _drawn(self, texts: Sequence[Sequence[str]], *, header: bool) -> Table:
        drawn = Table(box=None, padding=(0, GAP, 0, 0), pad_edge=False, header_style="", show_header=header)
        widths = shared(self._columns, self._natural, self._width)
        columns = self._columns[: len(widths)]
        for column, width in zip(columns, widths, strict=True):
            justify: JustifyMethod = "right" if column.kind in TO_THE_RIGHT else "left"
            drawn.add_column(line((column.header, BOLD)), justify=justify, no_wrap=True, width=width)
        for row in zip(*texts[: len(widths)], strict=True):
            cells = zip(columns, row, strict=True)
            drawn.add_row(*(line((text, each.style_of(text))) for each, text in cells))
        return drawn


def fitting(columns: Sequence[Column], widths: Sequence[int], room: int, *, bare: Sequence[bool]) -> list[int]:
    """Which columns are shown: not the sparse ones that are `bare`, and as many of the optional ones as fit."""
    kept = [n for n, column in enumerate(columns) if not (column.sparse and bare[n])]
    wanted = {n: widths[n] if columns[n].keep else min(widths[n], TEXTS.get(columns[n].kind, widths[n])) for n in kept}
    for n in sorted((n for n in kept if columns[n].spare), key=lambda n: (columns[n].spare, -n)):
        # Columns with a higher `spare` are only left out if even shortened texts would not fit.
        least = SCARCE.get(int(columns[n].spare))
        if least is not None:
            texts = [other for other in wanted if columns[other].kind in TEXTS and not columns[other].keep]
            wanted |= {other: min(wanted[other], least) for other in texts}
        if _taken(wanted.values()) <= room:
            break
        del wanted[n]
    return list(wanted)


def shared(columns: Sequence[Column], natural: Sequence[int], room: int) -> list[int]:
    """The width of each column: texts are cut first, the widest of them before others; `keep` columns are never cut.

    If even that is too wide, the last columns get no width.
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
