"""What is happening and what happened, at a glance: bounded reads of the index, without results or prompts."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from agentq_cli.base.errors import AgentqError
from agentq_cli.engines.local import connection
from agentq_cli.engines.local.asking import stored
from agentq_cli.engines.local.queries import statements
from agentq_cli.engines.local.read import NEWEST, READ, inbound
from agentq_cli.engines.local.state_dir import StateDir
from agentq_cli.engines.steps import rows
from agentq_cli.model.addresses import Address
from agentq_cli.model.runs import PastRun
from agentq_cli.model.statuses import RunStatus, Status

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from typing import Any

    from agentq_cli.model.tasks import Task

OVERVIEW = statements("overview")


def live_counts(index: sqlite3.Connection, *, now: int) -> dict[str, dict[Status, int]]:
    """The live tasks of each session that has any, by shown status."""
    found: dict[str, dict[Status, int]] = {}
    for session, status, count in index.execute(OVERVIEW["live_counts"], {"now": now}).fetchall():
        found.setdefault(session, {})[Status(status)] = count
    return found


def glance(state: StateDir, index: sqlite3.Connection, *, now: int, limit: int) -> list[Task]:
    """Waiting tasks, up to `limit` of each kind: due, due later, held back. Tasks that cannot be read at once are left
    out."""
    addresses = [
        Address(*row)
        for kind in ("due", "coming", "kept")
        for row in index.execute(OVERVIEW[kind], {"now": now, "limit": limit}).fetchall()
    ]
    found = _read(state, addresses)
    return [found[address] for address in addresses if address in found]


def _read(state: StateDir, addresses: Collection[Address]) -> dict[Address, Task]:
    """The tasks of these addresses that can be read at once."""
    found: dict[Address, Task] = {}
    for session in {address.session for address in addresses}:
        try:
            with inbound(state, session, busy_ms=connection.BACKGROUND_BUSY_MS) as database:
                for address in addresses:
                    if address.session == session and (row := stored(database, address.seq)):
                        found[address] = rows.seen_task(session, row)
        except AgentqError:
            continue
    return found


def series(state: StateDir, index: sqlite3.Connection, *, limit: int) -> list[tuple[Task, PastRun | None]]:
    """The live occurrences of series, soonest first, each with the last run of its series."""
    listed = {Address(*row[:2]): row[2] for row in index.execute(OVERVIEW["series"], {"limit": limit}).fetchall()}
    found = _read(state, listed)
    pairs: list[tuple[Task, PastRun | None]] = []
    for address, number in listed.items():
        task = found.get(address)
        if task is not None and task.rearms:
            row = index.execute(OVERVIEW["series_end"], {"session": address.session, "series": number}).fetchone()
            pairs.append((task, None if row is None else _ended(row)))
    return pairs


def recent_ends(index: sqlite3.Connection, *, limit: int) -> list[PastRun]:
    """The runs that ended last, newest first."""
    return [_ended(row) for row in index.execute(OVERVIEW["recent_ends"], {"limit": limit}).fetchall()]


def _ended(row: Sequence[Any]) -> PastRun:
    return PastRun(
        session=row[0],
        seq=row[1],
        attempt=row[2],
        agent=row[3],
        status=RunStatus(row[4]),
        started_at=row[5],
        finished_at=row[6],
        duration_ms=row[7],
        exit_code=row[8],
        failure_class=row[9],
        error=row[10],
        cost_usd=row[11],
        left=rows.left(row[12]),
        landing=rows.landing(row[13]),
    )


def ended_counts(index: sqlite3.Connection, *, since: int) -> dict[Status, int]:
    """The tasks that have ended since `since`, by status."""
    found = index.execute(OVERVIEW["ended_counts"], {"since": since}).fetchall()
    return {Status(status): count for status, count in found}


def last_failed(index: sqlite3.Connection, *, since: int) -> Address | None:
    """The task that failed last since `since`, or None."""
    row = index.execute(OVERVIEW["last_failed"], {"since": since}).fetchone()
    return None if row is None else Address(*row)


def anything(index: sqlite3.Connection) -> bool:
    """Whether there is any task."""
    (found,) = index.execute(OVERVIEW["any_task"]).fetchone()
    return bool(found)


def history(index: sqlite3.Connection, where: Mapping[str, object]) -> Iterator[PastRun]:
    """Every run that these filters (`read.which`) select, newest first."""
    values = {**where, "before": NEWEST}
    statement = OVERVIEW["history"].format(which=READ["which_runs"])
    while found := index.execute(statement, values).fetchall():
        for row in found:
            yield PastRun(
                session=row[1],
                seq=row[2],
                attempt=row[3],
                agent=row[4],
                status=RunStatus(row[5]),
                started_at=row[6],
                finished_at=row[7],
                duration_ms=row[8],
                failure_class=row[9],
                error=row[10],
                tokens_in=row[11],
                tokens_out=row[12],
                cost_usd=row[13],
                list_price=bool(row[14]),
                left=rows.left(row[15]),
                landing=rows.landing(row[16]),
            )
        values["before"] = found[-1][0]
