"""The documents of who does the work: supervisors, what holds their starts back, hosts."""

from __future__ import annotations

from agentq_cli.model.fleet import machine_name
from agentq_cli.show import documents

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.model.hosts import Host
    from agentq_cli.model.workers import Supervisor
    from agentq_cli.policy.admission import Gate


def supervisor(supervisor: Supervisor, *, last_seen_at: int | None, alive: bool) -> documents.Item:
    """An item of `supervisors` in `agentq.workers/1` and `agentq.status/1`."""
    return {
        "pid": supervisor.identity.pid,
        "jobs": supervisor.jobs,
        "sessions": list(supervisor.sessions),
        "started_at": documents.moment(supervisor.started_at),
        "last_seen_at": documents.moment(last_seen_at),
        "alive": alive,
        "host": supervisor.host or machine_name(),
        "state": supervisor.state.value,
        "since": documents.moment(supervisor.since),
        "last_result": None if supervisor.last_result is None else supervisor.last_result.value,
        "ended_at": documents.moment(supervisor.ended_at),
        "reason": supervisor.reason,
    }


def host(host: Host) -> documents.Item:
    """An item of `agentq.hosts/1`; times and `lease_ms` are null where a host gives no signs."""
    return {
        "name": host.name,
        "state": host.state.value,
        "labels": list(host.labels),
        "agents": list(host.agents),
        "running": host.running,
        "jobs": host.jobs,
        "last_seen_at": documents.moment(host.beat_at),
        "lease_ms": host.lease_ms,
        "left_at": documents.moment(host.left_at),
        "version": host.version,
        "here": host.here,
    }


def gate(gate: Gate) -> documents.Item:
    """An item of `gates` in `agentq.workers/1`."""
    return {"name": gate.name, "holding": gate.holding, "detail": gate.detail}
