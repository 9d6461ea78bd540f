"""The panes of `top`: from a snapshot and a width to the rows and columns that fit, without a terminal. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from rich.cells import cell_len

from agentq_cli.base.clock import from_rfc3339
from agentq_cli.base.dataclass import NamedTuple, dataclass, replace
from agentq_cli.model.tasks import WaitingFor
from agentq_cli.options import moments, values
from agentq_cli.show.costs import money
from agentq_cli.show.drawing import GAP, fitting, line, sentence, shared
from agentq_cli.show.pen import BOLD, BUSY, DIM, ODD, WRONG, Pen
from agentq_cli.show.tables import NOTHING, TO_THE_RIGHT, Column, shown
from agentq_cli.top.filtering import Filter
from agentq_cli.top.snapshot import Snapshot

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

    from rich.text import Text

    Item: TypeAlias = Mapping[str, Any]

FEW = 3
"""The fewest rows of a pane that justify its header."""

GATES = 3
"""The most lines about supervisors, and about what holds starts back."""


def cost(item: Item) -> str:
    """The cost of a run, of which a command has none."""
    return money(item.get("cost_usd"), priced=item["agent"] is not None)


def _first_line(item: Item) -> str:
    return next((part for part in item["work"].splitlines() if part.strip()), "")


def _doing(item: Item) -> str:
    return item["error"] or _first_line(item)


TITLE = Column("TASK", _first_line)
RUNNING = (
    Column("RUNNING", "run", keep=True),
    Column("STATE", lambda item: "" if item["state"] == "running" else item["state"], kind="status", sparse=True),
    Column("AGE", lambda item: values.format_age(item["age_ms"]), kind="number", keep=True),
    Column("COST", cost, kind="number", spare=2),
    Column("MEMORY", "rss_bytes", kind="size", spare=1),
    Column("AGENT", "agent", spare=1),
    Column("TASK", _first_line, spare=2),
    Column("LAST OUTPUT", "last_line"),
)
QUEUE = (
    Column("QUEUE", "id", keep=True),
    Column("STATUS", "status", kind="status", keep=True),
    Column("DUE", "due_at", kind="time", spare=3),
    Column("PRIO", lambda item: item["priority"] or "", kind="number", spare=1, sparse=True),
    Column("AGENT", "agent", spare=1),
    Column("WHY", "why", kind="waiting", spare=2, sparse=True),
    TITLE,
)
SCHEDULES = (
    Column("SCHEDULE", "id", keep=True),
    Column("WHEN", "times"),
    Column("NEXT", lambda item: item["next_at"] or item["status"], kind="time", keep=True),
    Column("LAST", "last_status", kind="status", spare=3),
    Column("RUNS", "runs", kind="number", spare=1),
    Column("FAILED", lambda item: item["failures"] or "", kind="number", spare=1, sparse=True),
    Column("TASK", _first_line, spare=2),
)
ENDED = (
    Column("ENDED", "id", keep=True),
    Column("STATUS", "status", kind="status", keep=True),
    Column("WHEN", "finished_at", kind="time", spare=2),
    Column("TOOK", "duration_ms", kind="duration", spare=3),
    Column("COST", cost, kind="number", spare=3),
    Column("CHANGES", "changes", kind="number", spare=1, sparse=2),
    Column("AGENT", "agent", spare=1),
    Column("TASK", _doing),
)


def _queued(snapshot: Snapshot) -> Sequence[Item]:
    # A series that waits for its time is among the schedules.
    return [item for item in snapshot.waiting if not (item["series"] and item["status"] == "scheduled")]


class Kind(NamedTuple):
    """A pane: its name, what it shows, in which columns, and the key by which a row is known."""

    name: str
    items: Callable[[Snapshot], Sequence[Item]]
    columns: Sequence[Column]
    key: str


KINDS = (
    Kind("running", lambda snapshot: snapshot.running, RUNNING, "task"),
    Kind("queue", _queued, QUEUE, "id"),
    Kind("schedules", lambda snapshot: snapshot.schedules, SCHEDULES, "task"),
    Kind("ended", lambda snapshot: snapshot.ended, ENDED, "id"),
)
SPARED = ("schedules", "ended", "queue")
"""The panes that are left out on a low terminal, the first one first."""


class Cell(NamedTuple):
    """A text and its style."""

    text: str
    style: str


@dataclass(frozen=True, slots=True)
class Laid:
    """A pane as it fits: the headers, the widths, whether a column is aligned to the right, and rows with their keys
    and items."""

    headers: tuple[str, ...]
    widths: tuple[int, ...]
    right: tuple[bool, ...]
    keys: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    items: tuple[Item, ...]


def laid(columns: Sequence[Column], items: Sequence[Item], key: str, *, pen: Pen, width: int, now: int) -> Laid:
    """The items in the columns that fit `width` cells, each of which has a cell of space on both sides."""
    texts = [[_text(column, column.of(item), now, pen.arrow) for item in items] for column in columns]
    natural = [
        max(cell_len(column.header), *map(cell_len, cells), 0) for column, cells in zip(columns, texts, strict=True)
    ]
    room = width - GAP
    kept = fitting(columns, natural, room, bare=[set(cells) <= {NOTHING} for cells in texts])
    columns = [columns[n] for n in kept]
    widths = shared(columns, [natural[n] for n in kept], room)
    columns, texts = columns[: len(widths)], [texts[n] for n in kept][: len(widths)]
    rows = (
        tuple(Cell(text, column.style_of(text)) for column, text in zip(columns, row, strict=True))
        for row in zip(*texts, strict=True)
    )
    return Laid(
        tuple(column.header for column in columns),
        tuple(widths),
        tuple(column.kind in TO_THE_RIGHT for column in columns),
        tuple(str(item[key]) for item in items),
        tuple(rows),
        tuple(items),
    )


def _text(column: Column, value: object, now: int, arrow: str) -> str:
    """The text of a cell. Times are those of a clock: they stay true while nothing changes and nothing is drawn."""
    if column.kind == "time" and isinstance(value, str) and value.endswith("Z"):
        return moments.clock(from_rfc3339(value), now)
    if isinstance(value, WaitingFor) and value.kind == "retry" and value.until is not None:
        brief = f"{value.brief} at {moments.clock(value.until, now)}"
        value = replace(value, brief=brief, until=None)
    return shown(column, value, now, arrow)


def filled(snapshot: Snapshot, chosen: Filter) -> dict[str, Sequence[Item]]:
    """The items of each pane that has any."""
    found = {kind.name: chosen.of(kind.items(snapshot)) for kind in KINDS}
    return {name: items for name, items in found.items() if items}


def heights(wanted: Mapping[str, int], room: int, focused: str | None = None) -> dict[str, int]:
    """How many lines each pane gets, its header included: all that it needs if they suffice; else panes are left out
    in the order of SPARED, but never the focused one, and then the longest lose rows first."""
    kept = dict(wanted)
    for name in SPARED:
        if sum(1 + min(rows, FEW) for rows in kept.values()) > room and name != focused and len(kept) > 1:
            kept.pop(name, None)
    shares = list(kept.values())
    while shares and sum(shares) > max(room - len(shares), len(shares)):
        shares[max(range(len(shares)), key=lambda n: (shares[n], n))] -= 1
    return {name: 1 + share for name, share in zip(kept, shares, strict=True)}


def address_of(name: str) -> str:
    """The task of a row's key, which may name a run of it."""
    task, _, number = name.rpartition("/")
    return f"{task}/{number.partition('.')[0]}"


def followed(found: Mapping[str, Sequence[str]], pane: str, key: str) -> tuple[str, str] | None:
    """The pane and key of a chosen row after its task may have moved; None if it is not listed any more."""
    if key in found.get(pane, ()):
        return pane, key
    for name, keys in found.items():
        for each in keys:
            if address_of(each) == address_of(key):
                return name, each
    return None


def head(snapshot: Snapshot, pen: Pen, *, chosen: Filter, read_only: bool = False) -> list[Text]:
    """The lines above the panes: how much there is, who serves it, and what holds it back."""
    now = from_rfc3339(snapshot.at)
    jobs = max((each["jobs"] for each in snapshot.supervisors), default=0)
    slots = f"{snapshot.counts['running']} of {jobs} running" if jobs else f"{snapshot.counts['running']} running"
    waiting = [
        (f"{snapshot.counts[status]} {status}", ODD if status in ("paused", "blocked", "retrying") else "")
        for status in ("queued", "retrying", "scheduled", "blocked", "paused")
        if snapshot.counts[status]
    ]
    name = "agentq top, read only" if read_only else "agentq top"
    lines = [sentence([(name, BOLD), (slots, BUSY), *waiting], pen)]
    lines += [sentence(_supervisor(each, now), pen) for each in snapshot.supervisors[:GATES]]
    if not snapshot.supervisors:
        idle = not snapshot.counts["queued"] and not snapshot.counts["running"]
        lines.append(line(("no supervisor: start `agentq run`", DIM if idle else WRONG)))
    # The first line already shows that all slots are in use.
    held = [each for each in snapshot.gates if each["holding"] and each["name"] != "cap"]
    for each in held[:GATES]:
        text = each["detail"] if each["name"] in ("agent", "queue") else f"{each['name']}: {each['detail']}"
        lines.append(line((f"held: {text}", ODD)))
    if len(snapshot.sessions) > 1 or any(each["paused"] for each in snapshot.sessions):
        lines.append(sentence([_session(each) for each in snapshot.sessions], pen))
    if chosen:
        lines.append(line((f"only {chosen.text}", ODD)))
    return lines


def _supervisor(each: Item, now: int) -> list[tuple[str, str]]:
    which = ", ".join(each["sessions"]) or "all sessions"
    since = moments.clock(from_rfc3339(each["started_at"]), now)
    state = (each["state"], ODD if each["state"] in ("paused", "draining") else "")
    named, jobs = (f"supervisor {each['pid']}", ""), (f"{each['jobs']} jobs", "")
    return [named, state, jobs, (which, ""), (f"on duty since {since}", "")]


def _session(each: Item) -> tuple[str, str]:
    counts = ", ".join(f"{count} {status}" for status, count in each["counts"].items())
    paused = " (paused)" if each["paused"] else ""
    return f"{each['name']}{paused} {counts}", ODD if each["paused"] else ""
