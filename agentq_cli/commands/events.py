"""`agentq events`: every change of state, and who made it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from agentq_cli.base.errors import Usage
from agentq_cli.commands import filters
from agentq_cli.commands.following import appears
from agentq_cli.commands.following import follow as following
from agentq_cli.model.addresses import Address
from agentq_cli.model.sessions import Event
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

    Without --limit it shows the newest 100. With --follow it starts at the newest 10 and prints oldest first, until
    interrupted.
    """
    limit, session = given["limit"], given["session"]
    address = None if given["task"] is None else values.parse_address(given["task"])
    queue = at.open_queue()
    when = filters.when(at, given)
    there = filters.place(at, queue, session, address)
    if given["follow"] and when["until"] is not None:
        raise Usage("--follow: not together with --until")
    if given["follow"]:
        return Stream("event", _followed(at, address, session, when["since"], limit), line)
    found = queue.events(address=address, session=session, limit=limit or filters.NEWEST, **when) if there else ()
    return Items("events", (documents.event(event) for event in found), COLUMNS, empty="no events")


def line(event: documents.Item) -> str:
    """An event as one line, as `events --follow` and a piped `run` print it."""
    change = f"{event['from'] or '-'} → {event['to'] or '-'}" if event["from"] or event["to"] else ""
    parts = (event["at"], event["run"] or event["task"], event["event"], change, event["actor"])
    return "  ".join(str(part) for part in (*parts, event["reason"]) if part)


def _followed(
    at: Context, address: Address | None, session: str | None, since: int | None, limit: int | None
) -> Iterator[documents.Item | None]:
    if not at.open_queue().exists:
        yield from appears(f"{at.state_dir}/agentq.db")
    queue = at.open_queue()
    last = queue.last_event()
    wanted = limit if limit is not None or since is not None else filters.RECENT
    found = queue.events(address=address, session=session, since=since, limit=wanted)
    before = [event for event in found if event.id <= last]
    yield from (documents.event(event) for event in reversed(before))

    def find_new() -> Sequence[Event]:
        nonlocal last
        found = queue.events_after(last, address=address, session=session)
        last = found[-1].id if found else last
        return found

    for event in following(find_new):
        yield None if event is None else documents.event(event)
