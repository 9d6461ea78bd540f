"""How a database is opened, locked and rolled back, and the names that its trouble is given."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from agentq_cli.base.errors import AgentqError, Busy, Refused, Unreadable
from agentq_cli.engines.local import connection, migrations, opening


@pytest.fixture
def index(tmp_path: Path) -> Path:
    path = tmp_path / "agentq.db"
    opening.connect(str(path), "index", create=True).close()
    return path


@pytest.fixture
def inbound(tmp_path: Path, index: Path) -> Path:
    path = tmp_path / "inbound.db"
    opening.connect(str(path), "inbound", create=True).close()
    return path


@pytest.fixture
def holder(inbound: Path) -> Iterator[sqlite3.Connection]:
    """Somebody else, who may hold the session's file."""
    with closing(sqlite3.connect(inbound, isolation_level=None)) as other:
        yield other


def pragma(database: sqlite3.Connection, name: str) -> object:
    return database.execute(f"PRAGMA {name}").fetchone()[0]


# Opening


def test_a_connection_is_set_up_for_durable_rollback_journals(index: Path) -> None:
    with closing(opening.connect(str(index), "index", create=False)) as database:
        assert pragma(database, "journal_mode") == "delete"
        assert pragma(database, "synchronous") == 3, "EXTRA: the unlink of the journal is the commit"
        assert pragma(database, "foreign_keys") == 1
        assert pragma(database, "busy_timeout") == connection.BUSY_MS == 15_000


def test_a_session_is_main_and_the_index_is_attached_last(inbound: Path, index: Path) -> None:
    with closing(opening.connect_session(str(inbound), str(index), create=False, busy_ms=100)) as database:
        files = [(name, Path(file)) for _, name, file in database.execute("PRAGMA database_list").fetchall()]
        assert files == [("main", inbound), ("idx", index)]
        assert pragma(database, "main.synchronous") == pragma(database, "idx.synchronous") == 2
        assert pragma(database, "main.journal_mode") == pragma(database, "idx.journal_mode") == "delete"
        assert pragma(database, "busy_timeout") == 100
        assert pragma(database, "foreign_keys") == 1


def test_a_file_that_is_not_there_is_not_made_without_being_asked(tmp_path: Path, index: Path) -> None:
    before = sorted(tmp_path.iterdir())
    for open_it in (
        lambda: opening.connect(str(tmp_path / "no.db"), "inbound", create=False),
        lambda: opening.connect(str(tmp_path / "no" / "no.db"), "inbound", create=True),
        lambda: opening.connect_session(str(tmp_path / "no.db"), str(index), create=False),
    ):
        with pytest.raises(Refused, match=r"no\.db'.*cannot be opened"):
            open_it()
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("name", ["a b", "a?mode=ro", "a#b", "a%20b", "ä", "a'b", "a;b", "a&b", "file:a"])
def test_any_file_name_is_opened_as_it_is(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    path, index = tmp_path / name / "inbound.db", tmp_path / name / "agentq.db"
    opening.connect(str(index), "index", create=True).close()
    opening.connect(str(path), "inbound", create=True).close()
    opening.connect_session(str(path), str(index), create=False).close()
    assert sorted(each.name for each in (tmp_path / name).iterdir()) == ["agentq.db", "inbound.db"]
    assert [each.name for each in tmp_path.iterdir()] == [name]


def test_the_empty_index_is_no_file_and_answers_with_nothing(tmp_path: Path) -> None:
    with closing(migrations.new_in_memory("index")) as database:
        assert database.execute("SELECT count(*) FROM tasks").fetchone() == (0,)


def test_a_failed_open_leaves_no_descriptor_open(tmp_path: Path) -> None:
    (tmp_path / "bad.db").write_bytes(b"no database at all" * 100)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        with pytest.raises(Unreadable):
            opening.connect(str(tmp_path / "bad.db"), "index", create=False)
    assert len(os.listdir("/proc/self/fd")) == before


# Transactions


class Interrupted(BaseException):
    """Not an error: what Ctrl-C and SIGTERM raise."""


@pytest.mark.parametrize("error", [ValueError, Interrupted, KeyboardInterrupt])
def test_a_transaction_that_is_interrupted_leaves_nothing(
    inbound: Path, index: Path, error: type[BaseException]
) -> None:
    with closing(opening.connect_session(str(inbound), str(index), create=False)) as database:
        with pytest.raises(error), connection.transaction(database, str(inbound)):
            database.execute("INSERT INTO session_state VALUES ('a', 1)")
            database.execute("INSERT INTO idx.meta VALUES ('a', 1)")
            raise error
        assert not database.in_transaction
        assert database.execute("SELECT * FROM session_state").fetchall() == []
        assert database.execute("SELECT * FROM idx.meta").fetchall() == []
    assert not list(inbound.parent.glob("*-journal"))


def test_a_transaction_over_both_files_is_there_once_committed(inbound: Path, index: Path) -> None:
    with closing(opening.connect_session(str(inbound), str(index), create=False)) as database:
        with connection.transaction(database, str(inbound)):
            database.execute("INSERT INTO session_state VALUES ('a', 1)")
            database.execute("INSERT INTO idx.meta VALUES ('a', 1)")
        for path, table in ((inbound, "session_state"), (index, "meta")):
            with closing(sqlite3.connect(path)) as other:
                assert other.execute(f"SELECT * FROM {table}").fetchall() == [("a", 1)]


def test_a_transaction_locks_both_files_from_its_beginning(inbound: Path, index: Path) -> None:
    database = opening.connect_session(str(inbound), str(index), create=False)
    with closing(database), connection.transaction(database, str(inbound)):
        for path, kind in ((inbound, "inbound"), (index, "index")):
            with pytest.raises(Busy, match=path.name):
                opening.connect(str(path), kind, create=False, busy_ms=0)


def test_somebody_who_holds_the_sessions_file_is_waited_for_before_the_index_is_locked(
    inbound: Path, index: Path, holder: sqlite3.Connection
) -> None:
    holder.execute("BEGIN")
    holder.execute("SELECT * FROM messages_in").fetchall()
    with closing(opening.connect_session(str(inbound), str(index), create=False, busy_ms=100)) as database:
        began = time.monotonic()
        with pytest.raises(Busy, match=r"inbound\.db"), connection.transaction(database, str(inbound)):
            raise AssertionError("it was not held")
        took = time.monotonic() - began
        assert 0.05 < took < 5
        other = opening.connect(str(index), "index", create=False, busy_ms=0)
        with closing(other), connection.transaction(other, str(index)):
            other.execute("INSERT INTO meta VALUES ('free', 1)")
        holder.execute("COMMIT")
        with connection.transaction(database, str(inbound)):
            pass


def test_a_writer_waits_for_a_lock_that_is_given_back(inbound: Path, holder: sqlite3.Connection) -> None:
    """The busy timeout is set before the first statement, so that even that waits."""
    import threading

    holder.execute("BEGIN EXCLUSIVE")
    done = threading.Event()

    def waits() -> None:
        opening.connect(str(inbound), "inbound", create=False, busy_ms=20_000).close()
        done.set()

    other = threading.Thread(target=waits)
    other.start()
    assert not done.wait(0.05)
    holder.execute("COMMIT")
    assert done.wait(10)
    other.join()


# Trouble


def error_of(name: str, text: str = "words") -> sqlite3.Error:
    error = sqlite3.OperationalError(text)
    error.sqlite_errorname = name
    return error


@pytest.mark.parametrize(
    ("name", "kind", "code"),
    [
        ("SQLITE_BUSY", Busy, 5),
        ("SQLITE_BUSY_SNAPSHOT", Busy, 5),
        ("SQLITE_BUSY_RECOVERY", Busy, 5),
        ("SQLITE_LOCKED", Busy, 5),
        ("SQLITE_CORRUPT", Unreadable, 6),
        ("SQLITE_CORRUPT_INDEX", Unreadable, 6),
        ("SQLITE_NOTADB", Unreadable, 6),
        ("SQLITE_FULL", Refused, 1),
        ("SQLITE_READONLY", Refused, 1),
        ("SQLITE_READONLY_DBMOVED", Refused, 1),
        ("SQLITE_CANTOPEN", Refused, 1),
        ("SQLITE_PERM", Refused, 1),
        ("SQLITE_IOERR_WRITE", Refused, 1),
        ("SQLITE_IOERR_SHORT_READ", Refused, 1),
        ("SQLITE_ERROR", AgentqError, 70),
        ("SQLITE_MISUSE", AgentqError, 70),
    ],
)
def test_trouble_has_the_contracts_name_and_code_and_names_the_file(
    name: str, kind: type[AgentqError], code: int
) -> None:
    found = connection.translate(error_of(name), Path("/x/inbound.db"))
    assert type(found) is kind
    assert found.code == code
    assert "'/x/inbound.db'" in found.message


def test_a_missing_table_is_an_unreadable_file_and_not_a_bug() -> None:
    found = connection.translate(error_of("SQLITE_ERROR", "no such table: tasks"), Path("/x"))
    assert type(found) is Unreadable


def test_our_own_errors_go_through_a_transaction_unchanged(inbound: Path) -> None:
    with closing(opening.connect(str(inbound), "inbound", create=False)) as database:
        with pytest.raises(Busy, match="mine"), connection.transaction(database, str(inbound)):
            raise Busy("mine")
        assert not database.in_transaction


def test_trouble_while_rows_are_fetched_has_its_name_too(tmp_path: Path) -> None:
    path = tmp_path / "agentq.db"
    with (
        closing(opening.connect(str(path), "index", create=True)) as database,
        connection.transaction(database, str(path)),
    ):
        for n in range(50):
            database.execute("INSERT INTO meta VALUES (?, zeroblob(3000))", (f"n{n:02d}",))
    with open(path, "r+b") as file:
        file.seek(path.stat().st_size // 2)
        file.write(b"\xff" * (path.stat().st_size // 2))
    with closing(opening.connect(str(path), "index", create=False)) as database:
        with pytest.raises(Unreadable, match=r"agentq\.db"):
            database.execute("SELECT * FROM meta").fetchall()
        with pytest.raises(Unreadable, match=r"agentq\.db"):
            cursor = database.execute("SELECT * FROM meta")
            while cursor.fetchone():
                pass
