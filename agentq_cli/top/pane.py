"""A pane: a table of rows that can be chosen, without anything of its texts being read as markup."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.coordinate import Coordinate
from textual.message import Message
from textual.widgets import DataTable

from agentq_cli.show.pen import BOLD
from agentq_cli.top.panes import Cell, Laid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.show.documents import Item


class Pane(DataTable[Text]):
    """Rows under a header. Only what changes is drawn anew; the chosen row stays chosen."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "cursor_down", show=False),
        Binding("k", "cursor_up", show=False),
        Binding("home,g", "scroll_top", show=False),
        Binding("end,G", "scroll_bottom", show=False),
        Binding("l", "select_cursor", show=False),
    ]

    class Left(Message):
        """The cursor was moved beyond the first row (`step` -1) or the last one (1)."""

        def __init__(self, pane: Pane, step: int) -> None:
            super().__init__()
            self.pane = pane
            self.step = step

    def __init__(self, name: str) -> None:
        super().__init__(id=name, cursor_type="row", cell_padding=1, zebra_stripes=False)
        self._laid: Laid | None = None
        self._fresh = False

    def on_mount(self) -> None:
        """Only the pane that has the keys shows which row they are about."""
        self.show_cursor = False

    def on_focus(self) -> None:
        """Show it."""
        self.show_cursor = self._fresh = True

    def on_blur(self) -> None:
        """Hide it."""
        self.show_cursor = False

    def on_click(self, event: events.Click) -> None:
        """The click that comes to a pane only chooses; a click on what is chosen opens it."""
        fresh, self._fresh = self._fresh, False
        row = event.style.meta.get("row", -1)
        if fresh and row >= 0:
            event.prevent_default().stop()
            self.move_cursor(row=row, animate=False)

    def lay(self, laid: Laid) -> None:
        """Show these rows."""
        before, self._laid = self._laid, laid
        if before is not None and (before.headers, before.widths, before.keys) == (
            laid.headers,
            laid.widths,
            laid.keys,
        ):
            for number, (old, new) in enumerate(zip(before.rows, laid.rows, strict=True)):
                for column, cell in enumerate(new):
                    if cell != old[column]:
                        at = Coordinate(number, column)
                        self.update_cell_at(at, drawn(cell, right=laid.right[column]))
            return
        chosen, top = self.chosen, self.scroll_offset.y
        place = self.cursor_row
        self.clear(columns=True)
        for header, width, right in zip(laid.headers, laid.widths, laid.right, strict=True):
            self.add_column(drawn(Cell(header, BOLD), right=right), width=width)
        for key, row in zip(laid.keys, laid.rows, strict=True):
            self.add_row(*(drawn(cell, right=right) for cell, right in zip(row, laid.right, strict=True)), key=key)
        self.choose(chosen if chosen in laid.keys else None, place)
        self.scroll_to(y=top, animate=False)

    def choose(self, key: str | None, at: int = 0) -> None:
        """Choose the row of that key; without one, the row at this place."""
        keys = self._laid.keys if self._laid is not None else ()
        if keys:
            row = keys.index(key) if key in keys else min(at, len(keys) - 1)
            self.move_cursor(row=row, animate=False)

    @property
    def chosen(self) -> str | None:
        """The key of the chosen row."""
        keys = [key.value for key in self.rows]
        return keys[self.cursor_row] if 0 <= self.cursor_row < len(keys) else None

    @property
    def item(self) -> Item | None:
        """The item of the chosen row."""
        laid = self._laid
        return laid.items[self.cursor_row] if laid is not None and 0 <= self.cursor_row < len(laid.items) else None

    def action_cursor_up(self) -> None:
        """Up by one, or out of the pane."""
        if self.cursor_row <= 0:
            self.post_message(self.Left(self, -1))
        else:
            super().action_cursor_up()

    def action_cursor_down(self) -> None:
        """Down by one, or out of the pane."""
        if self.cursor_row >= self.row_count - 1:
            self.post_message(self.Left(self, 1))
        else:
            super().action_cursor_down()


def drawn(cell: Cell, *, right: bool = False) -> Text:
    """A cell as text alone."""
    return Text(
        cell.text, style=cell.style, justify="right" if right else "left", no_wrap=True, overflow="ellipsis", end=""
    )
