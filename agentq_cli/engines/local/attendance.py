"""Supervisors: on duty and off it, and whether they live."""

from __future__ import annotations

import json

from agentq_cli.engines.local.runs import Runs
from agentq_cli.model import Identity, Supervisor, Worker
from agentq_cli.store import read, rows

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agentq_cli.policy.admission import Gate


class Attendance(Runs):
    """The verbs of supervisors."""

    def join(self, supervisor: Supervisor) -> None:
        if self.state.kept is None:
            self.keep_connections()
        self.register(supervisor)

    def register(self, supervisor: Supervisor) -> None:
        """Make a supervisor known."""
        values = _key(supervisor.identity) | {
            "jobs": supervisor.jobs,
            "sessions": json.dumps(supervisor.sessions),
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
        from agentq_cli.supervise import attendance

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
        # The runs first: a supervisor that came and claimed between the two reads would otherwise be unknown.
        workers = self.workers()
        known = {supervisor.identity: supervisor for supervisor in self.supervisors()}
        return [worker for worker in workers if not self._watched(worker, known)]

    def watched(self, worker: Worker) -> bool:
        return self._watched(worker, {supervisor.identity: supervisor for supervisor in self.supervisors()})

    def _watched(self, worker: Worker, known: Mapping[Identity, Supervisor]) -> bool:
        from agentq_cli.supervise import attendance

        row = None if worker.supervisor is None else known.get(worker.supervisor)
        return row is not None and not attendance.lapsed(row.renewed_at) and self.lives(row.identity)

    def lives(self, owner: Identity) -> bool:
        from agentq_cli.supervise import attendance

        return attendance.lives(owner, self.here.bells)

    def last_sweep(self) -> int | None:
        row = self.index.execute(read.READ["meta"], {"name": "last_sweep_at"}).fetchone()
        return None if row is None else int(row[0])


def _key(identity: Identity) -> dict[str, object]:
    return {"pid": identity.pid, "start_time": identity.start_time, "boot_id": identity.boot_id}
