"""Runs: picked, claimed, watched, stopped, ended; and the supervisors that watch them."""

from __future__ import annotations

from itertools import islice

from agentq_cli.base.errors import NotFound
from agentq_cli.base.identity import Identity
from agentq_cli.engines.shared import read
from agentq_cli.engines.shared.tasks import Tasks
from agentq_cli.engines.steps import rows
from agentq_cli.model.actions import Actor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from typing import Unpack

    from agentq_cli.engines.nouns import Ahead, Calls, Candidate, Claim, Claiming, Plan, WhichRuns
    from agentq_cli.engines.steps import heads
    from agentq_cli.engines.transaction import Row
    from agentq_cli.model.addresses import Address, RunId
    from agentq_cli.model.runs import Outcome, Run
    from agentq_cli.model.statuses import Status
    from agentq_cli.model.tasks import Task
    from agentq_cli.model.workers import LastStart, Supervisor, SupervisorState, Worker
    from agentq_cli.policy import order
    from agentq_cli.policy.admission import Gate
    from agentq_cli.policy.pool import Pool


class Runs(Tasks):
    """The verbs of runs."""

    def run(self, run_id: RunId) -> Run:
        self.known(run_id.session)
        return read.run(self.reading, run_id)

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
        return islice(read.runs(self.reading, where=where, most=limit), limit)

    def workers(self) -> list[Worker]:
        return [self._worker(row) for row in self.reading.ask("read.workers")]

    def worker(self, address: Address) -> Worker | None:
        found = self.reading.ask("read.worker", address._asdict())
        return self._worker(found[0]) if found else None

    def _worker(self, row: Row) -> Worker:
        return rows.worker(row)

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
        return read.calls(self.reading, supervisor, self.now)

    def ahead(self, after: int | None = None) -> Ahead:
        from agentq_cli.engines.nouns import Ahead

        (found,) = self.reading.ask("dispatch.ahead", {"after": self.now if after is None else after})
        return Ahead(*found)

    def any_due(self) -> bool:
        ((due,),) = self.reading.ask("dispatch.any_due", {"now": self.now})
        return bool(due)

    def limited_until(self) -> dict[str, int]:
        return dict(self.reading.ask("dispatch.limited_until", {"now": self.now}))

    def unfinished(self) -> set[tuple[str, str]]:
        # With a fixed clock the time of a retry never comes.
        values = {"now": self.now, "retrying": not self._clock.fixed}
        return set(self.reading.ask("dispatch.unfinished", values))

    def candidate(self, head: order.Head, pool: Pool | None = None) -> Candidate | None:
        from agentq_cli.engines.steps import claim

        session = head.session
        with self.of_both(session) as reading:
            # No snapshot: the claim checks all of it again.
            row = read.stored(reading, head.seq)
            if row is not None and rows.unreadable_time(row) is None:
                return claim.candidate(reading, head, rows.task(session, row), pool, self.now)
        # It has to be fixed first.
        with self.in_session(session, actor=Actor.SUPERVISOR, background=True) as write:
            try:
                task = write.task(head.seq)
            except NotFound:
                write.remove(head.seq)
                return None
            return claim.candidate(write, head, task, pool, write.now)

    def claim(self, candidate: Candidate, plan: Plan, **options: Unpack[Claiming]) -> Claim | None:
        with self.turn(candidate.head.session, actor=Actor.SUPERVISOR, background=True) as turn:
            return turn.claim(candidate, plan, **options)

    def finish(self, run: RunId, outcome: Outcome, *, actor: Actor, background: bool = False) -> Task | None:
        with self.turn(run.session, {run: outcome}, actor=actor, background=background) as turn:
            return turn.finish(run)

    def claimed(self, run: RunId) -> Claim | None:
        from agentq_cli.engines.steps import claim

        with self.of_both(run.session) as reading:
            row = read.stored(reading, run.seq)
            return None if row is None else claim.claimed(reading, rows.task(run.session, row), run)

    def last_start(self) -> LastStart:
        return rows.last_start(self.reading.ask("read.meta", {"name": "last_start"}))

    def undo_claim(self, run: RunId, *, actor: Actor, reason: str, background: bool = False) -> bool:
        from agentq_cli.engines.steps import claim

        with self.in_session(run.session, actor=actor, background=background) as write:
            undone = claim.undo(write, run, reason=reason)
        if undone:
            self.ring()
        return undone

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
    """The verbs of supervisors. Who is alive is each engine's own (`_is_there`, `_lapsed`)."""

    def register(self, supervisor: Supervisor) -> None:
        """Put a supervisor on record."""
        from agentq_cli.engines.steps import supervisors

        with self.in_queue(actor=Actor.SUPERVISOR) as write:
            supervisors.begin(write, supervisor, self.machine)

    def set_state(self, identity: Identity, state: SupervisorState, *, last_result: Status | None) -> bool:
        from agentq_cli.engines.steps import supervisors

        with self.in_queue(actor=Actor.SUPERVISOR) as write:
            return supervisors.change(write, identity, state, self.machine, last_result=last_result)

    def set_gates(self, identity: Identity, gates: Sequence[Gate]) -> None:
        from agentq_cli.engines.steps import supervisors

        self.tell("dispatch.set_gates", rows.identity_columns(identity) | {"gates": supervisors.gates_text(gates)})

    def supervisors(self) -> list[Supervisor]:
        return [self._supervisor(row) for row in self.reading.ask("read.supervisors")]

    def clear_dead(self, *, actor: Actor) -> list[Supervisor]:
        gone = [each for each in self.supervisors() if not each.elsewhere and not self.lives(each.identity)]
        for each in gone:
            self.leave(each.identity, actor=actor)
        return gone

    def ended_supervisors(self) -> list[Supervisor]:
        from agentq_cli.engines.steps import supervisors

        gone = [each for each in self.supervisors() if not each.elsewhere and not self._is_there(each)]
        return [*map(supervisors.unrecorded, gone), *map(self._supervisor, self.reading.ask("read.ended_supervisors"))]

    def forget_states(self, before: int) -> int:
        ((found,),) = self.reading.ask("dispatch.any_states_before", {"before": before})
        if not found:
            return 0
        with self.in_queue(actor=Actor.SWEEP) as write:
            return write.change("dispatch.forget_states", {"before": before})

    def _supervisor(self, row: Row) -> Supervisor:
        from agentq_cli.engines.steps import supervisors

        return supervisors.read(row)

    def living(self) -> list[Supervisor]:
        busy = {worker.supervisor for worker in self.workers()}
        return [
            each
            for each in self.supervisors()
            if self._is_there(each) and not (each.identity in busy and self._lapsed(each))
        ]

    def serving(self, session: str) -> list[Supervisor]:
        return [
            each
            for each in self.supervisors()
            if (not each.sessions or session in each.sessions) and self._is_there(each)
        ]

    def orphaned(self) -> list[Worker]:
        # The runs first: a supervisor that joined and claimed between the two reads would otherwise be unknown.
        workers = [worker for worker in self.workers() if not worker.elsewhere]
        known = {supervisor.identity: supervisor for supervisor in self.supervisors()}
        return [worker for worker in workers if not self._watched(worker, known)]

    def watched(self, worker: Worker) -> bool:
        known = {supervisor.identity: supervisor for supervisor in self.supervisors()}
        return worker.elsewhere or self._watched(worker, known)

    def _watched(self, worker: Worker, known: Mapping[Identity, Supervisor]) -> bool:
        found = None if worker.supervisor is None else known.get(worker.supervisor)
        return found is not None and self._is_there(found) and not self._lapsed(found)

    def last_sweep(self) -> int | None:
        found = self.reading.ask("read.meta", {"name": "last_sweep_at"})
        return int(found[0][0]) if found else None
