"""agentq with its queue in a PostgreSQL of the bench's own; each queue is a schema, and may have several hosts."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from machine import Call, Machine, tree

sys.path.append(str(Path(__file__).resolve().parents[2]))

import postgres

from queues.own import Agentq

TICKS = os.sysconf("SC_CLK_TCK")


class Fleet(Agentq):
    """agentq in a fleet; this is one host of it."""

    name = "agentq, fleet"
    about = "the same with AGENTQ_URL: the queue in PostgreSQL, fsync on, over its socket"
    cluster: postgres.Cluster

    def __init__(self, machine: Machine, directory: Path, of: Fleet | None = None) -> None:
        super().__init__(machine, directory)
        self.schema = of.schema if of else f"q{machine.count}"
        self.config = directory / "config.toml"
        self.config.write_text(f'[fleet]\nschema = "{self.schema}"\n[host]\nname = "host-{machine.count}"\n')
        if of is None:
            self.machine.run(self.call("fleet", "init"))

    def call(self, *argv: str, stdin: Path | None = None) -> Call:
        plain = super().call(*argv, stdin=stdin)
        url, config = ("AGENTQ_URL", self.cluster.url()), ("AGENTQ_CONFIG", str(self.config))
        return Call(plain.argv, (*plain.env, url, config), plain.stdin)

    def another(self) -> Fleet:
        """Another host of the same fleet."""
        return type(self)(self.machine, self.machine.directory("host"), self)

    def ask(self, sql: str) -> int:
        """A number from its tables, which are written `agentq.TABLE`."""
        ((found,),) = self.cluster.ask(sql.replace("agentq.", f"{self.schema}."))
        return int(found)

    def serve(self, slots: int) -> None:
        before = self.ask("SELECT count(*) FROM agentq.supervisors")
        self.server = self.machine.start(self.call("run", "-j", str(slots)))
        self.machine.until(lambda: self.ask("SELECT count(*) FROM agentq.supervisors") > before, "agentq run")


def server_cpu(cluster: postgres.Cluster) -> float:
    """The seconds of a processor that the server has used, with the backends that have ended."""
    used = 0
    for pid in tree(cluster.pid):
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        used += sum(map(int, fields[11:15] if pid == cluster.pid else fields[11:13]))
    return used / TICKS


def wal_bytes(cluster: postgres.Cluster) -> int:
    """How much the server has written to its log so far."""
    ((found,),) = cluster.ask("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')")
    return int(found)
