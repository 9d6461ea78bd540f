"""Sessions that leave a fleet or come into it (`subdoors.Moving`): each way is one transaction.

A session that left has that in its state, which every transaction over a session asks for as it begins.
"""

from __future__ import annotations

from agentq_cli import __version__
from agentq_cli.base import procfs
from agentq_cli.base.errors import WrongState
from agentq_cli.base.json_text import dumps, loads
from agentq_cli.engines.fleet.chunks import RECORDS, STREAMS, whole
from agentq_cli.engines.shared.cargo import NUMBERED, OWN_STATE, TABLES, Cargo, torn
from agentq_cli.engines.steps import rows as rows_of
from agentq_cli.host import environments
from agentq_cli.model.addresses import RunId
from agentq_cli.model.work import Work
from agentq_cli.policy import placement

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

    from agentq_cli.engines.fleet.queue import FleetQueue
    from agentq_cli.engines.fleet.transaction import Writing
    from agentq_cli.engines.shared.cargo import Row

OF_HOSTS = ("conversations", "delivered", "messages")
"""The tables whose rows are about files of one host, by its key."""

RESULT = "result"
"""The kind of the messages that agentq itself writes, which are of no host."""


class Moving:
    """Those of one fleet."""

    def __init__(self, queue: FleetQueue) -> None:
        self._queue = queue

    def sessions(self) -> list[str]:
        return [name for (name,) in self._queue.reading.ask("moving.here")]

    def left(self) -> dict[str, str]:
        return {session: place(value) for session, value in self._queue.reading.ask("moving.left")}

    def running(self, sessions: Collection[str]) -> list[RunId]:
        found = self._queue.reading.ask("moving.running", {"sessions": dumps(sorted(sessions))})
        return [RunId(*row) for row in found]

    def torn(self, sessions: Collection[str]) -> list[tuple[str, str]]:
        return torn(self._queue.reading.ask("moving.dependencies"), list(sessions))

    def leave(self, sessions: Collection[str], to: str, *, all_of_them: bool) -> None:
        with self._queue.in_queue() as write:
            for session, seq, attempt in write.ask("moving.running", {"sessions": dumps(sorted(sessions))}):
                raise WrongState(f"session '{session}': '{RunId(session, seq, attempt)}' is running")
            left = {session for session, _ in write.ask("moving.left")}
            for session in sessions:
                if session not in left:
                    part, why = write.part(session), f"moved to {to}"
                    part.tell("moving.leave", {"target": to})
                    part.tell("dispatch.pause_session", {"at": write.now, "reason": why})
                    part.record("move", None, reason=f"to {to}")
            if all_of_them:
                write.tell("moving.close", {"target": to})

    # What is taken along

    def cargo(self, sessions: Collection[str], *, all_of_them: bool, log_bytes: int | None) -> Cargo:
        cargo = Cargo()
        with self._queue.database.snapshot():
            for table, columns in TABLES.items():
                cargo.rows[table] += self._rows(table, columns, sessions, all_of_them, logs=log_bytes is not None)
        left = {row[0]: loads(row[2]) for row in cargo.rows["session_state"] if row[1] == "moved"}
        before = {session: (was["paused_at"], was["paused_reason"]) for session, was in left.items()}
        cargo.rows["session_state"][:] = [row for row in cargo.rows["session_state"] if row[1] not in OWN_STATE]
        cargo.rows["sessions"][:] = [
            (*row[:3], *before.get(row[0], row[3:5]), row[5]) for row in cargo.rows["sessions"]
        ]
        self._take_environments(cargo)
        if log_bytes is not None:
            self._read_own_output(cargo, log_bytes)
        return cargo

    def _rows(
        self, table: str, columns: tuple[str, ...], sessions: Collection[str], all_of_them: bool, *, logs: bool
    ) -> list[Row]:
        if (table == "log_chunks" and not logs) or (table == "holds" and not all_of_them):
            return []
        own = {"sessions": "name", "holds": None}.get(table, "session")
        which = f"{own} IN (SELECT value FROM json_array_elements_text(CAST(%(sessions)s AS json)) AS given (value))"
        if own is None:
            which = "true"
        if all_of_them and table == "events":
            which = f"({which} OR session IS NULL)"
        if table in ("conversations", "delivered"):
            which += " AND host = %(host_key)s"
        order = {"sessions": "name", "messages": "position", "holds": "scope, name, kind"}.get(
            table, "id" if table in NUMBERED else ", ".join(f'"{name}"' for name in columns[:2])
        )
        listed = ", ".join(f'"{name}"' for name in columns)
        text = f"SELECT {listed} FROM agentq.{table} WHERE {which} ORDER BY {order}"
        database = self._queue.database
        values = {**self._queue.own, "sessions": dumps(sorted(sessions))}
        found = database.send(database.filled(database.in_schema(text), values))
        return [(*row[:-1], bytes(row[-1])) for row in found] if table == "log_chunks" else found

    def _take_environments(self, cargo: Cargo) -> None:
        """The environments that are on this machine; another host's stay there."""
        here, numbers, positions = self._queue.here, dict[str, int](), dict[int, int | None]()

        def position(number: int) -> int | None:
            if number not in positions:
                text = environments.find(here, number)
                positions[number] = None if text is None else numbers.setdefault(text, len(numbers))
            return positions[number]

        cargo.number_environments(position)
        cargo.environments[:] = numbers

    def _read_own_output(self, cargo: Cargo, log_bytes: int) -> None:
        """What has run here and is not stored."""
        stored = {row[:4] for row in cargo.rows["log_chunks"]}
        for row in cargo.rows["task_runs"]:
            run = RunId(*row[1:4])
            for stream in (*STREAMS, *RECORDS):
                if (*run, stream) not in stored and self._queue.is_here(run):
                    with self._queue.output(run, stream) as output:
                        cargo.rows["log_chunks"] += [(*run, stream, *piece) for piece in whole(output, log_bytes)]

    # What comes

    def take_in(self, cargo: Cargo, *, source: str, all_of_them: bool) -> None:
        queue = self._queue
        key = str(queue.own["host_key"])
        numbers = [environments.keep(queue.here, key, text) for text in cargo.environments]
        cargo.number_environments(lambda position: numbers[position])
        names = cargo.column("sessions", "name")
        with queue.in_queue() as write:
            database = write.database
            database.be_patient()
            self._forget(write, names, all_of_them)
            cargo.note(source, write.now)
            for table in NUMBERED:
                cargo.make_room(table, lambda first, last, table=table: _last_id(write, table, first, last))  # type: ignore[misc]
            for table, columns in TABLES.items():
                rows = cargo.rows[table]
                if table in OF_HOSTS:
                    rows = [(*row, "" if table == "messages" and row[2] == RESULT else key) for row in rows]
                    columns = (*columns, "host")
                if table == "task_runs":  # so that what goes on in a conversation or a tree of one comes back here
                    rows, columns = [(*row, key) for row in rows], (*columns, "host_key")
                if table == "tasks":
                    rows = [(*row, needs) for row, needs in zip(rows, _needs(rows), strict=True)]
                    columns = (*columns, "needs")
                if rows:
                    database.copy(table, columns, rows)
            for name in ("moving.number_task_runs", "moving.number_events"):
                write.ask(name)
            self._bind(write, names)

    def _forget(self, write: Writing, names: list[str], all_of_them: bool) -> None:
        database, values = write.database, {"sessions": dumps(names)}
        which = "(SELECT value FROM json_array_elements_text(CAST(%(sessions)s AS json)) AS given (value))"
        texts = [
            f"DELETE FROM agentq.{table} WHERE {'name' if table == 'sessions' else 'session'} IN {which}"
            for table in TABLES
            if table != "holds"
        ]
        if all_of_them:
            texts += ["DELETE FROM agentq.holds", "DELETE FROM agentq.events WHERE session IS NULL"]
        for text in texts:
            database.send(database.filled(database.in_schema(text), values))
        write.tell("moving.open")

    def _bind(self, write: Writing, names: list[str]) -> None:
        """The sessions with a conversation live on this host, whose files it is in. One that is not on duty yet is as
        one that has just left."""
        settings = self._queue.settings
        values = {"name": settings.host, "boot_id": procfs.boot_id(), "version": __version__, "at": write.now}
        write.tell("moving.add_host", values | {"lease_ms": settings.lease_ms, "labels": dumps(list(settings.labels))})
        write.tell("moving.bind", {"name": settings.host, "sessions": dumps(names)})


def place(value: str) -> str:
    """Where a session is, from its state."""
    return str(loads(value)["to"])


def refusal(name: str, value: str) -> WrongState:
    """The error for a session that has left."""
    return WrongState(f"session '{name}' has moved to '{place(value)}'")


def refuse_left(write: Writing, sessions: Collection[str]) -> None:
    """Raises WrongState if one of these sessions has left."""
    for name, value in write.ask("moving.gone_of", {"sessions": dumps(sorted(sessions))}):
        raise refusal(name or next(iter(sessions)), value)


def _last_id(write: Writing, table: str, first: int, last: int) -> int | None:
    ((largest, taken),) = write.ask(f"moving.ids_of_{table}", {"first": first, "last": last})
    return int(largest) if taken else None


def _needs(tasks: list[Row]) -> list[str]:
    """What the host of each task must have, as its column."""
    at = [TABLES["tasks"].index(name) for name in ("kind", "cwd", "context", "launch")]
    found: dict[tuple[str, ...], str] = {}
    texts = []
    for row in tasks:
        which = tuple(row[number] for number in at)
        if which not in found:
            kind, cwd, context, launch = which
            found[which] = placement.needs(Work(kind, cwd, context=context, launch=rows_of.launch(launch))).text
        texts.append(found[which])
    return texts
