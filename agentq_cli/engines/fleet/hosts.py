"""The verbs of hosts and their supervisors: joined, renewed, found lost, taken over.

A host is a row that its supervisors and sweeps renew, and its id is the fence: `workers` refers to it, so a host that
was taken over can claim nothing. The take-over is one commit: it ends the runs of a host and deletes its row, unless
the host has given a sign.
"""

from __future__ import annotations

import time

from agentq_cli import __version__
from agentq_cli.base import procfs
from agentq_cli.base.context import contextmanager, suppress
from agentq_cli.base.errors import Busy, NotFound, Unreadable, Usage
from agentq_cli.base.identity import Identity
from agentq_cli.base.json_text import dumps
from agentq_cli.engines.fleet import errors, lease, presence
from agentq_cli.engines.fleet.observing import Observer
from agentq_cli.engines.fleet.opened import First
from agentq_cli.engines.fleet.presence import Presence
from agentq_cli.engines.nouns import Renewal, Rescued
from agentq_cli.engines.steps import rows, supervisors
from agentq_cli.host import lease_file
from agentq_cli.model.actions import Actor
from agentq_cli.model.addresses import RunId
from agentq_cli.policy import leases, timelines
from agentq_cli.policy.observation import Beat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from typing import Any

    from agentq_cli.engines.fleet.connection import Connection
    from agentq_cli.engines.fleet.listen import Bell
    from agentq_cli.engines.fleet.transaction import Writing
    from agentq_cli.engines.nouns import Candidate, Claim, Plan
    from agentq_cli.engines.transaction import Row
    from agentq_cli.model.fleet import FleetSettings
    from agentq_cli.model.statuses import Status
    from agentq_cli.model.workers import Sign, Supervisor

    Signs = Mapping[RunId, Sign]

NOTHING: Signs = {}
WATCH = 4
"""Whether another machine renews this host is watched for this part of its lease: one and a half renewals."""

POLL_SECONDS = 0.1


class Hosts(Presence):
    """The verbs of supervisors, over many machines."""

    database: Connection
    settings: FleetSettings
    own: dict[str, Any]
    connects: int
    first: Sequence[First]

    if TYPE_CHECKING:

        def stay(self) -> None: ...

        def in_queue(self, *, actor: Actor = Actor.USER) -> AbstractContextManager[Writing]: ...

    def __init__(self) -> None:
        self._agents: tuple[str, ...] = ()
        self._observer = Observer()
        self._wait = timelines.SETTLED
        self.timeline = ""
        """The statement that tells on which timeline the database is, once that is known."""

        self._connected = 0

    # Going on duty

    def bring(self, settings: FleetSettings, agents: Sequence[str]) -> None:
        self.settings, self._agents = settings, tuple(agents)

    def join(self, supervisor: Supervisor) -> Renewal:
        self.stay()
        while True:
            row = self._identified()
            asked = self._asked(None if row is None else row.id, self.boottime())
            values = self._described(asked.lease_ms) | {"jobs": supervisor.jobs}
            with self.in_queue(actor=Actor.SUPERVISOR) as write:
                values["at"] = write.now
                if row is None:
                    found = [] if write.ask("hosts.mine") else write.ask("hosts.add", values)
                else:
                    found = write.ask("hosts.rejoin", values | {"id": row.id, "beat": row.beat})
                for host, _ in found:
                    self.own["host_id"] = host
                    supervisors.begin(write, supervisor, self.machine)
                    write.wake()
            for host, beat in found:
                lease.keep(self.here, host, beat, asked)
                return self._renewal(asked)
            time.sleep(POLL_SECONDS)  # another process of this machine was faster

    def _identified(self) -> lease.Row | None:
        """The host that this machine is, as it is on record; None: it is to be a new one.

        It is this machine's if this place knows its last renewal, or if nobody renews it any more. Raises Usage if
        another machine does.
        """
        first: lease.Row | None = None
        since = self.boottime()
        while found := self.reading.ask("hosts.mine"):
            row = lease.Row(*found[0])
            if lease.is_proven(self.here, row):
                return row
            if first is None or row.id != first.id:
                first, since = row, self.boottime()
            if row.beat > first.beat and not lease.is_proven(self.here, first):
                raise Usage(
                    f"'{self.here.path}/key': another machine works with it as this host: a state dir cannot be"
                    " copied to a second machine while the first one runs; give this one a state dir of its own"
                )
            if self.boottime() - since >= row.lease_ms // WATCH:
                if row.boot_id == procfs.boot_id():
                    return row
                # Nobody can tell whether that was this machine: if not, it is still to be found lost.
                self.own["host_key"] = lease.renew_key(self.here)
                return None
            time.sleep(POLL_SECONDS)
        return None

    def _described(self, lease_ms: int) -> dict[str, object]:
        return {
            "name": self.settings.host,
            "boot_id": procfs.boot_id(),
            "version": __version__,
            "lease_ms": lease_ms,
            "agents": dumps(self._agents),
            "labels": dumps(self.settings.labels),
        }

    def renew(self, identity: Identity, *, jobs: int, renewed_at: int, signs: Signs = NOTHING) -> Renewal:
        message = []
        if signs:
            given = [run._asdict() | {"pid": s.pid, "rss": s.rss_bytes, "seen": s.seen_at} for run, s in signs.items()]
            message.append(self.database.written("hosts.signs", self.own | {"signs": dumps(given)}))
        confirmed = self.own | rows.identity_columns(identity) | {"jobs": jobs, "renewed_at": renewed_at}
        message.append(self.database.written("hosts.confirm", confirmed))
        return self._beat(message, renewed_at)

    def _beat(self, before: list[bytes], asked_at: int) -> Renewal:
        """Renew the host, and look at the others."""
        host = self.own["host_id"]
        asked = self._asked(host, asked_at)
        last = self.database.written("hosts.renew", self.own | self._described(asked.lease_ms))
        ((beat, now, runs, beats, idle),) = self.database.send(b";".join([*before, last]))
        self.database.told(now, asked_at)
        answered = self.boottime()
        if beat is None:
            return Renewal(answered, answered, superseded=True)
        lease.keep(self.here, host, beat, asked)
        self._observer.look((Beat(*each) for each in beats or ()), answered)
        return self._renewal(asked, frozenset(RunId(*each) for each in runs or ()), idle=idle)

    def _asked(self, host: int | None, now: int) -> lease.Asked:
        return lease.asked(self.here, host, self.settings.lease_ms, now)

    def _renewal(self, asked: lease.Asked, known: frozenset[RunId] | None = None, *, idle: bool = False) -> Renewal:
        again_at = asked.at + leases.renewal_ms(min(asked.lease_ms, self.settings.lease_ms))
        loss = self._observer.next_loss(self.boottime())
        before, self._connected = self._connected, self.connects
        return Renewal(
            again_at if loss is None else min(again_at, loss),
            asked.at + presence.lapse_ms(asked.lease_ms),
            asked.deadline,
            asked.lease_ms,
            known=known,
            idle=idle,
            anew=before != self.connects,
        )

    def leave(
        self,
        identity: Identity,
        *,
        reason: str | None = None,
        last_result: Status | None = None,
        actor: Actor = Actor.SUPERVISOR,
    ) -> None:
        with self.in_queue(actor=actor) as write:
            supervisors.leave(write, identity, self.machine, reason, last_result)
            write.tell("hosts.left", {"at": write.now})
            write.wake()

    def bell(self) -> Bell:
        from agentq_cli.engines.fleet.listen import Bell

        return Bell(self.database, self.here.bells, self.settings.listen_url)

    # Lost hosts

    def rescue(self, *, actor: Actor) -> Iterator[Rescued]:
        for beat in self._observer.lost(self.boottime()):
            yield from self._take_over(beat, actor)

    def _take_over(self, beat: Beat, actor: Actor) -> list[Rescued]:
        with self.in_queue(actor=actor) as write:
            found = write.ask("hosts.held", {"id": beat.host, "beat": beat.beat})
            if not found:
                return []  # it has given a sign, or somebody else was faster
            why = f"host '{found[0][0]}' was lost"
            done = [Rescued(why)]
            from agentq_cli.engines.fleet import ending

            for session, seq, attempt, stop in write.ask("hosts.runs_of", {"id": beat.host}):
                run, part = RunId(session, seq, attempt), write.part(session)
                try:
                    with part.step():
                        done.append(Rescued(why, run, ending.lost(part, run, stop=stop, why=why)))
                except (NotFound, Unreadable):  # its task cannot be ended, and must not keep the host for ever
                    part.tell("dispatch.delete_worker", run._asdict())
            for row in write.ask("hosts.supervisors_of", {"id": beat.host}):
                supervisors.lose(write, Identity(*row), found[0][0], why)
            write.tell("hosts.forget", {"id": beat.host})
            write.record("lost", reason=why)
        return done

    def tend(self, *, actor: Actor) -> Iterator[Rescued]:
        """What a process does for the hosts that does not stay: renew that of this machine, unless that was done lately
        or it is none, and look at the others with what was seen before."""
        self._observer.load(self.here)
        if self._is_to_renew():
            self._beat([], self.boottime())
        else:
            beats = [Beat(*each) for each in self.reading.ask("hosts.beats")]
            self._observer.look(beats, self.boottime())
        yield from self.rescue(actor=actor)
        if self.own["host_key"]:
            self._observer.save(self.here)

    def _is_to_renew(self) -> bool:
        """Whether this machine is a host that has not been renewed lately; if so, `own` says which."""
        held, now = lease_file.read(self.here.lease), self.boottime()
        if held is None:
            return self._came_back()
        self.own["host_id"] = held.host
        return now >= held.deadline - leases.deadline(0, held.lease_ms) + leases.renewal_ms(held.lease_ms)

    def _came_back(self) -> bool:
        """Whether this machine was a host before it was started anew; then it is that host again."""
        row = next((lease.Row(*found) for found in self.reading.ask("hosts.mine")), None)
        if row is None or not lease.is_proven(self.here, row):
            return False
        with self.in_queue(actor=Actor.SWEEP) as write:
            values = self._described(row.lease_ms) | {"id": row.id, "beat": row.beat, "jobs": 0, "at": write.now}
            if not write.ask("hosts.rejoin", values):
                return False
        self.own["host_id"] = row.id
        return True

    # Claims

    def claim(self, candidate: Candidate, plan: Plan, **options: Any) -> Claim | None:
        try:
            return super().claim(candidate, plan, **options)
        except errors.Superseded:
            return None

    def await_timeline(self, write: Writing) -> None:
        """Wait for what may still run of claims that this database does not know. Raises Busy."""
        if not self.timeline:
            ((counts,),) = write.ask("hosts.counts_timelines")
            self.timeline = "hosts.timeline" if counts else "hosts.timeline_by_start"
        (((current, known, longest),),) = write.ask(self.timeline)
        now, lease_ms = self.boottime(), max(longest, self.settings.lease_ms)
        self._wait = timelines.look(self._wait, known=known, current=current, lease_ms=lease_ms, now=now)
        if self._wait.until is not None:
            seconds = (self._wait.until - now + 999) // 1000
            why = f"the database was replaced by a standby, which may not know the last starts; again in {seconds} s"
            raise Busy(errors.at(self.database.url, why))
        if self._wait.record:
            write.tell("dispatch.set_meta", {"name": "timeline", "value": current})

    # What only the host of a run may do

    def undo_claim(self, run: RunId, *, actor: Actor, reason: str, background: bool = False) -> bool:
        try:
            with self.own_run(run):
                return super().undo_claim(run, actor=actor, reason=reason, background=background)
        except errors.Superseded:
            return False

    def seen_conversation(self, run: RunId, agent: str, conversation: str) -> None:
        with suppress(errors.Superseded), self.own_run(run):
            super().seen_conversation(run, agent, conversation)

    @contextmanager
    def own_run(self, run: RunId) -> Iterator[None]:
        """Transactions within raise Superseded if the run is another host's. It may be one of the same name: a database
        that was set back, or replaced by a standby, can have lost the claim of this host's."""
        with self.beginning(First("hosts.of_another", run._asdict(), self._refuse)):
            yield

    def _refuse(self, write: Writing, found: list[Row]) -> None:
        for (name,) in found:
            raise errors.Superseded(self.database.url, f"it is a run of host '{name}'")

    @contextmanager
    def beginning(self, *first: First) -> Iterator[None]:
        """Transactions over a session within ask this as they begin."""
        self.first = first
        try:
            yield
        finally:
            self.first = ()
