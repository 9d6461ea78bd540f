"""The bell of the fleet: rung by commits elsewhere, and each second if rings do not come through."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fleet_machines import Fleet

from agentq_cli.engines.fleet import listen
from agentq_cli.engines.fleet.connection import Connection
from agentq_cli.engines.fleet.listen import Bell
from agentq_cli.host import ring


@pytest.fixture
def database(fleet: Fleet) -> Iterator[Connection]:
    with Connection(fleet.url, fleet.schema) as found:
        yield found


def notified(connection: Connection, schema: str) -> None:
    connection.send(f"SELECT pg_notify('{schema}', 's')")


def settled(bell: Bell) -> None:
    """Wait until the first ring of its own has come back."""
    end = time.monotonic() + 5
    bell.empty()
    while bell._echo_by is not None and time.monotonic() < end:
        select.select([bell.fileno()], [], [], 1)
        bell.empty()
    assert bell.slow is None


def test_it_is_rung_by_others_and_by_its_machine_and_not_by_its_own_commits(
    fleet: Fleet, database: Connection, tmp_path: Path
) -> None:
    with Bell(database, str(tmp_path)) as bell, Connection(fleet.url, fleet.schema) as other:
        bell.fileno()
        settled(bell)
        assert not bell.wait(0)
        notified(database, fleet.schema)
        assert not bell.wait(0.1)
        notified(other, fleet.schema)
        assert bell.wait(5)
        assert not bell.wait(0)
        ring.ring(tmp_path)
        assert bell.wait(5)
        ring.ring(tmp_path)
        assert select.select([bell.fileno()], [], [], 5)[0]
        bell.empty()
        assert not bell.wait(0)
        assert os.listdir(tmp_path)
    assert not os.listdir(tmp_path)


def test_rings_that_do_not_come_through_are_replaced_by_looking(
    fleet: Fleet, database: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As behind a pooler: what is sent to another database never comes here."""
    monkeypatch.setattr(listen, "ECHO_MS", 150)
    monkeypatch.setattr(listen, "LOOK_MS", 100)
    with Bell(database, str(tmp_path), fleet.cluster.url("template1")) as bell:
        bell.fileno()
        bell.empty()
        assert bell.slow is None
        assert bell.wait(5)
        assert bell.slow is not None and "listen_url" in bell.slow
        began = time.monotonic()
        assert bell.wait(5) and bell.wait(5)
        assert 0.05 < time.monotonic() - began < 3


def test_a_connection_that_is_lost_is_made_again(
    fleet: Fleet, database: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listen, "LOOK_MS", 50)
    with Bell(database, str(tmp_path)) as bell, Connection(fleet.url, fleet.schema) as other:
        bell.fileno()
        settled(bell)
        other.send(f"SELECT pg_terminate_backend({bell._listening.info.backend_pid})")
        assert bell.wait(5), "whatever it missed meanwhile"
        while bell._listening is None:
            bell.wait(1)
        settled(bell)
        notified(other, fleet.schema)
        assert bell.wait(5)
