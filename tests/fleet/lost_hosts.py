"""Hosts of a fleet as real processes on this machine, and agents that tell when and where they live.

Each host is a state dir of its own. An agent and its tool write a line to one log each few milliseconds; a tool is in a
session of its own. The log is appended to by all of them, so that its order is what happened.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from agentq_process import Agentq
from postgres import Cluster

from agentq_cli.base import procfs
from agentq_cli.base.identity import Identity
from agentq_cli.engines.fleet import init
from agentq_cli.host import lease_file, process, tree
from agentq_cli.host.lease_file import Lease
from agentq_cli.model.fleet import FleetSettings
from agentq_cli.policy import leases

PATIENCE = 60.0
BUSY_MS = 400
"""How much later than it must something may be seen to happen on a busy machine."""

TOOLS_MS = 150
"""How long a tool may act after a machine thaws: that much the launcher or the keeper needs for it."""

AGENT = """
import os, subprocess, sys, time
log, over, who = sys.argv[1:4]
if who == "agent":
    subprocess.Popen([sys.executable, "-I", "-S", *sys.orig_argv[-4:-1], "tool"], start_new_session=True)
host = os.environ["AGENTQ_STATE_DIR"].split("/")[-3]
attempt = os.environ["AGENTQ_RUN"].rpartition(".")[2]
out = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
while not os.path.exists(over):
    now = time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000000
    os.write(out, f"{who} {host} {attempt} {now}\\n".encode())
    time.sleep(0.01)
"""


class Line(NamedTuple):
    """What an agent or its tool wrote: on which host, in which attempt, and when (milliseconds since boot)."""

    who: str
    host: str
    attempt: int
    at: int


def until(condition: Callable[[], Any], what: str, seconds: float = PATIENCE) -> Any:
    """What `condition` returns once that is true."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, f"waited in vain for: {what}"
        time.sleep(0.01)
    return found


class Machine:
    """A host. `name` is its state dir's too."""

    def __init__(self, fleet: LostHosts, name: str, url: str) -> None:
        self.name = name
        self.fleet = fleet
        self.state_dir = fleet.directory / name
        home = fleet.directory / f"home-{name}"
        home.mkdir()
        config = home / "config.toml"
        config.write_text(
            f'[host]\nname = "{name}"\n[fleet]\nlease = "{fleet.lease_ms}ms"\nschema = "{fleet.schema}"\n'
        )
        self.agentq = Agentq(home, self.state_dir, by_exec=True)
        self.agentq.environ |= {"AGENTQ_URL": url, "AGENTQ_CONFIG": str(config)} | self.agentq.constants(
            **{"config.key_readers:SHORTEST_LEASE_MS": 1}
        )
        self.supervisor: Any = None
        self.inside: tuple[str, ...] = ()
        """The command that a supervisor is started through."""

    @property
    def place(self) -> Path:
        """Its place for this database."""
        (found,) = (self.state_dir / "fleet").iterdir()
        return found

    def supervise(self) -> None:
        """Put a supervisor on duty."""
        before = self.lease()
        command = [*self.inside, *self.agentq.command("run", "-j", "4")]
        with open(self.fleet.directory / f"log-{self.name}", "ab") as log:
            self.supervisor = self.agentq.start_as(command, stdout=log, stderr=log)
        until(lambda: (now := self.lease()) is not None and now != before, f"{self.name} is on duty")

    def lease(self) -> Lease | None:
        """Its lease, if it ever had one."""
        with contextlib.suppress(OSError, ValueError):
            return lease_file.read(f"{self.place}/lease")
        return None

    def processes(self) -> dict[str, set[Identity]]:
        """Everything of it that lives, by what it is: supervisor, launcher, shim, other."""
        mine: set[Identity] = set()
        for stat in process.processes():
            words = (procfs.read_file(f"/proc/{stat.pid}/environ") or b"").split(b"\0")
            own = f"AGENTQ_STATE_DIR={self.state_dir}".encode()
            if any(word == own or word.startswith(own + b"/") for word in words):
                mine.add(Identity(stat.pid, stat.start_time, process.realm()))
        mine = {each for each in mine | tree.below(mine) if process.alive(each) and each.pid != os.getpid()}
        found: dict[str, set[Identity]] = {"supervisor": set(), "launcher": set(), "shim": set(), "other": set()}
        names = {"agentq-launcher": "launcher", "agentq-shim": "shim"}
        for each in mine:
            name = names.get(procfs.name_of(each.pid) or "", "other")
            found["supervisor" if self.supervisor and each.pid == self.supervisor.pid else name].add(each)
        return found

    def lives(self, *kinds: str) -> bool:
        """Whether anything of these kinds lives."""
        found = self.processes()
        return any(found[kind] for kind in kinds)

    def send(self, number: int, *kinds: str) -> None:
        """Send a signal to everything of these kinds, in this order; without any to everything."""
        found = self.processes()
        for kind in kinds or tuple(found):
            for each in found[kind]:
                process.send(each, number)

    def close(self) -> None:
        """Leave nothing of it behind."""
        end = time.monotonic() + PATIENCE
        while any((found := self.processes()).values()):
            for each in set().union(*found.values()):
                process.send(each, signal.SIGKILL)
            assert time.monotonic() < end
            time.sleep(0.01)
        self.agentq.stop()


class LostHosts:
    """A fleet of real hosts on one database."""

    def __init__(self, cluster: Cluster, schema: str, directory: Path, lease_ms: int) -> None:
        self.cluster = cluster
        self.schema = schema
        self.directory = directory
        self.lease_ms = lease_ms
        self.machines: list[Machine] = []
        self.log = directory / "log"
        self.over = directory / "over"
        init.init(cluster.url(), FleetSettings(schema=schema))

    def machine(self, name: str, url: str | None = None) -> Machine:
        """A host without a supervisor."""
        made = Machine(self, name, url or self.cluster.url(tcp=True))
        self.machines.append(made)
        return made

    def close(self) -> None:
        """End all of them."""
        for machine in self.machines:
            machine.close()

    # The task

    def submit(self, machine: Machine, session: str = "s") -> None:
        """A task whose agent runs until `end`."""
        program = self.directory / "agent.py"
        program.write_text(AGENT)
        command = [sys.executable, "-I", "-S", str(program), str(self.log), str(self.over), "agent"]
        done = machine.agentq("x", "-s", session, "--", *command)
        assert done.returncode == 0, done.stderr

    def lines(self) -> list[Line]:
        """What the agents and tools wrote, in the order in which they did."""
        text = self.log.read_text() if self.log.exists() else ""
        words = (line.split() for line in text.split("\n")[:-1])
        return [Line(who, host, int(attempt), int(at)) for who, host, attempt, at in words]

    def runs_on(self, machine: Machine, attempt: int) -> None:
        """Wait until the agent and its tool write there, in that attempt."""
        where = (machine.name, attempt)
        until(
            lambda: {line.who for line in self.lines() if line[1:3] == where} == {"agent", "tool"},
            f"attempt {attempt} on {machine.name}; {self.told()}",
        )

    def told(self) -> str:
        """What the supervisors said, for a test that fails."""
        return "\n".join(f"{each}:\n{each.read_text()[-2000:]}" for each in sorted(self.directory.glob("log-*")))

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        """What the database has; tables are written `agentq.TABLE`."""
        return self.cluster.ask(sql.replace("agentq.", f"{self.schema}."))

    def end(self) -> None:
        """Have the agents end well, and wait until their ends are on record."""
        self.over.touch()
        until(lambda: not self.ask("SELECT 1 FROM agentq.workers"), f"the end of all runs; {self.told()}")

    def outcomes(self) -> list[tuple[int, str]]:
        """Each attempt and how it ended."""
        return [(each, status) for each, status in self.ask("SELECT attempt, status FROM agentq.task_runs ORDER BY 1")]


def last(lines: Iterable[Line], who: str, machine: Machine, attempt: int) -> int:
    """When the last line of an attempt on a machine was written."""
    return max(line.at for line in lines if line[:3] == (who, machine.name, attempt))


def never_two(lines: list[Line], *, thawed_at: int | None = None) -> None:
    """No attempt writes after the first line of a later one, but a tool for a moment after a thaw."""
    newest = 0
    for line in lines:
        newest = max(newest, line.attempt)
        if line.attempt < newest:
            assert line.who == "tool", line
            assert thawed_at is not None, line
            assert thawed_at <= line.at <= thawed_at + TOOLS_MS + BUSY_MS, (line, thawed_at)


def taken_in_time(lost: Machine, lease: Lease, lines: list[Line]) -> None:
    """The tree is dead a tenth of a lease before the next attempt begins, and that begins in time."""
    renewed_at = lease.deadline - leases.deadline(0, lease.lease_ms)
    again_at = min(line.at for line in lines if line.attempt == 2)
    dead_at = last(lines, "agent", lost, 1)
    assert dead_at <= leases.kernel_at(lease.deadline, lease.lease_ms) + BUSY_MS
    assert dead_at + lease.lease_ms // 10 <= again_at
    assert renewed_at + lease.lease_ms <= again_at <= renewed_at + lease.lease_ms * 5 // 4 + BUSY_MS
