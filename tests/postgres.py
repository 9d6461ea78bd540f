"""PostgreSQL for tests: clusters of Debian's server as an unprivileged user, each in a directory of its own.

A process shares one cluster among its tests (`shared`), each of which gets a schema of its own; a test that stops,
breaks or promotes a server makes its own (`cluster`). Nothing is synced. The server ends with the process that started
it, however that ends.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

INSTALLED = Path("/usr/lib/postgresql")
BINARIES = "AGENTQ_TEST_POSTGRES"
"""The variable that names the directory of another server's programs."""

OWNER = "agentq"
"""The role that owns every cluster; everybody on this machine may log in as any role."""

SETTINGS = {"fsync": "off", "full_page_writes": "off", "max_connections": "200", "shared_buffers": "32MB"}
PREFIX = "agentq-pg-"
UNPRIVILEGED = "nobody"
PATIENCE = 60.0


def binaries() -> Path | None:
    """The directory of the newest server's programs; None if there is no server."""
    if named := os.environ.get(BINARIES):
        return Path(named)
    found = [each for each in INSTALLED.glob("*/bin") if (each / "initdb").exists()]
    return max(found, key=lambda each: float(each.parent.name), default=None)


def why_not() -> str | None:
    """Why no test can have a cluster here; None if one can."""
    if binaries() is None:
        return f"no PostgreSQL server below {INSTALLED} (Debian: apt-get install postgresql)"
    if shutil.which("setpriv") is None:
        return "no setpriv"
    try:
        import psycopg2  # noqa: F401
    except ImportError:
        return "no psycopg2 (pip install 'agentq[fleet]')"
    return None


class Cluster:
    """A server and its data. `port` is the one on 127.0.0.1; the socket is in `sockets`."""

    def __init__(self, directory: Path, settings: Mapping[str, str] | None = None) -> None:
        self.directory = directory
        self.data = directory / "data"
        self.sockets = directory
        self.port = free_port()
        self._settings = SETTINGS | dict(settings or {})
        self._server: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The postmaster."""
        assert self._server is not None
        return self._server.pid

    def create(self) -> None:
        """Lay the data directory, empty."""
        if os.geteuid() == 0:
            shutil.chown(self.directory, UNPRIVILEGED)
        # fmt: off
        self.run("initdb", "--pgdata", self.data, "--auth", "trust", "--username", OWNER, "--encoding", "UTF8",
                 "--locale", "C", "--no-sync")
        # fmt: on

    def start(self, **settings: str) -> None:
        """Start the server, and wait until it can be asked."""
        given = self._settings | settings
        options = [f"--{name}={value}" for name, value in given.items()]
        options += [f"--port={self.port}", "--listen_addresses=127.0.0.1", f"--unix_socket_directories={self.sockets}"]
        with open(self.directory / "log", "ab") as log:
            self._server = subprocess.Popen(
                [*as_user("--pdeathsig", "INT"), _program("postgres"), "-D", self.data, *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd=self.directory,
                env=_environment(),
            )
        self._await()

    def _await(self) -> None:
        assert self._server is not None
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if self._server.poll() is not None:
                break
            with contextlib.suppress(OSError):
                # Its last line is the state (pg_ctl.c).
                lines = (self.data / "postmaster.pid").read_text().splitlines()
                if len(lines) > 7 and lines[0] == str(self._server.pid) and lines[7].strip() == "ready":
                    return
            time.sleep(0.01)
        raise RuntimeError(f"the server did not start: {(self.directory / 'log').read_text()[-2000:]}")

    def stop(self, number: int = signal.SIGINT) -> None:
        """End the server: SIGINT is a fast shutdown, SIGQUIT a crash without a checkpoint."""
        if self._server is not None:
            self._server.send_signal(signal.SIGCONT)
            self._server.send_signal(number)
            self._server.wait(PATIENCE)
            self._server = None

    def run(self, program: str, *arguments: str | Path) -> str:
        """What one of the server's programs prints, run as the user that owns the cluster."""
        command = [*as_user(), _program(program), *map(str, arguments)]
        done = subprocess.run(
            command, capture_output=True, text=True, env=_environment(), cwd=self.directory, check=False
        )
        if done.returncode:
            raise RuntimeError(f"{program}: {done.stderr}")
        return done.stdout

    def url(self, database: str = "postgres", *, user: str = OWNER, tcp: bool = False) -> str:
        """The URL of a database, by the socket or by TCP."""
        if tcp:
            return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"
        return f"postgresql://{user}@/{database}?host={self.sockets}&port={self.port}"

    def connect(self, database: str = "postgres", *, user: str = OWNER) -> Any:
        """A connection on which each statement is a transaction of its own."""
        import psycopg2

        connection = psycopg2.connect(self.url(database, user=user))
        connection.autocommit = True
        return connection

    def ask(self, sql: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """The rows of a statement, if it has any."""
        with contextlib.closing(self.connect(database)) as connection, connection.cursor() as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall()) if cursor.description else []


@contextlib.contextmanager
def cluster(**settings: str) -> Iterator[Cluster]:
    """A running cluster of one test's own."""
    made = _made(settings)
    try:
        made.start()
        yield made
    finally:
        made.stop(signal.SIGQUIT)
        shutil.rmtree(made.directory)


@functools.cache
def shared() -> Cluster:
    """The cluster of this process's tests; it runs until the process ends."""
    made = _made({})

    def remove() -> None:
        made.stop(signal.SIGQUIT)
        shutil.rmtree(made.directory, ignore_errors=True)

    atexit.register(remove)
    made.start()
    return made


_numbers = itertools.count(1)


@contextlib.contextmanager
def schema(of: Cluster | None = None) -> Iterator[str]:
    """The name of a schema that no other test has; what is in it is dropped afterwards."""
    of = of or shared()
    name = f"t{os.getpid()}_{next(_numbers)}"
    try:
        yield name
    finally:
        of.ask(f"SET client_min_messages = warning; DROP SCHEMA IF EXISTS {name} CASCADE")


_emptied: list[str] = []
"""Schemas of fleets in which nothing is stored, with tests that have ended."""


@contextlib.contextmanager
def fleet() -> Iterator[tuple[str, str]]:
    """The URL and the schema of a fleet in which nothing was ever stored."""
    from agentq_cli.engines.fleet import init
    from agentq_cli.model.fleet import FleetSettings

    of = shared()
    if _emptied:
        name = _emptied.pop()
    else:
        name = f"f{os.getpid()}_{next(_numbers)}"
        init.init(of.url(), FleetSettings(schema=name))
    yield of.url(), name
    # A tenth of the time of making it anew. Whoever still writes here has outlived its test, which then fails for that.
    of.ask(EMPTY.replace("SCHEMA", name))
    _emptied.append(name)


EMPTY = """
SET session_replication_role = replica;
DO $$
DECLARE each record;
BEGIN
  FOR each IN SELECT oid, relname, relkind FROM pg_class WHERE relnamespace = 'SCHEMA'::regnamespace LOOP
    IF each.relkind = 'S' THEN
      PERFORM setval(each.oid::regclass, 1, false);
    ELSIF each.relkind = 'r' AND pg_relation_size(each.oid) > 200000 THEN
      EXECUTE format('TRUNCATE SCHEMA.%I CASCADE', each.relname);
    ELSIF each.relkind = 'r' AND pg_relation_size(each.oid) > 0 AND each.relname <> 'meta' THEN
      EXECUTE format('DELETE FROM SCHEMA.%I', each.relname);
    END IF;
  END LOOP;
END $$;
DELETE FROM SCHEMA.meta WHERE name NOT IN ('version', 'id')
"""


def content(name: str) -> dict[str, list[tuple[Any, ...]]]:
    """The rows of each table of a schema that has any, but for what `fleet init` stores."""
    of = shared()
    with contextlib.closing(of.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = %s ORDER BY 1", (name,))
        found = {}
        for (table,) in cursor.fetchall():
            initial = "WHERE name NOT IN ('version', 'id')" if table == "meta" else ""
            cursor.execute(f"SELECT t::text FROM {name}.{table} AS t {initial} ORDER BY 1")
            found[table] = cursor.fetchall()
    return {table: rows for table, rows in found.items() if rows}


def _made(settings: Mapping[str, str]) -> Cluster:
    memory = "/dev/shm"
    parent = memory if os.access(memory, os.W_OK) else None
    for left in Path(parent or tempfile.gettempdir()).glob(f"{PREFIX}*-*"):
        # Of a run that was killed, and whose server has ended with it.
        if not Path("/proc", left.name.removeprefix(PREFIX).partition("-")[0]).exists():
            shutil.rmtree(left, ignore_errors=True)
    made = Cluster(Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=parent)), settings)
    made.create()
    return made


def _program(name: str) -> Path:
    directory = binaries()
    assert directory is not None, why_not()
    return directory / name


def as_user(*options: str) -> list[str]:
    """The beginning of a command that runs as somebody who may own a cluster, which root may not."""
    if os.geteuid() == 0:
        user = pwd.getpwnam(UNPRIVILEGED)
        options = (f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", *options)
    return ["setpriv", *options] if options else []


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_"))} | {"LC_ALL": "C"}


def free_port() -> int:
    """A port on 127.0.0.1 that nobody has now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
