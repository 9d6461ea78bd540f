"""`agentq sweep` where there is nothing to do, answered by one look at the index and a few files' times.

It imports nothing that takes time, and answers only where that is certain; whatever is unusual (another option, a
configuration, a lock that is held, an error) is left to the command itself, which does and says the same.
"""

from __future__ import annotations

import os
import sqlite3
import sys
import time

from agentq_cli import places
from agentq_cli.store import seen
from agentq_cli.store.file_system import network_file_system

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

EMPTY = b'{"schema": "agentq.sweep/1", "items": []}\n'
"""The document of a sweep that had nothing to do."""

BUSY_SECONDS = 1.0
FRESH_MS = 15_000
"""A supervisor that has renewed its row since then is surely within its lease."""


def sweep(arguments: Sequence[str]) -> bool:
    """Sweep where nothing is to be done, and print what there is to print; False: nothing is done or printed yet.

    `arguments` are those after the command's name. A sweep that is repeated does no harm, so that False is always safe.
    """
    try:
        given = _given(arguments)
        if given is None or sys.platform != "linux" or _configured():
            return False
        as_json, state = given
        if not (os.path.isabs(state) and _fit(state := os.path.realpath(state))):
            return False
        index = sqlite3.connect(f"{state}/agentq.db", timeout=BUSY_SECONDS, isolation_level=None)
        try:
            if not _idle(index, state):
                return False
            seen.note(index, time.time_ns() // 1_000_000, turn=True)
        finally:
            index.close()
        _ring(f"{state}/bells")
        if as_json:
            os.write(1, EMPTY)
    except (OSError, sqlite3.Error, ValueError):
        return False
    return True


def _given(arguments: Sequence[str]) -> tuple[bool, str] | None:
    """Whether JSON is wanted, and the state dir; None for options that are not served here."""
    as_json, named = False, None
    words = iter(arguments)
    for word in words:
        if word == "--json":
            as_json = True
        elif word == "--state-dir":
            named = next(words, "")
            if not named or named.startswith("-"):
                return None
        elif word != "--no-wake":
            return None
    return as_json, places.state_dir(named, os.environ)


def _configured() -> bool:
    """Whether anything is set that a sweep would have to read and check."""
    if any(name.startswith("AGENTQ_") and name != "AGENTQ_STATE_DIR" for name in os.environ):
        return True
    file = places.config_file(os.environ)
    return not os.path.isabs(file) or os.path.lexists(file)


def _fit(state: str) -> bool:
    """Whether the state dir is there, whole and ours, on a file system whose locks can be relied on."""
    whole = all(os.path.isdir(f"{state}/{part}") for part in ("sessions", "bells"))
    if not whole or os.path.getsize(f"{state}/agentq.db") == 0 or os.stat(state).st_uid != os.geteuid():
        return False
    return network_file_system(state) is None


def _idle(index: sqlite3.Connection, state: str) -> bool:
    """Whether a sweep at this moment would find nothing to do."""
    index.execute("PRAGMA synchronous = EXTRA")
    index.execute("BEGIN")
    try:
        (version,) = index.execute("PRAGMA user_version").fetchone()
        newest = max(os.listdir(os.path.join(os.path.dirname(__file__), "schema", "index")))
        if version != int(newest[:3]):
            return False
        now = time.time_ns() // 1_000_000
        anything, due = index.execute(seen.SWEEP["idle"], {"now": now}).fetchone()
        if anything or not _watched(index, due=due):
            return False
        sessions = f"{state}/sessions"
        if seen.directory(sessions) != seen.known_directory(index):
            return False
        rows = seen.in_turn(index)
    finally:
        index.execute("COMMIT")
    return not any(seen.unlike(rows, sessions))


def _watched(index: sqlite3.Connection, *, due: bool) -> bool:
    """Whether every supervisor on record lives, every run is watched by one, and what is `due` has one to start it."""
    supervisors = index.execute(seen.SWEEP["supervisors"]).fetchall()
    watchers = index.execute(seen.SWEEP["watchers"]).fetchall()
    if not supervisors:
        return not watchers and not due
    from agentq_cli.identity import Identity
    from agentq_cli.supervise import process

    since = time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000 - FRESH_MS
    fresh = {row[:3] for row in supervisors if row[4] > since}
    if not all(process.alive(Identity(*row[:3])) for row in supervisors) or not fresh.issuperset(watchers):
        return False
    return not due or any(row[3] for row in supervisors if row[:3] in fresh)


def _ring(bells: str) -> None:
    """Ring whoever waits, as every sweep does."""
    if os.listdir(bells):
        from pathlib import Path

        from agentq_cli.supervise import bells as doorbells

        doorbells.ring(Path(bells))
