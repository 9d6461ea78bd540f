"""Listings: keyset pages of 500 rows, and no open cursor while the caller prints or waits."""

from __future__ import annotations

from itertools import groupby

from agentq_cli.base.errors import AgentqError, NotFound
from agentq_cli.base.json_text import dumps
from agentq_cli.engines.steps import rows
from agentq_cli.model.addresses import Address, RunId

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from typing import Any

    from agentq_cli.base.identity import Identity
    from agentq_cli.engines.nouns import Calls
    from agentq_cli.engines.shared.given import Given
    from agentq_cli.engines.transaction import Reading
    from agentq_cli.model.runs import Run
    from agentq_cli.model.sessions import Event, Message
    from agentq_cli.model.statuses import Status
    from agentq_cli.model.tasks import Task

PAGE = 500
NEWEST = 1 << 62


def filled(statement: str) -> str:
    """A statement with `{task_columns}`, `{run_columns}` and `{past_columns}` as SQL names the columns of
    tasks, runs and past runs."""
    if "{task_columns}" in statement:
        statement = statement.replace("{task_columns}", _quoted(rows.COLUMNS))
    if "{run_columns}" in statement:
        from agentq_cli.model.runs import Run

        statement = statement.replace("{run_columns}", _quoted(Run.__slots__))
    if "{past_columns}" in statement:
        from agentq_cli.model.runs import PastRun

        # Not the whole error, nor the result, which may be a mebibyte.
        columns = _quoted(PastRun.__slots__).replace('"error"', "substr(error, 1, 300)")
        statement = statement.replace("{past_columns}", columns)
    return statement


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def stored(session: Reading, seq: int) -> rows.Columns | None:
    """The row of a task that is or was in the queue, or None."""
    found = session.ask("read.task", {"seq": seq})
    return rows.named(found[0]) if found else None


def stored_of(session: Reading, seqs: Sequence[int]) -> list[rows.Columns]:
    """The rows of several tasks, without those that do not exist."""
    return [rows.named(row) for row in session.ask("read.tasks_of_page", {"seqs": dumps(seqs)})]


def task(session: Reading, address: Address) -> Task:
    """One task, from its session. Raises NotFound."""
    row = stored(session, address.seq)
    if row is None:
        raise unknown_task(session, address)
    return rows.seen_task(address.session, row)


def unknown_task(session: Reading, address: Address) -> NotFound:
    """The error about an address that an existing session does not have."""
    from agentq_cli.engines.steps import pruned

    hint = f"no such task; see `agentq list --all -s {address.session}`"
    return NotFound(f"task '{address}': {pruned.note(session, address) or hint}")


def tasks(
    queue: Given,
    *,
    where: Mapping[str, object],
    statuses: Collection[Status],
    label: str | None,
    ended: bool,
    most: int | None = None,
) -> Iterator[Task]:
    """Live tasks, soonest first, then with `ended` (or if an ended status is requested) the ended ones, newest end
    first. `where` has the other filters, by the names that the queries give them.

    A caller that takes at most `most` of them causes no more reads than that, unless some are filtered out.

    A session that cannot be read is skipped and its error raised at the end, so that the others are seen.
    """
    trouble: list[AgentqError] = []
    wanted = frozenset(statuses)
    now = queue.now
    pages = []
    if not wanted or any(not status.ended for status in wanted):
        pages.append("live_page")
    if ended or any(status.ended for status in wanted):
        pages.append("ended_page")
    for page in pages:
        for addresses in _addresses(queue.reading, page, where, _page(most)):
            for found in queue.load(addresses, trouble):
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


def _addresses(reading: Reading, page: str, where: Mapping[str, object], limit: int) -> Iterator[list[Address]]:
    at, name, seq = FIRST[page]
    while True:
        values = {**FILTERS, **where, "at": at, "after_session": name, "after_seq": seq, "limit": limit}
        limit = PAGE
        found = reading.ask(f"read.{page}", values)
        if not found:
            return
        yield [Address(row[0], row[1]) for row in found]
        name, seq, at = found[-1]


def load(
    queue: Given, addresses: Collection[Address], trouble: list[AgentqError], *, background: bool = False
) -> list[Task]:
    """`Given.load` of an engine in which each session is read for itself."""
    by_address: dict[Address, Task] = {}
    for session, group in groupby(sorted(addresses), key=lambda address: address.session):
        seqs = [address.seq for address in group]
        try:
            with queue.of_session(session, background=background) as reading:
                found = stored_of(reading, seqs)
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


def calls(reading: Reading, supervisor: Identity, now: int) -> Calls:
    """What a supervisor has to do in addition to starting and settling."""
    from agentq_cli.engines.nouns import Calls

    (found,) = reading.ask("dispatch.calls", rows.identity_columns(supervisor) | {"now": now})
    expired, arriving, stops, strangers, unsettled, paused, jobs = found
    asked = bool(expired), bool(arriving), bool(stops), bool(strangers), bool(unsettled)
    return Calls(*asked, known=paused is not None, jobs=jobs, paused=bool(paused))


def run(reading: Reading, run_id: RunId) -> Run:
    """One attempt. Raises NotFound."""
    found = reading.ask("read.run", run_id._asdict())
    if not found:
        raise NotFound(f"run '{run_id}': no such run; see `agentq runs {run_id.address}`")
    return rows.run(found[0])


def runs(reading: Reading, *, where: Mapping[str, object], most: int | None = None) -> Iterator[Run]:
    """The audit log, newest first; the first page has at most `most` rows, and more are read only on demand."""
    values: dict[str, object] = {**FILTERS, **where, "before": NEWEST, "limit": _page(most)}
    name = "read.runs_page"
    if values["session"] is not None:
        name = "read.runs_page_session" if values["seq"] is None else "read.runs_page_task"
    while found := reading.ask(name, values):
        yield from (rows.run(row[:-1]) for row in found)
        values |= {"before": found[-1][-1], "limit": PAGE}


def events(reading: Reading, *, where: Mapping[str, object], most: int | None = None) -> Iterator[Event]:
    """Every change of state, newest first."""
    values: dict[str, object] = {**FILTERS, **where, "before": NEWEST, "limit": _page(most)}
    while found := reading.ask("read.events_newest", values):
        yield from (rows.event(row) for row in found)
        values |= {"before": found[-1][0], "limit": PAGE}


def events_after(reading: Reading, *, where: Mapping[str, object], after: int) -> list[Event]:
    """The events after the event `after`, oldest first."""
    values: dict[str, object] = {**FILTERS, **where, "after": after, "limit": PAGE}
    return [rows.event(row) for row in reading.ask("read.events_after", values)]


def messages(queue: Given, session: str, *, since: int | None, until: int | None) -> Iterator[Message]:
    """The messages of the session's agents, newest first."""
    before = NEWEST
    while True:
        values = {"before": before, "since": since, "until": until, "limit": PAGE}
        with queue.of_messages(session) as reading:
            found = reading.ask("read.messages_newest", values)
        if not found:
            return
        yield from (rows.message(session, row) for row in found)
        before = found[-1][-1]
