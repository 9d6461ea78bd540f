"""Conversion between rows and the model's values, both ways."""

from __future__ import annotations

from _json import encode_basestring_ascii as quoted
from _operator import attrgetter

from agentq_cli.base.dataclass import replace
from agentq_cli.base.errors import Unreadable
from agentq_cli.base.identity import Identity
from agentq_cli.base.json_text import dumps, loads
from agentq_cli.model.actions import Trigger
from agentq_cli.model.addresses import Address
from agentq_cli.model.statuses import FailureClass, RunStatus, Status
from agentq_cli.model.tasks import Successor, Task
from agentq_cli.model.work import Condition, Dependency, Launch, Work

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any, TypeAlias

    from agentq_cli.model.runs import Check, Run
    from agentq_cli.model.sessions import Event, Message
    from agentq_cli.model.trees import Landing, Left
    from agentq_cli.model.workers import LastStart, Worker
    from agentq_cli.policy.series import Recurrence

Row: TypeAlias = "tuple[Any, ...]"

Columns: TypeAlias = "dict[str, Any]"
"""A row of messages_in by the names of its columns."""

WORK = tuple(Work.__slots__)
"""The columns of messages_in that describe what is to be done."""

SECOND = {"goes_on": "cancel_requested", "resumes": "fresh"}
"""Flags that are stored in the column of another one, as the value 2: for a cancel that means the run alone, instead of
its 1."""

STATE = tuple(name for name in Task.__slots__ if name not in {"session", "work", *SECOND})
"""The columns of messages_in that describe the state of a task."""

COLUMNS = (*WORK, *STATE)

PLAIN_LAUNCH = Launch()
_last_launch: tuple[Launch | None, str] = (None, "")


def launch_text(launch: Launch) -> str:
    """A launch as the JSON of its column; values at their default are left out, except umask and depth."""
    global _last_launch
    known, text = _last_launch
    if known is not launch:  # the tasks of a batch share theirs
        named = ((name, getattr(launch, name)) for name in Launch.__slots__)
        kept = {
            name: value for name, value in named if value != getattr(PLAIN_LAUNCH, name) or name in ("umask", "depth")
        }
        text = dumps(kept)
        _last_launch = launch, text  # at once, because several threads may write
    return text


_launches: dict[str, Launch] = {}
MOST_LAUNCHES, LONGEST_LAUNCH = 64, 1 << 16
"""How many launches are kept, and how long the text of one may be."""


def launch(text: str) -> Launch:
    """The launch that `launch_text` wrote; the tasks of a batch share theirs."""
    found = _launches.get(text)
    if found is None:
        values = loads(text)
        for name in {"agent_args", "on", "env_names"}.intersection(values):
            values[name] = tuple(values[name])
        found = Launch(**values)
        if len(_launches) >= MOST_LAUNCHES:
            _launches.clear()
        if len(text) < LONGEST_LAUNCH:  # it may hold what a command reads
            _launches[text] = found
    return found


def _argv_text(argv: Sequence[str]) -> str:
    return f"[{', '.join(map(quoted, argv))}]"


def _words(text: str) -> tuple[str, ...]:
    return () if text == "[]" else tuple(loads(text))


def dependencies_text(after: Sequence[Dependency]) -> str | None:
    """Dependencies as the JSON of their column; None if there are none."""
    return dumps([[*(each.address or ()), each.on] for each in after]) if after else None


def dependencies(text: str) -> tuple[Dependency, ...]:
    """The dependencies that `dependencies_text` wrote."""
    return tuple(Dependency(Address(session, seq), Condition(on)) for session, seq, on in loads(text))


def address(text: str) -> Address:
    """An address, from its stored text."""
    session, _, seq = text.rpartition("/")
    return Address(session, int(seq))


def recurrence(text: str) -> Recurrence:
    """A recurrence, from what `Recurrence.to_json` wrote. Raises Unreadable."""
    from agentq_cli.policy.series import Recurrence

    return Recurrence.from_json(text)


def successor_text(found: Successor, session: str) -> str:
    """A successor as the JSON of its column. An older version expects the session, and its schedule, with the work."""
    work = None
    if found.work is not None:
        schedule = None if found.schedule is None else found.schedule.to_json()
        work = dict.fromkeys(WORK) | work_columns(found.work) | {"session": session, "schedule": schedule}
    return dumps({"work": work, "at": found.at, "ends": found.ends, "paused": found.paused, "reason": found.reason})


def successor(text: str) -> Successor:
    """The successor that `successor_text` wrote."""
    values = loads(text)
    given, schedule = values.pop("work"), None
    if given is not None:
        from agentq_cli.policy.schedule import Schedule

        schedule = None if given["schedule"] is None else Schedule.from_json(given["schedule"])
    return Successor(None if given is None else _work(given), schedule, **values)


FLAGS = [name for name in STATE if Task.__annotations__[name] == "bool"]
WRITTEN: Mapping[str, Callable[[Any], Any]] = {
    "argv": _argv_text,
    "labels": lambda labels: dumps(labels) if labels else "[]",
    "launch": launch_text,
    "after": dependencies_text,
    "status": str,
    "trigger": str,
    "recurrence": lambda recurrence: recurrence.to_json(),
    "dep_failed": str,
    "shared": int,
    **dict.fromkeys(FLAGS, int),
}
"""How the value of a field is converted for its column, if the two differ."""

READ: Mapping[str, Callable[[Any], Any]] = {
    "argv": _words,
    "labels": _words,
    "launch": launch,
    "after": dependencies,
    "status": Status,
    "trigger": Trigger,
    "recurrence": recurrence,
    "successor": successor,
    "dep_failed": address,
    "shared": bool,
    **dict.fromkeys(FLAGS, bool),
    "fresh": lambda flags: bool(flags & 1),
}
"""The conversions the other way round."""


def work_columns(work: Work) -> Columns:
    """The columns of what is to be done; columns that are NULL are left out."""
    return _written(WORK, _of_work(work))


def state_columns(task: Task) -> Columns:
    """The columns of a task's state; columns that are NULL are left out."""
    found = _written(STATE, _of_state(task))
    if task.goes_on:
        found["cancel_requested"] = 2
    if task.resumes:
        found["fresh"] |= 2
    if task.successor is not None:
        found["successor"] = successor_text(task.successor, task.session)
    return found


_of_work, _of_state = attrgetter(*WORK), attrgetter(*STATE)


def _written(names: Sequence[str], values: Sequence[Any]) -> Columns:
    found = {name: value for name, value in zip(names, values, strict=True) if value is not None}
    for name in WRITTEN.keys() & found.keys():
        found[name] = WRITTEN[name](found[name])
    if "after" in found and found["after"] is None:
        del found["after"]
    return found


def task(session: str, row: Columns) -> Task:
    """A task, from a row of messages_in. Raises Unreadable if the row makes no sense."""
    try:
        return _task(session, row)
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        raise Unreadable(
            f"task '{session}/{row['seq']}': its row is invalid ({error}); it was left unchanged"
        ) from error


def _task(session: str, row: Columns) -> Task:
    found = _read({name: row[name] for name in STATE})
    for name, column in SECOND.items():
        found[name] = bool(row[column] & 2)
    return Task(session=session, work=_work(row), **found)


def _work(row: Columns) -> Work:
    # An older version left out what it did not know.
    return Work(**_read({name: row.get(name) for name in WORK}))


def _read(columns: Columns) -> dict[str, Any]:
    """The fields of some columns; if a column is NULL, its field is at its default."""
    return {name: READ[name](value) if name in READ else value for name, value in columns.items() if value is not None}


def named(row: Sequence[Any]) -> Columns:
    """A row that has `COLUMNS`, by their names."""
    return dict(zip(COLUMNS, row, strict=True))


def unreadable_time(row: Columns) -> str | None:
    """The message about a row of messages_in whose due time or expiry is not a number; None if both are numbers."""
    if not isinstance(row["due_at"], int):
        return f"its due time '{_text(row['due_at'])}' cannot be read"
    if not isinstance(row["expires_at"], int | None):
        return f"its expiry '{_text(row['expires_at'])}' cannot be read"
    return None


def with_times(row: Columns, due_at: int) -> Columns:
    """The row with a readable due time and expiry: unreadable ones become `due_at` and NULL."""
    due = row["due_at"] if isinstance(row["due_at"], int) else due_at
    return row | {"due_at": due, "expires_at": row["expires_at"] if isinstance(row["expires_at"], int) else None}


def seen_task(session: str, row: Columns) -> Task:
    """A row of messages_in as reading shows it: if its times cannot be read it is paused, as it will be once locked."""
    why = unreadable_time(row)
    if why is None:
        return task(session, row)
    found = task(session, with_times(row, row["created_at"]))
    return replace(found, status=Status.PAUSED, reason=why) if found.status is Status.QUEUED else found


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def check(text: str) -> Check:
    """How a check ended, from its column."""
    from agentq_cli.model.runs import Check

    return Check(**loads(text))


def left(text: str | None) -> Left | None:
    """What a run left in its tree, from its column."""
    if text is None:
        return None
    from agentq_cli.model.trees import Left

    return Left(**loads(text))


def landing(text: str | None) -> Landing | None:
    """How a landing ended, from its column."""
    if text is None:
        return None
    from agentq_cli.model.trees import Landing

    values = loads(text)
    return Landing(**values | {"paths": tuple(values["paths"])})


READ_OF_RUN: Mapping[str, Callable[[Any], Any]] = {
    "trigger": Trigger,
    "argv": _words,
    "status": RunStatus,
    "failure_class": FailureClass,
    "result": loads,
    "adopted": bool,
    "list_price": bool,
    "checked": check,
    "left": left,
    "landing": landing,
}


def run(row: Sequence[Any]) -> Run:
    """A run, from a row of task_runs in the order of its fields."""
    from agentq_cli.model.runs import Run

    return Run(**of_run(Run.__slots__, row))


def of_run(names: Sequence[str], row: Sequence[Any]) -> dict[str, Any]:
    """The values of these columns of task_runs, as they are in a run."""
    return {
        name: READ_OF_RUN[name](value) if value is not None and name in READ_OF_RUN else value
        for name, value in zip(names, row, strict=True)
    }


def worker(row: Row) -> Worker:
    """A worker, from its row."""
    from agentq_cli.model.workers import Worker

    return Worker(
        session=row[0],
        seq=row[1],
        attempt=row[2],
        agent=row[3] or None,
        conversation_key=row[4],
        claimed_at=row[5],
        supervisor=None if row[6] is None else Identity(*row[6:9]),
        adopted=bool(row[9]),
        stop=row[10],
        directory=row[11],
    )


def identity_columns(identity: Identity | None, prefix: str = "") -> Columns:
    """The columns that identify a process, or nobody."""
    pid, start_time, boot_id = (None, None, None) if identity is None else identity
    return {f"{prefix}pid": pid, f"{prefix}start_time": start_time, f"{prefix}boot_id": boot_id}


def last_start(meta: Sequence[Row]) -> LastStart:
    """The newest start, from its row of meta, if there is one."""
    from agentq_cli.model.workers import LastStart

    return LastStart(*loads(meta[0][0])) if meta else LastStart()


def event(row: Row) -> Event:
    """An event, from its row."""
    from agentq_cli.model.sessions import Event

    return Event(*row)


def event_columns(event: Event, *, hook: str | None = None, agent: str | None = None) -> Columns:
    """The columns of a new event. `hook` is the hook that it calls, of `agent`, if its statuses do not imply it."""
    return {
        "at": event.at,
        "session": event.session,
        "seq": event.seq,
        "attempt": event.attempt,
        "from": event.from_status,
        "to": event.to_status,
        "event": event.event,
        "actor": event.actor,
        "reason": event.reason,
        "hook": hook,
        "agent": agent,
    }


def message(session: str, row: Row) -> Message:
    """A message, from a row of messages_out; content that is not JSON, which an agent may write, stays text."""
    from agentq_cli.agents.reader import shallow
    from agentq_cli.model.sessions import Message

    text = _text(row[2])
    try:
        value = loads(text)
    except (ValueError, RecursionError):
        value = text
    if not shallow(value):
        value = text
    return Message(id=_text(row[0]), session=session, kind=_text(row[1]), content=value, created_at=row[3])
