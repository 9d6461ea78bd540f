"""What `top` shows and what its keys mean: pure functions from a snapshot, a view and a size to lines.

The view is everything that a person has chosen: the task, the page, the open question. Each key gives a new view.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from rich.segment import Segment
from rich.style import Style

from agentq_cli.base.clock import from_rfc3339
from agentq_cli.base.dataclass import NamedTuple, dataclass, replace
from agentq_cli.options import values
from agentq_cli.show.documents import Item
from agentq_cli.show.drawing import Canvas, line, sentence, table
from agentq_cli.show.harmless import harmless
from agentq_cli.show.pen import BOLD, BUSY, DIM, GOOD, ODD, REVERSED, WRONG, Pen
from agentq_cli.show.tables import Column, cells

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.table import Table
    from rich.text import Text

    from agentq_cli.commands.overview import Snapshot

HELP = (
    ("up, down, k, j", "choose a task"),
    ("page up, page down", "move by ten; home and end: the first, the last"),
    ("enter, l", "follow its log; e: stdout or stderr, escape: back"),
    ("c", "cancel it, after a question"),
    ("p", "pause it, or resume it if it is paused"),
    ("?", "this help"),
    ("q, Ctrl-C", "quit"),
)
NARROWEST = 20
STEP = 10
GATES = 3
"""The most lines about what holds starts back."""


RUNNING = (
    Column("RUNNING", "run", keep=True),
    Column("STATE", lambda item: "" if item["state"] == "running" else item["state"], kind="status", sparse=True),
    Column("AGE", lambda item: values.format_age(item["age_ms"]), kind="number", keep=True),
    Column("MEMORY", "rss_bytes", kind="size", spare=1),
    Column("AGENT", "agent", spare=1),
    Column("TASK", "work", spare=2),
    Column("LAST OUTPUT", "last_line"),
)
WAITING = (
    Column("WAITING", "id", keep=True),
    Column("STATUS", "status", kind="status", keep=True),
    Column("DUE", "due_at", kind="time", spare=3),
    Column("AGENT", "agent", spare=1),
    Column("WHY", "why", kind="waiting", spare=2, sparse=True),
    Column("TASK", "work"),
)
ENDED = (
    Column("ENDED", "id", keep=True),
    Column("STATUS", "status", kind="status", keep=True),
    Column("WHEN", "finished_at", kind="time"),
    Column("TOOK", "duration_ms", kind="duration", spare=1),
    Column("AGENT", "agent", spare=1),
    Column("ERROR", "error", spare=2, sparse=True),
)
SESSIONS = (
    Column("SESSION", "name", keep=True),
    Column("PAUSED", lambda item: "paused" if item["paused"] else "", kind="status", sparse=True),
    Column("TASKS", lambda item: ", ".join(f"{count} {status}" for status, count in item["counts"].items())),
)


Listed: TypeAlias = "tuple[str, Sequence[Item], Sequence[Column], str]"
"""A list: its name, its items, its columns, and the key by which one is chosen."""

SPARED = ("sessions", "ended", "waiting")
"""The lists that are left out on a low terminal, the first one first."""

FEW = 3
"""The fewest lines of a list that justify its header."""


@dataclass(frozen=True, slots=True)
class View:
    """`task` is the chosen one, in its list; `page` is `table`, `log` or `help`; `asking` is the task whose
    cancellation is to be confirmed; `said` is the last message, and whether it is an error."""

    chosen: tuple[str, str] | None = None
    page: str = "table"
    asking: str | None = None
    stream: str = "stdout"
    said: tuple[str, bool] | None = None


class Action(NamedTuple):
    """The action of a key: `quit`, or `cancel`, `pause` or `resume` of a task."""

    verb: str
    task: str = ""


class Log(NamedTuple):
    """The end of a run's output: the run, its lines as they were written, and why there are none."""

    run: str
    lines: Sequence[str]
    trouble: str = ""


def choices(snapshot: Snapshot) -> list[tuple[str, str]]:
    """What can be chosen, from top to bottom: the list, and the address of a task or of a run that ended."""
    running = [("running", item["task"]) for item in snapshot.running]
    waiting = [("waiting", item["id"]) for item in snapshot.waiting]
    return running + waiting + [("ended", item["id"]) for item in snapshot.ended]


def settled(view: View, snapshot: Snapshot) -> View:
    """The view after its task may have moved to another list or disappeared: it follows the task while that is
    listed."""
    there = choices(snapshot)
    if view.chosen in there:
        return view
    if view.chosen is not None:
        task = _task(view.chosen)
        for each in there:
            if _task(each) == task:
                return replace(view, chosen=each)
        if view.page == "log":
            return view
    return replace(view, chosen=there[0] if there else None)


def pressed(view: View, key: str, snapshot: Snapshot) -> tuple[View, Action | None]:
    """The view after a key, and the key's action."""
    if view.asking is not None:
        act = Action("cancel", view.asking) if key in ("y", "Y") else None
        return replace(view, asking=None, said=None if act else ("nothing was cancelled", False)), act
    view = replace(view, said=None)
    if key == "q":
        return view, Action("quit")
    if view.page == "help":
        return replace(view, page="table"), None
    if key == "?":
        return replace(view, page="help"), None
    if view.page == "log":
        if key in ("escape", "left", "h", "l", "enter"):
            return replace(view, page="table", stream="stdout"), None
        if key == "e":
            return replace(view, stream="stderr" if view.stream == "stdout" else "stdout"), None
    elif key in MOVES:
        return _moved(view, MOVES[key], choices(snapshot)), None
    if view.chosen is None:
        return view, None
    if view.page == "table" and key in ("enter", "l", "right"):
        return replace(view, page="log"), None
    if key == "c":
        return _asked(view, snapshot), None
    if key == "p":
        return _paused(view, snapshot)
    return view, None


MOVES: dict[str, Callable[[int, int], int]] = {
    **dict.fromkeys(("up", "k"), lambda at, last: at - 1),
    **dict.fromkeys(("down", "j"), lambda at, last: at + 1),
    "page up": lambda at, last: at - STEP,
    "page down": lambda at, last: at + STEP,
    **dict.fromkeys(("home", "g"), lambda at, last: 0),
    **dict.fromkeys(("end", "G"), lambda at, last: last),
}


def _moved(view: View, move: Callable[[int, int], int], there: list[tuple[str, str]]) -> View:
    if not there:
        return view
    at = there.index(view.chosen) if view.chosen in there else 0
    return replace(view, chosen=there[min(max(move(at, len(there) - 1), 0), len(there) - 1)])


def _task(chosen: tuple[str, str]) -> str:
    where, name = chosen
    return name.rpartition(".")[0] if where == "ended" else name


def _asked(view: View, snapshot: Snapshot) -> View:
    assert view.chosen is not None
    if view.chosen[0] == "ended":
        return replace(view, said=(f"{view.chosen[1]} has already ended", True))
    return replace(view, asking=_task(view.chosen))


def _paused(view: View, snapshot: Snapshot) -> tuple[View, Action | None]:
    assert view.chosen is not None
    where, name = view.chosen
    if where == "ended":
        return replace(view, said=(f"{name} has already ended", True)), None
    status = next((item["status"] for item in snapshot.waiting if item["id"] == name), "")
    return view, Action("resume" if status == "paused" else "pause", _task(view.chosen))


def frame(view: View, snapshot: Snapshot, log: Log | None, canvas: Canvas, *, width: int, height: int) -> list[str]:
    """Exactly `height` lines of at most `width` cells."""
    pen = canvas.pen
    if width < NARROWEST:
        return [*canvas.lines([line("too narrow")], width), *[""] * (height - 1)]
    drawn: list[RenderableType]
    now = from_rfc3339(snapshot.at)
    if view.page == "help":
        drawn = _help(width)
    elif view.page == "log":
        drawn = _log(view, log or Log(_task(view.chosen or ("", "")), ()), pen, height - 1)
    else:
        head = _head(snapshot, pen, now)
        drawn = [*head, *_lists(view, snapshot, pen, width, height - 1 - len(head), now)]
    body = canvas.lines(drawn, width)[: height - 1]
    return [*body, *[""] * (height - 1 - len(body)), *canvas.lines([_foot(view, snapshot, pen, width)], width)]


def _head(snapshot: Snapshot, pen: Pen, now: int) -> list[Text]:
    jobs = max((each["jobs"] for each in snapshot.supervisors), default=0)
    slots = f"{snapshot.counts['running']} of {jobs} running" if jobs else f"{snapshot.counts['running']} running"
    waiting = [
        (f"{snapshot.counts[status]} {status}", ODD if status in ("paused", "blocked", "retrying") else "")
        for status in ("queued", "retrying", "scheduled", "blocked", "paused")
        if snapshot.counts[status]
    ]
    clock = values.format_clock(now, now)
    lines = [sentence([("agentq top", BOLD), (clock, DIM), (slots, BUSY), *waiting], pen)]
    for each in snapshot.supervisors[:GATES]:
        age = values.format_age(max(1000, now - from_rfc3339(each["started_at"])))
        which = ", ".join(each["sessions"]) or "all sessions"
        parts = [(f"supervisor {each['pid']}", ""), (f"{each['jobs']} jobs", ""), (which, ""), (f"up {age}", "")]
        lines.append(sentence(parts, pen))
    if not snapshot.supervisors:
        idle = not snapshot.counts["queued"] and not snapshot.counts["running"]
        lines.append(line(("no supervisor: start `agentq run`", DIM if idle else WRONG)))
    # The first line already shows that all slots are in use.
    held = [each for each in snapshot.gates if each["holding"] and each["name"] != "cap"]
    for each in held[:GATES]:
        text = each["detail"] if each["name"] in ("agent", "queue") else f"{each['name']}: {each['detail']}"
        lines.append(line((f"held: {text}", ODD)))
    return lines


def _lists(view: View, snapshot: Snapshot, pen: Pen, width: int, room: int, now: int) -> list[RenderableType]:
    lists: list[Listed] = [
        ("running", snapshot.running, RUNNING, "task"),
        ("waiting", snapshot.waiting, WAITING, "id"),
        ("sessions", snapshot.sessions if len(snapshot.sessions) > 1 else (), SESSIONS, "name"),
        ("ended", snapshot.ended, ENDED, "id"),
    ]
    lists = _seen([each for each in lists if each[1]], room)
    if not lists:
        return ["", line(("nothing to show: no task is waiting, running or ended", DIM))]
    shares = _shared([len(items) for _, items, _, _ in lists], room - 2 * len(lists))
    drawn: list[RenderableType] = []
    for (name, items, columns, key), share in zip(lists, shares, strict=True):
        if not share:
            continue
        at = next((n for n, item in enumerate(items) if view.chosen == (name, item[key])), None)
        begin = 0 if at is None else min(max(0, at - share + 1), len(items) - share)
        some = items[begin : begin + share]
        selected = -1 if at is None else at - begin
        laid = table(columns, some, pen=pen, width=width, now=now, selected=selected)
        drawn += ["", Marked(laid, selected)]
    return drawn


class Marked(NamedTuple):
    """A table with one of its items reversed over the whole width; none if the index is negative."""

    table: Table
    selected: int

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        for number, segments in enumerate(console.render_lines(self.table, options)):
            if number == self.selected + 1 > 0:
                yield Segment("".join(each.text for each in segments), Style(reverse=True))
            else:
                yield from segments
            yield Segment.line()


def _seen(lists: list[Listed], room: int) -> list[Listed]:
    """The lists that fit: if not all would have a few lines, lists are left out in the order of SPARED."""
    for name in SPARED:
        needed = sum(2 + min(len(items), FEW) for _, items, _, _ in lists)
        if needed > room and len(lists) > 1:
            lists = [each for each in lists if each[0] != name]
    return lists


def _shared(wanted: Sequence[int], room: int) -> list[int]:
    """How many of `room` lines each list gets: all that it needs if they suffice; else the longest lists lose lines
    first."""
    shares = list(wanted)
    while sum(shares) > max(room, 0):
        shares[max(range(len(shares)), key=lambda n: (shares[n], n))] -= 1
    return shares


def _log(view: View, log: Log, pen: Pen, height: int) -> list[RenderableType]:
    title = sentence([(log.run, BOLD), (view.stream, ""), ("follows", DIM)], pen)
    if log.trouble:
        return [title, "", line((log.trouble, WRONG))]
    if not log.lines:
        return [title, "", line(("nothing yet", DIM))]
    shown = [line(harmless(each.expandtabs()).replace("\n", " ")) for each in log.lines]
    return [title, "", *shown[-max(height - 2, 1) :]]


def _help(width: int) -> list[RenderableType]:
    room = max(len(keys) for keys, _ in HELP)
    lines = [line(keys.ljust(room), f"  {what}" if width > room + 2 else "") for keys, what in HELP]
    return [line(("Keys", BOLD)), "", *lines, "", line(("any key goes back", DIM))]


def _foot(view: View, snapshot: Snapshot, pen: Pen, width: int) -> Text:
    if view.asking is not None:
        named = {item["id"]: item for item in snapshot.waiting} | {item["task"]: item for item in snapshot.running}
        series = " and end its series" if named.get(view.asking, {}).get("series") else ""
        text = f"Cancel {view.asking}{series}? y/n"
        return line((text.ljust(width), REVERSED))
    if view.said is not None:
        text, wrong = view.said
        return line((text, WRONG if wrong else GOOD))
    if view.page == "log":
        keys = ["esc back", "e stdout/stderr", "c cancel", "p pause", "q quit"]
    elif view.page == "help":
        keys = ["q quit"]
    else:
        keys = ["j/k move", "l log", "c cancel", "p pause", "? help", "q quit"]
    while len(keys) > 1 and cells(pen.dot.join(keys)) > width:
        keys.pop(-3 if len(keys) > 2 else 0)
    return sentence([(key, DIM) for key in keys], pen)
