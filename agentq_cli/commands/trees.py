"""`agentq trees`: the working trees of tasks, and what becomes of each."""

from __future__ import annotations

from agentq_cli.base.errors import Usage
from agentq_cli.commands import tree_target
from agentq_cli.model.branches import FIRST
from agentq_cli.options import values
from agentq_cli.show import notices
from agentq_cli.show.harmless import storable
from agentq_cli.show.results import Items, Result
from agentq_cli.show.tables import Column
from agentq_cli.trees import listing, register
from agentq_cli.trees.listing import Listed
from agentq_cli.trees.place import trees_directory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from agentq_cli.cli.context import Context
    from agentq_cli.options.table import Given
    from agentq_cli.show.documents import Item
    from agentq_cli.trees.register import BadRecord

COLUMNS = (
    Column("TREE", "number", kind="number"),
    Column("OF", lambda tree: tree["task"] or tree["session"], kind="address", keep=True),
    Column("KEY", lambda tree: "" if tree["conversation_key"] == FIRST else tree["conversation_key"], sparse=2),
    Column("STATE", "state", kind="status", keep=True),
    Column("AHEAD", "ahead", kind="number"),
    Column("BEHIND", "behind", kind="number", spare=1),
    Column("DIRTY", "dirty", spare=1),
    Column("SIZE", "size_bytes", kind="size", spare=2),
    Column("BRANCH", "branch", spare=3),
    Column("NOTE", lambda tree: "; ".join(filter(None, (", ".join(tree["holds"]), tree["note"]))), sparse=True),
)

EXAMPLES = (
    ("agentq trees", "List the trees of all tasks and sessions."),
    ("agentq trees -s docs", "List those of a session."),
    ("agentq trees --json", "Include their paths and repositories."),
)


def trees(given: Given, at: Context) -> Result:
    """List the working trees that --worktree made, and what becomes of each.

    A tree is used, waits for its task or to be landed, has landed, is unchanged, holds something that no snapshot can
    hold, or has vanished. 'agentq prune' removes those that have landed or are unchanged.
    """
    session = None if given["session"] is None else values.parse_session(given["session"])
    key = tree_target.conversation(given)
    if key is not None and session is None:
        raise Usage(f"--conversation '{key}': only together with --session")
    queue = at.open_queue()
    place = trees_directory(at.config, queue.here.path)
    if session is not None and all(each.session != session for each in register.records(place)):
        queue.known(session)  # Of one that was pruned there may be trees.
    if at.url is not None:
        notices.note(f"the trees on this host, '{at.fleet.host}'; another host lists its own")
    found = listing.listed(queue, place, at.environ, at.config.caches, session=session, key=key)
    return Items("trees", _items(found), COLUMNS, empty="no trees; --worktree gives a task one")


def _items(found: Iterable[Listed | BadRecord]) -> Iterator[Item]:
    for each in found:
        if isinstance(each, Listed):
            yield item(each)
        else:
            notices.warn(each.message)


def item(tree: Listed) -> Item:
    """A tree as an item of `trees`."""
    record = tree.record
    return {
        "number": record.number,
        "branch": record.branch,
        "session": record.session,
        "task": None if record.seq is None else record.line,
        "repository": record.checkout,
        "path": record.path,
        "ahead": tree.ahead,
        "behind": tree.behind,
        "dirty": tree.dirty,
        "size_bytes": tree.size,
        "state": tree.state.value,
        "holds": list(map(storable, tree.held_by)),
        "note": tree.note or None,
        "conversation_key": record.key,
    }
