"""Runs: picked, claimed, watched, stopped, ended; and the supervisors that watch them."""

from __future__ import annotations

import contextlib
import os
from itertools import islice

from agentq_cli.base.errors import AgentqError
from agentq_cli.base.json_text import dumps
from agentq_cli.engines.local import connection, read, rows
from agentq_cli.engines.local.queries import statements
from agentq_cli.engines.local.tasks import Tasks
from agentq_cli.model import Actor, Address, Identity, LastStart, Outcome, Run, RunId, Supervisor, Task, Worker

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from typing import TypeAlias

    from agentq_cli.base.clock import Clock
    from agentq_cli.engines.local import heads
    from agentq_cli.engines.local.state_dir import StateDir
    from agentq_cli.engines.nouns import Calls, Candidate, Claim, Plan
    from agentq_cli.host.output import OutputReader as Output
    from agentq_cli.policy import order
    from agentq_cli.policy.admission import Gate


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
        session: str | None = None,
        statuses: Collection[str] = (),
        since: int | None = None,
        limit: int | None = None,
    ) -> Iterator[Run]:
        if address is not None:
            self.task(address)
        elif session is not None:
            self.known(session)
        found = read.runs(self.index, address=address, session=session, statuses=statuses, since=since, most=limit)
        return islice(found, limit)

    def output(self, run: RunId, stream: str, offset: int = 0) -> Output:
        from agentq_cli.host.output import OutputReader

        return OutputReader(self.here.run(run), stream, offset)

    def workers(self) -> list[Worker]:
        return [rows.worker(row) for row in self.index.execute(read.READ["workers"]).fetchall()]

    def worker(self, address: Address) -> Worker | None:
        row = self.index.execute(read.READ["worker"], address._asdict()).fetchone()
        return None if row is None else rows.worker(row)

    def snapshot(self, sessions: Collection[str] = ()) -> order.Snapshot:
        from agentq_cli.engines.local import dispatch

        return dispatch.snapshot(self.index, sessions, now=self.now)

    def heads(self, sessions: Collection[str] = ()) -> heads.Heads:
        from agentq_cli.engines.local import heads

        return heads.Heads(self.index, sessions)

    def around(self) -> order.Snapshot:
        from agentq_cli.engines.local import dispatch

        return dispatch.around(self.index, self.now)

    def calls(self, supervisor: Identity) -> Calls:
        from agentq_cli.engines.nouns import Calls

        values = {"pid": supervisor.pid, "start_time": supervisor.start_time, "boot_id": supervisor.boot_id}
        found = self.index.execute(statements("dispatch")["calls"], values | {"now": self.now}).fetchone()
        return Calls(*map(bool, found))

    def next_due(self) -> int | None:
        (due,) = self.index.execute(statements("dispatch")["next_due"], {"now": self.now}).fetchone()
        return None if due is None else int(due)

    def next_lift(self) -> int | None:
        (until,) = self.index.execute(statements("dispatch")["next_lift"], {"now": self.now}).fetchone()
        return None if until is None else int(until)

    def limited_until(self) -> dict[str, int]:
        return dict(self.index.execute(statements("dispatch")["limited_until"], {"now": self.now}).fetchall())

    def unfinished(self) -> set[tuple[str, str]]:
        # With a fixed clock the time of a retry never comes.
        values = {"now": self.now, "retrying": not self._clock.fixed}
        return set(self.index.execute(statements("dispatch")["unfinished"], values).fetchall())

    def candidate(self, head: order.Head) -> Candidate | None:
        from agentq_cli.engines.local import dispatch

        return dispatch.candidate(self.state, head, now=self.now)

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
        from agentq_cli.engines.local import dispatch

        claimed = dispatch.claim(
            self.state,
            candidate,
            plan,
            now=self.now,
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

            with contextlib.suppress(OSError):  # it is claimed, even if its files cannot be opened
                reindex.roll_back_dead_writers(self.state, [claimed.run.session])
        return claimed

    def last_start(self) -> LastStart:
        from agentq_cli.engines.local import dispatch

        return dispatch.last_start(self.index)

    def undo_claim(self, run: RunId, *, actor: Actor, reason: str, background: bool = False) -> bool:
        from agentq_cli.engines.local import dispatch

        busy = connection.BACKGROUND_BUSY_MS if background else connection.BUSY_MS
        undone = dispatch.undo(self.state, run, now=self.now, actor=actor, reason=reason, busy_ms=busy)
        if undone:
            self.ring()
        return undone

    def finish(self, run: RunId, outcome: Outcome, *, actor: Actor, background: bool = False) -> Task | None:
        from agentq_cli.engines.local import finish
        from agentq_cli.engines.local import requests as asking

        busy = connection.BACKGROUND_BUSY_MS if background else connection.BUSY_MS
        live = self.worker(run.address)
        posted = live is not None and live.id == run
        posted = posted and self.post("post", run, outcome.status, outcome.result, outcome.finished_at)
        # Otherwise a supervisor would check it next, and record in a separate commit that nothing was requested.
        quiet = asking.quiet(self.state, run.session) if posted and self.state.kept is not None else None
        import random

        task = finish.finish(
            self.state,
            run,
            outcome,
            now=self.now,
            actor=actor,
            posted=posted,
            quiet=quiet,
            busy_ms=busy,
            jitter=random.random(),
        )
        if quiet is not None:
            self.answered[run.session] = quiet
        self.ring()
        return task

    def post(self, statement: str, run: RunId, status: str, result: object, at: int) -> bool:
        # In a separate commit: the agent may have locked, moved or broken the file, and nothing depends on it.
        path, rehearsed = self.state.outbound(run.session), connection.rehearsing()
        content = dumps({"run": str(run), "task": str(run.address), "status": str(status), "result": result})
        try:
            with (
                read.opened_outbound(self.state, run.session, connection.BACKGROUND_BUSY_MS) as database,
                contextlib.nullcontext() if rehearsed else connection.transaction(database, path),
            ):
                if rehearsed:
                    return os.access(path, os.W_OK)
                values = {"id": str(run), "content": content, "at": at}
                posted = database.execute(statements("dispatch")[statement], values).rowcount == 1
        except (AgentqError, OSError) as error:
            self._unposted[str(run)] = str(error)
            return False
        if not posted:
            self._unposted[str(run)] = "it already has a row with that id"
        return posted

    def why_unposted(self, run: RunId | str) -> str | None:
        return self._unposted.pop(str(run), None)

    def seen_conversation(self, run: RunId, agent: str, conversation: str) -> None:
        from agentq_cli.engines.local import dispatch

        dispatch.seen_conversation(self.state, run, agent, conversation, now=self.now)

    def adopt(self, worker: Worker, supervisor: Identity) -> bool:
        from agentq_cli.engines.local import dispatch

        return dispatch.adopt(self.state, worker, supervisor, now=self.now, busy_ms=connection.BACKGROUND_BUSY_MS)

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
        from agentq_cli.engines.local import dispatch

        busy = connection.BACKGROUND_BUSY_MS if background else connection.BUSY_MS
        asked = dispatch.request_stop(
            self.state, run, reason=reason, cancel=cancel, run_only=run_only, now=self.now, actor=actor, busy_ms=busy
        )
        if asked:
            self.ring()
        return asked


class Attendance(Runs):
    """The verbs of supervisors."""

    def join(self, supervisor: Supervisor) -> None:
        if self.state.kept is None:
            self.keep_connections()
        self.register(supervisor)
        self.ring()

    def register(self, supervisor: Supervisor) -> None:
        """Put a supervisor on record."""
        values = _key(supervisor.identity) | {
            "jobs": supervisor.jobs,
            "sessions": dumps(supervisor.sessions),
            "started_at": supervisor.started_at,
            "renewed_at": supervisor.renewed_at,
        }
        self.write(("register", values))

    def renew(self, identity: Identity, *, jobs: int, renewed_at: int) -> None:
        self.write(("renew", _key(identity) | {"jobs": jobs, "renewed_at": renewed_at}))

    def set_gates(self, identity: Identity, gates: Sequence[Gate]) -> None:
        self.write(("set_gates", _key(identity) | {"gates": rows.gates_text(gates)}))

    def leave(self, identity: Identity) -> None:
        try:
            if self.in_place:
                self.write(("unregister", _key(identity)))
        finally:
            self.ring()

    def supervisors(self) -> list[Supervisor]:
        return [rows.supervisor(row) for row in self.index.execute(read.READ["supervisors"]).fetchall()]

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
        row = self.index.execute(read.READ["meta"], {"name": "last_sweep_at"}).fetchone()
        return None if row is None else int(row[0])


def _key(identity: Identity) -> dict[str, object]:
    return {"pid": identity.pid, "start_time": identity.start_time, "boot_id": identity.boot_id}
