"""Which sessions a sweep opens: those whose files have changed since a sweep last found them in order (`seen`)."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from agentq_cli.base.dataclass import dataclass
from agentq_cli.base.errors import AgentqError, Busy
from agentq_cli.engines.local import condition, connection, reindex, seen
from agentq_cli.engines.local.queries import statement
from agentq_cli.engines.local.state_dir import StateDir
from agentq_cli.engines.nouns import Fault

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3


@dataclass(frozen=True, slots=True)
class Inspection:
    """What one sweep checks: all of `sessions`; those in `changed` are to be opened.

    `directory` is the stamp of the directory of all sessions, if a session has come or gone since it was recorded.
    """

    sessions: tuple[str, ...]
    changed: tuple[str, ...]
    directory: str | None = None


def begin(state: StateDir, index: sqlite3.Connection, session: str | None) -> Inspection:
    """The inspection of a sweep that begins now, or of a sweep of one session only."""
    directory = os.path.join(state.path, "sessions")
    if session is not None:
        rows = index.execute(seen.SWEEP["seen"], {"session": session}).fetchall()
        return Inspection((session,), (session,) if not rows or _changed(rows[0], directory) else ())
    rows = seen.in_turn(index)
    unknown, stamp = _unknown(state, index, directory)
    names = [row[0] for row in rows]
    changed = [row[0] for row in rows if _changed(row, directory)]
    return Inspection((*names, *unknown), (*changed, *unknown), stamp)


def _changed(row: seen.Row, directory: str) -> bool:
    return seen.inbound(directory, row[0]) != row[1]


def _unknown(state: StateDir, index: sqlite3.Connection, directory: str) -> tuple[list[str], str | None]:
    """The sessions that have a directory and that the index does not know."""
    try:
        stamp = seen.directory(directory, index)
    except OSError:
        return [], None
    if stamp == seen.known_directory(index):
        return [], None
    known = {name for (name,) in index.execute(statement("read.session_names")).fetchall()}
    return [name for name in state.session_names() if name not in known], stamp


def inspect(
    state: StateDir, index: sqlite3.Connection, inspection: Inspection, *, remember: bool
) -> Iterator[tuple[str, Fault]]:
    """Open what has changed, which rolls back what a dead writer left behind; yields what is wrong with each session.

    With `remember` the others are not opened again until they change.
    """
    in_order: dict[str, str] = {}
    every = True
    for session in inspection.changed:
        stamp = seen.inbound(os.path.join(state.path, "sessions"), session)
        try:
            reindex.roll_back_dead_writers(state, [session])
            stamp = seen.inbound(os.path.join(state.path, "sessions"), session)
            found = list(condition.faults(state, session))
        except Busy:
            every = False  # cannot be known now
            continue
        if not found:
            in_order[session] = stamp
        for fault in found:
            every = False
            yield session, fault
    if remember and (in_order or inspection.directory is not None):
        _remember(state, index, in_order, inspection.directory if every else None)


def _remember(state: StateDir, index: sqlite3.Connection, in_order: dict[str, str], directory: str | None) -> None:
    with contextlib.suppress(AgentqError), connection.transaction(index, state.index):
        values = [{"session": session, "seen": stamp} for session, stamp in in_order.items()]
        index.executemany(seen.SWEEP["set_seen"], values)
        if directory is not None:
            index.execute(statement("dispatch.set_meta"), {"name": "sessions_seen", "value": directory})
