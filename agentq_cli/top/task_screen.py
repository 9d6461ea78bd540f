"""The screen of one task: its answer, transcript, stderr, attempts and events, and what it changed, each a tab."""

from __future__ import annotations

import asyncio
from typing import ClassVar

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import Screen
from textual.widgets import Footer, Markdown, Static, TabbedContent, TabPane

from agentq_cli.base.errors import AgentqError
from agentq_cli.model.addresses import Address, RunId
from agentq_cli.show.drawing import sentence
from agentq_cli.show.harmless import harmless
from agentq_cli.show.pen import WRONG, Pen
from agentq_cli.top import diff, task_view
from agentq_cli.top.desk import Desk
from agentq_cli.top.pane import Pane
from agentq_cli.top.panes import laid
from agentq_cli.top.printed import Line, Printed, reading
from agentq_cli.top.reel import Reel
from agentq_cli.top.task_view import ATTEMPTS, EVENTS, TaskView

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.engines.door import Queue

TABS = ("answer", "transcript", "stderr", "attempts", "events", "diff")
"""The tabs; only a task in a tree has the last one."""

LOOK_SECONDS = 0.25
"""How often the output of a run that goes on is looked at while its tab is open."""


class TaskScreen(Screen[None]):
    """One task, and one of its runs: the one that was opened, or the one that was chosen among the attempts."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *(Binding(str(number), f"tab('{name}')", show=False) for number, name in enumerate(TABS, 1)),
        Binding("left,h", "next_tab(-1)", show=False),
        Binding("right", "next_tab(1)", show=False),
    ]

    def __init__(self, desk: Desk, address: Address, attempt: int | None, pen: Pen, *, tab: str) -> None:
        super().__init__()
        self._first_tab = tab
        self.address = address
        self.view: TaskView | None = None
        self._desk = desk
        self._attempt = attempt
        self._pen = pen
        self._printed: dict[tuple[RunId, str], Printed] = {}
        self._reading = asyncio.Lock()
        self._run: RunId | None = None
        self._answered: task_view.Answer | None = None

    def compose(self) -> ComposeResult:
        """The facts, the tabs, the keys."""
        yield Static(markup=False, classes="facts")
        with TabbedContent(id="tabs", initial=self._first_tab):
            with TabPane("Answer", id="answer"), VerticalScroll(id="said-last"):
                yield Markdown(open_links=False, id="markdown")
                yield Static(markup=False, id="plain")
            with TabPane("Transcript", id="transcript"):
                yield Reel()
            with TabPane("Stderr", id="stderr"):
                yield Reel()
            with TabPane("Attempts", id="attempts"):
                yield Pane("runs-of-task")
            with TabPane("Events", id="events"):
                yield Pane("events-of-task")
            with TabPane("Diff", id="diff"):
                yield Reel()
        yield Static(markup=False, classes="said")
        yield Footer(show_command_palette=False, compact=True)

    def on_mount(self) -> None:
        """Begin to follow."""
        self.query_one("#tabs", TabbedContent).hide_tab("diff")
        self.set_interval(LOOK_SECONDS, self._follow)
        self.renew()

    def renew(self) -> None:
        """Read the task again, because something has changed."""
        self._read()

    @property
    def tab(self) -> str:
        """The open tab."""
        return self.query_one("#tabs", TabbedContent).active or TABS[0]

    @property
    def text(self) -> str:
        """What the open tab shows, as text."""
        if self.view is None:
            return ""
        if self.tab == "answer":
            return self.view.answer.text
        if self.tab in ("transcript", "stderr", "diff"):
            return self._reel(self.tab).text
        return str(self.address if self._run is None else self._run)

    @property
    def words(self) -> list[str]:
        """The command that prints all of what the open tab shows a part of."""
        if self.tab == "stderr" and self._run is not None:
            return ["logs", str(self._run), "--stderr"]
        if self.tab == "transcript" and self._run is not None:
            return ["logs", str(self._run)]
        if self.tab == "diff":
            return ["diff", str(self.address if self._attempt is None or self._run is None else self._run)]
        return ["show", str(self.address)]

    @work(exclusive=True, group="read")
    async def _read(self) -> None:
        try:
            view = await self._desk.ask(lambda queue: task_view.read(self._desk.at, queue, self.address, self._attempt))
        except AgentqError as error:
            self.query_one(".facts", Static).update(Text(error.message, style="red"))
            return
        self.view = view
        run = None if view.run is None else view.run.id
        if run != self._run:
            self._run = run
            self._printed = {}
            for name in ("transcript", "stderr"):
                self._reel(name).begin()
            self._answered = None
        self._draw(view)
        await self._answer(view.answer)
        self._read_on()

    @property
    def _tabs(self) -> tuple[str, ...]:
        return TABS if self.view is not None and self.view.in_tree else TABS[:-1]

    def _draw(self, view: TaskView) -> None:
        if view.in_tree:
            self.query_one("#tabs", TabbedContent).show_tab("diff")
        self.query_one(".facts", Static).update(sentence(view.facts, self._pen))
        width = self.size.width
        for name, columns, items, key in (
            ("#runs-of-task", ATTEMPTS, view.runs, "id"),
            ("#events-of-task", EVENTS, [{**event, "id": n} for n, event in enumerate(view.events)], "id"),
        ):
            self.query_one(name, Pane).lay(laid(columns, items, key, pen=self._pen, width=width, now=view.now))

    async def _answer(self, answer: task_view.Answer) -> None:
        if answer == self._answered:
            return
        self._answered = answer
        markdown, plain = self.query_one("#markdown", Markdown), self.query_one("#plain", Static)
        markdown.display, plain.display = answer.markdown, not answer.markdown
        if answer.markdown:
            await markdown.update(answer.text)
        else:
            plain.update(Text(answer.text, overflow="fold"))

    def _follow(self) -> None:
        if self.is_current and self.view is not None and self.view.goes_on and not self._reading.locked():
            self._read_on()

    def _read_on(self) -> None:
        """Read on in the run that is shown, if the tab of its output is open."""
        if self.tab in ("transcript", "stderr"):
            self._more()
        elif self.tab == "diff":
            self._compare()

    @work(group="more")
    async def _more(self) -> None:
        async with self._reading:
            await self._more_of(self.tab)

    async def _more_of(self, name: str) -> None:
        view, run = self.view, self._run
        if view is None or run is None or name not in ("transcript", "stderr"):
            return
        stream = "stdout" if name == "transcript" else name
        make = reading(view.task, self._desk.at.config, stream)

        def read(queue: Queue) -> list[Line]:
            printed = self._printed.get((run, name)) or Printed(queue, run, stream, make)
            self._printed[run, name] = printed
            return printed.more(over=not view.goes_on)

        lines = await self._desk.ask(read)
        if run == self._run and lines:
            self._reel(name).add(lines)

    @work(exclusive=True, group="diff")
    async def _compare(self) -> None:
        try:
            read = await self._desk.ask(lambda queue: diff.find(self._desk.at, queue, self.address, self._attempt))
            lines = await asyncio.to_thread(read)
        except (AgentqError, OSError) as error:
            lines = [Line(harmless(str(error)), WRONG)]
        reel = self._reel("diff")
        if reel.text != "\n".join(line.text for line in lines):
            reel.begin()
            reel.add(lines)
            reel.scroll_home(animate=False)

    def _reel(self, name: str) -> Reel:
        return self.query_one(f"#{name} Reel", Reel)

    # Events

    def on_resize(self) -> None:
        """Lay the tables anew."""
        if self.view is not None:
            self._draw(self.view)

    async def on_tabbed_content_tab_activated(self) -> None:
        """Read what the tab shows, and let keys scroll it."""
        self._read_on()
        for widget in self.query(f"#{self.tab} Reel, #{self.tab} Pane, #{self.tab} VerticalScroll"):
            widget.focus()

    def on_data_table_row_selected(self, event: Pane.RowSelected) -> None:
        """Show the attempt that was chosen."""
        event.stop()
        pane = event.data_table
        if pane.id == "runs-of-task" and isinstance(pane, Pane) and pane.item is not None:
            self._attempt = int(str(pane.item["id"]).rpartition(".")[2])
            self.action_tab("answer")
            self.renew()

    def action_tab(self, name: str) -> None:
        """Open a tab, if the task has it."""
        if name not in self._tabs:
            return
        self.query_one("#tabs", TabbedContent).active = name

    def action_next_tab(self, step: int) -> None:
        """Open the tab beside."""
        self.action_tab(self._tabs[(TABS.index(self.tab) + step) % len(self._tabs)])
