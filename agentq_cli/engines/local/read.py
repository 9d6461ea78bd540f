"""Listings: keyset pages of 500 rows, and no open cursor while the caller prints or waits."""

from __future__ import annotations

import os
from itertools import groupby

from agentq_cli.base.context import closing, contextmanager
from agentq_cli.base.errors import AgentqError, NotFound
from agentq_cli.base.json_text import dumps
from agentq_cli.engines.local import connection, opening, rehearsal
from agentq_cli.engines.local.asking import Asking, stored, stored_of
from agentq_cli.engines.local.queries import statements
from agentq_cli.engines.local.state_dir import StateDir
from agentq_cli.engines.steps import rows
from agentq_cli.model.addresses import Address, RunId

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Iterator, Mapping
    from typing import Any

    from agentq_cli.engines.transaction import Reading
    from agentq_cli.model.runs import Run
    from agentq_cli.model.sessions import Event, Message
    from agentq_cli.model.statuses import Status
    from agentq_cli.model.tasks import Task

READ = statements("read")
PAGE = 500
NEWEST = 1 << 62


@contextmanager
def inbound(state: StateDir, session: str, *, busy_ms: int = connection.BUSY_MS) -> Iterator[sqlite3.Connection]:
    """A session's file, for reading. Raises NotFound, Busy, Unreadable."""
    opening.check_stored(state, session)
    path = state.inbound(session)
    database = opening.connect(path, "inbound", create=False, busy_ms=busy_ms)
    try:
        with connection.named_trouble(path):
            yield database
    finally:
        database.close()


def run_columns() -> str:
    """The columns of task_runs, as SQL names them."""
    return ", ".join(f'"{name}"' for name in rows.run_columns())


def task(state: StateDir, address: Address, *, busy_ms: int = connection.BUSY_MS) -> Task:
    """One task, from its session's file. Raises NotFound."""
    with inbound(state, address.session, busy_ms=busy_ms) as database:
        row = stored(database, address.seq)
        if row is None:
            raise unknown_task(Asking(database), address)
    return rows.seen_task(address.session, row)


def unknown_task(session: Reading, address: Address) -> NotFound:
    """The error about an address that an existing session does not have."""
    from agentq_cli.engines.steps import pruned

    hint = f"no such task; see `agentq list --all -s {address.session}`"
    return NotFound(f"task '{address}': {pruned.note(session, address) or hint}")


def tasks(
    state: StateDir,
    index: sqlite3.Connection,
    *,
    where: Mapping[str, object],
    statuses: Collection[Status],
    label: str | None,
    ended: bool,
    now: int,
    most: int | None = None,
) -> Iterator[Task]:
    """Live tasks, soonest first, then with `ended` (or if an ended status is requested) the ended ones, newest end
    first. `where` has the other filters, by the names that the queries give them.

    A caller that takes at most `most` of them causes no more reads than that, unless some are filtered out.

    A session that cannot be read is skipped and its error raised at the end, so that the others are seen.
    """
    trouble: list[AgentqError] = []
    wanted = frozenset(statuses)
    pages = []
    if not wanted or any(not status.ended for status in wanted):
        pages.append("live_page")
    if ended or any(status.ended for status in wanted):
        pages.append("ended_page")
    for page in pages:
        for addresses in _addresses(index, page, where, _page(most)):
            for found in load(state, addresses, trouble):
                if wanted and found.shown_status(now) not in wanted:
                    continue
                if label is None or label in found.work.labels:
                    yield found
    if trouble:
        raise trouble[0]


def _page(most: int | None) -> int:
    return PAGE if most is None else max(1, min(most, PAGE))


FILTERS = dict.fromkeys(("session", "seq", "series", "agent", "label", "since", "until", "status", "recurring"))
"""The filters of listings; with None one filters nothing."""


def which(*, statuses: Collection[str] = (), **where: Any) -> dict[str, Any]:
    """The values for `which_runs` and for the session."""
    return {**FILTERS, **where, "status": dumps(sorted(statuses)) if statuses else None}


def place(address: Address | None, session: str | None) -> dict[str, Any]:
    """The filter for one task, one session, or neither."""
    return {"session": session} if address is None else address._asdict()


FIRST: Mapping[str, tuple[int, str, int]] = {
    "live_page": (-NEWEST, "", 0),
    "ended_page": (NEWEST, "\U0010ffff", NEWEST),
}
"""Where each listing of tasks begins."""


def _addresses(
    index: sqlite3.Connection, page: str, where: Mapping[str, object], limit: int
) -> Iterator[list[Address]]:
    at, name, seq = FIRST[page]
    while True:
        values = {**FILTERS, **where, "at": at, "after_session": name, "after_seq": seq, "limit": limit}
        limit = PAGE
        found = index.execute(READ[page], values).fetchall()
        if not found:
            return
        yield [Address(row[0], row[1]) for row in found]
        name, seq, at = found[-1]


def load(
    state: StateDir,
    addresses: Collection[Address],
    trouble: list[AgentqError],
    *,
    busy_ms: int = connection.BUSY_MS,
) -> list[Task]:
    """The tasks of one page, in its order, opening each session's file once; tasks that cannot be read are left out."""
    by_address: dict[Address, Task] = {}
    for session, group in groupby(sorted(addresses), key=lambda address: address.session):
        seqs = [address.seq for address in group]
        try:
            with inbound(state, session, busy_ms=busy_ms) as database:
                found = stored_of(database, seqs)
        except NotFound:
            continue
        except AgentqError as error:
            if not any(str(known) == str(error) for known in trouble):
                trouble.append(error)
            continue
        for row in found:
            try:
                by_address[Address(session, row["seq"])] = rows.seen_task(session, row)
            except AgentqError as error:
                trouble.append(error)
    return [by_address[address] for address in addresses if address in by_address]


def run(index: sqlite3.Connection, run_id: RunId) -> Run:
    """One attempt. Raises NotFound."""
    row = index.execute(READ["run"].format(columns=run_columns()), run_id._asdict()).fetchone()
    if row is None:
        raise NotFound(f"run '{run_id}': no such run; see `agentq runs {run_id.address}`")
    return rows.run(row)


def runs(index: sqlite3.Connection, *, where: Mapping[str, object], most: int | None = None) -> Iterator[Run]:
    """The audit log, newest first; the first page has at most `most` rows, and more are read only on demand."""
    values: dict[str, object] = {**FILTERS, **where, "before": NEWEST, "limit": _page(most)}
    name = "runs_page"
    if values["session"] is not None:
        name = "runs_page_session" if values["seq"] is None else "runs_page_task"
    statement = READ[name].format(columns=run_columns(), which=READ["which_runs"])
    while found := index.execute(statement, values).fetchall():
        yield from (rows.run(row[:-1]) for row in found)
        values |= {"before": found[-1][-1], "limit": PAGE}


def events(index: sqlite3.Connection, *, where: Mapping[str, object], most: int | None = None) -> Iterator[Event]:
    """Every change of state, newest first."""
    values: dict[str, object] = {**FILTERS, **where, "before": NEWEST, "limit": _page(most)}
    while found := index.execute(READ["events_newest"], values).fetchall():
        yield from (rows.event(row) for row in found)
        values |= {"before": found[-1][0], "limit": PAGE}


def events_after(index: sqlite3.Connection, *, where: Mapping[str, object], after: int) -> list[Event]:
    """The events after the event `after`, oldest first."""
    values: dict[str, object] = {**FILTERS, **where, "after": after, "limit": PAGE}
    return [rows.event(row) for row in index.execute(READ["events_after"], values).fetchall()]


@contextmanager
def outbound(state: StateDir, session: str) -> Iterator[sqlite3.Connection]:
    """A session's outbound.db, for reading, on a separate connection. Raises NotFound, Busy, Unreadable."""
    state.check_session(session)
    path = state.outbound(session)
    if not os.path.lexists(path) and not rehearsal.rehearsed(path):
        raise NotFound(f"session '{session}': no outbound.db")
    with opened_outbound(state, session, 1000) as database, connection.named_trouble(path):
        yield database


@contextmanager
def opened_outbound(state: StateDir, session: str, busy_ms: int) -> Iterator[sqlite3.Connection]:
    """A session's outbound.db, which is checked at every use because it belongs to the agent. Raises Busy,
    Unreadable."""
    path = state.outbound(session)

    def connect() -> sqlite3.Connection:
        return opening.connect(path, "outbound", create=False, busy_ms=busy_ms)

    if state.kept is None:
        with closing(connect()) as database:
            yield database
        return
    with state.kept.lend((path,), busy_ms, connect) as database:
        with connection.named_trouble(path):
            opening.check_foreign(database, path)
        yield database


def messages(state: StateDir, session: str, *, since: int | None, until: int | None) -> Iterator[Message]:
    """The messages of the session's agents, newest first."""
    before = NEWEST
    while True:
        with outbound(state, session) as database:
            values = {"before": before, "since": since, "until": until, "limit": PAGE}
            found = database.execute(READ["messages_newest"], values).fetchall()
        if not found:
            return
        yield from (rows.message(session, row) for row in found)
        before = found[-1][-1]


def messages_after(state: StateDir, session: str, *, after: int) -> tuple[list[Message], int]:
    """The messages after position `after`, oldest first, and the position to continue from."""
    with outbound(state, session) as database:
        found = database.execute(READ["messages_after"], {"after": after, "limit": PAGE}).fetchall()
    return [rows.message(session, row) for row in found], (found[-1][-1] if found else after)


def last_message(state: StateDir, session: str) -> int:
    """The position of the newest message."""
    with outbound(state, session) as database:
        (position,) = database.execute(READ["last_message"]).fetchone()
    return int(position)
