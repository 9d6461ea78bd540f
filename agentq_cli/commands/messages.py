"""`agentq messages`: what a session's agents said."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import islice

from agentq_cli.base.errors import NotFound, Usage
from agentq_cli.commands import filters
from agentq_cli.commands.following import appears
from agentq_cli.commands.following import follow as following
from agentq_cli.engines.door import Queue
from agentq_cli.model.addresses import DEFAULT_SESSION, Address
from agentq_cli.model.sessions import Message
from agentq_cli.options import values
from agentq_cli.show import documents
from agentq_cli.show.results import Items, Result, Stream
from agentq_cli.show.tables import Column

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.cli.context import Context
    from agentq_cli.options.table import Given


def _content(message: documents.Item) -> str:
    content = message["content"]
    return content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)


COLUMNS = (
    Column("AT", "created_at", kind="time", spare=3),
    Column("KIND", "kind", spare=2),
    Column("ID", "id", keep=True),
    Column("CONTENT", _content),
)

EXAMPLES = (
    ("agentq messages -s docs", "List what the agents of a session said."),
    ("agentq messages -s docs --follow", "Also print new messages as they come."),
)


def messages(given: Given, at: Context) -> Result:
    """List what a session's agents said, newest first.

    These are the results of runs, and what agents wrote themselves. Without --limit it shows the newest 100. With
    --follow it starts at the newest 10 and prints oldest first, until interrupted. With an ID only the results of that
    task's runs.
    """
    limit, session = given["limit"], given["session"]
    address = None if given["task"] is None else values.parse_address(given["task"])
    queue = at.open_queue()
    name = session or (DEFAULT_SESSION if address is None else address.session)
    when = filters.when(at, given)
    there = filters.has_session(at, queue, name) and filters.place(at, queue, name, address)
    if given["follow"] and when["until"] is not None:
        raise Usage("--follow: not together with --until")
    if given["follow"]:
        return Stream("message", _followed(at, name, address, when["since"], limit), _line)
    found = _newest(queue, name, address, limit or filters.NEWEST, **when) if there else iter(())
    return Items("messages", (documents.message(message) for message in found), COLUMNS, empty="no messages")


def _newest(
    queue: Queue,
    name: str,
    address: Address | None,
    limit: int | None,
    *,
    since: int | None = None,
    until: int | None = None,
) -> Iterator[Message]:
    found = queue.messages(name, since=since, until=until, limit=limit if address is None else None)
    return islice((message for message in found if _is_about(message, address)), limit)


def _is_about(message: Message, address: Address | None) -> bool:
    """Whether it is the result of a run of the task, or no task was named."""
    return address is None or message.id.rpartition(".")[0] == str(address)


def _line(message: documents.Item) -> str:
    return f"{message['created_at'] or '-'}  {message['kind']}  {message['id']}  {_content(message)}"


def _has_messages(queue: Queue, name: str) -> bool:
    """Whether there is anything that messages of the session can be read from."""
    try:
        queue.last_message(name)
    except NotFound:
        return False
    return True


def _followed(
    at: Context, name: str, address: Address | None, since: int | None, limit: int | None
) -> Iterator[documents.Item | None]:
    empty = at.open_queue()
    yield from appears(lambda: _has_messages(empty, name))
    queue = at.open_queue()
    wanted = limit if limit is not None or since is not None else filters.RECENT
    last = queue.last_message(name)
    before = list(_newest(queue, name, address, wanted, since=since))
    # Messages that came between the two reads are in both.
    seen = {message.id for message in before}
    yield from (documents.message(message) for message in reversed(before))

    def find_new() -> Sequence[Message]:
        nonlocal last
        found, last = queue.messages_after(name, last)
        return [message for message in found if _is_about(message, address)]

    for message in following(find_new):
        if message is None or message.id not in seen:
            yield None if message is None else documents.message(message)
