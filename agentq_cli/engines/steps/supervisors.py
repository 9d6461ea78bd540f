"""Supervisors on record: each change of their states is in their row, and in an event of the same commit.

The last that have ended stay listed (`ENDED_KEPT`), with the reason.
"""

from __future__ import annotations

from agentq_cli.base.dataclass import asdict, replace
from agentq_cli.base.errors import WrongState
from agentq_cli.base.identity import Identity
from agentq_cli.base.json_text import dumps, loads
from agentq_cli.engines.steps import rows
from agentq_cli.model.statuses import Status
from agentq_cli.model.workers import KILLED, Supervisor, SupervisorState
from agentq_cli.policy import states

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentq_cli.engines.transaction import Row, Writing
    from agentq_cli.policy.admission import Gate

ENDED_KEPT = 10
"""How many of those that have ended stay listed, of each host."""


def read(row: Row) -> Supervisor:
    """A supervisor, from its row."""
    from agentq_cli.policy.admission import Gate

    return Supervisor(
        identity=Identity(row[0], row[1], row[2]),
        jobs=row[3],
        sessions=tuple(loads(row[4])),
        started_at=row[5],
        renewed_at=row[6],
        gates=() if row[7] is None else tuple(Gate(**gate) for gate in loads(row[7])),
        state=SupervisorState(row[8]),
        since=row[9],
        last_result=None if row[10] is None else Status(row[10]),
        ended_at=row[11],
        reason=row[12],
    )


def gates_text(gates: Sequence[Gate]) -> str | None:
    """Gates as the JSON of their column."""
    return dumps([asdict(gate) for gate in gates]) if gates else None


def begin(write: Writing, supervisor: Supervisor, host: str) -> None:
    """Put a supervisor on record, which has nothing to do yet. `host` is the name of its machine."""
    identity = supervisor.identity
    values = rows.identity_columns(identity) | {
        "jobs": supervisor.jobs,
        "sessions": dumps(supervisor.sessions),
        "started_at": supervisor.started_at,
        "renewed_at": supervisor.renewed_at,
        "state": SupervisorState.IDLE,
    }
    write.tell("dispatch.register", values)
    _record(write, identity, host, None, SupervisorState.IDLE)


def change(
    write: Writing, identity: Identity, after: SupervisorState, host: str, *, last_result: Status | None
) -> bool:
    """Take a supervisor to its next state, or only note its last result. False: it is not on record. Raises WrongState
    if it may not change so."""
    before = _before(write, identity)
    if before is None:
        return False
    if after is not before.state:
        if not states.allowed_supervisor(before.state, after):
            raise WrongState(f"supervisor {identity.pid}: it is {before.state}, and cannot become {after}")
        _record(write, identity, host, before.state, after)
    values = {"state": after, "at": write.now, "last_result": last_result}
    write.tell("dispatch.set_state", rows.identity_columns(identity) | values)
    return True


def leave(write: Writing, identity: Identity, host: str, reason: str | None, last_result: Status | None) -> bool:
    """Take a supervisor off the record that says why it ends, or one that was found dead (None). False: it is not on
    record."""
    if reason is None:
        return lose(write, identity, host)
    before = _before(write, identity)
    return before is not None and _end(write, before, host, reason, last_result)


def lose(write: Writing, identity: Identity, host: str, reason: str = KILLED) -> bool:
    """Take one off the record that was found dead, or whose host is lost. False: it is not on record."""
    before = _before(write, identity)
    return before is not None and _end(write, before, host, reason, _last_known(before))


def _end(write: Writing, before: Supervisor, host: str, reason: str, last_result: Status | None) -> bool:
    of = rows.identity_columns(before.identity)
    values = {"at": write.now, "last_result": last_result, "reason": reason, "host": host, "kept": ENDED_KEPT}
    write.tell("dispatch.add_ended", of | values)
    write.tell("dispatch.forget_ended", values)
    write.tell("dispatch.unregister", of)
    _record(write, before.identity, host, before.state, SupervisorState.ENDED, reason)
    return True


def unrecorded(dead: Supervisor) -> Supervisor:
    """One that is dead and still on record, as it is once somebody has found it (`lose`)."""
    known, ended = _last_known(dead), SupervisorState.ENDED
    return replace(dead, state=ended, since=None, last_result=known, reason=KILLED, gates=())


def _last_known(dead: Supervisor) -> Status | None:
    """How a period of running ended that it did not see to its end nobody knows."""
    return dead.last_result if dead.state is SupervisorState.IDLE else None


def _before(write: Writing, identity: Identity) -> Supervisor | None:
    found = write.ask("dispatch.supervisor", rows.identity_columns(identity))
    return read(found[0]) if found else None


def _record(
    write: Writing,
    identity: Identity,
    host: str,
    before: SupervisorState | None,
    after: SupervisorState,
    why: str | None = None,
) -> None:
    named = f"supervisor {identity.pid} on {host}"
    write.record("supervisor", before=before, after=after, reason=named if why is None else f"{named}: {why}")
