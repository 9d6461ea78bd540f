"""`agentq workers`: what runs now, which supervisor watches it, and what holds new starts back."""

from __future__ import annotations

from collections.abc import Sequence

from agentq_cli.base.clock import monotonic_ms
from agentq_cli.commands import tree_fields
from agentq_cli.engines.door import Queue
from agentq_cli.host import keeper
from agentq_cli.host.resources import Resources
from agentq_cli.model.workers import Sign, Supervisor, Worker
from agentq_cli.policy import admission
from agentq_cli.policy.admission import Gate
from agentq_cli.show import documents, duty_documents
from agentq_cli.show.results import Items, Result, Section
from agentq_cli.show.tables import Column
from agentq_cli.supervise import gates, overdue, signs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.cli.context import Context
    from agentq_cli.config.configuration import Config
    from agentq_cli.options.table import Given

COLUMNS = (
    Column("RUN", "run", keep=True),
    Column("STATE", "state", kind="status"),
    Column("PID", "pid", kind="number"),
    Column("AGENT", "agent", spare=True),
    Column("STARTED", "started_at", kind="time", spare=True),
    Column("LAST SIGN", "last_seen_at", kind="time"),
    Column("MEMORY", "rss_bytes", kind="size", spare=True),
    Column("SUPERVISOR", "supervisor_pid", kind="number", spare=True),
)
HOST = Column("HOST", "host", spare=True)
"""Shown if there are several hosts."""

NOTE = Column("NOTE", lambda worker: worker["note"] or "", spare=True)
SUPERVISORS = (
    Column("PID", "pid", kind="number"),
    Column("STATE", "state", kind="status"),
    Column("JOBS", "jobs", kind="number"),
    Column("SESSIONS", lambda supervisor: supervisor["sessions"] or "all"),
    Column("STARTED", "started_at", kind="time", spare=1),
    Column("LAST SIGN", "last_seen_at", kind="time"),
    Column("LAST RESULT", "last_result", kind="status", spare=2),
)
ENDED = (
    Column("PID", "pid", kind="number"),
    Column("STARTED", "started_at", kind="time", spare=1),
    Column("ENDED", "ended_at", kind="time"),
    Column("REASON", "reason"),
    Column("LAST RESULT", "last_result", kind="status"),
)
GATES = (Column("GATE", "name"), Column("HOLDING", "holding"), Column("DETAIL", "detail", kind="words"))
EXAMPLES = (
    ("agentq workers", "List what runs, the supervisors, and what holds starts back."),
    ("agentq workers --json", "Include every gate and its numbers."),
)


def workers(given: Given, at: Context) -> Result:
    """List what runs now, the supervisors, and what holds starts back.

    If no supervisor is alive, the last that have ended are listed, and why; with --json always.
    """
    queue = at.open_queue()
    live = queue.workers()
    supervisors = queue.living()
    items = [_overdue(queue, at.config, *each) for each in zip(live, running(queue, live), strict=True)]
    ended = queue.ended_supervisors() if at.as_json or not supervisors else []
    host = () if at.url is None else (HOST,)
    sections = (
        Section("supervisors", [supervisor_item(at, supervisor) for supervisor in supervisors], (*SUPERVISORS, *host)),
        Section("ended", [ended_item(supervisor) for supervisor in ended], (*ENDED, *host)),
        Section("gates", gate_items(at, queue, len(live), supervisors), GATES),
    )
    columns = (*COLUMNS, *host, *([NOTE] if any(item["note"] for item in items) else []))
    return Items("workers", items, columns, empty="nothing runs", sections=sections)


def running(queue: Queue, live: Sequence[Worker]) -> list[documents.Item]:
    """These live runs as items of `workers`; their processes are found in one pass."""
    orphaned = {worker.id for worker in queue.orphaned()}
    found = signs.of(queue.here, [worker.id for worker in live if not worker.elsewhere])
    items = []
    for worker in live:
        sign = worker.sign or Sign() if worker.elsewhere else found[worker.id]
        items.append(
            documents.worker(
                worker,
                pid=sign.pid,
                last_seen_at=sign.seen_at,
                rss_bytes=sign.rss_bytes,
                state="orphaned" if worker.id in orphaned else "adopted" if worker.adopted else "running",
                note=_note(queue, worker),
            )
        )
    return items


def _note(queue: Queue, worker: Worker) -> str | None:
    """What is special about a run: who keeps it, or what it does besides its agent."""
    if not worker.elsewhere and keeper.run_is_foreign(queue.here.run(worker.id)):
        return keeper.ELSEWHERE
    return tree_fields.stage(queue, worker.id)


def _overdue(queue: Queue, config: Config, worker: Worker, item: documents.Item) -> documents.Item:
    late = overdue.of(queue, config, worker)
    return item if late is None else {**item, "note": str(late)}


def supervisor_item(at: Context, supervisor: Supervisor) -> documents.Item:
    """An item of `supervisors`."""
    # Its row counts milliseconds since boot, which setting the clock does not change; a person wants the time of day.
    silent = max(0, monotonic_ms() - supervisor.renewed_at)
    return duty_documents.supervisor(supervisor, last_seen_at=at.now_ms() - silent, alive=True)


def ended_item(supervisor: Supervisor) -> documents.Item:
    """An item of `ended`, the last supervisors that have ended."""
    return duty_documents.supervisor(supervisor, last_seen_at=supervisor.ended_at, alive=False)


def gate_items(at: Context, queue: Queue, running: int, supervisors: list[Supervisor]) -> list[documents.Item]:
    """What holds starts back, or could: the gates of admission, and the holds on agents and the queue."""
    jobs = max((supervisor.jobs for supervisor in supervisors), default=at.config.jobs_of(None, queue.jobs())[0])
    cap = admission.cap(running, jobs)
    found = [duty_documents.gate(gate) for gate in (cap, *_admission(at, queue, supervisors))]
    for hold in queue.holds():
        what = "the queue" if hold.scope == "queue" else f"agent '{hold.name}'"
        why = f" ({hold.reason})" if hold.reason else ""
        until = f" until {documents.moment(hold.until)}" if hold.until is not None else ""
        detail = f"{what} is {'paused' if hold.kind == 'paused' else f'held: {hold.kind}'}{until}{why}"
        found.append({"name": hold.scope, "holding": True, "detail": detail})
    return found


def _admission(at: Context, queue: Queue, supervisors: list[Supervisor]) -> Sequence[Gate]:
    """The gates that a supervisor has recorded; if none has, the gates that a supervisor would find now."""
    recorded = [gate for supervisor in supervisors for gate in supervisor.gates]
    by_name = {gate.name: gate for gate in sorted(recorded, key=lambda gate: gate.holding)}
    trouble = by_name.pop(gates.TROUBLE, None)
    if not by_name:
        # A supervisor that runs as a service is in other cgroups than this command.
        whose = str(supervisors[0].identity.pid) if supervisors else "self"
        found = list(gates.measure(queue, at.config, Resources(whose)).gates)
    else:
        found = [by_name[name] for name in dict.fromkeys(gate.name for gate in recorded) if name in by_name]
    return found if trouble is None else [*found, trouble]
