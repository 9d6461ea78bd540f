"""Machines of a fleet in one process: each has a queue, a state dir and a boot-time clock of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from postgres import Cluster

from agentq_cli.base import procfs
from agentq_cli.base.clock import Clock
from agentq_cli.base.identity import Identity
from agentq_cli.engines.fleet import init
from agentq_cli.engines.fleet.queue import FleetQueue
from agentq_cli.engines.nouns import Renewal, Rescued
from agentq_cli.host import process
from agentq_cli.model.actions import Actor
from agentq_cli.model.fleet import FleetSettings
from agentq_cli.model.workers import Supervisor

LEASE = 60_000


class Machine:
    """One machine. `now` is its clock: milliseconds since boot."""

    def __init__(self, fleet: Fleet, name: str, now: int, place: Path, lease_ms: int) -> None:
        self.name = name
        self.now = now
        settings = FleetSettings(host=name, labels=(f"{name}-label",), lease_ms=lease_ms, schema=fleet.schema)
        self.state_dir = place
        self.queue = FleetQueue.open(str(place), fleet.url, Clock(), settings=settings, create=True)
        self.queue.boottime = lambda: self.now
        self.identity = process.current()._replace(start_time=fleet.number())

    @property
    def host(self) -> int:
        """Its id."""
        found = self.queue.own["host_id"]
        assert found is not None
        return int(found)

    def join(self) -> Renewal:
        """Put a supervisor on duty."""
        return self.queue.join(Supervisor(self.identity, 4, (), self.queue.now, self.now))

    def renew(self, **more: Any) -> Renewal:
        """Renew its supervisor's row, and look at the others."""
        return self.queue.renew(self.identity, jobs=4, renewed_at=self.now, **more)

    def rescue(self) -> list[Rescued]:
        """Take over from whoever is lost."""
        return list(self.queue.rescue(actor=Actor.SUPERVISOR))


class Fleet:
    """A schema of its own, and the machines that work with it."""

    def __init__(self, cluster: Cluster, schema: str, directory: Path) -> None:
        self.cluster = cluster
        self.schema = schema
        self.url = cluster.url()
        self._directory = directory
        self._machines: list[Machine] = []
        self._numbers = iter(range(1000, 10_000))
        init.init(self.url, FleetSettings(schema=schema))

    def number(self) -> int:
        """Another one each time."""
        return next(self._numbers)

    def machine(self, name: str, now: int = 0, *, place: Path | None = None, lease_ms: int = LEASE) -> Machine:
        """A machine that has not joined yet."""
        made = Machine(self, name, now, place or self._directory / name, lease_ms)
        self._machines.append(made)
        return made

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        """What the database has; tables are written `agentq.TABLE`."""
        return self.cluster.ask(sql.replace("agentq.", f"{self.schema}."))

    def events(self, name: str) -> list[str | None]:
        """The reasons of the events of that name, oldest first."""
        return [
            reason for (reason,) in self.ask(f"SELECT reason FROM agentq.events WHERE event = '{name}' ORDER BY id")
        ]

    def close(self) -> None:
        """Close what is open."""
        for machine in self._machines:
            machine.queue.close()


def elsewhere(boot: str = "another-boot") -> Identity:
    """A supervisor of no machine here."""
    return Identity(1, 1, boot)


def another_boot(monkeypatch: Any, boot: str = "11111111-2222-3333-4444-555555555555") -> None:
    """Start this machine anew."""
    monkeypatch.setattr(procfs, "_boot_id", boot)
    monkeypatch.setattr(procfs, "_realm", None)


Clocked = Callable[[], int]
