"""What is asked above the screen: yes or no, a line of text; and the help."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from agentq_cli.show.pen import BOLD, DIM, REVERSED

HELP = (
    ("up down j k", "choose a row"),
    ("g G pgup pgdn", "first, last, pages"),
    ("tab", "the next pane"),
    ("enter l", "open it"),
    ("1 to 5", "its tabs; left, right"),
    ("/", "filter the rows"),
    ("c", "cancel it, asks"),
    ("r", "run it again, asks"),
    ("p", "pause or resume it"),
    ("e", "edit its priority"),
    ("v", "read it in the pager"),
    ("y", "copy (OSC 52)"),
    ("m", "mouse: ours or not"),
    ("q esc", "one step back"),
    ("Ctrl-C", "quit"),
)
"""The keys. They fit a terminal of 40 columns: 36 cells are left of them, two of which are between the columns."""

FILTERS = "session:S agent:A label:L text"
CHANGING = ("c", "r", "p", "e")
"""The keys that there are not when only looking is allowed."""


class Choice(Static):
    """An answer that can be clicked."""

    def __init__(self, key: str, what: str) -> None:
        super().__init__(Text.assemble((f" {key} ", REVERSED), f" {what}  "), markup=False, classes="choice")
        self._key = key

    def on_click(self) -> None:
        """As its key."""
        self.app.simulate_key(self._key)


class Question(ModalScreen[bool]):
    """Asks before something is done. Only `y` says yes, which is neither the key that asks nor Enter."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text

    def compose(self) -> ComposeResult:
        """The question and its answers."""
        with Vertical(classes="box"):
            yield Static(Text(self._text), markup=False)
            with Horizontal(classes="choices"):
                yield Choice("y", "yes")
                yield Choice("n", "no")

    def on_key(self, event: events.Key) -> None:
        """Any other key says no."""
        event.stop()
        self.dismiss(event.key in ("y", "Y"))


class Line(ModalScreen[str | None]):
    """Asks for a line of text; None if Escape was pressed. `changed` is called with what has been typed so far."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", show=False)]

    def __init__(self, text: str, value: str, changed: Callable[[str], None] | None = None) -> None:
        super().__init__()
        self._text = text
        self._value = value
        self._changed = changed
        self._early = ""

    def compose(self) -> ComposeResult:
        """What is asked, and the line."""
        with Vertical(classes="line"):
            yield Static(Text(self._text, no_wrap=True, overflow="ellipsis"), markup=False)
            line = Input(self._value, compact=True)
            line.cursor_blink = False
            yield line

    def on_mount(self) -> None:
        """Take what was typed before the line was there."""
        self.take(self._early)

    def take(self, typed: str) -> None:
        """Take what was typed on its way here: keys arrive in bursts."""
        for line in self.query(Input):
            line.value += typed
            line.cursor_position = len(line.value)
            return
        self._early += typed

    def on_input_changed(self, event: Input.Changed) -> None:
        """Tell what is typed."""
        if self._changed is not None:
            self._changed(event.value)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """The line is done."""
        self.dismiss(event.value)

    def action_leave(self) -> None:
        """No line."""
        self.dismiss(None)


class Help(ModalScreen[None]):
    """The keys."""

    def __init__(self, *, read_only: bool) -> None:
        super().__init__()
        self._lines = [(keys, what) for keys, what in HELP if not (read_only and keys in CHANGING)]

    def compose(self) -> ComposeResult:
        """One line a key."""
        room = max(len(keys) for keys, _ in self._lines)
        text = Text(no_wrap=True, overflow="ellipsis")
        for keys, what in self._lines:
            text.append(keys.ljust(room), BOLD).append(f"  {what}\n")
        text.append(f"/ {FILTERS}", DIM)
        with Vertical(classes="box help"):
            yield Static(text, markup=False)

    def on_key(self, event: events.Key) -> None:
        """Any key goes back."""
        event.stop()
        self.dismiss(None)

    def on_click(self) -> None:
        """So does a click."""
        self.dismiss(None)
