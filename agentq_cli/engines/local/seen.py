"""Which sessions' files have changed since a sweep last found them in order: a sweep opens these, and no others.

Every change of a file changes its size or its time, so a stat tells whether to open it. A file system's clock, however,
ticks only about a hundred times a second, and a file may change twice in one tick. So a stamp younger than one tick
never equals another one, and what it stands for is checked once more.

If there are very many sessions, one sweep checks some of them: those with running tasks, those that ran last, those
that are new, and `SOME` of the others in turn. Imports nothing that takes time.
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
YOUNG = " at "
"""What a stamp contains that never equals another one."""

SOME = 128
"""How many sessions a sweep checks in turn, and how many of the latest runs have their sessions checked always."""


def in_turn(index: sqlite3.Connection) -> list[Row]:
    """The sessions to check now: name, the last stamp of its inbound.db, the last stamp of its outbound.db."""
    found: list[Row] = index.execute(SWEEP["in_turn"], {"some": SOME}).fetchall()
    return found


def next_position(index: sqlite3.Connection) -> str:
    """The name after which the next sweep continues; "" to begin again."""
    row = index.execute(SWEEP["next_position"], {"some": SOME}).fetchone()
    return "" if row is None else str(row[0])


def config(index: sqlite3.Connection) -> str | None:
    """What the last sweep that read a configuration noted of it (`config.mark`)."""
    row = index.execute(SWEEP["config"]).fetchone()
    return None if row is None else str(row[0])


def note(index: sqlite3.Connection, now: int, *, turn: bool, config: str | None = None) -> None:
    """Record that a sweep runs at `now`; with `turn` the next sweep checks the sessions after those of this one.

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
    """A stamp that changes when a session's inbound.db or its journal does, or when the directory is replaced."""
    directory = f"{sessions}/{name}"
    try:
        around = os.lstat(directory)
    except OSError:
        return "gone"
    if not stat.S_ISDIR(around.st_mode):
        return "no directory"
    # The directory is part of the stamp: a journal that is created in it, and stays, changes the directory's time.
    return f"{around.st_ino}:{_time(around)}:{file(f'{directory}/inbound.db')}"


def outbound(sessions: str, name: str) -> str | None:
    """The stamp of a session's outbound.db."""
    return file(f"{sessions}/{name}/outbound.db")


def file(path: str) -> str | None:
    """A stamp that changes when a file does; None if there is no such file."""
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return f"{status.st_ino}:{status.st_size}:{_time(status)}"


def _time(status: os.stat_result) -> str:
    # Not the time of the last write, which anybody may set, for example by restoring a copy.
    if clock.settled(status.st_ctime_ns):
        return str(status.st_ctime_ns)
    return f"{status.st_ctime_ns}{YOUNG}{clock.file_time_ns()}"


def comparable(stamp: str) -> bool:
    """Whether a stamp equals another one if its file has not changed: it was not too young when it was taken."""
    return YOUNG not in stamp


def directory(sessions: str, index: sqlite3.Connection) -> str:
    """A stamp that changes when a session's directory is created, removed or renamed, or when the index forgets one."""
    status = os.stat(sessions)
    (known,) = index.execute(SWEEP["known"]).fetchone()
    return f"{status.st_ino}:{_time(status)}:{known}"


def known_directory(index: sqlite3.Connection) -> str | None:
    """The stamp of the directory from when it had nothing faulty that the index did not know."""
    row = index.execute(SWEEP["directory"]).fetchone()
    return None if row is None else str(row[0])


def unlike(rows: list[Row], sessions: str) -> Iterator[str]:
    """The sessions whose files have changed."""
    for name, seen, outbound_seen in rows:
        if inbound(sessions, name) != seen or outbound(sessions, name) != outbound_seen:
            yield name
