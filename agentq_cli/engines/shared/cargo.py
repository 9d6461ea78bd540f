"""What sessions consist of, on the way from one engine to another: rows, by table, with the columns of `TABLES`.

The tables and columns are the fleet's; an engine reads and writes its own. What differs between places is left out or
replaced: a task's `environment` is a position in `environments`, and what belongs to hosts and processes is not here.
"""

from __future__ import annotations

from agentq_cli.base.dataclass import dataclass, field
from agentq_cli.base.json_text import dumps, loads
from agentq_cli.engines.steps import rows
from agentq_cli.model.actions import Actor
from agentq_cli.model.runs import Run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, TypeAlias

    Row: TypeAlias = tuple[Any, ...]
    Secret: TypeAlias = Callable[[str], bool]

EVENT = (
    "id",
    "at",
    "session",
    "seq",
    "attempt",
    "from_status",
    "to_status",
    "event",
    "actor",
    "reason",
    "hook",
    "agent",
)
PRUNED = ("session", "agent", "status", "failure_class", "runs", "retries", "tokens_in", "tokens_out", "cost_usd")

TABLES: dict[str, tuple[str, ...]] = {
    "sessions": ("name", "created_at", "last_start_at", "paused_at", "paused_reason", "next_seq"),
    "session_state": ("session", "name", "value"),
    "tasks": ("session", *rows.COLUMNS, "directory"),
    "dependencies": ("session", "seq", "on_session", "on_seq", "condition"),
    "task_runs": ("id", *Run.__slots__, "posted"),
    "events": EVENT,
    "holds": ("scope", "name", "kind", "since", "until", "reason", "count"),
    "conversations": ("session", "agent", "key", "id", "used_at"),
    "delivered": ("session", "message_id", "status", "task", "detail", "at"),
    "messages": ("session", "id", "kind", "content", "created_at"),
    "pruned_runs": (*PRUNED, "duration_ms", "wait_ms", "landed", "nothing_to_land"),
    "log_chunks": ("session", "seq", "attempt", "stream", "offset", "size", "bytes"),
}
"""`log_chunks` as `engines/fleet/chunks` makes them. `sessions` are as before they were left; `session_state` lacks
`OWN_STATE`."""

NUMBERED = ("task_runs", "events")
"""The tables with an `id` that grows over all sessions."""

OWN_STATE = ("paused", "moved")
"""What an engine itself says of a session in its state."""

_POSITION = {table: {name: number for number, name in enumerate(names)} for table, names in TABLES.items()}


@dataclass(frozen=True, slots=True)
class Cargo:
    """Rows by table, and the environments of submitting shells as text."""

    rows: dict[str, list[Row]] = field(default_factory=lambda: {table: [] for table in TABLES})
    environments: list[str] = field(default_factory=list)

    def column(self, table: str, name: str) -> list[Any]:
        """One column of a table."""
        number = _POSITION[table][name]
        return [row[number] for row in self.rows[table]]

    def change(self, table: str, name: str, change: Callable[[Any], Any]) -> None:
        """Replace each value of a column."""
        number = _POSITION[table][name]
        self.rows[table][:] = [(*row[:number], change(row[number]), *row[number + 1 :]) for row in self.rows[table]]

    def number_environments(self, number: Callable[[int], int | None]) -> None:
        """Replace what tasks, and the next occurrences of series, refer to as their environment."""
        self.change("tasks", "environment", lambda id: None if id is None else number(id))
        self.change("tasks", "successor", lambda text: None if text is None else _with_environment(text, number))

    def by_session(self) -> dict[str, Cargo]:
        """The rows of each session."""
        found = {session: Cargo() for session in self.column("sessions", "name")}
        for table, positions in _POSITION.items():
            number = positions.get("name" if table == "sessions" else "session")
            if number is not None:
                for row in self.rows[table]:
                    if row[number] is not None:
                        found[row[number]].rows[table].append(row)
        return found

    def note(self, source: str, now: int) -> None:
        """An event for each session: where it comes from."""
        last = max(self.column("events", "id"), default=0)
        for number, session in enumerate(self.column("sessions", "name"), last + 1):
            told = {"id": number, "at": now, "session": session, "event": "move", "actor": Actor.USER.value}
            told["reason"] = f"from {source}"
            self.rows["events"].append(tuple(told.get(name) for name in TABLES["events"]))

    def make_room(self, table: str, taken: Callable[[int, int], int | None]) -> None:
        """Renumber a table if one of its ids is taken: `taken` gives the largest id of all if any between two is."""
        ids = self.column(table, "id")
        last = taken(min(ids), max(ids)) if ids else None
        if last is not None:
            more = last + 1 - min(ids)
            self.change(table, "id", lambda id: id + more)

    def leave_out(self, secret: Secret) -> dict[str, list[str]]:
        """Leave the values out that look like secrets: each is then asked of the host of a run. The names, by task."""
        lacking: dict[str, list[str]] = {}
        launch, successor = _POSITION["tasks"]["launch"], _POSITION["tasks"]["successor"]
        seq = _POSITION["tasks"]["seq"]
        for number, row in enumerate(self.rows["tasks"]):
            texts = list(row)
            texts[launch], names = _without(row[launch], secret)
            if row[successor] is not None:
                texts[successor], more = _successor_without(row[successor], secret)
                names += more
            if names:
                self.rows["tasks"][number] = tuple(texts)
                lacking[f"{row[0]}/{row[seq]}"] = sorted(set(names))
        return lacking


def _with_environment(successor: str, number: Callable[[int], int | None]) -> str:
    values = loads(successor)
    if not values.get("work") or values["work"].get("environment") is None:
        return successor
    values["work"]["environment"] = number(values["work"]["environment"])
    return dumps(values)


def _without(text: str, secret: Secret) -> tuple[str, list[str]]:
    if '"env"' not in text and '"captured"' not in text:
        return text, []
    values = loads(text)
    given, captured = values.get("env", {}), values.get("captured", {})
    names = [name for name, value in given.items() if value is not None and secret(name)]
    given |= dict.fromkeys(names)
    names += [name for name in captured if secret(name)]
    values = values | ({"captured": {k: v for k, v in captured.items() if not secret(k)}} if captured else {})
    return (dumps(values), names) if names else (text, [])


def _successor_without(text: str, secret: Secret) -> tuple[str, list[str]]:
    values = loads(text)
    if not values.get("work"):
        return text, []
    values["work"]["launch"], names = _without(values["work"]["launch"], secret)
    return dumps(values), names


def torn(pairs: Sequence[tuple[str, int, str, int]], moving: Sequence[str]) -> list[tuple[str, str]]:
    """The dependencies of which one end stays behind: the task that waits, and the one that it waits for."""
    inside = set(moving)
    return [(f"{a}/{m}", f"{b}/{n}") for a, m, b, n in pairs if (a in inside) is not (b in inside)]
