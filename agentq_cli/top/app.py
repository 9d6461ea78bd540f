"""The live screen: panes of what runs, waits, is scheduled and has ended; a task opens on a screen of its own.

It sleeps until the queue's bell rings. Only while something runs, or may start, does it look each second at what rings
no bell.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from typing import ClassVar

from rich.text import Text
from textual import events, work
from textual.app import App, ComposeResult, SuspendNotSupported
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical
from textual.widgets import Footer, Static

from agentq_cli.base.clock import from_rfc3339, monotonic_ms
from agentq_cli.base.errors import AgentqError
from agentq_cli.options import values
from agentq_cli.show.pen import GOOD, WRONG, Pen
from agentq_cli.top import actions, panes
from agentq_cli.top.changes import OVER, Changes, Target
from agentq_cli.top.desk import TICK_SECONDS, Desk
from agentq_cli.top.filtering import Filter
from agentq_cli.top.pane import Pane
from agentq_cli.top.questions import FILTERS, Help, Line
from agentq_cli.top.task_screen import TaskScreen
from agentq_cli.top.terminal import PlainTerminal, Terminal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeVar

    from textual.widget import Widget

    from agentq_cli.cli.context import Context
    from agentq_cli.show.documents import Item

    Found = TypeVar("Found", bound=Widget)

WIDE = 160
"""From this width on the panes stand in two columns."""

REST = 4
"""After a reading the next one waits this many times as long as it took, so that a busy queue is not read all day."""

LEAST_REST = 0.1
LARGEST_COPY = 64 * 1024
"""How many characters are copied: terminals take no more."""

KEYS = tuple((kind.name, kind.key) for kind in panes.KINDS)
"""Each pane with the key of its rows."""


class Top(App[int]):
    """The app; its result is the exit code."""

    ENABLE_COMMAND_PALETTE = False
    CSS_PATH = "top.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark", "help", "help", key_display="?"),
        Binding("q", "step_back(True)", "back"),
        Binding("slash", "filter", "filter", key_display="/"),
        Binding("c", "change('cancel')", "cancel"),
        Binding("r", "change('retry')", "retry"),
        Binding("p", "change('pause')", "pause"),
        Binding("e", "change('priority')", "priority"),
        Binding("v", "page", "pager"),
        Binding("y", "copy", "copy"),
        Binding("m", "mouse", show=False),
        Binding("escape", "step_back(False)", show=False),
        Binding("ctrl+z", "suspend_process", show=False, priority=True),
        Binding("ctrl+c", "leave(130)", show=False, priority=True),
    ]

    def __init__(self, at: Context, *, read_only: bool = False, pen: Pen) -> None:
        self._at = at
        self._read_only = read_only
        self._pen = pen
        self._chosen = Filter()
        self._mouse_is_ours = True
        self._changes = Changes(self, at)
        self._desk = Desk(at)
        self._seen = self._desk.open()
        self._wanted = asyncio.Event()
        self._heard: int | None = None
        super().__init__(driver_class=PlainTerminal if pen.plain else Terminal, ansi_color=True)
        self.theme = "ansi-dark"
        self.animation_level = "none"

    @property
    def desk(self) -> Desk:
        """Where the queue is read."""
        return self._desk

    def compose(self) -> ComposeResult:
        """The head, the panes in two columns or one, the keys."""
        yield Static(markup=False, id="head")
        with Container(id="panes"):
            with Vertical(id="left"):
                yield Pane("running")
                yield Pane("queue")
            with Vertical(id="right"):
                yield Pane("schedules")
                yield Pane("ended")
        yield Static(markup=False, classes="said")
        yield Footer(show_command_palette=False, compact=True)

    def on_mount(self) -> None:
        """Draw the first snapshot, and begin to listen."""
        if not self.is_headless:
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGHUP):
                loop.add_signal_handler(number, self.exit, 128 + number)
        self._draw()
        first = next((pane for pane in self._panes() if pane.display), None)
        if first is not None:
            first.focus()
        self._watch()

    # Reading

    @work(group="watch")
    async def _watch(self) -> None:
        while True:
            self._hear()
            rung = await self._is_rung()
            self._desk.answered()
            self._wanted.clear()
            began = monotonic_ms()
            try:
                seen = await self._desk.look(rung=rung)
            except (AgentqError, OSError) as error:
                # A lock is held, or a file is being restored: keep the last snapshot.
                self.say(getattr(error, "message", str(error)), wrong=True)
                seen = self._seen._replace(lasts=TICK_SECONDS)
            before, self._seen = self._seen, seen
            if seen.snapshot != before.snapshot:
                self._draw()
            if seen.event != before.event:
                self._renew_task()
            took = (monotonic_ms() - began) / 1000
            await asyncio.sleep(max(LEAST_REST, took * REST))

    async def _is_rung(self) -> bool:
        """Wait until something may have changed; returns whether a bell said so."""
        try:
            await asyncio.wait_for(self._wanted.wait(), self._seen.lasts)
        except TimeoutError:
            return False
        return True

    def _hear(self) -> None:
        """Listen to the bell, which is another one after the state dir has come into being."""
        bell = self._desk.bell()
        if bell != self._heard:
            loop = asyncio.get_running_loop()
            if self._heard is not None:
                loop.remove_reader(self._heard)
            if bell is not None:
                loop.add_reader(bell, self._ring)
            self._heard = bell

    def _ring(self) -> None:
        self._desk.answered()
        self._wanted.set()

    def _renew_task(self) -> None:
        for screen in self.screen_stack:
            if isinstance(screen, TaskScreen):
                screen.renew()

    async def on_unmount(self) -> None:
        """Close the queue."""
        if self._heard is not None:
            asyncio.get_running_loop().remove_reader(self._heard)
        self._desk.close()

    # Drawing

    def _panes(self) -> list[Pane]:
        return [self._main(f"#{kind.name}", Pane) for kind in panes.KINDS]

    def _main(self, selector: str, kind: type[Found]) -> Found:
        return self.screen_stack[0].query_one(selector, kind)

    def _focused(self) -> Pane | None:
        focused = self.screen_stack[0].focused
        return focused if isinstance(focused, Pane) else None

    def _draw(self) -> None:
        """Show the snapshot in the panes that fit."""
        snapshot, main = self._seen.snapshot, self.screen_stack[0]
        if not main.query("#head"):
            return  # it is being left
        width, height = self.size
        wide = width >= WIDE
        main.set_class(wide, "wide")
        head = panes.head(snapshot, self._pen, chosen=self._chosen, read_only=self._read_only)
        found = panes.filled(snapshot, self._chosen)
        if not found:
            head.append(Text("nothing to show: no task is waiting, running or ended", style="dim"))
        self._main("#head", Static).update(Text("\n").join(head))
        focused = self._focused()
        chosen = None if focused is None or focused.chosen is None else (str(focused.id), focused.chosen)
        room = height - len(head) - 2
        columns = (("running", "queue"), ("schedules", "ended")) if wide else (tuple(k.name for k in panes.KINDS),)
        shares: dict[str, int] = {}
        for names in columns:
            wanted = {name: len(found[name]) for name in names if name in found}
            shares |= panes.heights(wanted, room, None if chosen is None else chosen[0])
        now = from_rfc3339(snapshot.at)
        each = width // len(columns)
        for kind, pane in zip(panes.KINDS, self._panes(), strict=True):
            pane.display = kind.name in shares
            pane.styles.height = shares.get(kind.name, 0)
            pane.lay(panes.laid(kind.columns, found.get(kind.name, ()), kind.key, pen=self._pen, width=each, now=now))
        self._keep(chosen, {name: [str(item[key]) for item in found[name]] for name, key in KEYS if name in shares})

    def _keep(self, chosen: tuple[str, str] | None, there: dict[str, list[str]]) -> None:
        """Follow the chosen task to the pane in which it is now."""
        now = None if chosen is None else panes.followed(there, *chosen)
        if now is not None and now != chosen:
            pane = self._main(f"#{now[0]}", Pane)
            pane.choose(now[1])
            self.screen_stack[0].set_focus(pane)
        elif there and (chosen is None or chosen[0] not in there):
            self.screen_stack[0].set_focus(self._main(f"#{next(iter(there))}", Pane))

    def on_resize(self) -> None:
        """Lay the panes anew."""
        self.call_after_refresh(self._draw)

    def say(self, text: str, *, wrong: bool = False) -> None:
        """Show one line of news above the keys."""
        for screen in self.screen_stack:
            for said in screen.query(".said").results(Static):
                said.update(Text(text, style=WRONG if wrong else GOOD, no_wrap=True, overflow="ellipsis"))

    # Choosing

    def on_pane_left(self, event: Pane.Left) -> None:
        """From the end of one pane to the next."""
        there = [pane for pane in self._panes() if pane.display and pane.row_count]
        if event.pane in there:
            at = there.index(event.pane) + event.step
            if 0 <= at < len(there):
                there[at].focus()
                there[at].move_cursor(row=0 if event.step > 0 else there[at].row_count - 1)

    def on_data_table_row_selected(self, event: Pane.RowSelected) -> None:
        """Open the task."""
        target = self._target()
        if target is not None:
            address, attempt = values.parse_run(target.run or target.address)
            tab = "transcript" if target.status == "running" else "answer"
            self.push_screen(TaskScreen(self._desk, address, attempt, self._pen, tab=tab))

    def _target(self) -> Target | None:
        """The task that keys are about."""
        screen = self.screen
        if isinstance(screen, TaskScreen):
            if screen.view is None:
                return None
            task, run = screen.view.task, screen.view.run
            return Target(str(screen.address), None if run is None else str(run.id), screen.view.status, task.rearms)
        pane = self._focused()
        item: Item | None = None if pane is None else pane.item
        if pane is None or item is None:
            return None
        if pane.id == "ended":
            return Target(item["task"], item["id"], OVER)
        if pane.id == "running":
            return Target(item["task"], item["run"], "running", item["series"] is not None)
        if pane.id == "schedules":
            return Target(item["task"], None, item["status"], True)
        return Target(item["id"], None, item["status"], item["series"] is not None)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Whether there is such an action now."""
        return not (self._read_only and action == "change")

    # Keys

    def on_key(self, event: events.Key) -> None:
        """What is left over was typed for a line that was not there yet."""
        if isinstance(self.screen, Line) and event.is_printable and event.character is not None:
            self.screen.take(event.character)

    def action_help(self) -> None:
        """Show the keys."""
        self.push_screen(Help(read_only=self._read_only))

    def action_step_back(self, leave: bool) -> None:
        """One step back: from a task, from a filter, and then out."""
        if len(self.screen_stack) > 1:
            self.pop_screen()
        elif self._chosen:
            self._filter("")
        elif leave:
            self.exit(0)

    def action_leave(self, code: int) -> None:
        """Out at once."""
        self.exit(code)

    def action_filter(self) -> None:
        """Show only what fits what is typed; Escape leaves it as it was."""
        if isinstance(self.screen, TaskScreen):
            return
        before = self._chosen.text
        self.push_screen(
            Line(f"filter: {FILTERS}", before, self._filter),
            lambda text: self._filter(before if text is None else text),
        )

    def _filter(self, text: str) -> None:
        self._chosen = Filter(text)
        self._draw()

    def action_change(self, what: str) -> None:
        """Cancel, retry, pause or order the chosen task."""
        target = self._target()
        if target is not None:
            getattr(self._changes, what)(target)

    def action_copy(self) -> None:
        """Copy what the tab shows, or the address, by the terminal."""
        screen, target = self.screen, self._target()
        text = screen.text if isinstance(screen, TaskScreen) else "" if target is None else target.run or target.address
        if text:
            self.copy_to_clipboard(text[:LARGEST_COPY])
            cut = f", the first {LARGEST_COPY} characters" if len(text) > LARGEST_COPY else ""
            self.say(f"copied {text if len(text) < 40 and text.isprintable() else f'{len(text)} characters'}{cut}")

    def action_mouse(self) -> None:
        """Give the mouse to the terminal, which can then select text, or take it again."""
        self._mouse_is_ours = not self._mouse_is_ours
        use: Callable[[bool], None] | None = getattr(self._driver, "use_mouse", None)
        if use is not None:
            use(self._mouse_is_ours)
        self.say("the mouse is ours" if self._mouse_is_ours else "the mouse is the terminal's; m takes it back")

    def action_page(self) -> None:
        """Read it in the pager."""
        screen, target = self.screen, self._target()
        if target is None:
            return
        words = screen.words if isinstance(screen, TaskScreen) else ["show", target.address]
        try:
            with self.suspend():
                trouble = actions.page(self._at, words)
        except SuspendNotSupported:
            trouble = "the pager needs a terminal"
        if trouble:
            self.say(trouble, wrong=True)
