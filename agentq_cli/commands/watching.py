"""What `run`, `wait` and `submit --wait` show on a terminal while tasks run: a table, and above it what has ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from agentq_cli.base.clock import monotonic_ms
from agentq_cli.base.errors import AgentqError
from agentq_cli.commands.following import last_said
from agentq_cli.commands.reasons import Reasons
from agentq_cli.engines.door import Queue
from agentq_cli.model.addresses import Address, RunId
from agentq_cli.model.statuses import Status
from agentq_cli.model.tasks import Task
from agentq_cli.options import values
from agentq_cli.policy import figures
from agentq_cli.show import documents
from agentq_cli.show.board import Live
from agentq_cli.show.pen import BUSY, DIM, GOOD, ODD, STATUS_STYLES, WRONG, Pen
from agentq_cli.show.tables import Column

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

RUNNING = (
    Column("RUN", "run", keep=True),
    Column("AGE", lambda item: values.format_age(item["age_ms"]), kind="number", keep=True),
    Column("AGENT", "agent", spare=1),
    Column("TASK", "work", spare=2),
    Column("LAST OUTPUT", "last_line"),
)


def running_item(queue: Queue, task: Task, run: RunId, since: int) -> documents.Item:
    """A row of the table: a task's run that was claimed at `since`, its age and its last line of output."""
    return {
        "run": str(run),
        "age_ms": max(0, queue.now - since),
        "agent": task.work.agent,
        "work": documents.brief_work(task.work.argv, task.work.prompt),
        "last_line": last_said(queue, run),
    }


def ended_line(status: str, name: str, detail: str) -> Text:
    """One line about a task that has just ended."""
    from agentq_cli.show.drawing import line

    more = [("  ", ""), (detail, DIM)] if detail and detail != status else []
    return line((status, STATUS_STYLES.get(status, "")), " " * (9 - len(status)), "  ", name, *more)


class Counted:
    """How many tasks have ended, by status."""

    def __init__(self) -> None:
        self.by_status: Counter[str] = Counter()
        self._began = monotonic_ms()

    def parts(self) -> list[tuple[str, str]]:
        """`12 completed`, `1 failed`, coloured."""
        styles = {"completed": GOOD, "failed": WRONG}
        return [(f"{count} {status}", styles.get(status, ODD)) for status, count in sorted(self.by_status.items())]

    @property
    def took(self) -> str:
        """The time since the beginning."""
        return values.format_age(monotonic_ms() - self._began)


def lines_of(
    rows: Sequence[documents.Item],
    status_line: Sequence[tuple[str, str]],
    pen: Pen,
    width: int,
    height: int,
    now: int,
    *,
    more: int = 0,
) -> list[RenderableType]:
    """The table, cut to the height, and a summary line below it; `more` other tasks run that have no row."""
    from agentq_cli.show.drawing import line, sentence, table

    room = max(height - 3, 0)
    more += max(0, len(rows) - room)
    drawn: list[RenderableType] = []
    if rows and room:
        drawn.append(table(RUNNING, rows[:room], pen=pen, width=width, now=now))
    if more and room:
        drawn.append(line((f"and {more} more", DIM)))
    return [*drawn, sentence(status_line, pen)]


def waiting_counts(queue: Queue) -> Counter[str]:
    """How many live tasks all sessions have, by shown status; empty if that cannot be read now."""
    try:
        found = figures.total(queue.figures.live_counts())
    except AgentqError:
        return Counter()
    return Counter({status.value: count for status, count in found.items()})


def live_wait(
    queue: Queue,
    still_open: Mapping[Address, Task],
    reasons: Reasons,
    *,
    ended: Mapping[Address, Task] | None = None,
) -> Live:
    """The display for a command that waits: `still_open` are the tasks that have not ended yet, and `reasons` says why
    they do not run. The command keeps both up to date.

    Items are the tasks once they have ended. If `ended` is given, they are addresses instead, which are printed
    unchanged and at once, and each task in `ended` gets a line at the end.
    """
    counted = Counted()

    def line(item: documents.Item, pen: Pen) -> Text:
        from agentq_cli.show import drawing

        if ended is not None:
            return drawing.line(str(item["id"]))
        return ended_line(item["status"], item["id"], item["reason"] or "")

    def screen(pen: Pen, width: int, height: int) -> list[RenderableType]:
        from agentq_cli.show import drawing

        rows: list[documents.Item] = []
        for task in still_open.values():
            if task.status is Status.RUNNING and len(rows) < height:
                try:
                    worker = queue.worker(task.address)
                except AgentqError:
                    continue
                if worker is not None:
                    rows.append(running_item(queue, task, worker.id, worker.claimed_at))
        shown = Counter(task.shown_status(queue.now).value for task in still_open.values())
        parts = [(f"{pen.spinner(queue.now)} waiting for {counted.took}", BUSY)]
        parts += [(f"{count} {status}", "") for status, count in shown.items()]
        told = [drawing.line((line, DIM)) for line in reasons.lines[: max(height - 3, 0)]]
        more = shown["running"] - len(rows)
        return [*told, *lines_of(rows, parts, pen, width, height - len(told), queue.now, more=more)]

    def end(pen: Pen) -> list[Text]:
        found = (ended or {}).values()
        return [ended_line(task.status, str(task.address), task.reason or "") for task in found]

    return Live(line=line, screen=screen, end=end, begin=reasons.drawn)
