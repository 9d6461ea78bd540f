"""`agentq events`: every change of state, and who made it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from agentq_cli.base.dataclass import dataclass, replace
from agentq_cli.base.errors import Usage
from agentq_cli.commands import filters
from agentq_cli.commands.following import appears
from agentq_cli.commands.following import follow as following
from agentq_cli.engines.door import Queue
from agentq_cli.model.addresses import Address
from agentq_cli.model.sessions import Event
from agentq_cli.model.statuses import Status
from agentq_cli.model.tasks import Task
from agentq_cli.options import values
from agentq_cli.show import documents
from agentq_cli.show.results import Items, Result, Stream
from agentq_cli.show.tables import Change, Column

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.cli.context import Context
    from agentq_cli.options.table import Given


def _change(event: documents.Item) -> Change | None:
    return Change(event["from"], event["to"]) if event["from"] or event["to"] else None


COLUMNS = (
    Column("AT", "at", kind="time", spare=3),
    Column("TASK", lambda event: event["run"] or event["task"], keep=True),
    Column("EVENT", "event", keep=True),
    Column("CHANGE", _change),
    Column("ACTOR", "actor", spare=True),
    Column("REASON", "reason", kind="words", spare=2, sparse=True),
)

EXAMPLES = (
    ("agentq events 3", "Show everything that happened to one task."),
    ("agentq events -s docs --since 2h", "Show every change in a session within two hours."),
    ("agentq events --follow --json", "Print a JSON document for each change as it happens."),
)


def events(given: Given, at: Context) -> Result:
    """List every change of state, newest first.

    --status is about the status that a task came to. Without --limit it shows the newest 100. With --follow it starts
    at the newest 10 and prints oldest first, until interrupted.
    """
    limit, session = given["limit"], given["session"]
    address = None if given["task"] is None else values.parse_address(given["task"])
    queue = at.open_queue()
    when = filters.when(at, given)
    statuses = filters.statuses(given["status"], Status)
    series = filters.of_series(queue, given["series"])
    there = filters.place(at, queue, session, address, series)
    if given["follow"] and when["until"] is not None:
        raise Usage("--follow: not together with --until")
    session = session or (None if series is None else series.session)
    chosen = Chosen(queue, address, session, series, given["agent"], given["label"], statuses)
    if given["follow"]:
        return Stream("event", _followed(at, chosen, when["since"], limit), line)
    found = chosen.newest(limit or filters.NEWEST, **when) if there else ()
    return Items("events", (documents.event(event) for event in found), COLUMNS, empty="no events")


@dataclass(frozen=True, slots=True)
class Chosen:
    """The events that are asked for: each None or empty choice is all."""

    queue: Queue
    address: Address | None
    session: str | None
    series: Address | None
    agent: str | None
    label: str | None
    statuses: frozenset[Status]

    def newest(self, limit: int | None, *, since: int | None = None, until: int | None = None) -> Iterator[Event]:
        """The newest, newest first."""
        most = None if self._some else limit
        found = self.queue.events(address=self.address, session=self.session, since=since, until=until, limit=most)
        return islice(self.of(found), limit)

    def of(self, events: Iterable[Event]) -> Iterator[Event]:
        """Those of these events that are chosen."""
        if not self._some:
            yield from events
            return
        changed = (event for event in events if not self.statuses or event.to_status in self.statuses)
        for event, task in filters.with_tasks(self.queue, changed, _address):
            if (self.series is None and self.agent is None and self.label is None) or (
                task is not None and self._fits(task)
            ):
                yield event

    @property
    def _some(self) -> bool:
        return bool(self.statuses or self.series or self.agent or self.label)

    def _fits(self, task: Task) -> bool:
        return (
            (self.series is None or (task.series == self.series.seq and task.session == self.series.session))
            and self.agent in (None, task.work.agent)
            and (self.label is None or self.label in task.work.labels)
        )


def _address(event: Event) -> Address | None:
    return Address(event.session, event.seq) if event.session is not None and event.seq is not None else None


def line(event: documents.Item) -> str:
    """An event as one line, as `events --follow` and a piped `run` print it."""
    change = f"{event['from'] or '-'} → {event['to'] or '-'}" if event["from"] or event["to"] else ""
    parts = (event["at"], event["run"] or event["task"], event["event"], change, event["actor"])
    return "  ".join(str(part) for part in (*parts, event["reason"]) if part)


def _followed(at: Context, chosen: Chosen, since: int | None, limit: int | None) -> Iterator[documents.Item | None]:
    empty = chosen.queue
    yield from appears(lambda: empty.exists)
    queue = at.open_queue()
    chosen = replace(chosen, queue=queue)
    last = queue.last_event()
    wanted = limit if limit is not None or since is not None else filters.RECENT
    before = [event for event in chosen.newest(wanted, since=since) if event.id <= last]
    yield from (documents.event(event) for event in reversed(before))

    def find_new() -> Sequence[Event]:
        nonlocal last
        found = queue.events_after(last, address=chosen.address, session=chosen.session)
        last = found[-1].id if found else last
        return list(chosen.of(found))

    for event in following(find_new):
        yield None if event is None else documents.event(event)
