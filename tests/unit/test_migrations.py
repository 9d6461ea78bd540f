"""Schemas: one number a file, applied once under the lock, older ones brought forward, newer ones left alone."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from agentq_cli.base.errors import AgentqError, Unreadable
from agentq_cli.engines.local import connection, migrations, opening
from agentq_cli.engines.steps.rows import launch

KINDS = ("index", "inbound", "outbound")
ROOT = Path(__file__).resolve().parent.parent.parent

SECOND = """-- A later version: one column more, and a mark that it ran.
ALTER TABLE messages_in ADD COLUMN colour TEXT NOT NULL DEFAULT 'grey; -- not a comment';
CREATE TABLE ran (n INTEGER);
INSERT INTO ran VALUES (1);
CREATE TRIGGER keep AFTER DELETE ON messages_in BEGIN
  SELECT 1;
  SELECT 2;
END;
"""


@pytest.fixture
def schema(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the schema that a test may add to; `next_version` puts the second inbound schema there."""
    copy = tmp_path / "schema"
    shutil.copytree(migrations.SCHEMA, copy)
    monkeypatch.setattr(migrations, "SCHEMA", str(copy))
    migrations.latest.cache_clear()
    yield copy
    migrations.latest.cache_clear()


def upgrade(schema: Path, kind: str, text: str) -> int:
    number = migrations.latest(kind) + 1
    (schema / kind / f"{number:03d}_later.sql").write_text(text)
    migrations.latest.cache_clear()
    return number


def old_inbound(tmp_path: Path, rows: int = 20) -> tuple[Path, Path]:
    """A session and an index as the current version makes them, with rows."""
    index, inbound = tmp_path / "agentq.db", tmp_path / "inbound.db"
    opening.connect(str(index), "index", create=True).close()
    with closing(opening.connect(str(inbound), "inbound", create=True)) as database:
        for n in range(rows):
            database.execute(
                "INSERT INTO messages_in (kind, status, cwd, priority, labels, context, created_at, due_at, launch)"
                " VALUES ('exec', 'queued', '/', ?, '[]', 'isolated', 1, 1, '{}')",
                (n,),
            )
    return inbound, index


def rows(path: Path, columns: str = "seq, priority") -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as database:
        return database.execute(f"SELECT {columns} FROM messages_in ORDER BY seq").fetchall()


def version(path: Path) -> int:
    with closing(sqlite3.connect(path)) as database:
        return int(database.execute("PRAGMA user_version").fetchone()[0])


def test_the_schema_files_are_numbered_without_a_gap() -> None:
    for kind in KINDS:
        numbers = [int(file.name[:3]) for file in sorted(Path(migrations.SCHEMA, kind).iterdir())]
        assert numbers == list(range(1, migrations.latest(kind) + 1)), kind


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_file_has_exactly_what_the_schema_files_say(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "new.db"
    opening.connect(str(path), kind, create=True).close()
    assert version(path) == migrations.latest(kind)
    everything = "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY name"
    with closing(sqlite3.connect(path)) as ours, closing(sqlite3.connect(":memory:")) as plain:
        for file in sorted(Path(migrations.SCHEMA, kind).iterdir()):
            plain.executescript(file.read_text())
        assert ours.execute(everything).fetchall() == plain.execute(everything).fetchall()


@pytest.mark.parametrize("kind", KINDS)
def test_opening_a_current_file_writes_nothing(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "new.db"
    opening.connect(str(path), kind, create=True).close()
    before = path.read_bytes()
    for create in (True, False):
        opening.connect(str(path), kind, create=create).close()
    assert path.read_bytes() == before


def test_an_older_schema_is_migrated_once_and_keeps_every_row(tmp_path: Path, schema: Path) -> None:
    inbound, _ = old_inbound(tmp_path)
    before = rows(inbound)
    number = upgrade(schema, "inbound", SECOND)
    for _ in range(2):
        opening.connect(str(inbound), "inbound", create=False).close()
        assert version(inbound) == number
        assert rows(inbound) == before
        assert {colour for (colour,) in rows(inbound, "colour")} == {"grey; -- not a comment"}
        assert rows(inbound, "(SELECT count(*) FROM ran)")[0] == (1,)


def test_several_versions_are_caught_up_with_in_order(tmp_path: Path, schema: Path) -> None:
    inbound, _ = old_inbound(tmp_path)
    upgrade(schema, "inbound", "CREATE TABLE steps (n);\nINSERT INTO steps VALUES ('second');\n")
    number = upgrade(schema, "inbound", "INSERT INTO steps VALUES ('third');\n")
    opening.connect(str(inbound), "inbound", create=False).close()
    assert version(inbound) == number
    with closing(sqlite3.connect(inbound)) as database:
        assert database.execute("SELECT n FROM steps ORDER BY rowid").fetchall() == [("second",), ("third",)]


def test_an_older_index_is_migrated_when_a_session_attaches_it(tmp_path: Path, schema: Path) -> None:
    inbound, index = old_inbound(tmp_path)
    number = upgrade(schema, "index", "ALTER TABLE tasks ADD COLUMN colour TEXT;\n")
    for _ in range(2):
        with closing(opening.connect_session(str(inbound), str(index), create=False)) as database:
            assert database.execute("PRAGMA idx.user_version").fetchone() == (number,)
            assert database.execute("PRAGMA idx.synchronous").fetchone() == (2,)
            database.execute("SELECT colour FROM idx.tasks").fetchall()
            with connection.transaction(database, str(inbound)):
                pass


def test_an_index_from_before_the_gates_keeps_its_supervisors(
    tmp_path: Path, schema: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "agentq.db"
    for file in (schema / "index").iterdir():
        if int(file.name[:3]) > 2:
            file.unlink()
    migrations.latest.cache_clear()
    with closing(opening.connect(str(path), "index", create=True)) as database:
        database.execute("INSERT INTO supervisors VALUES (7, 8, 'boot', 2, '[]', 9, 10)")
    assert version(path) == 2
    monkeypatch.undo()
    migrations.latest.cache_clear()
    opening.connect(str(path), "index", create=False).close()
    assert version(path) == migrations.latest("index") >= 3
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT * FROM supervisors").fetchall() == [
            (7, 8, "boot", 2, "[]", 9, 10, None, "idle", 9, None)
        ]


def test_a_task_from_before_the_retries_keeps_its_budget_and_waits_for_nobody(
    tmp_path: Path, schema: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "inbound.db"
    for file in (schema / "inbound").iterdir():
        if int(file.name[:3]) > 2:
            file.unlink()
    migrations.latest.cache_clear()
    with closing(opening.connect(str(path), "inbound", create=True)) as database:
        database.execute(
            "INSERT INTO messages_in"
            " (kind, status, cwd, priority, labels, context, created_at, due_at, launch, attempts)"
            " VALUES ('exec', 'queued', '/', 0, '[]', 'isolated', 1, 2, '{}', 3)"
        )
    assert version(path) == 2
    monkeypatch.undo()
    migrations.latest.cache_clear()
    opening.connect(str(path), "inbound", create=False).close()
    with closing(sqlite3.connect(path)) as database:
        columns = "attempts, tries, fresh, after, on_dep_failure, dep_failed"
        found = database.execute(f"SELECT {columns} FROM messages_in").fetchall()
    assert found == [(3, 3, 0, None, "cancel", None)]


def test_a_run_and_a_task_from_before_the_checks_and_the_trees_have_none(
    tmp_path: Path, schema: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "agentq.db"
    for file in (schema / "index").iterdir():
        if int(file.name[:3]) > 9:
            file.unlink()
    migrations.latest.cache_clear()
    with closing(opening.connect(str(path), "index", create=True)) as database:
        database.execute(
            'INSERT INTO task_runs (session, seq, attempt, "trigger", argv, cwd, started_at, status, host)'
            " VALUES ('s', 1, 2, 'submit', '[]', '/', 3, 'success', 'here')"
        )
    monkeypatch.undo()
    migrations.latest.cache_clear()
    opening.connect(str(path), "index", create=False).close()
    with closing(sqlite3.connect(path)) as database:
        columns = 'session, seq, attempt, status, checked, "left", landing'
        found = database.execute(f"SELECT {columns} FROM task_runs").fetchall()
    assert found == [("s", 1, 2, "success", None, None, None)]
    older = launch('{"umask": 18, "depth": 0, "script": "/s"}')
    assert (older.check, older.repository) == (None, None)


def test_what_ran_before_there_were_lines_is_in_the_first_and_what_waited_in_any(
    tmp_path: Path, schema: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A waiting retry, a run, and what ended and may be replied to go on in the one line that there was."""
    index, inbound = tmp_path / "agentq.db", tmp_path / "inbound.db"
    for kind, newest in (("index", 12), ("inbound", 5)):
        for file in (schema / kind).iterdir():
            if int(file.name[:3]) > newest:
                file.unlink()
    migrations.latest.cache_clear()
    tree = '{"repository": "/r"}'
    tasks = [
        # seq, kind, status, context, last run, launch, its line afterwards
        (1, "prompt", "queued", "session", 1, "{}", "1"),
        (2, "prompt", "queued", "session", None, "{}", None),
        (3, "prompt", "completed", "session", 2, "{}", "1"),
        (4, "prompt", "running", "isolated", 1, "{}", None),
        (5, "exec", "running", "session", 1, tree, "1"),
        (6, "exec", "queued", "session", None, tree, None),
        (7, "exec", "completed", "session", 1, "{}", None),
    ]
    opening.connect(str(index), "index", create=True).close()
    opening.connect(str(inbound), "inbound", create=True).close()
    with closing(opening.connect_session(str(inbound), str(index), create=False)) as database:
        for seq, kind, status, context, last, launched, _ in tasks:
            database.execute(
                "INSERT INTO messages_in"
                " (seq, kind, status, cwd, priority, labels, context, created_at, due_at, launch, last_run, agent)"
                " VALUES (?, ?, ?, '/', 0, '[]', ?, 1, 1, ?, ?, iif(? = 'prompt', 'demo', NULL))",
                (seq, kind, status, context, launched, last, kind),
            )
            database.execute(
                "INSERT INTO idx.tasks (session, seq, status, agent, priority, due_at, retry, shares, directory)"
                " VALUES ('s', ?, ?, '', 0, 1, 0, ?, ?)",
                (seq, status, (kind, context) == ("prompt", "session"), ":/r" if launched == tree else ""),
            )
            if last is not None:
                database.execute(
                    'INSERT INTO idx.task_runs (session, seq, attempt, "trigger", argv, cwd, started_at, status, host)'
                    " VALUES ('s', ?, ?, 'submit', '[]', '/', 3, 'success', 'here')",
                    (seq, last),
                )
            if status == "running":
                database.execute(
                    "INSERT INTO idx.workers (session, seq, attempt, agent, shares, claimed_at)"
                    " VALUES ('s', ?, 1, '', 0, 1)",
                    (seq,),
                )
        database.execute("INSERT INTO conversations VALUES ('demo', 'id', 7)")
        database.execute("INSERT INTO session_state VALUES ('given up by demo', '3.2')")
    monkeypatch.undo()
    migrations.latest.cache_clear()
    with closing(opening.connect_session(str(inbound), str(index), create=False)) as database:
        found = dict(database.execute("SELECT seq, conversation_key FROM messages_in").fetchall())
        mirrored = dict(database.execute("SELECT seq, nullif(conversation_key, '') FROM idx.tasks").fetchall())
        lines = {seq for seq, shares in database.execute("SELECT seq, shares FROM idx.tasks").fetchall() if shares}
        live = dict(database.execute("SELECT seq, conversation_key FROM idx.workers").fetchall())
        known = database.execute("SELECT agent, key, id, used_at FROM conversations").fetchall()
        given_up = database.execute("SELECT name, value FROM session_state").fetchall()
    assert found == mirrored == {seq: line for seq, *_, line in tasks}
    assert lines == {1, 2, 3, 5, 6}
    assert live == {4: None, 5: "1"}
    assert known == [("demo", "1", "id", 7)]
    assert given_up == [("given up by demo 1", "3.2")]


def test_a_migration_that_fails_leaves_the_file_as_it_was(tmp_path: Path, schema: Path) -> None:
    inbound, _ = old_inbound(tmp_path)
    before = version(inbound)
    upgrade(schema, "inbound", "CREATE TABLE half (n);\nINSERT INTO nowhere VALUES (1);\n")
    with pytest.raises(AgentqError, match="nowhere"):
        opening.connect(str(inbound), "inbound", create=False)
    assert version(inbound) == before
    with closing(sqlite3.connect(inbound)) as database:
        assert database.execute("SELECT 1 FROM sqlite_schema WHERE name = 'half'").fetchall() == []


def test_six_processes_that_open_an_older_schema_at_once_migrate_it_once(tmp_path: Path, schema: Path) -> None:
    inbound, _ = old_inbound(tmp_path)
    upgrade(schema, "inbound", SECOND)
    program = (
        "import sys, pathlib\n"
        "from agentq_cli.engines.local import connection, migrations, opening\n"
        "migrations.SCHEMA = sys.argv[1]\n"
        "print('ready', flush=True)\n"
        "sys.stdin.readline()\n"
        "opening.connect(sys.argv[2], 'inbound', create=False).close()\n"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(schema), str(inbound)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={"PYTHONPATH": str(ROOT)},
        )
        for _ in range(6)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    assert [process.communicate(timeout=60)[1] for process in processes] == [""] * 6
    assert [process.returncode for process in processes] == [0] * 6
    assert rows(inbound, "(SELECT count(*) FROM ran)")[0] == (1,)


@pytest.mark.parametrize("kind", KINDS)
def test_a_newer_file_is_refused_and_left_byte_for_byte(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "newer.db"
    opening.connect(str(path), kind, create=True).close()
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA user_version = 99")
    before = path.read_bytes()
    for create in (True, False):
        with pytest.raises(Unreadable, match=r"newer\.db'.*newer agentq \(schema 99"):
            opening.connect(str(path), kind, create=create)
    assert path.read_bytes() == before


def test_a_newer_index_keeps_a_session_from_being_written(tmp_path: Path) -> None:
    inbound, index = old_inbound(tmp_path)
    with closing(sqlite3.connect(index)) as database:
        database.execute("PRAGMA user_version = 99")
    before = (inbound.read_bytes(), index.read_bytes())
    with pytest.raises(Unreadable, match=r"agentq\.db'.*newer"):
        opening.connect_session(str(inbound), str(index), create=False)
    assert (inbound.read_bytes(), index.read_bytes()) == before


def test_a_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE bookmarks (url)")
    before = path.read_bytes()
    for create in (True, False):
        with pytest.raises(Unreadable, match="another program"):
            opening.connect(str(path), "index", create=create)
    assert path.read_bytes() == before
