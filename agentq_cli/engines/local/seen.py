"""Which sessions' files are not as a sweep last saw them in order: these it opens, and no others.

What changes a file changes its size or its time, so that a stat tells whether to open it. A file system's clock ticks a
hundred times a second or so, though, and a file may be changed twice in one tick: a stamp that is as young as that is
like no other, so that what it stands for is looked at once more.

Of very many sessions one sweep looks at some: at those that run, those that ran last, those that are new, and of the
others at `SOME` in turn.
Imports nothing that takes time.
"""

from __future__ import annotations

import os
import stat

from agentq_cli.base import clock
from agentq_cli.engines.local.queries import statements

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    Row = tuple[str, str | None, str | None]

SWEEP = statements("sweep")
SOME = 128
"""Sessions that a sweep looks at in turn, and runs whose sessions it always looks at."""


def in_turn(index: sqlite3.Connection) -> list[Row]:
    """The sessions to look at now: name, what its inbound.db looked like, what its outbound.db looked like."""
    found: list[Row] = index.execute(SWEEP["in_turn"], {"some": SOME}).fetchall()
    return found


def next_position(index: sqlite3.Connection) -> str:
    """Behind which name the next sweep goes on; "" to begin again."""
    row = index.execute(SWEEP["next_position"], {"some": SOME}).fetchone()
    return "" if row is None else str(row[0])


def config(index: sqlite3.Connection) -> str | None:
    """What the last sweep that read a configuration noted of it (`config.mark`)."""
    row = index.execute(SWEEP["config"]).fetchone()
    return None if row is None else str(row[0])


def note(index: sqlite3.Connection, now: int, *, turn: bool, config: str | None = None) -> None:
    """Record that somebody sweeps at `now`; with `turn` the next one looks at the sessions after those of this one.

    `config` is what is to be remembered of the configuration.
    """
    set_meta = statements("dispatch")["set_meta"]
    index.execute("BEGIN EXCLUSIVE")
    try:
        index.execute(set_meta, {"name": "last_sweep_at", "value": now})
        if turn:
            index.execute(set_meta, {"name": "sweep_position", "value": next_position(index)})
        if config is not None:
            index.execute(set_meta, {"name": "config_seen", "value": config})
        index.execute("COMMIT")
    finally:
        if index.in_transaction:
            index.execute("ROLLBACK")


def inbound(sessions: str, name: str) -> str:
    """What changes when a session's inbound.db or its journal does, or the directory is exchanged."""
    directory = f"{sessions}/{name}"
    try:
        around = os.lstat(directory)
    except OSError:
        return "gone"
    if not stat.S_ISDIR(around.st_mode):
        return "no directory"
    # Of the directory too: a journal that is made there, and left there, changes its time.
    return f"{around.st_ino}:{_time(around)}:{_file(f'{directory}/inbound.db')}"


def outbound(sessions: str, name: str) -> str | None:
    """What changes when a session's outbound.db does; None where there is none."""
    return _file(f"{sessions}/{name}/outbound.db")


def _file(path: str) -> str | None:
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return f"{status.st_ino}:{status.st_size}:{_time(status)}"


def _time(status: os.stat_result) -> str:
    # Not the time of the last write, which anybody may set, as whoever puts back a copy does.
    if clock.settled(status.st_ctime_ns):
        return str(status.st_ctime_ns)
    return f"{status.st_ctime_ns} at {clock.file_time_ns()}"


def directory(sessions: str, index: sqlite3.Connection) -> str:
    """What changes when a session's directory is made, removed or renamed, or when the index forgets one."""
    status = os.stat(sessions)
    (known,) = index.execute(SWEEP["known"]).fetchone()
    return f"{status.st_ino}:{_time(status)}:{known}"


def known_directory(index: sqlite3.Connection) -> str | None:
    """What that was when it held nothing in trouble that the index does not know."""
    row = index.execute(SWEEP["directory"]).fetchone()
    return None if row is None else str(row[0])


def unlike(rows: list[Row], sessions: str) -> Iterator[str]:
    """Those of the sessions whose files are not what they were."""
    for name, seen, outbound_seen in rows:
        if inbound(sessions, name) != seen or outbound(sessions, name) != outbound_seen:
            yield name
