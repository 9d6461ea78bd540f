"""One task stored by a process that loads almost nothing.

Cron lines, hooks and loops in scripts submit one task a process, and most of what that takes is loading the rest of
agentq. `store` does it here if it is sure of every step; anything out of the ordinary it leaves, before the first
change, to the queue's own submit. `submit` also makes the columns of the commonest task by itself: one task, at once,
without a configuration. The general way, by `options.new_task` and `store_new`, executes two fifths more instructions.
What is stored, printed and rung is the same to the byte.

In this module and in what it imports: no typing, no dataclasses, no re, no contextlib, no pathlib.
"""

from __future__ import annotations

import os
import stat

from agentq_cli.base import clock, environment
from agentq_cli.base.defaults import AGENT_CLIS, BUILT_IN, BUSY_MS, MAX_QUEUED, NOBODY_THERE, TREES
from agentq_cli.base.names import CHARACTERS, is_name
from agentq_cli.engines.local import file_systems, schema
from agentq_cli.engines.local.queries import insert_into, statements
from agentq_cli.host import attendance
from agentq_cli.host.ring import ring

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence

    from agentq_cli.model.tasks import NewTask

HANDLED = frozenset(("words", "exec", "session", "agent", "cwd", "priority", "no_wake"))
"""The options and arguments that may be given."""

PATH = CHARACTERS | frozenset("/~")
"""The characters that need no quoting in a URI."""

BUSY = (5, 6)
"""SQLITE_BUSY and SQLITE_LOCKED."""


def submit(given: Mapping[str, object], shared: Mapping[str, object], umask: int) -> bool:
    """Store the requested task and print its address, where there is no configuration. False: nothing was done or
    printed.

    `given` are the options and arguments of submit and `shared` the options of every command, as far as given. Raises
    what the whole program would: Usage for AGENTQ_NOW, Busy, Refused.
    """
    if given.keys() - HANDLED or shared.keys() - {"state_dir"}:
        return False
    environ = os.environ
    if environ.get("AGENTQ_DEPTH"):
        return False
    directory = environment.state_directory(shared.get("state_dir") or None, environ)  # type: ignore[arg-type]
    if directory is None or shared.get("state_dir") == "":
        return False
    if given.get("session", "default") != "default" and os.path.isdir(f"{directory}/{TREES}"):
        return False  # the session may work in a tree
    now = clock.from_environment(environ).now_ms()
    task = _task(given, environ, umask, now)
    if task is None:
        return False
    session = str(given.get("session", "default"))
    variables = environment.text(environment.captured(environ))
    stored = store(directory, session, task, variables, now, max_queued=MAX_QUEUED)
    if stored is None:
        return False
    seq, attended = stored
    _print(f"{session}/{seq}")
    if not attended and attendance.may_hint(directory, now):
        _advise(NOBODY_THERE)
    return True


def _task(given: Mapping[str, object], environ: Mapping[str, str], umask: int, now: int) -> dict[str, object] | None:
    """The columns that are not at their defaults, as `rows` writes them; None if anything is wrong or unusual."""
    from _json import encode_basestring_ascii as quoted  # what `json` writes strings with

    words, agent, priority = given.get("words") or [], given.get("agent"), given.get("priority", 0)
    session = given.get("session", "default")
    assert isinstance(words, list) and isinstance(priority, int)
    cwd = given.get("cwd", ".")
    assert isinstance(cwd, str)
    if not cwd or cwd[:1] == "~":
        return None
    try:
        cwd = os.path.abspath(cwd)
        "".join((cwd, *(() if given.get("exec") else words))).encode()
    except (OSError, UnicodeEncodeError):
        return None
    if not os.path.isdir(cwd) or not -100 <= priority <= 100:
        return None
    if given.get("exec"):
        if agent is not None or not words or not words[0]:
            return None
        program = words[0]
        work = {"kind": "exec", "argv": f"[{', '.join(map(quoted, words))}]"}
    else:
        if agent not in BUILT_IN or len(words) != 1 or words == ["-"] or not words[0].strip():
            return None
        program = agent if agent in AGENT_CLIS else ""
        work = {"kind": "prompt", "prompt": words[0], "agent": agent}
    if program and environment.find_program(program, environ.get("PATH"), cwd) is None:
        return None  # which is told, or refused
    return work | {
        "status": "queued",
        "cwd": cwd,
        "priority": priority,
        "labels": "[]",
        "context": "isolated" if session == "default" else "session",
        "created_at": now,
        "due_at": now,
        "launch": f'{{"umask": {umask}, "depth": 0}}',
    }


def store(
    directory: str, session: str, task: Mapping[str, object], variables: str, now: int, *, max_queued: int
) -> tuple[int, bool] | None:
    """Store one task in a session that is there, given its columns and the environment of its shell; its seq, and
    whether somebody will start it.

    None: nothing was stored, and somebody who knows more is to be asked. Raises Busy, and Refused by a failed commit.
    """
    directory = os.path.realpath(directory)
    index, inbound = _files(directory, session) or (None, None)
    if index is None or inbound is None:
        return None
    from agentq_cli.engines.sqlite_driver import sqlite3

    at = inbound
    committing = False
    try:
        database = sqlite3.connect(_uri(inbound), uri=True, timeout=BUSY_MS / 1000, isolation_level=None)
        try:
            if not _is_latest(database, "main", "inbound"):
                return None
            at = index
            database.execute("ATTACH DATABASE ? AS idx", (_uri(index),))
            if not _is_latest(database, "idx", "index"):
                return None
            at = inbound
            database.execute("BEGIN EXCLUSIVE")
            seq = _inserted(database, session, task, variables, now, max_queued)
            if seq is None:
                return None
            committing = True
            database.execute("COMMIT")
            bells = os.path.join(directory, "bells")
            ring(bells)
            return seq, _attended(database, session, now, bells)
        finally:
            # Closing rolls back what was not committed.
            database.close()
    except sqlite3.Error as error:
        if not committing and error.sqlite_errorcode & 0xFF not in BUSY:
            return None
        from agentq_cli.engines.local.connection import translate

        raise translate(error, at) from error


def store_new(directory: str, new: NewTask, now: int, *, max_queued: int) -> tuple[int, bool] | None:
    """As `store`, of a new task. None also for one that is held, has a key or a schedule, or waits for others."""
    if new.held or new.work.key is not None or new.work.after or new.schedule is not None or new.captured is None:
        return None
    from agentq_cli.engines.steps import rows

    due_at = now if new.due_at is None else new.due_at
    task = rows.work_columns(new.work) | {"status": "queued", "created_at": now, "due_at": due_at}
    if new.work.given_key is not None:
        task["conversation_key"] = new.work.given_key
    variables = environment.text(new.captured)
    return store(directory, new.session, task, variables, now, max_queued=max_queued)


def _files(directory: str, session: str) -> tuple[str, str] | None:
    """The index and the session's inbound.db; None unless both are there and fit for use as they are."""
    home = os.path.join(directory, "sessions", session)
    index, inbound = os.path.join(directory, "agentq.db"), os.path.join(home, "inbound.db")
    if not PATH.issuperset(inbound) or not is_name(session):
        return None
    try:
        fit = (
            os.stat(directory).st_uid == os.geteuid()
            and stat.S_ISDIR(os.lstat(os.path.join(directory, "bells")).st_mode)
            and not os.path.islink(home)
            and _whole(inbound)
            and _whole(index)
            and _whole(os.path.join(home, "outbound.db"))
            and not file_systems.is_network(file_systems.kind_of(directory))
        )
    except OSError:
        return None
    return (index, inbound) if fit else None


def _whole(path: str) -> bool:
    """Whether a database is there and is not a link; SQLite does not open a journal that is a link."""
    found = os.lstat(path)
    return stat.S_ISREG(found.st_mode) and found.st_size > 0


def _uri(path: str) -> str:
    return f"file:{path}?mode=rw"


def _is_latest(database: sqlite3.Connection, name: str, kind: str) -> bool:
    # A commit over two files ends with the unlink of the super-journal, which SQLite syncs at FULL already.
    database.execute(f"PRAGMA {name}.synchronous = FULL")
    ((version,),) = database.execute(f"PRAGMA {name}.user_version").fetchall()
    return bool(version == schema.latest(kind))


def _inserted(
    database: sqlite3.Connection,
    session: str,
    task: Mapping[str, object],
    variables: str,
    now: int,
    max_queued: int,
) -> int | None:
    """The new row's seq; None if there is no room for it."""
    sql = statements("write")
    ((live,),) = database.execute(sql["live_count"]).fetchall()
    if live >= max_queued:
        return None
    database.execute(sql["create_session"], {"name": session, "at": now})
    ((seq,),) = database.execute(sql["next_seq"]).fetchall()
    shell = {"variables": variables}
    database.execute(sql["keep_environment"], shell)
    ((stored,),) = database.execute(sql["environment_of"], shell).fetchall()
    task = {**task, "seq": seq, "environment": stored}
    database.execute(insert_into("messages_in", task), task)
    values = {"session": session, "first": seq, "last": seq, "batch": None, "at": now, "actor": "user"}
    database.execute(sql["mirror"], values)
    database.execute(sql["events_of_new"], values)
    return int(seq)


def _attended(database: sqlite3.Connection, session: str, now: int, bells: str) -> bool:
    sql = statements("read")
    found = database.execute(sql["attendance"]).fetchall()
    serving = [
        () if served == "[]" else _names(served)
        for *identity, served, renewed_at, busy in found
        if attendance.counts(tuple(identity), renewed_at, busy=bool(busy), bells=bells)
    ]
    if attendance.all_served(serving, [session]):
        return True
    row = database.execute(sql["meta"], {"name": "last_sweep_at"}).fetchone()
    return attendance.swept_lately(None if row is None else int(row[0]), now)


def _names(text: str) -> Sequence[str]:
    import json

    return tuple(json.loads(text))


def _advise(text: str) -> None:
    try:  # noqa: SIM105 - contextlib takes longer to load than all of this
        os.write(2, f"agentq: hint: {text}\n".encode())
    except OSError:
        pass  # a closed stderr must not turn success into failure


def _print(address: str) -> None:
    try:
        os.write(1, f"{address}\n".encode())
    except OSError:
        # Print it again with the printer, which knows how to report the error.
        from agentq_cli.show import printer, results

        writer = printer.Printer(as_json=False, color="auto", environ=os.environ, now_ms=lambda: 0)
        writer.write(results.Document("tasks", {}, [address]))
