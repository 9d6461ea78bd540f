"""Tables: their columns, the text of a cell, and the lines of a table in a pipe.

Widths are those of a terminal: a wide character takes two cells, a combining one none. `drawing` draws tables on a
terminal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from agentq_cli.base.clock import from_rfc3339
from agentq_cli.base.dataclass import NamedTuple, dataclass
from agentq_cli.model.tasks import WaitingFor
from agentq_cli.options import moments, values
from agentq_cli.show.harmless import one_line
from agentq_cli.show.pen import BOLD, STATUS_STYLES, Pen
from agentq_cli.show.results import Told

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

NOTHING = "-"
"""A cell without a value, so that columns can still be counted."""

TO_THE_RIGHT = ("number", "duration", "size")
"""The kinds of column that are aligned to the right."""


class Change(NamedTuple):
    """A cell: from one status to another."""

    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its header, and the key of the item or the function that gives its text.

    `kind` is how a value is shown: `text`, `words` (agentq's own), `address` (cut after any text), `status` (coloured),
    `time` (RFC 3339), `duration` (milliseconds), `size` (bytes), `number` (right-aligned), `waiting` (a WaitingFor in a
    few words). On a terminal a time, also within agentq's own words, is short and local. If a terminal is too narrow,
    columns with `spare` are left out, 1 before 2 before 3; then texts are cut, but never `keep` columns. A `sparse`
    column is left out if it is empty on the first page: with 1 on a terminal, with 2 in a pipe too. If the item has a
    value under the key `under`, that is shown instead; on a wide terminal it gets a line of its own under the row.
    """

    header: str
    value: str | Callable[[Mapping[str, Any]], object]
    kind: str = "text"
    keep: bool = False
    spare: int = False
    sparse: int = False
    under: str = ""

    def of(self, item: Mapping[str, Any], *, wide: bool = False) -> object:
        """The column's value for an item."""
        if self.under and not wide and item[self.under]:
            return item[self.under]
        return item.get(self.value) if isinstance(self.value, str) else self.value(item)

    def style_of(self, text: str) -> str:
        """The style in which a cell of that text is written."""
        return STATUS_STYLES.get(text, "") if self.kind == "status" else ""


def cells(text: str) -> int:
    """How many cells of a terminal the text takes."""
    if text.isascii():
        return len(text)
    import unicodedata

    width = len(text)
    for character in text:
        if character < "\u0300":
            continue
        if unicodedata.combining(character):
            width -= 1
        elif unicodedata.east_asian_width(character) in "WF":
            width += 1
    return width


def cut(text: str, width: int, ellipsis: str) -> str:
    """The beginning of a line that fits `width` cells; the last of them shows if something was left out."""
    if cells(text) <= width:
        return text
    kept = text[: width - 1]
    while cells(kept) > width - 1:
        kept = kept[:-1]
    return kept + ellipsis


def shown(column: Column, value: object, now: int | None, arrow: str = "→") -> str:
    """A cell's text. With `now`, a person sees how far away a time is; None gives exact times."""
    if value is None or value == "" or value == []:
        return NOTHING
    if isinstance(value, WaitingFor):
        return one_line(moments.waiting(value, now)) or NOTHING
    if isinstance(value, Change):
        return one_line(f"{value.before or NOTHING} {arrow} {value.after or NOTHING}")
    if isinstance(value, Told):
        return one_line(value.exact if now is None else value.words)
    if column.kind == "words" and now is not None:
        return one_line(moments.spoken(str(value), now))
    if column.kind == "time" and now is not None and str(value).endswith("Z"):
        return relative(str(value), now)
    if column.kind == "duration" and isinstance(value, int):
        return values.format_duration(value)
    if column.kind == "size" and isinstance(value, int):
        return values.format_size(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return one_line(", ".join(map(str, value)))
    return one_line(str(value))


def relative(text: str, now: int) -> str:
    """An RFC 3339 time as a person reads it: `5 min ago`, `in 2h`, `Tue 09:00`."""
    return moments.short(from_rfc3339(text), now)


def wrapped(text: str, width: int) -> str:
    """A line wrapped between words to fit `width`; a longer word stays whole, so that it can be copied.

    The following lines are indented like the first, or start below its second column if spaces set off a first one.
    """
    if cells(text) <= width:
        return text
    import re

    column = re.match(r" *\S+ {2,}", text)
    head = column[0] if column is not None and cells(column[0]) <= width // 2 else ""
    head = head or text[: len(text) - len(text.lstrip(" "))]
    lines = [""]
    for word in text[len(head) :].split(" "):
        if lines[-1] and cells(head + lines[-1]) + 1 + cells(word) > width:
            lines.append(word)
        else:
            lines[-1] += f" {word}" if lines[-1] else word
    return head + ("\n" + " " * cells(head)).join(lines)


class Table:
    """A table for a pipe, page by page in bounded memory: columns are as wide as the widest seen, and never cut."""

    def __init__(self, columns: Sequence[Column], pen: Pen) -> None:
        self._columns = columns
        self._pen = pen
        self._widths: list[int] = []

    def page(self, items: Sequence[Mapping[str, Any]]) -> Iterator[str]:
        """The lines of more items; the first page begins with the header."""
        headed = bool(self._widths)
        if not headed:
            self._columns = [each for each in self._columns if each.sparse < 2 or any(map(each.of, items))]
            self._widths = [cells(column.header) for column in self._columns]
        rows = [[shown(column, column.of(item), None, self._pen.arrow) for column in self._columns] for item in items]
        # Nothing follows the last column, so its width does not matter.
        for row in rows:
            for position in range(len(self._columns) - 1):
                self._widths[position] = max(self._widths[position], cells(row[position]))
        if not headed:
            yield self._line([column.header for column in self._columns], BOLD)
        for row in rows:
            yield self._line(row)

    def _line(self, texts: Sequence[str], style: str = "") -> str:
        parts = []
        for column, text, width in zip(self._columns, texts, self._widths, strict=True):
            part, gap = text, " " * (width - cells(text))
            if self._pen.colours:
                part = self._pen(text, style or column.style_of(text))
            parts.append(gap + part if column.kind in TO_THE_RIGHT else part + gap)
        return "  ".join(parts).rstrip(" ")
