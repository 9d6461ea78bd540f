"""Behind pgbouncer in transaction mode: everything works, and rings do not come through."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import postgres
import pytest
from fleet_machines import Fleet

from agentq_cli.base.clock import Clock
from agentq_cli.engines.fleet import listen, statements
from agentq_cli.engines.fleet.queue import FleetQueue
from agentq_cli.model.fleet import FleetSettings
from agentq_cli.model.tasks import NewTask
from agentq_cli.model.work import Work

pytestmark = pytest.mark.slow

SETTINGS = """
[databases]
* = host={sockets} port={port} user=agentq
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {own}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 2
max_client_conn = 100
"""


@pytest.fixture
def pooled(fleet: Fleet) -> Iterator[str]:
    """The URL of the fleet's database behind a pooler with two connections."""
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip("no pgbouncer")
    port = postgres.free_port()
    cluster = fleet.cluster
    settings = cluster.directory / "pgbouncer.ini"
    settings.write_text(SETTINGS.format(sockets=cluster.sockets, port=cluster.port, own=port))
    settings.chmod(0o644)
    with open(cluster.directory / "pgbouncer.log", "wb") as log:
        command = [*postgres.as_user("--pdeathsig", "INT"), program, settings]
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=cluster.directory)
    url = f"postgresql://{postgres.OWNER}@127.0.0.1:{port}/postgres"
    try:
        end = time.monotonic() + 10
        while f"listening on 127.0.0.1:{port}" not in (cluster.directory / "pgbouncer.log").read_text():
            assert process.poll() is None and time.monotonic() < end, (cluster.directory / "pgbouncer.log").read_text()
            time.sleep(0.01)
        yield url
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()


def test_many_clients_share_few_connections_and_prepare_nothing_there(
    fleet: Fleet, pooled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statements, "OFTEN", 1)
    settings, connecting = FleetSettings(schema=fleet.schema), threading.Lock()

    def work(number: int) -> list[str]:
        with connecting:  # which changes the environment for a moment
            opened = FleetQueue.open(str(tmp_path), pooled, Clock(), settings=settings, create=True)
        with opened as queue:
            queue.stay()
            own = [NewTask(f"s{number}", Work("exec", "/", argv=("true",)), due_at=None)] * 5
            addresses = [address for address, _ in queue.submit(own, max_queued=1000)]
            queue.pause_each(addresses, reason=None)
            queue.resume_each(addresses[1:])
            with contextlib.suppress(ZeroDivisionError), queue.in_session(f"s{number}") as write:
                write.tell("write.create_session", {"name": "half", "at": 0})
                write.ask("write.live_count")
                raise ZeroDivisionError
            assert queue.database.ask_text("SELECT name FROM pg_prepared_statements", {}) == []
            return [str(task.status) for task in queue.tasks(session=f"s{number}")]

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(work, range(8)))
    assert [sorted(each) for each in found] == [["paused"] + ["queued"] * 4] * 8
    assert fleet.ask("SELECT count(*) FROM agentq.sessions") == [(8,)]


def test_its_bell_looks_each_second_unless_it_has_a_way_past_the_pooler(
    fleet: Fleet, pooled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listen, "ECHO_MS", 300)
    monkeypatch.setattr(listen, "LOOK_MS", 100)
    for listen_url, slow in ((None, True), (fleet.url, False)):
        settings = FleetSettings(schema=fleet.schema, listen_url=listen_url)
        queue = FleetQueue.open(str(tmp_path), pooled, Clock(), settings=settings, create=True)
        with queue, queue.bell() as bell:
            end = time.monotonic() + 10
            bell.fileno()
            while (bell._echo_by is not None and bell.slow is None) and time.monotonic() < end:
                bell.wait(1)
            assert (bell.slow is not None) is slow
            assert not slow or bell.wait(5)
