"""`agentq messages`: what a session's agents said."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from agentq_cli.commands import filters
from agentq_cli.commands.following import appears
from agentq_cli.commands.following import follow as following
from agentq_cli.model.addresses import DEFAULT_SESSION
from agentq_cli.model.sessions import Message
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
    --follow it starts at the newest 10 and prints oldest first, until interrupted.
    """
    limit = given["limit"]
    queue = at.open_queue()
    name = given["session"] or DEFAULT_SESSION
    begin = filters.since(at, given["since"])
    there = filters.has_session(at, queue, name)
    if given["follow"]:
        return Stream("message", _followed(at, name, begin, limit), _line)
    found = queue.messages(name, since=begin, limit=limit or filters.NEWEST) if there else iter(())
    return Items("messages", (documents.message(message) for message in found), COLUMNS, empty="no messages")


def _line(message: documents.Item) -> str:
    return f"{message['created_at'] or '-'}  {message['kind']}  {message['id']}  {_content(message)}"


def _followed(at: Context, name: str, since: int | None, limit: int | None) -> Iterator[documents.Item | None]:
    yield from appears(f"{at.state_dir}/sessions/{name}/outbound.db")
    queue = at.open_queue()
    wanted = limit if limit is not None or since is not None else filters.RECENT
    last = queue.last_message(name)
    before = list(queue.messages(name, since=since, limit=wanted))
    # Messages that came between the two reads are in both.
    seen = {message.id for message in before}
    yield from (documents.message(message) for message in reversed(before))

    def find_new() -> Sequence[Message]:
        nonlocal last
        found, last = queue.messages_after(name, last)
        return found

    for message in following(find_new):
        if message is None or message.id not in seen:
            yield None if message is None else documents.message(message)
