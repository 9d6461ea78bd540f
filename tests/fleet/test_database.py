"""A database that refuses, fails, freezes or comes back."""

from __future__ import annotations

import os
import runpy
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from importlib.machinery import PathFinder
from pathlib import Path

import postgres
import pytest
from fleet_machines import Fleet

from agentq_cli.base.clock import Clock
from agentq_cli.base.database_url import UNREADABLE
from agentq_cli.base.dataclass import replace
from agentq_cli.base.errors import AgentqError, Busy, NotFound, Unreadable, Usage, WrongState
from agentq_cli.engines.fleet import connection, driver, init, schema, statements
from agentq_cli.engines.fleet.connection import WRITER, Connection
from agentq_cli.engines.fleet.dsn import dsn
from agentq_cli.engines.fleet.queue import FleetQueue
from agentq_cli.model.addresses import Address
from agentq_cli.model.fleet import FleetSettings
from agentq_cli.model.tasks import NewTask
from agentq_cli.model.work import Work

SECRET = "hunter2"


@pytest.fixture
def queue(fleet: Fleet, tmp_path: Path) -> Iterator[FleetQueue]:
    with opened(fleet, tmp_path) as queue:
        yield queue


def opened(fleet: Fleet, place: Path, url: str | None = None) -> FleetQueue:
    settings = FleetSettings(schema=fleet.schema)
    return FleetQueue.open(str(place), url or fleet.url, Clock(), settings=settings, create=True)


def submit(queue: FleetQueue, session: str = "a", prompt: str = "true") -> str:
    task = NewTask(session, Work("prompt", "/", prompt=prompt, agent="demo"))
    ((address, _),) = queue.submit([task], max_queued=1000)
    return str(address)


def cut_off(fleet: Fleet, queue: FleetQueue) -> None:
    """End the server's process for a queue, and wait until it has gone."""
    pid = queue.database.server_pid
    fleet.ask(f"SELECT pg_terminate_backend({pid})")
    while fleet.ask(f"SELECT 1 FROM pg_stat_activity WHERE pid = {pid}"):
        pass


@pytest.mark.parametrize(
    ("change", "error", "why"),
    [
        (lambda url: url.replace("port=", "port=1&x="), Usage, UNREADABLE),
        (lambda url: url.replace("host=", "host=/nowhere"), Busy, "the database does not answer"),
        (lambda url: "postgresql://127.0.0.1:1/agentq", Busy, "the database does not answer"),
        (lambda url: url.replace("agentq@", f"nobody:{SECRET}@"), Usage, "nobody"),
        (lambda url: url.replace("/postgres?", "/elsewhere?"), Usage, "elsewhere"),
        (lambda url: f"{url}&sslmode=wrong&password={SECRET}", Usage, "sslmode"),
        (lambda url: f"{url}&nonsense=1", Usage, UNREADABLE),
    ],
)
def test_what_is_wrong_with_a_url_is_told_without_its_password(
    fleet: Fleet, tmp_path: Path, change: Callable[[str], str], error: type[AgentqError], why: str
) -> None:
    with pytest.raises(error) as raised:
        opened(fleet, tmp_path, change(fleet.url))
    assert raised.value.message.startswith("url 'postgresql://")
    assert why in raised.value.message
    assert SECRET not in raised.value.message


@pytest.fixture
def meta(fleet: Fleet) -> Iterator[Callable[[str, str], None]]:
    """`meta(name, value)` has the fleet say something else of itself until the test ends."""
    before = fleet.ask("SELECT name, value FROM agentq.meta")

    def say(name: str, value: str) -> None:
        fleet.ask(f"UPDATE agentq.meta SET value = '{value}' WHERE name = '{name}'")

    yield say
    for name, value in before:
        say(name, value)


def test_a_schema_that_is_missing_older_or_newer_is_not_read(
    fleet: Fleet, tmp_path: Path, meta: Callable[[str, str], None]
) -> None:
    for version, why in ((0, "older than"), (99, "newer than")):
        meta("version", str(version))
        with pytest.raises(Unreadable, match=why):
            opened(fleet, tmp_path)
    with pytest.raises(Unreadable, match="newer than"):
        init.upgrade(fleet.url, FleetSettings(schema=fleet.schema))
    missing = FleetSettings(schema="no_such_schema")
    with pytest.raises(Unreadable, match="agentq fleet init"):
        FleetQueue.open(str(tmp_path), fleet.url, Clock(), settings=missing, create=True)
    with pytest.raises(Unreadable, match="agentq fleet init"):
        init.upgrade(fleet.url, missing)


def test_init_may_be_repeated_and_a_role_needs_no_more_than_it_prints(fleet: Fleet, tmp_path: Path) -> None:
    settings = FleetSettings(schema=fleet.schema)
    before = fleet.ask("SELECT * FROM agentq.meta ORDER BY name")
    assert not init.init(fleet.url, settings)
    assert not init.upgrade(fleet.url, settings)
    assert fleet.ask("SELECT * FROM agentq.meta ORDER BY name") == before
    role = f"R-{fleet.schema}"  # a name that needs quotes
    fleet.ask(f'CREATE ROLE "{role}" LOGIN')
    url = fleet.cluster.url(user=role)
    try:
        with pytest.raises(Usage, match="fleet init"):
            opened(fleet, tmp_path, url)
        for grant in init.grants(settings, role, init.names(url, settings)[0]):
            fleet.ask(grant)
        fleet.ask(f'CREATE ROLE "{role}-idle" LOGIN')
        with pytest.raises(Usage, match=r"permission denied for database .*`agentq fleet init` prints"):
            opened(fleet, tmp_path, fleet.cluster.url(user=f"{role}-idle"))
        with opened(fleet, tmp_path, url) as queue:
            address = submit(queue)
            assert [str(task.address) for task in queue.tasks()] == [address]
        with pytest.raises(Usage, match=f"role '{role}' may not create a schema"):
            init.init(url, FleetSettings(schema=f"{fleet.schema}_more"))
        fleet.ask(f'CREATE SCHEMA {fleet.schema}_trap AUTHORIZATION "{role}"')
        for by, of in ((url, settings), (fleet.url, FleetSettings(schema=f"{fleet.schema}_trap"))):
            with pytest.raises(Usage, match=f"schema '{of.schema}' belongs to role"):
                init.init(by, of)
    finally:
        fleet.ask(f'DROP OWNED BY "{role}"; DROP ROLE "{role}"; DROP ROLE IF EXISTS "{role}-idle"')
        fleet.ask(f"GRANT CONNECT ON DATABASE {init.names(fleet.url, settings)[0]} TO PUBLIC")


def test_what_an_older_host_uses_is_not_removed_while_it_is_up(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    fleet.machine("a").join()
    fleet.ask("UPDATE agentq.hosts SET version = '0.0.1'")
    removal = schema.Step(schema.latest() + 1, "remove_a_table", "CREATE TABLE agentq.rest (x integer)")
    more = [*schema.steps(), removal._replace(name="rest")]
    settings = FleetSettings(schema=fleet.schema)
    monkeypatch.setattr(schema, "steps", lambda: [*more[:-1], removal])
    with pytest.raises(WrongState, match=r"host 'a' works with agentq 0\.0\.1"):
        init.upgrade(fleet.url, settings)
    assert fleet.ask("SELECT to_regclass('agentq.rest')") == [(None,)]
    monkeypatch.setattr(schema, "steps", lambda: more)
    try:
        assert init.upgrade(fleet.url, settings)
    finally:
        fleet.ask("DROP TABLE agentq.rest")


def test_what_ran_before_there_were_lines_of_work_is_in_the_first(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = schema.steps()[:1]
    monkeypatch.setattr(schema, "steps", lambda: first)
    monkeypatch.setattr(schema, "latest", lambda: 1)
    with postgres.schema() as name:
        settings = FleetSettings(schema=name)
        init.init(fleet.url, settings)

        def ask(sql: str) -> list[tuple[object, ...]]:
            return fleet.cluster.ask(sql.replace("agentq.", f"{name}."))

        for seq, kind, context, last, directory in (
            (1, "prompt", "session", "1", "/"),
            (2, "prompt", "session", "NULL", "/"),
            (3, "prompt", "isolated", "1", "/"),
            (4, "exec", "session", "1", ":/r"),
            (5, "exec", "session", "1", ""),
        ):
            ask(
                "INSERT INTO agentq.tasks (session, seq, kind, status, cwd, priority, labels, context, created_at,"
                f" due_at, launch, last_run, directory) VALUES ('s', {seq}, '{kind}', 'running', '/', 0, '[]',"
                f" '{context}', 1, 1, '{{}}', {last}, '{directory}')"
            )
            ask(
                f"INSERT INTO agentq.workers (session, seq, attempt, agent, shares, claimed_at) SELECT 's', {seq}, 1,"
                f" CASE WHEN '{kind}' = 'exec' THEN '' ELSE 'demo' END, 0, 1 WHERE {last} IS NOT NULL"
            )
        ask("INSERT INTO agentq.conversations VALUES ('s', 'demo', 'id', 7, 'h')")
        monkeypatch.undo()
        assert init.upgrade(fleet.url, settings)
        lines = "SELECT seq, conversation_key FROM agentq"
        assert dict(ask(f"{lines}.tasks")) == {1: "1", 2: None, 3: None, 4: "1", 5: None}
        assert dict(ask(f"{lines}.workers")) == {1: "1", 3: None, 4: "1", 5: None}
        assert ask("SELECT agent, key, id FROM agentq.conversations") == [("demo", "1", "id")]


def test_without_the_driver_the_url_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "psycopg2")
    monkeypatch.delitem(sys.modules, "psycopg2._psycopg")
    monkeypatch.setattr(PathFinder, "find_spec", lambda name, *rest: None)
    with pytest.raises(Usage, match=r"pip install 'agentq\[fleet\]'"):
        runpy.run_path(str(driver.__file__))


def test_beyond_this_machine_the_certificate_is_verified(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PGSSLMODE", raising=False)
    monkeypatch.delenv("PGHOST", raising=False)
    here = ("postgresql:///q", "postgresql://localhost/q", "postgresql://127.0.0.1/q", "postgresql:///q?host=/run")
    assert ["sslmode='prefer'" in dsn(url) for url in here] == [True] * 4
    away = ("postgresql://db.example/q", "postgresql://localhost,db/q", "postgresql:///q?hostaddr=192.0.2.1")
    assert ["sslmode='verify-full'" in dsn(url) for url in away] == [True] * 3
    assert "sslmode='require'" in dsn("postgresql://db.example/q?sslmode=require")


def test_a_text_that_no_database_takes_is_stored_without_its_nul(queue: FleetQueue) -> None:
    submit(queue, prompt="a\0b'\\%s %% :now")
    assert [task.work.prompt for task in queue.tasks()] == ["a\ufffdb'\\%s %% :now"]


def test_who_waits_too_long_for_another_writer_is_told_so(
    fleet: Fleet, queue: FleetQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agentq_cli.engines.fleet.opened.LOCK_MS", 100)
    with closing(fleet.cluster.connect()) as other, other.cursor() as cursor:
        cursor.execute(f"SELECT pg_advisory_lock({WRITER}, {queue.database._lock})")
        with pytest.raises(Busy, match="held its lock for too long"):
            submit(queue)
        assert list(queue.tasks()) == []  # a reading waits for nobody
    submit(queue)


def test_a_writer_that_is_frozen_in_the_middle_is_cut_off(
    fleet: Fleet, queue: FleetQueue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit(queue)
    monkeypatch.setattr(connection, "IDLE_MS", 50)
    with opened(fleet, tmp_path / "other") as other, pytest.raises(Busy), queue.in_session("a") as write:
        write.tell("write.create_session", {"name": "b", "at": 0})
        write.ask("write.live_count")
        submit(other, "c")  # once the server has cut the first one off
        write.ask("write.live_count")
    assert queue.session_names() == ["a", "c"]


def test_a_server_that_is_frozen_is_not_waited_for(
    fleet: Fleet, queue: FleetQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit(queue)
    monkeypatch.setattr(driver, "ANSWER_MS", 200)
    backend = queue.database.server_pid
    assert backend is not None
    os.kill(backend, signal.SIGSTOP)
    try:
        with pytest.raises(Busy, match="does not answer"):
            submit(queue)
        assert len(list(queue.tasks())) == 1  # by another connection
    finally:
        os.kill(backend, signal.SIGCONT)
    assert submit(queue) == "a/2"


def test_a_server_that_was_restarted_is_asked_again(fleet: Fleet, queue: FleetQueue) -> None:
    """Its connections are gone, as after a restart."""
    submit(queue)
    cut_off(fleet, queue)
    assert len(list(queue.tasks())) == 1
    cut_off(fleet, queue)
    assert submit(queue) == "a/2"
    with pytest.raises(Busy, match="does not answer"), queue.in_session("a") as write:
        write.tell("write.create_session", {"name": "b", "at": 0})
        cut_off(fleet, queue)
        write.ask("write.live_count")
    assert queue.session_names() == ["a"]


def test_another_fleet_in_its_place_is_not_taken_for_it(
    fleet: Fleet, queue: FleetQueue, meta: Callable[[str, str], None]
) -> None:
    submit(queue)
    meta("id", "00000000-0000-4000-8000-000000000000")
    cut_off(fleet, queue)
    with pytest.raises(Unreadable, match="another fleet"):
        list(queue.tasks())


def test_a_rehearsal_leaves_nothing(fleet: Fleet, queue: FleetQueue) -> None:
    submit(queue)
    before = fleet.ask("SELECT * FROM agentq.events"), fleet.ask("SELECT * FROM agentq.tasks")
    with queue.rehearsal() as rehearsed:
        rehearsed.cancel_each([task.address for task in rehearsed.tasks()])
        submit(rehearsed)
        with pytest.raises(NotFound):
            rehearsed.pause_session("b", reason=None, paused=False)
        assert [str(task.status) for task in rehearsed.tasks(ended=True)] == ["queued", "cancelled"]
    assert (fleet.ask("SELECT * FROM agentq.events"), fleet.ask("SELECT * FROM agentq.tasks")) == before
    assert submit(queue) == "a/2"


def test_two_fleets_in_one_database_are_two(fleet: Fleet, queue: FleetQueue, tmp_path: Path) -> None:
    submit(queue)
    with postgres.schema() as name:
        init.init(fleet.url, FleetSettings(schema=name))
        settings = FleetSettings(schema=name)
        with FleetQueue.open(str(tmp_path), fleet.url, Clock(), settings=settings, create=True) as other:
            assert list(other.tasks()) == []
            assert other.here.path != queue.here.path
            assert other.own["host_key"] != queue.own["host_key"]


def test_a_connection_says_who_asks(fleet: Fleet) -> None:
    with Connection(fleet.url, fleet.schema) as connection:
        assert connection.send("SHOW application_name") == [("agentq",)]


def test_what_is_said_often_is_prepared_until_the_session_forgets_it(
    fleet: Fleet, queue: FleetQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statements, "OFTEN", 2)
    database = queue.database

    def prepared() -> list[str]:
        return [text for (text,) in database.send("SELECT statement FROM pg_prepared_statements ORDER BY name")]

    address = Address("a", int(submit(queue).split("/")[1]))
    queue.task(address), queue.task(address)
    assert prepared() == [], "this process may have said its last"
    queue.stay()
    queue.task(address), queue.task(address)
    assert [text for text in prepared() if "tasks WHERE session = $1 AND seq = $2" in text]
    cut_off(fleet, queue)
    assert queue.task(address).address == address, "said in full on another connection"
    assert queue.task(address).address == address
    assert len(prepared()) == 2, "prepared anew: the session and the task"
    database.send("DEALLOCATE ALL")
    with pytest.raises(Busy, match="of no use any more"):
        queue.task(address)
    for _ in range(3):
        assert queue.task(address).address == address
    assert prepared() == [], "the session is not its own"


def test_an_answer_that_was_brought_along_holds_until_its_table_is_changed(queue: FleetQueue) -> None:
    seq, said = Address("a", int(submit(queue).split("/")[1])).seq, list[str]()
    send = queue.database.send
    tasks, holds = ("read.task", {"seq": seq}), ("read.holds", {"now": 0})
    pause = {"name": "demo", "kind": "paused", "since": 1, "until": None, "reason": "r", "count": 1}
    with pytest.MonkeyPatch.context() as patch, queue.in_session("a") as write:
        patch.setattr(queue.database, "send", lambda message: (said.append(message), send(message))[1])
        write.expect(tasks, holds)
        task = write.task(seq)
        assert write.ask(*holds) == [] and write.task(seq) == task and len(said) == 1
        write.tell("dispatch.set_hold", {"scope": "agent", **pause})
        assert write.task(seq) == task and len(said) == 1
        assert [row[1] for row in write.ask(*holds)] == ["demo"] and len(said) == 2
        write.save(task, replace(task, reason="b"), event=None)
        assert write.task(seq).reason == "b" and write.ask(*holds) and len(said) == 3
        with pytest.raises(ZeroDivisionError), write.step():
            write.tell("dispatch.lift_holds", {"scope": "agent", "name": None})
            assert write.ask(*holds) == []
            raise ZeroDivisionError
        assert [row[1] for row in write.ask(*holds)] == ["demo"]
