"""Runs: picked, claimed, watched, stopped, ended; and the supervisors that watch them."""

from __future__ import annotations

import os
from itertools import islice

from agentq_cli.base.context import suppress
from agentq_cli.base.errors import AgentqError, NotFound
from agentq_cli.base.identity import Identity
from agentq_cli.base.json_text import dumps
from agentq_cli.engines.local import connection, opening, read, rehearsal
from agentq_cli.engines.local.asking import Asking, stored
from agentq_cli.engines.local.queries import statement
from agentq_cli.engines.local.tasks import Tasks
from agentq_cli.engines.steps import rows
from agentq_cli.model.actions import Actor

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from typing import TypeAlias, Unpack

    from agentq_cli.base.clock import Clock
    from agentq_cli.engines.local.state_dir import StateDir
    from agentq_cli.engines.nouns import Calls, Candidate, Claim, Plan, Renewal, Rescued, WhichRuns
    from agentq_cli.engines.steps import heads
    from agentq_cli.host.output import OutputReader as Output
    from agentq_cli.model.addresses import Address, RunId
    from agentq_cli.model.hosts import Host
    from agentq_cli.model.runs import Outcome, Run
    from agentq_cli.model.tasks import Task
    from agentq_cli.model.workers import LastStart, Sign, Supervisor, Worker
    from agentq_cli.policy import order
    from agentq_cli.policy.admission import Gate


NOTHING: Mapping[RunId, Sign] = {}
Parallel: TypeAlias = "Callable[[str], int | None]"


class Runs(Tasks):
    """The verbs of runs."""

    def __init__(
        self, state: StateDir, index: sqlite3.Connection, clock: Clock, *, allow_network_fs: bool = False
    ) -> None:
        super().__init__(state, index, clock, allow_network_fs=allow_network_fs)
        self._unposted: dict[str, str] = {}

    def run(self, run_id: RunId) -> Run:
        self.known(run_id.session)
        return read.run(self.index, run_id)

    def runs(
        self,
        *,
        address: Address | None = None,
        limit: int | None = None,
        **which: Unpack[WhichRuns],
    ) -> Iterator[Run]:
        session = which.get("session")
        if address is not None:
            self.task(address)
        elif session is not None:
            self.known(session)
        where = read.which(**which) | read.place(address, session)
        return islice(read.runs(self.index, where=where, most=limit), limit)

    def output(self, run: RunId, stream: str, offset: int = 0) -> Output:
        from agentq_cli.host.output import OutputReader

        return OutputReader(self.here.run(run), stream, offset)

    def workers(self) -> list[Worker]:
        return [rows.worker(row) for row in self.reading.ask("read.workers")]

    def worker(self, address: Address) -> Worker | None:
        found = self.reading.ask("read.worker", address._asdict())
        return rows.worker(found[0]) if found else None

    def snapshot(self, sessions: Collection[str] = ()) -> order.Snapshot:
        from agentq_cli.engines.steps import heads

        return heads.snapshot(self.reading, sessions, now=self.now)

    def heads(self, sessions: Collection[str] = ()) -> heads.Heads:
        from agentq_cli.engines.steps import heads

        return heads.Heads(self.reading, sessions)

    def around(self) -> order.Snapshot:
        from agentq_cli.engines.steps import heads

        return heads.around(self.reading, self.now)

    def calls(self, supervisor: Identity) -> Calls:
        from agentq_cli.engines.nouns import Calls

        (found,) = self.reading.ask("dispatch.calls", rows.identity_columns(supervisor) | {"now": self.now})
        expired, arriving, stops, strangers, known, jobs = found
        return Calls(bool(expired), bool(arriving), bool(stops), bool(strangers), bool(known), jobs)

    def next_due(self) -> int | None:
        ((due,),) = self.reading.ask("dispatch.next_due", {"now": self.now})
        return None if due is None else int(due)

    def next_lift(self) -> int | None:
        ((until,),) = self.reading.ask("dispatch.next_lift", {"now": self.now})
        return None if until is None else int(until)

    def limited_until(self) -> dict[str, int]:
        return dict(self.reading.ask("dispatch.limited_until", {"now": self.now}))

    def unfinished(self) -> set[tuple[str, str]]:
        # With a fixed clock the time of a retry never comes.
        values = {"now": self.now, "retrying": not self._clock.fixed}
        return set(self.reading.ask("dispatch.unfinished", values))

    def candidate(self, head: order.Head) -> Candidate | None:
        from agentq_cli.engines.local.sessions import opened
        from agentq_cli.engines.steps import claim

        session, busy_ms = head.session, connection.BACKGROUND_BUSY_MS
        opening.check_stored(self.state, session)
        with opened(self.state, session, create=False, alone=False, busy_ms=busy_ms) as database:
            # No snapshot: the claim checks all of it again.
            row = stored(database, head.seq)
            if row is not None and rows.unreadable_time(row) is None:
                task = rows.task(session, row)
                return claim.candidate(Asking(database), head, task)
        # It has to be fixed first.
        with self.in_session(session, actor=Actor.SUPERVISOR, background=True) as write:
            try:
                task = write.task(head.seq)
            except NotFound:
                write.tell("write.delete_index_row", {"session": session, "seq": head.seq})
                return None
            return claim.candidate(write, head, task)

    def claim(
        self,
        candidate: Candidate,
        plan: Plan,
        *,
        supervisor: Identity,
        jobs: int,
        parallel: Parallel,
        host: str,
        newest: LastStart | None = None,
        monotonic: int = 0,
    ) -> Claim | None:
        from agentq_cli.engines.steps import claim

        with self.in_session(candidate.head.session, actor=Actor.SUPERVISOR, background=True) as write:
            claimed = claim.claim(
                write,
                candidate,
                plan,
                supervisor=supervisor,
                jobs=jobs,
                parallel=parallel,
                host=host,
                newest=newest,
                monotonic=monotonic,
            )
        if claimed is not None:
            # An agent must not find a file in mid-commit.
            from agentq_cli.engines.local import reindex

            with suppress(OSError):  # it is claimed, even if its files cannot be opened
                reindex.roll_back_dead_writers(self.state, [claimed.run.session])
        return claimed

    def claimed(self, run: RunId) -> Claim | None:
        from agentq_cli.engines.local.sessions import opened
        from agentq_cli.engines.steps import claim

        busy_ms = connection.BACKGROUND_BUSY_MS
        with opened(self.state, run.session, create=False, alone=False, busy_ms=busy_ms) as database:
            row = stored(database, run.seq)
            return None if row is None else claim.claimed(Asking(database), rows.task(run.session, row), run)

    def last_start(self) -> LastStart:
        return rows.last_start(self.reading.ask("read.meta", {"name": "last_start"}))

    def undo_claim(self, run: RunId, *, actor: Actor, reason: str, background: bool = False) -> bool:
        from agentq_cli.engines.steps import claim

        with self.in_session(run.session, actor=actor, background=background) as write:
            undone = claim.undo(write, run, reason=reason)
        if undone:
            self.ring()
        return undone

    def finish(self, run: RunId, outcome: Outcome, *, actor: Actor, background: bool = False) -> Task | None:
        import random

        from agentq_cli.engines.local import asked
        from agentq_cli.engines.steps import finish

        live = self.worker(run.address)
        posted = live is not None and live.id == run
        posted = posted and self.post("post", run, outcome.status, outcome.result, outcome.finished_at)
        # Otherwise a supervisor would check it next, and record in a separate commit that nothing was requested.
        quiet = asked.quiet(self.state, run.session) if posted and self.state.kept is not None else None
        with self.in_session(run.session, actor=actor, background=background) as write:
            task = finish.finish(write, run, outcome, posted=posted, jitter=random.random())
            if task is not None and quiet is not None:
                write.tell("requests.set_stamp", {"session": run.session, "stamp": quiet})
        if quiet is not None:
            self.answered[run.session] = quiet
        self.ring()
        return task

    def post(self, name: str, run: RunId, status: str, result: object, at: int) -> bool:
        # In a separate commit: the agent may have locked, moved or broken the file, and nothing depends on it.
        path, rehearsed = self.state.outbound(run.session), rehearsal.rehearsing()
        content = dumps({"run": str(run), "task": str(run.address), "status": str(status), "result": result})
        try:
            with read.opened_outbound(self.state, run.session, connection.BACKGROUND_BUSY_MS) as database:
                if rehearsed:
                    return os.access(path, os.W_OK)
                values = {"id": str(run), "content": content, "at": at}
                with connection.transaction(database, path):
                    posted = database.execute(statement(f"dispatch.{name}"), values).rowcount == 1
        except (AgentqError, OSError) as error:
            self._unposted[str(run)] = str(error)
            return False
        if not posted:
            self._unposted[str(run)] = "it already has a row with that id"
        return posted

    def why_unposted(self, run: RunId | str) -> str | None:
        return self._unposted.pop(str(run), None)

    def seen_conversation(self, run: RunId, agent: str, conversation: str) -> None:
        from agentq_cli.engines.steps import claim

        with self.in_session(run.session, actor=Actor.AGENT, background=True) as write:
            claim.seen_conversation(write, run, agent, conversation)

    def adopt(self, worker: Worker, supervisor: Identity) -> bool:
        from agentq_cli.engines.steps import claim

        with self.in_session(worker.session, actor=Actor.SUPERVISOR, background=True) as write:
            return claim.adopt(write, worker, supervisor)

    def request_stop(
        self,
        run: RunId,
        *,
        reason: str,
        cancel: bool,
        actor: Actor,
        run_only: bool = False,
        background: bool = False,
    ) -> bool:
        from agentq_cli.engines.steps import claim

        with self.in_session(run.session, actor=actor, background=background) as write:
            asked = claim.request_stop(write, run, reason=reason, cancel=cancel, run_only=run_only)
        if asked:
            self.ring()
        return asked


class Attendance(Runs):
    """The verbs of supervisors."""

    def join(self, supervisor: Supervisor) -> Renewal:
        if self.state.kept is None:
            self.keep_connections()
        self.register(supervisor)
        self.ring()
        return self._renewal(supervisor.renewed_at)

    def register(self, supervisor: Supervisor) -> None:
        """Put a supervisor on record."""
        values = rows.identity_columns(supervisor.identity) | {
            "jobs": supervisor.jobs,
            "sessions": dumps(supervisor.sessions),
            "started_at": supervisor.started_at,
            "renewed_at": supervisor.renewed_at,
        }
        self.tell("dispatch.register", values)

    def renew(
        self, identity: Identity, *, jobs: int, renewed_at: int, signs: Mapping[RunId, Sign] = NOTHING
    ) -> Renewal:
        self.tell("dispatch.renew", rows.identity_columns(identity) | {"jobs": jobs, "renewed_at": renewed_at})
        return self._renewal(renewed_at)

    def _renewal(self, renewed_at: int) -> Renewal:
        from agentq_cli.engines.nouns import Renewal
        from agentq_cli.host import attendance

        return Renewal(renewed_at + attendance.RENEW_MS, renewed_at + attendance.LEASE_MS)

    def rescue(self, *, actor: Actor) -> Iterator[Rescued]:
        return iter(())  # whoever is on duty here is on this machine

    def hosts(self) -> list[Host]:
        from agentq_cli.engines.local import this_host

        return [this_host.described(self)]

    def set_gates(self, identity: Identity, gates: Sequence[Gate]) -> None:
        self.tell("dispatch.set_gates", rows.identity_columns(identity) | {"gates": rows.gates_text(gates)})

    def leave(self, identity: Identity) -> None:
        try:
            if self.in_place:
                self.tell("dispatch.unregister", rows.identity_columns(identity))
        finally:
            self.ring()

    def supervisors(self) -> list[Supervisor]:
        return [rows.supervisor(row) for row in self.reading.ask("read.supervisors")]

    def living(self) -> list[Supervisor]:
        from agentq_cli.host import attendance

        busy = {worker.supervisor for worker in self.workers()}
        return [
            supervisor
            for supervisor in self.supervisors()
            if attendance.counts(
                supervisor.identity, supervisor.renewed_at, busy=supervisor.identity in busy, bells=self.here.bells
            )
        ]

    def serving(self, session: str) -> list[Supervisor]:
        return [
            supervisor
            for supervisor in self.supervisors()
            if (not supervisor.sessions or session in supervisor.sessions) and self.lives(supervisor.identity)
        ]

    def orphaned(self) -> list[Worker]:
        # The runs first: a supervisor that joined and claimed between the two reads would otherwise be unknown.
        workers = self.workers()
        known = {supervisor.identity: supervisor for supervisor in self.supervisors()}
        return [worker for worker in workers if not self._watched(worker, known)]

    def watched(self, worker: Worker) -> bool:
        return self._watched(worker, {supervisor.identity: supervisor for supervisor in self.supervisors()})

    def _watched(self, worker: Worker, known: Mapping[Identity, Supervisor]) -> bool:
        from agentq_cli.host import attendance

        row = None if worker.supervisor is None else known.get(worker.supervisor)
        return row is not None and not attendance.lapsed(row.renewed_at) and self.lives(row.identity)

    def lives(self, owner: Identity) -> bool:
        from agentq_cli.host import attendance

        return attendance.lives(owner, self.here.bells)

    def last_sweep(self) -> int | None:
        found = self.reading.ask("read.meta", {"name": "last_sweep_at"})
        return int(found[0][0]) if found else None
