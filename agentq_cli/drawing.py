"""What screens are drawn with: pure functions from values to lines that fit a width, coloured by a pen.

Only the sixteen base colours and none that means black or white are used, so that a dark and a light terminal both
stay readable; whatever a colour says is also said by a word.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from agentq_cli import values
from agentq_cli.dataclass import NamedTuple
from agentq_cli.model import WaitingFor
from agentq_cli.tables import NOTHING, STATUS_COLOURS, Change, Column, Table, ZoneTime, cells, cut, one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

BOLD, DIM, REVERSED = "1", "2", "7"
WRONG, ODD, GOOD, BUSY = "31", "33", "32", "36"

SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
PLAIN_SPINNER = "|/-\\"


class Pen(NamedTuple):
    """How a terminal is to be written to: whether with colours, and whether with ASCII alone."""

    colours: bool
    plain: bool

    def __call__(self, text: str, style: str) -> str:
        """The text in a style (parameters of SGR, ECMA-48), or as it is."""
        return f"\x1b[{style}m{text}\x1b[0m" if self.colours and style and text else text

    @property
    def ellipsis(self) -> str:
        """One cell that says that something was left out."""
        return "~" if self.plain else "…"

    @property
    def dot(self) -> str:
        """What stands between the parts of a line."""
        return " | " if self.plain else " · "

    @property
    def arrow(self) -> str:
        """From one thing to another."""
        return "->" if self.plain else "→"

    def spinner(self, now: int) -> str:
        """One cell that is another one each second."""
        frames = PLAIN_SPINNER if self.plain else SPINNER
        return frames[now // 1000 % len(frames)]

    def status(self, word: str) -> str:
        """A status in its colour."""
        return self(word, STATUS_COLOURS.get(word, ""))


def shown(column: Column, value: object, now: int | None, arrow: str = "→") -> str:
    """A cell's text. `now` is the time for a person, who is told how far away a time is; None gives exact times."""
    if value is None or value == "" or value == []:
        return NOTHING
    if isinstance(value, WaitingFor):
        return one_line(values.format_waiting(value, now)) or NOTHING
    if isinstance(value, Change):
        return one_line(f"{value.before or NOTHING} {arrow} {value.after or NOTHING}")
    if isinstance(value, ZoneTime):
        value = value.local if now is None else value.at
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
    """A time as RFC 3339 writes it, as `5m ago` or `in 2h`."""
    from datetime import datetime

    return values.format_relative(round(datetime.fromisoformat(text).timestamp() * 1000), now)


def table(
    columns: Sequence[Column],
    items: Sequence[Mapping[str, Any]],
    *,
    pen: Pen,
    width: int,
    now: int,
    selected: int | None = None,
) -> list[str]:
    """The lines of a table: its header, and one line an item; the `selected` one is reversed over the whole width."""
    row = -1

    def paint(column: Column, text: str, part: str) -> str:
        if part == "header":
            return pen(text, BOLD)
        if row == selected:
            return text
        return pen.status(text) if column.kind == "status" else text

    laid = Table(columns, lambda column, value: shown(column, value, now, pen.arrow), paint, width, pen.ellipsis)
    lines = []
    page = laid.page(items)
    for row in range(-1, len(items)):
        line = next(page)
        if row == selected:
            line = pen(line + " " * (width - cells(line)), REVERSED)
        lines.append(line)
    return lines


def sentence(parts: Sequence[tuple[str, str]], *, pen: Pen, width: int) -> str:
    """Parts of a line, each with its style, with dots between them; what does not fit is left out from the end."""
    room, line = width, ""
    for text, style in parts:
        text = one_line(text)
        gap = pen.dot if line else ""
        if cells(text) + len(gap) > room:
            return line or pen(cut(text, width, pen.ellipsis), style)
        line += pen(gap, DIM) + pen(text, style)
        room -= cells(text) + len(gap)
    return line
