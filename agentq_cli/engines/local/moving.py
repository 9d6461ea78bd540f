"""Sessions that leave a state dir or come into it (`subdoors.Moving`).

A session that left keeps its files. Triggers in them refuse every change, so that nobody else has to look whether it is
still here; they are removed when it comes back.
"""

from __future__ import annotations

import os

from agentq_cli.base.errors import WrongState
from agentq_cli.base.json_text import dumps, loads
from agentq_cli.engines.local import connection, files, holds, sessions
from agentq_cli.engines.local.queries import insert_into, statement, statements
from agentq_cli.engines.shared.cargo import NUMBERED, OWN_STATE, TABLES, Cargo, torn
from agentq_cli.model.addresses import Address, RunId

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection

    from agentq_cli.engines.local.queue import LocalQueue
    from agentq_cli.engines.local.session_write import SessionWrite
    from agentq_cli.engines.shared.cargo import Row
    from agentq_cli.engines.transaction import Values

SQL = statements("moving")
OF_INDEX = ("dependencies", "task_runs", "events", "pruned_runs")
"""The tables of the index with rows of sessions, beside the mirror of the tasks."""

OF_FILE = ("messages_in", "session_state", "conversations", "delivered", "environments")
"""The tables of a session's file."""


class Moving:
    """Those of one state dir."""

    def __init__(self, queue: LocalQueue) -> None:
        self._queue = queue
        self._state = queue.state
        self._index = queue.index

    def sessions(self) -> list[str]:
        left = self.left()
        return [session for session in self._queue.session_names() if session not in left]

    def left(self) -> dict[str, str]:
        found = {}
        # The triggers say nothing to who only reads, and the files of sessions that are here need not be opened.
        for (session,) in self._index.execute(SQL["paused"]).fetchall():
            with self._queue.of_session(session) as reading:
                rows = reading.ask("dispatch.session_state", {"name": "moved"})
            if rows:
                found[session] = str(loads(rows[0][0])["to"])
        return found

    def running(self, sessions: Collection[str]) -> list[RunId]:
        return [worker.id for worker in self._queue.workers() if worker.session in sessions]

    def torn(self, sessions: Collection[str]) -> list[tuple[str, str]]:
        return torn(self._index.execute(SQL["dependencies"]).fetchall(), list(sessions))

    def leave(self, sessions: Collection[str], to: str, *, all_of_them: bool) -> None:
        for session in sessions:
            with self._queue.in_session(session) as write:
                self._leave(write, to)
        if all_of_them:
            with connection.transaction(self._index, self._state.index):
                self._index.execute(SQL["open"])
                self._index.execute(_trigger("close", f"the queue has moved to '{to}'"))
        self._queue.ring()

    def _leave(self, write: SessionWrite, to: str) -> None:
        session = write.session
        write.release_committed()
        for seq, attempt in write.database.execute(SQL["runs_now"], {"session": session}).fetchall():
            raise WrongState(f"session '{session}': '{Address(session, seq)}.{attempt}' is running")
        if write.database.execute(SQL["staged"]).fetchall():
            raise WrongState(f"session '{session}': a batch is being stored in it; try again")
        if write.ask("dispatch.session_state", {"name": "moved"}):
            return
        ((paused_at, reason),) = write.database.execute(SQL["pause_of"], {"session": session}).fetchall()
        before = {"to": to, "paused_at": paused_at, "paused_reason": reason}
        write.tell("dispatch.set_session_state", {"name": "moved", "value": dumps(before)})
        why = f"moved to {to}"
        write.tell("dispatch.set_session_state", {"name": "paused", "value": why})
        write.tell("dispatch.pause_session", {"session": session, "at": write.now, "reason": why})
        write.database.execute(SQL["quiet"], {"session": session})
        write.record("move", None, reason=f"to {to}")
        for name in ("refuse_new", "refuse_change", "refuse_resume"):
            write.database.execute(_trigger(name, f"session '{session}' has moved to '{to}'"))

    # What is taken along

    def cargo(self, sessions: Collection[str], *, all_of_them: bool, log_bytes: int | None) -> Cargo:
        cargo, numbers = Cargo(), dict[str, int]()
        for session in sessions:
            with self._queue.of_both(session) as reading:
                one = Cargo()
                with connection.snapshot(reading.database):
                    _read(reading.database, session, one)
                texts = dict(reading.database.execute(SQL["environments"]).fetchall())
                positions = {id: numbers.setdefault(text, len(numbers)) for id, text in texts.items()}
                one.number_environments(positions.get)
                for table in TABLES:
                    cargo.rows[table] += one.rows[table]
            self._read_messages(session, cargo)
            if log_bytes is not None:
                self._read_output(session, cargo, log_bytes)
        cargo.environments[:] = numbers
        if all_of_them:
            cargo.rows["holds"] += self._index.execute(statement("dispatch.all_holds")).fetchall()
            cargo.rows["events"] += self._index.execute(_select("events", "session IS NULL")).fetchall()
        for table in NUMBERED:
            cargo.rows[table].sort()
        return cargo

    def _read_messages(self, session: str, cargo: Cargo) -> None:
        if os.path.lexists(self._state.outbound(session)):
            with files.outbound(self._state, session) as database:
                cargo.rows["messages"] += [(session, *row) for row in database.execute(SQL["messages"]).fetchall()]

    def _read_output(self, session: str, cargo: Cargo, log_bytes: int) -> None:
        from agentq_cli.engines.fleet.chunks import RECORDS, STREAMS, whole

        own = [row[1:4] for row in cargo.rows["task_runs"] if row[1] == session]
        for run in (RunId(*each) for each in own):
            for stream in (*STREAMS, *RECORDS):
                with self._queue.output(run, stream) as output:
                    cargo.rows["log_chunks"] += [(*run, stream, *piece) for piece in whole(output, log_bytes)]

    # What comes

    def take_in(self, cargo: Cargo, *, source: str, all_of_them: bool) -> None:
        cargo.note(source, self._queue.now)
        values = {"coming": dumps(cargo.column("sessions", "name")), "all_of_them": all_of_them}
        for table in NUMBERED:
            cargo.make_room(table, lambda first, last, table=table: self._last_id(table, first, last, values))  # type: ignore[misc]
        with connection.transaction(self._index, self._state.index):
            self._index.execute(SQL["open"])
            for name in ("forget_task_runs", "forget_events"):
                self._index.execute(SQL[name], values)  # what is still here of one has the numbers of another
        for session, own in cargo.by_session().items():
            self._take_in(session, own, cargo.environments)
        if all_of_them:
            with self._queue.in_queue() as write:
                database = write.database
                database.execute(statement("dispatch.forget_holds"))
                database.executemany(insert_into_numbered("holds"), cargo.rows["holds"])
                database.execute("DELETE FROM events WHERE session IS NULL")
                of_none = [row for row in cargo.rows["events"] if row[2] is None]
                database.executemany(insert_into_numbered("events"), of_none)
                holds.copy(database, self._state)
        self._queue.ring()

    def _last_id(self, table: str, first: int, last: int, values: Values) -> int | None:
        """The largest id of a table, if any between two is of a session that does not come."""
        values = {**values, "first": first, "last": last}
        ((largest, taken),) = self._index.execute(SQL[f"ids_of_{table}"], values).fetchall()
        return largest if taken else None

    def _take_in(self, session: str, own: Cargo, texts: list[str]) -> None:
        sessions.create_sessions(self._state, [session])
        self._write_messages(session, own.rows["messages"])
        self._write_output(own.rows["log_chunks"])
        with self._queue.in_session(session, create=True) as write:
            database = write.database
            for name in ("accept_new", "accept_change", "accept_resume"):
                database.execute(SQL[name])
            for table in OF_FILE:
                database.execute(f"DELETE FROM main.{table}")
            for table in OF_INDEX:
                database.execute(f"DELETE FROM idx.{table} WHERE session = ?", (session,))
            database.execute(statement("reindex.forget_session"), {"session": session})
            _write(database, session, own, texts)
            write.mirror_all()

    def _write_messages(self, session: str, rows: list[Row]) -> None:
        path = self._state.outbound(session)
        with (
            files.opened_outbound(self._state, session, connection.BUSY_MS) as database,
            connection.transaction(database, path),
        ):
            database.executemany(SQL["add_message"], [row[1:] for row in rows])

    def _write_output(self, rows: list[Row]) -> None:
        """What runs printed, as the files of their directories; those that are there stay."""
        from agentq_cli.engines.fleet.chunks import joined

        streams: dict[tuple[RunId, str], list[Row]] = {}
        for row in rows:
            streams.setdefault((RunId(*row[:3]), row[3]), []).append(row[4:])
        for (run, stream), pieces in streams.items():
            directory = self._queue.here.run(run)
            os.makedirs(directory.path, 0o700, exist_ok=True)
            path = directory.file(stream)
            if not os.path.lexists(path):
                with open(path, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
                    file.writelines(joined(pieces))


def _read(database: sqlite3.Connection, session: str, cargo: Cargo) -> None:
    values = {"session": session}
    for table, name in (("session_state", "state"), ("conversations", "conversations"), ("delivered", "delivered")):
        cargo.rows[table] += [(session, *row) for row in database.execute(SQL[name]).fetchall()]
    cargo.rows["session_state"][:] = [row for row in cargo.rows["session_state"] if row[1] not in OWN_STATE]
    columns = ", ".join(f'm."{name}"' for name in TABLES["tasks"][1:-1])
    tasks = database.execute(SQL["tasks"].replace("{own}", columns), values).fetchall()
    cargo.rows["tasks"] += [(session, *row) for row in tasks]
    for table in OF_INDEX:
        cargo.rows[table] += database.execute(_select(table, "session = :session", "idx."), values).fetchall()
    ((created_at, last_start_at, paused_at, reason),) = database.execute(SQL["session"], values).fetchall()
    moved = database.execute(SQL["moved"]).fetchall()
    if moved:
        before = loads(moved[0][0])
        paused_at, reason = before["paused_at"], before["paused_reason"]
    ((next_seq,),) = database.execute(statement("write.next_seq")).fetchall()
    cargo.rows["sessions"].append((session, created_at, last_start_at, paused_at, reason, next_seq))


def _write(database: sqlite3.Connection, session: str, own: Cargo, texts: list[str]) -> None:
    ((_, created_at, last_start_at, paused_at, reason, next_seq),) = own.rows["sessions"]
    ids: dict[int, int] = {}

    def id_of(position: int) -> int:
        if position not in ids:
            values = {"variables": texts[position]}
            database.execute(statement("write.keep_environment"), values)
            ((ids[position],),) = database.execute(statement("write.environment_of"), values).fetchall()
        return ids[position]

    own.number_environments(id_of)
    columns = TABLES["tasks"][1:-1]
    database.executemany(insert_into_numbered("messages_in", columns), [row[1:-1] for row in own.rows["tasks"]])
    for table in ("session_state", "conversations", "delivered"):
        database.executemany(insert_into_numbered(table, TABLES[table][1:]), [row[1:] for row in own.rows[table]])
    for table in OF_INDEX:
        database.executemany(insert_into_numbered(table), own.rows[table])
    database.execute(SQL["numbers"], {"last": next_seq - 1})
    values = {"session": session, "created_at": created_at, "last_start_at": last_start_at}
    database.execute(SQL["put_session"], values | {"paused_at": paused_at, "reason": reason})
    if paused_at is not None:
        database.execute(statement("dispatch.set_session_state"), {"name": "paused", "value": reason})


def _select(table: str, which: str, schema: str = "") -> str:
    listed = '", "'.join(TABLES[table])
    return f'SELECT "{listed}" FROM {schema}{table} WHERE {which}'


def insert_into_numbered(table: str, columns: Collection[str] = ()) -> str:
    """The statement that adds a row of `TABLES`, given by position."""
    names = tuple(columns) or TABLES[table]
    text = insert_into(table, names).partition(" VALUES ")[0]
    return f"{text} VALUES ({', '.join('?' * len(names))})"


def _trigger(name: str, why: str) -> str:
    """A statement with the message of a trigger, which must be a literal."""
    return SQL[name].replace(":why", "'" + why.replace("'", "''") + "'")
