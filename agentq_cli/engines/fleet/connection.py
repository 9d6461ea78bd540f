"""A connection to the database of the fleet: messages, one transaction at a time, opened again after it was lost."""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator, Mapping

from agentq_cli.base.clock import monotonic_ms
from agentq_cli.base.context import contextmanager, suppress
from agentq_cli.base.errors import AgentqError, Busy
from agentq_cli.engines.fleet import driver, errors, queries
from agentq_cli.engines.fleet.dsn import dsn
from agentq_cli.engines.fleet.queries import in_schema, statement
from agentq_cli.engines.fleet.statements import Statements

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    Row = tuple[Any, ...]

LOCK_MS = 5_000
"""How long a writer waits for its turn."""

BACKGROUND_LOCK_MS = 1_000
"""The same for a supervisor or a sweep, which has other things to do."""

STATEMENT_MS = 5_000
IDLE_MS = 2_000
"""How long a writer may be silent in the middle of its transaction: whoever is frozen there is cut off, for the others
wait."""

WRITER = 0x61676571
"""The first half of the writers' lock; the second is of the schema."""

NOW = "CAST(floor(extract(epoch FROM clock_timestamp()) * 1000) AS bigint)"
"""The database's clock in milliseconds."""

PLANS = dict.fromkeys(("enable_seqscan", "enable_bitmapscan", "enable_sort", "jit"), "off")
PLANS["plan_cache_mode"] = "force_generic_plan"
BY_INDEX = "; ".join(f"SET {{0}} {name} = {value}" for name, value in PLANS.items())
"""What is asked at one moment, or prepared, walks along indexes. A table that was filled a moment ago has no statistics
yet, and the planner would read and sort all of it for each row that is wanted."""

ALONE = (
    "SELECT set_config('lock_timeout', %(lock_ms)s, true),"
    " set_config('statement_timeout', %(statement_ms)s, true),"
    " set_config('idle_in_transaction_session_timeout', %(idle_ms)s, true)"
)
LOCK = f"SELECT pg_advisory_xact_lock({WRITER}, %(lock)s)"
"""A statement of its own: the next one then sees what the lock's last holder has committed."""

BEGIN = b"BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"
SNAPSHOT_OF_SESSION = b"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; "
SNAPSHOT = SNAPSHOT_OF_SESSION + f"{BY_INDEX}; ".format("LOCAL").encode()

NULL = "\x01"
"""What COPY reads as NULL."""

ESCAPED = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\x01": "\\x01", "\0": "\ufffd"}
"""What it reads otherwise than it is written; a NUL, which no database takes, is replaced."""

ESCAPES = str.maketrans(ESCAPED)
OTHERS = frozenset(ESCAPED) - {NULL, "\t"}

NOTHING: Mapping[str, object] = {}


class Connection:
    """A context manager; use it from one thread, and not across a fork. `opened` is called after each connecting."""

    def __init__(self, url: str, schema: str, opened: Callable[[Connection], None] = lambda connection: None) -> None:
        self.url = url
        self.schema = schema
        self._opened = opened
        self._dsn = dsn(url)
        self._connection: Any = None
        self._cursor: Any = None
        self._writing = False
        self._begins = False
        self._statements: Statements | None = None
        self._keeps = True
        self._offset_ms = 0
        self.rehearsing = False
        """Whether what is committed now is undone in the end."""

    @property
    def now(self) -> int:
        """The database's time, as it was told last and has gone on since by the clock of this machine's boot."""
        return monotonic_ms() + self._offset_ms

    def connect(self) -> None:
        """Connect now, if there is no connection."""
        self._connected()

    @staticmethod
    def boottime() -> int:
        """The clock that `told` wants."""
        return monotonic_ms()

    def told(self, now: int, sent_ms: int) -> int:
        """Take note of the database's time; it was asked at `sent_ms`."""
        self._offset_ms = now - (sent_ms + monotonic_ms()) // 2
        return now

    def ask(self, name: str, values: Mapping[str, object] = NOTHING) -> list[Row]:
        """The rows of a named statement."""
        return self.ask_text(statement(name, self.schema), values)

    def ask_text(self, text: str, values: Mapping[str, object]) -> list[Row]:
        """The rows of a statement that may be said again and again."""
        self._send(lambda: self.said(text, values))
        return self._rows()

    def said(self, text: str, values: Mapping[str, object] = NOTHING) -> bytes:
        """A statement with its values, prepared if it was said often: for the next message, or a later one of the same
        transaction."""
        self._connected()
        kept = self._statements
        if kept is None:
            return self.filled(text, values)
        if kept.old(monotonic_ms()):
            self._execute("DISCARD PLANS")
        if kept.due(text):
            self._execute(kept.prepare(text))
            kept.done(text)
        return self.filled(kept.prepared(text) or text, values)

    def keep_statements(self) -> None:
        """From now on prepare what is said often: this process has its session of the server to itself."""
        if self._keeps and self._statements is None:
            self._execute(BY_INDEX.format("SESSION"))
            self._statements = Statements()

    def change(self, message: bytes) -> int:
        """Send statements as one message; how many rows the last one changed."""
        self._send(message)
        return int(self._cursor.rowcount)

    def written(self, name: str, values: Mapping[str, object] = NOTHING) -> bytes:
        """A named statement with its values."""
        return self.filled(statement(name, self.schema), values)

    def filled(self, text: str, values: Mapping[str, object]) -> bytes:
        """A statement with its values. A text with a NUL, which no database takes, loses it."""
        self._connected()
        try:
            filled: bytes = self._cursor.mogrify(text, values)
        except ValueError:
            clean = {k: v.replace("\0", "\ufffd") if isinstance(v, str) else v for k, v in values.items()}
            filled = self._cursor.mogrify(text, clean)
        return filled

    def send(self, message: bytes | str) -> list[Row]:
        """Send statements as one message; the rows of the last one."""
        self._send(message)
        return self._rows()

    def _rows(self) -> list[Row]:
        found: list[Row] = self._cursor.fetchall() if self._cursor.description else []
        return found

    def _send(self, message: bytes | str | Callable[[], bytes]) -> None:
        """Send a message. What makes one is asked again if it has to be sent on another connection."""
        fresh = self._connected()
        begins, self._begins = self._begins, False
        try:
            self._execute(self._made(message, begins=begins))
        except errors.Gone:
            # A connection that nobody used for a while may be; in a transaction nothing can be sent again.
            if fresh or self._writing:
                raise
            self._connected()
            self._execute(self._made(message, begins=begins))
        finally:
            self._writing = self._writing or begins

    def _made(self, message: bytes | str | Callable[[], bytes], *, begins: bool) -> bytes:
        made = message() if callable(message) else message.encode() if isinstance(message, str) else message
        return (SNAPSHOT if self._statements is None else SNAPSHOT_OF_SESSION) + made if begins else made

    def _execute(self, message: bytes | str) -> None:
        try:
            self._cursor.execute(message)
        except driver.Unanswered:
            self.close()
            raise Busy(errors.at(self.url, "the database does not answer; try again")) from None
        except driver.Error as error:
            told = errors.translate(error, self.url)
            if self._connection.closed:
                self.close()
                told = errors.Gone(told.message)
            elif self._statements is not None and isinstance(told, errors.Forgotten):
                self._keeps = False
                self.close()
            raise told from error
        except BaseException:
            self.close()  # its answer would be taken for that of the next message
            raise

    def _connected(self) -> bool:
        """Connect if there is no connection; returns whether that was so."""
        if self._connection is not None:
            return False
        if self._writing:
            raise Busy(errors.at(self.url, "the connection was lost; try again"))
        try:
            self._connection = driver.connect(self._dsn)
        except driver.Error as error:
            raise errors.of_connecting(error, self.url) from error
        self._cursor = driver.cursor(self._connection)
        try:
            self._opened(self)
        except BaseException:
            self.close()
            raise
        return True

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """All that is asked within sees one state."""
        if self._writing or self._begins:
            yield
            return
        self._begins = True
        try:
            yield
        finally:
            self._begins = False
            if self.in_transaction:
                self._end("COMMIT")

    def begin(self, lock_ms: int, what: str = "", values: Mapping[str, object] = NOTHING) -> tuple[int, Row]:
        """Begin a writing transaction, alone: the database's time, and the values of the columns `what`.

        `commit` or `roll_back` follows. Raises Busy if it was not this process's turn in time.
        """
        sent, asked = monotonic_ms(), f"SELECT {NOW}, {what}" if what else f"SELECT {NOW}"
        if self.rehearsing:
            ((now, *found),) = self.send(b"SAVEPOINT verb; " + self.filled(asked, values))
            return now, tuple(found)

        def message() -> bytes:
            alone = {"lock_ms": str(lock_ms), "statement_ms": str(STATEMENT_MS), "idle_ms": str(IDLE_MS)}
            lock = self.said(LOCK, {"lock": self._lock})
            return b"; ".join((BEGIN, self.said(ALONE, alone), lock, self.said(asked, values)))

        try:
            self._send(message)
            ((now, *found),) = self._rows()
        except AgentqError:
            self._writing = True
            self._end("ROLLBACK")
            raise
        self._writing = True
        return self.told(now, sent), tuple(found)

    @property
    def _lock(self) -> int:
        return zlib.crc32(self.schema.encode()) - (1 << 31)

    def commit(self, last: bytes = b"") -> None:
        """Send the last statements and commit, in one message. If the answer is lost, nobody knows whether it did."""
        end = b"RELEASE verb" if self.rehearsing else b"COMMIT"
        try:
            self._send(last + end)
        except BaseException:
            self.roll_back()
            raise
        self._writing = self.rehearsing

    def roll_back(self) -> None:
        """Undo the transaction, if there still is one."""
        self._end("ROLLBACK TO verb; RELEASE verb" if self.rehearsing else "ROLLBACK")

    def _end(self, how: str) -> None:
        try:
            if self._connection is not None:
                with suppress(AgentqError):
                    self._execute(how)
        finally:
            self._writing = self.rehearsing

    @contextmanager
    def rehearsal(self) -> Iterator[None]:
        """What is committed within is undone at the end: all of it is one transaction, and the others wait."""
        self.begin(LOCK_MS)
        self.rehearsing = True
        try:
            yield
        finally:
            self.rehearsing = False
            self.roll_back()

    @property
    def in_transaction(self) -> bool:
        """Whether what is sent belongs to a transaction that was begun before."""
        return self._writing

    @property
    def lost(self) -> bool:
        """Whether the connection, and with it the transaction, is gone."""
        return self._connection is None

    @property
    def server_pid(self) -> int | None:
        """The process of the server that answers this connection, which signs its rings; None if there is none."""
        return None if self._connection is None else int(self._connection.info.backend_pid)

    def be_patient(self) -> None:
        """Let the transaction that has begun take its time: it copies what others would not wait for."""
        self.send("SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0")

    def copy(self, table: str, columns: Iterable[str], rows: Iterable[Row]) -> None:
        """Store many rows, in the transaction that has begun."""
        text = b"".join(map(_copied, rows))
        try:
            driver.copy(self._cursor, queries.copy_into(table, columns, self.schema), io.BytesIO(text))
        except driver.Error as error:
            raise errors.translate(error, self.url) from error

    def in_schema(self, text: str) -> str:
        """SQL on the tables of this connection's schema."""
        return in_schema(text, self.schema)

    def close(self) -> None:
        """Close it; the next use opens another one."""
        connection, self._connection, self._cursor, self._statements = self._connection, None, None, None
        if connection is not None:
            connection.close()

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _copied(row: Row) -> bytes:
    """A row in COPY's format of text."""
    line = "\t".join([NULL if value is None else value if value.__class__ is str else _text(value) for value in row])
    if line.count("\t") >= len(row) or line.count(NULL) > row.count(None) or not OTHERS.isdisjoint(line):
        fields = [value.translate(ESCAPES) if isinstance(value, str) else _text(value) for value in row]
        line = "\t".join([NULL if value is None else text for value, text in zip(row, fields, strict=True)])
    return line.encode() + b"\n"


def _text(value: object) -> str:
    return f"\\\\x{value.hex()}" if isinstance(value, bytes) else str(int(value) if isinstance(value, bool) else value)
