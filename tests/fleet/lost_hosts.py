"""Hosts of a fleet as real processes on this machine, and agents that tell when and where they live.

Each host is a state dir of its own. An agent and its tool write a line to one log each few milliseconds; a tool is in a
session of its own. The log is appended to by all of them, so that its order is what happened.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from agentq_process import Agentq
from postgres import OWNER, Cluster

from agentq_cli.base import procfs
from agentq_cli.base.clock import monotonic_ms
from agentq_cli.base.identity import Identity
from agentq_cli.engines.fleet import init
from agentq_cli.host import keeper, lease_file, process, tree
from agentq_cli.host.lease_file import Lease
from agentq_cli.model.fleet import FleetSettings
from agentq_cli.policy import leases

PATIENCE = 60.0
BUSY_MS = 2_000
"""How much later than it must something may be seen to begin on a busy machine."""

TOOLS_MS = 150
"""How long a tool may act after a machine thaws: that much the launcher or the keeper needs for it."""

AGENT = """
import os, subprocess, sys, time
log, over, who, life = (*sys.argv[1:], str(os.getpid()))[:4]
if who == "agent":
    subprocess.Popen([sys.executable, "-I", "-S", *sys.orig_argv[-4:-1], "tool", life], start_new_session=True)
host = os.environ["AGENTQ_STATE_DIR"].split("/")[-3]
attempt = os.environ["AGENTQ_RUN"].rpartition(".")[2]
out = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
while not os.path.exists(over):
    now = time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000000
    os.write(out, f"{who} {host} {attempt} {life} {now}\\n".encode())
    time.sleep(0.01)
"""


class Line(NamedTuple):
    """What an agent or its tool wrote: on which host, in which attempt, by which agent, and when (milliseconds since
    boot)."""

    who: str
    host: str
    attempt: int
    life: int
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
        common = f'[host]\nname = "{name}"\n[fleet]\nschema = "{fleet.schema}"\n'
        config, own = home / "config.toml", home / "supervisor.toml"
        config.write_text(common)
        own.write_text(f'{common}lease = "{fleet.lease_ms}ms"\n')
        self.agentq = Agentq(home, self.state_dir)
        self.agentq.environ |= {"AGENTQ_URL": url, "AGENTQ_CONFIG": str(config)}
        shortest = self.agentq.constants(**{"config.key_readers:SHORTEST_LEASE_MS": 1})
        self._on_duty = {"AGENTQ_CONFIG": str(own)} | shortest
        self.supervisor: Any = None
        self.inside: tuple[str, ...] = ()
        """The command that a supervisor is started through."""

    @property
    def place(self) -> Path:
        """Its place for this database."""
        (found,) = (self.state_dir / "fleet").iterdir()
        return found

    def start(self) -> None:
        """Start a supervisor."""
        command = [*self.inside, sys.executable, "-m", "agentq_cli", "run", "-j", "4"]
        with open(self.fleet.directory / f"log-{self.name}", "ab") as log:
            self.supervisor = self.agentq.start_as(command, self._on_duty, stdout=log, stderr=log)

    def supervise(self) -> None:
        """Put a supervisor on duty."""
        before = self.lease()
        self.start()
        until(lambda: self.lease() not in (None, before), f"{self.name} is on duty; {self.fleet.told()}")

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
        names = {"agentq-launcher": "launcher", keeper.IDLE: "shim"}
        for each in mine:
            name = procfs.name_of(each.pid) or ""
            name = "shim" if name.startswith(keeper.NAME) else names.get(name, "other")
            found["supervisor" if self.supervisor and each.pid == self.supervisor.pid else name].add(each)
        return found

    def lives(self, *kinds: str) -> bool:
        """Whether anything of these kinds lives."""
        found = self.processes()
        return any(found[kind] for kind in kinds)

    def send(self, number: int, *kinds: str) -> int:
        """Send a signal to everything of these kinds, in this order; without any to everything. Returns when that
        began."""
        found = self.processes()
        began = monotonic_ms()
        for kind in kinds or tuple(found):
            for each in found[kind]:
                process.send(each, number)
        return began

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

    def submit(self, machine: Machine, *options: str) -> None:
        """A task whose agent runs until `end`."""
        program = self.directory / "agent.py"
        program.write_text(AGENT)
        command = [sys.executable, "-I", "-S", str(program), str(self.log), str(self.over), "agent"]
        done = machine.agentq("x", "-s", "s", *options, "--", *command)
        assert done.returncode == 0, done.stderr

    def lines(self) -> list[Line]:
        """What the agents and tools wrote, in the order in which they did."""
        text = self.log.read_text() if self.log.exists() else ""
        words = (line.split() for line in text.split("\n")[:-1])
        return [Line(who, host, *map(int, rest)) for who, host, *rest in words]

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
        return [
            (each, status)
            for each, status in self.ask("SELECT attempt, status FROM agentq.task_runs ORDER BY session, seq, 1")
        ]


def last(lines: Iterable[Line], who: str, machine: Machine, attempt: int) -> int:
    """When the last line of an attempt on a machine was written."""
    return max(line.at for line in lines if line[:3] == (who, machine.name, attempt))


def never_two(lines: list[Line], *, thawed_at: int | None = None, agents: bool = False) -> None:
    """No agent writes after the first line of a later one, nor does its tool but for a moment after a thaw, which
    `agents` have too."""
    lives = list(dict.fromkeys(line.life for line in lines))
    newest = 0
    for line in lines:
        newest = max(newest, lives.index(line.life))
        if line.life != lives[newest]:
            assert line.who == "tool" or agents, line
            assert thawed_at is not None, line
            assert thawed_at <= line.at <= thawed_at + TOOLS_MS + BUSY_MS // 2, (line, thawed_at)


def taken_in_time(lost: Machine, lease: Lease, lines: list[Line]) -> None:
    """The tree is dead a tenth of a lease before the next attempt begins, and that begins in time."""
    renewed_at = lease.deadline - leases.deadline(0, lease.lease_ms)
    again_at = min(line.at for line in lines if line.attempt == 2)
    dead_at = last(lines, "agent", lost, 1)
    assert dead_at <= leases.kernel_at(lease.deadline, lease.lease_ms) + 100
    assert dead_at + lease.lease_ms // 10 <= again_at
    assert lease.lease_ms <= again_at - renewed_at <= lease.lease_ms * 5 // 4 + BUSY_MS


class Relay:
    """A way to a database, which may be led elsewhere."""

    def __init__(self, port: int, address: str = "127.0.0.1") -> None:
        self.port = port
        self._listening = socket.create_server((address, 0))
        self._open: set[socket.socket] = set()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def url(self) -> str:
        """The URL of the database at the other end."""
        host, port = self._listening.getsockname()
        return f"postgresql://{OWNER}@{host}:{port}/postgres?sslmode=disable"

    def lead(self, port: int) -> None:
        """Cut every connection, and lead new ones to another server."""
        self.port = port
        self._cut()

    def close(self) -> None:
        """Cut everything."""
        self._listening.shutdown(socket.SHUT_RDWR)
        self._cut()
        for each in self._threads:
            each.join()
        self._listening.close()

    def _cut(self) -> None:
        for each in list(self._open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                here, _ = self._listening.accept()
                self._threads.append(threading.Thread(target=self._serve, args=[here], daemon=True))
                self._threads[-1].start()

    def _serve(self, here: socket.socket) -> None:
        with contextlib.suppress(OSError), here, socket.create_connection(("127.0.0.1", self.port)) as there:
            pair = {here: there, there: here}
            self._open |= set(pair)
            with contextlib.suppress(OSError):
                while all(self._pass_on(each, pair[each]) for each in select.select(list(pair), [], [])[0]):
                    pass
            self._open -= set(pair)

    @staticmethod
    def _pass_on(source: socket.socket, target: socket.socket) -> bool:
        data = source.recv(65536)
        target.sendall(data)
        return bool(data)


FREEZERS = {
    "new": (("/sys/fs/cgroup", "/sys/fs/cgroup/unified"), "cgroup.controllers"),
    "old": (("/sys/fs/cgroup/freezer",), "release_agent"),
}
"""Where the control groups of each kind may be, and a file that is there then."""


class Freezer:
    """A control group of which everything stops and goes on at once.

    In the newer kind (cgroup v2) a SIGKILL ends what is frozen. In the older one, as in a machine that sleeps, it does
    so on waking.
    """

    def __init__(self, kind: str) -> None:
        mounts, mark = FREEZERS[kind]
        mount = next((Path(each) for each in mounts if Path(each, mark).exists()), None)
        if mount is None:
            raise OSError(f"no control groups of the {kind} kind")
        self._kind = kind
        self._group = mount / f"agentq-{os.getpid()}"
        self._group.mkdir()
        self.inside = ("sh", "-c", 'echo $$ > "$0/cgroup.procs" && exec "$@"', str(self._group))

    def set(self, *, frozen: bool) -> None:
        """Freeze or thaw it."""
        if self._kind == "old":
            (self._group / "freezer.state").write_text("FROZEN" if frozen else "THAWED")
        else:
            (self._group / "cgroup.freeze").write_text(str(int(frozen)))
        if frozen:
            until(self._is_frozen, "everything is frozen")

    def _is_frozen(self) -> bool:
        if self._kind == "old":
            return (self._group / "freezer.state").read_text().strip() == "FROZEN"
        return "frozen 1" in (self._group / "cgroup.events").read_text()

    def remove(self) -> None:
        """Remove it once nothing is in it."""
        self.set(frozen=False)
        until(lambda: not (self._group / "cgroup.procs").read_text(), "the end of what was frozen")
        self._group.rmdir()


def ip(*arguments: str) -> None:
    """Set up the network, which only root may. Raises CalledProcessError."""
    subprocess.run(["ip", *arguments], check=True, capture_output=True, timeout=PATIENCE)


class Network:
    """A network of its own for one machine, with one cable to this one."""

    NOWHERE = "02:00:00:00:00:66"

    def __init__(self, number: int) -> None:
        self._name = f"aq{os.getpid() % 100000}n{number}"
        self._ends = f"{self._name}a", f"{self._name}b"
        self.address, self._inner = f"10.213.{number}.1", f"10.213.{number}.2"
        here, there = self._ends
        ip("netns", "add", self._name)
        ip("link", "add", here, "type", "veth", "peer", "name", there, "netns", self._name)
        ip("addr", "add", f"{self.address}/30", "dev", here)
        ip("-n", self._name, "addr", "add", f"{self._inner}/30", "dev", there)
        ip("-n", self._name, "link", "set", "lo", "up")
        ip("-n", self._name, "link", "set", there, "up")
        ip("link", "set", here, "up")
        self.inside = ("nsenter", f"--net=/run/netns/{self._name}")

    def freeze(self, way: str) -> None:
        """Let nothing through: in, out, or both, as the machine sees it."""
        here, there = self._ends
        if way in ("in", "both"):
            ip("neigh", "replace", self._inner, "lladdr", self.NOWHERE, "dev", here, "nud", "permanent")
        if way in ("out", "both"):
            command = ("neigh", "replace", self.address, "lladdr", self.NOWHERE, "dev", there, "nud", "permanent")
            ip("-n", self._name, *command)

    def thaw(self) -> None:
        """Let everything through again."""
        here, there = self._ends
        with contextlib.suppress(subprocess.CalledProcessError):
            ip("neigh", "del", self._inner, "dev", here)
        with contextlib.suppress(subprocess.CalledProcessError):
            ip("-n", self._name, "neigh", "del", self.address, "dev", there)

    def remove(self) -> None:
        """Remove it."""
        ip("netns", "del", self._name)
