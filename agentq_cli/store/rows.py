"""Between rows and the model's values, both ways."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from json.encoder import encode_basestring_ascii

from agentq_cli.dataclass import asdict, replace
from agentq_cli.errors import Unreadable
from agentq_cli.model import (
    Address,
    Condition,
    Dependency,
    Event,
    FailureClass,
    Identity,
    LastStart,
    Launch,
    Message,
    NewTask,
    Run,
    RunStatus,
    Status,
    Successor,
    Supervisor,
    Task,
    Trigger,
    Worker,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

    from agentq_cli.policy.admission import Gate
    from agentq_cli.policy.series import Recurrence

Row: TypeAlias = "tuple[Any, ...]"

FRESH, RESUMES = 1, 2
"""What the column `fresh` adds up."""

RUN_ONLY = 2
"""`cancel_requested` of a cancel that means the run alone: its series goes on."""


def launch_text(launch: Launch) -> str:
    """A launch as the JSON of its column; what is at its default is left out."""
    values: dict[str, Any] = {
        "env": dict(launch.env),
        "captured": dict(launch.captured),
        "agent_args": list(launch.agent_args),
        "stdin": launch.stdin,
        "umask": launch.umask,
        "timeout_ms": launch.timeout_ms,
        "grace_ms": launch.grace_ms,
        "stall_timeout_ms": launch.stall_timeout_ms,
        "memory_bytes": launch.memory_bytes,
        "depth": launch.depth,
        "tz": launch.tz,
        "script": launch.script,
        "retries": launch.retries,
        "backoff_ms": launch.backoff_ms,
        "max_backoff_ms": launch.max_backoff_ms,
        "on_crash": launch.on_crash,
        "max_cost_usd": launch.max_cost_usd,
        "earlier_runs": launch.earlier_runs or None,
    }
    return json.dumps({name: value for name, value in values.items() if value not in (None, [], {})})


@functools.lru_cache(maxsize=64)
def launch(text: str) -> Launch:
    """The launch that `launch_text` wrote; the tasks of a batch share theirs."""
    values = json.loads(text)
    values["agent_args"] = tuple(values.get("agent_args", ()))
    return Launch(**values)


def content(task: NewTask | Task, launch: str | None = None) -> dict[str, Any]:
    """The columns of messages_in that say what is to be done; `launch` is its text where it is known already."""
    return {
        "kind": task.kind,
        "agent": task.agent,
        "prompt": task.prompt,
        "argv": None if task.argv is None else f"[{', '.join(map(encode_basestring_ascii, task.argv))}]",
        "cwd": task.cwd,
        "priority": task.priority,
        "labels": json.dumps(list(task.labels)) if task.labels else "[]",
        "key": task.key,
        "context": task.context,
        "launch": launch_text(task.launch) if launch is None else launch,
        "on_dep_failure": task.on_dep_failure,
    }


def task(session: str, row: Row) -> Task:
    """A row of messages_in, in the order of `read.sql`'s task columns. Raises Unreadable where it makes no sense."""
    try:
        return _task(session, row)
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        raise Unreadable(
            f"task '{session}/{row[0]}': its row makes no sense ({error}); it was left as it is"
        ) from error


def _task(session: str, row: Row) -> Task:
    return Task(
        session=session,
        seq=row[0],
        kind=row[1],
        status=Status(row[2]),
        reason=row[3],
        series=row[4],
        agent=row[5],
        prompt=row[6],
        argv=None if row[7] is None else tuple(json.loads(row[7])),
        cwd=row[8],
        priority=row[9],
        labels=() if row[10] == "[]" else tuple(json.loads(row[10])),
        key=row[11],
        context=row[12],
        created_at=row[13],
        due_at=row[14],
        expires_at=row[15],
        ended_at=row[16],
        attempts=row[17],
        runs=row[18],
        last_run=row[19],
        exit_code=row[20],
        cancel_requested=bool(row[21]),
        launch=launch(row[22]),
        trigger=Trigger(row[23]),
        recurrence=None if row[24] is None else recurrence(row[24]),
        successor=None if row[25] is None else successor(row[25]),
        extra=bool(row[26]),
        arriving=bool(row[27]),
        goes_on=row[21] == RUN_ONLY,
        after=() if row[28] is None else dependencies(row[28]),
        on_dep_failure=row[29],
        dep_failed=None if row[30] is None else address(row[30]),
        tries=row[31],
        fresh=bool(row[32] & FRESH),
        resumes=bool(row[32] & RESUMES),
    )


def dependencies_text(after: Sequence[Dependency]) -> str | None:
    """Dependencies as the JSON of their column; None for none."""
    return json.dumps([[*(each.address or ()), each.on] for each in after]) if after else None


def dependencies(text: str) -> tuple[Dependency, ...]:
    """The dependencies that `dependencies_text` wrote."""
    return tuple(Dependency(Address(session, seq), Condition(on)) for session, seq, on in json.loads(text))


def address(text: str) -> Address:
    """An address as it is stored."""
    session, _, seq = text.rpartition("/")
    return Address(session, int(seq))


def recurrence(text: str) -> Recurrence:
    """A recurrence as `Recurrence.to_json` wrote it. Raises Unreadable."""
    from agentq_cli.policy.series import Recurrence

    return Recurrence.from_json(text)


def successor_text(found: Successor) -> str:
    """A successor as the JSON of its column."""
    work = None
    if found.work is not None:
        work = content(found.work) | {"session": found.work.session, "expires_at": found.work.expires_at}
        work["after"] = dependencies_text(found.work.after)
        work["schedule"] = None if found.work.schedule is None else found.work.schedule.to_json()
    return json.dumps(
        {"work": work, "at": found.at, "ends": found.ends, "paused": found.paused, "reason": found.reason}
    )


def successor(text: str) -> Successor:
    """The successor that `successor_text` wrote."""
    values = json.loads(text)
    work = values["work"]
    if work is not None:
        from agentq_cli.policy.schedule import Schedule

        work["argv"] = None if work["argv"] is None else tuple(json.loads(work["argv"]))
        work["labels"] = tuple(json.loads(work["labels"]))
        work["launch"] = launch(work["launch"])
        work["after"] = dependencies(work["after"]) if work.get("after") else ()
        work["schedule"] = None if work["schedule"] is None else Schedule.from_json(work["schedule"])
        work = NewTask(**work)
    return Successor(work, values["at"], values["ends"], values["paused"], values["reason"])


DUE_AT, EXPIRES_AT = 14, 15


def unreadable_time(row: Row) -> str | None:
    """What is to be said of a row of messages_in whose due time or expiry is no number; None where both are."""
    if not isinstance(row[DUE_AT], int):
        return f"its due time '{_text(row[DUE_AT])}' cannot be read"
    if not isinstance(row[EXPIRES_AT], int | None):
        return f"its expiry '{_text(row[EXPIRES_AT])}' cannot be read"
    return None


def with_times(row: Row, due_at: int) -> Row:
    """The row with a due time and an expiry that are some: in place of what cannot be read `due_at`, and none."""
    due = row[DUE_AT] if isinstance(row[DUE_AT], int) else due_at
    expires = row[EXPIRES_AT] if isinstance(row[EXPIRES_AT], int) else None
    return (*row[:DUE_AT], due, expires, *row[EXPIRES_AT + 1 :])


def seen_task(session: str, row: Row) -> Task:
    """A row of messages_in as reading shows it: one whose times cannot be read is paused, as it will be once locked."""
    why = unreadable_time(row)
    if why is None:
        return task(session, row)
    found = task(session, with_times(row, row[13]))
    return replace(found, status=Status.PAUSED, reason=why) if found.status is Status.QUEUED else found


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def run(row: Row) -> Run:
    """A row of task_runs, in the order of `read.sql`'s run columns."""
    return Run(
        session=row[0],
        seq=row[1],
        attempt=row[2],
        series=row[3],
        trigger=Trigger(row[4]),
        agent=row[5],
        argv=tuple(json.loads(row[6])),
        cwd=row[7],
        scheduled_for=row[8],
        started_at=row[9],
        finished_at=row[10],
        duration_ms=row[11],
        status=RunStatus(row[12]),
        exit_code=row[13],
        signal=row[14],
        failure_class=None if row[15] is None else FailureClass(row[15]),
        error=row[16],
        result=None if row[17] is None else json.loads(row[17]),
        script_outcome=row[18],
        conversation=row[19],
        tokens_in=row[20],
        tokens_out=row[21],
        cost_usd=row[22],
        peak_rss_bytes=row[23],
        stdout_bytes=row[24],
        stderr_bytes=row[25],
        host=row[26],
        adopted=bool(row[27]),
    )


def worker(row: Row) -> Worker:
    """A row of workers."""
    return Worker(
        session=row[0],
        seq=row[1],
        attempt=row[2],
        agent=row[3] or None,
        shares_conversation=bool(row[4]),
        claimed_at=row[5],
        supervisor=None if row[6] is None else Identity(row[6], row[7], row[8]),
        adopted=bool(row[9]),
        stop=row[10],
    )


def supervisor(row: Row) -> Supervisor:
    """A row of supervisors."""
    from agentq_cli.policy.admission import Gate

    return Supervisor(
        identity=Identity(row[0], row[1], row[2]),
        jobs=row[3],
        sessions=tuple(json.loads(row[4])),
        started_at=row[5],
        renewed_at=row[6],
        gates=() if row[7] is None else tuple(Gate(**gate) for gate in json.loads(row[7])),
    )


def gates_text(gates: Sequence[Gate]) -> str | None:
    """Gates as the JSON of their column."""
    return json.dumps([asdict(gate) for gate in gates]) if gates else None


def last_start(row: Row | None) -> LastStart:
    """The row of meta that holds the newest start."""
    return LastStart() if row is None else LastStart(*json.loads(row[0]))


def event(row: Row) -> Event:
    """A row of events."""
    return Event(*row)


def message(session: str, row: Row) -> Message:
    """A row of messages_out; content that is no JSON, which an agent may write, stays text."""
    from agentq_cli.agents.reader import shallow

    text = _text(row[2])
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = text
    if not shallow(value):
        value = text
    return Message(id=_text(row[0]), session=session, kind=_text(row[1]), content=value, created_at=row[3])
