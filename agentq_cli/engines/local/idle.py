"""The first step of `agentq sweep`: a look at the index and at a few files' times tells whether there is work.

It imports nothing that takes time. If there is nothing to do, the sweep ends here; if there is, or if that is not
certain (a configuration that no sweep has read yet, a lock that is held, an error), the other steps follow.
"""

from __future__ import annotations

import os
import stat

from agentq_cli.base import clock, environment
from agentq_cli.base.errors import AgentqError
from agentq_cli.config import mark
from agentq_cli.engines.local import file_systems, schema, seen
from agentq_cli.host.place import LOOK_MS, TREES_LOOKED
from agentq_cli.host.ring import ring

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping
else:
    from agentq_cli.engines.sqlite_driver import sqlite3

EMPTY = b'{"schema": "agentq.sweep/1", "items": []}\n'
"""The document of a sweep that had nothing to do."""

BUSY_SECONDS = 1.0
FRESH_MS = 15_000
"""A supervisor that has renewed its row within this time is certainly within its lease."""


def sweep(given: Mapping[str, object], shared: Mapping[str, object]) -> bool:
    """Sweep if there is nothing to do, and print what the command would print; False: nothing was done or printed.

    `given` are the parameters of `commands.sweep` and `shared` the options of every command, only those that are not at
    their default. A repeated sweep does no harm, so False is always safe.
    """
    if given.keys() - {"no_wake", "session"} or shared.keys() - {"json", "state_dir"}:
        return False
    session = given.get("session")
    named = shared.get("state_dir")
    try:
        state = environment.state_directory(named, os.environ)  # type: ignore[arg-type]
        if state is None or named == "" or not _fit(state := os.path.realpath(state)):
            return False
        now = clock.from_environment(os.environ).now_ms()
        index = sqlite3.connect(f"{state}/agentq.db", timeout=BUSY_SECONDS, isolation_level=None)
        try:
            if not _idle(index, state, now, session):
                return False
            seen.note(index, now, turn=session is None)
        finally:
            index.close()
        ring(f"{state}/bells")
        if "json" in shared:
            os.write(1, EMPTY)
    except (AgentqError, OSError, sqlite3.Error, ValueError):
        return False
    return True


def _fit(state: str) -> bool:
    """Whether the state dir is there, complete and ours, on a file system whose locks are reliable."""
    whole = os.path.isdir(f"{state}/sessions") and stat.S_ISDIR(os.lstat(f"{state}/bells").st_mode)
    index = os.lstat(f"{state}/agentq.db")
    if not whole or not stat.S_ISREG(index.st_mode) or not index.st_size or os.stat(state).st_uid != os.geteuid():
        return False
    return not file_systems.is_network(file_systems.kind_of(state))


def _idle(index: sqlite3.Connection, state: str, now: int, session: object) -> bool:
    """Whether a sweep at this moment would find nothing to do."""
    index.execute("PRAGMA synchronous = EXTRA")
    index.execute("BEGIN")
    try:
        (version,) = index.execute("PRAGMA user_version").fetchone()
        if version != schema.latest("index"):
            return False
        configured = mark.concerning(seen.config(index), os.environ)
        if configured is None:
            return False
        retention, hooks = configured
        values = {"now": now, "before": None if retention is None else now - retention}
        if retention is not None and _trees_due(state, now):
            return False
        anything, due = index.execute(seen.SWEEP["idle"], values).fetchone()
        if anything or not _watched(index, f"{state}/bells", due=due):
            return False
        if hooks and index.execute(seen.SWEEP["hooks"]).fetchone()[0]:
            return False
        sessions = f"{state}/sessions"
        if session is not None:
            rows = index.execute(seen.SWEEP["seen"], {"session": session}).fetchall()
            if not rows:
                return False
        elif seen.directory(sessions, index) != seen.known_directory(index):
            return False
        else:
            rows = seen.in_turn(index)
    finally:
        index.execute("COMMIT")
    return not any(seen.unlike(rows, sessions))


def _trees_due(state: str, now: int) -> bool:
    """Whether there may be trees to remove, for which no sweep has looked for a while."""
    try:
        looked = os.stat(f"{state}/{TREES_LOOKED}").st_mtime_ns // 1_000_000
    except FileNotFoundError:
        return False  # The sweep after the first task of a tree will look.
    return not 0 <= now - looked < LOOK_MS


def _watched(index: sqlite3.Connection, bells: str, *, due: bool) -> bool:
    """Whether every supervisor on record is alive, every run is watched by one, and, if a task is `due`, one will start
    it."""
    supervisors = index.execute(seen.SWEEP["supervisors"]).fetchall()
    watchers = index.execute(seen.SWEEP["watchers"]).fetchall()
    if not supervisors:
        return not watchers and not due
    from agentq_cli.host import attendance

    since = clock.monotonic_ms() - FRESH_MS
    fresh = {row[:3] for row in supervisors if row[4] > since}
    if not all(attendance.lives(row[:3], bells) for row in supervisors) or not fresh.issuperset(watchers):
        return False
    return not due or any(row[3] for row in supervisors if row[:3] in fresh)
