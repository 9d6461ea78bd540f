"""The addresses of a series outlive its occurrences: a pruned one still means the live one, as long as there is one.

They are kept in the session's file, one row of `session_state` for each pruned occurrence of a live series. The first
address needs no row: its N is the series' number.
"""

from __future__ import annotations

from agentq_cli.engines.local.queries import statements
from agentq_cli.model.addresses import Address

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3

    from agentq_cli.model.tasks import Task

WRITE = statements("write")


def remember(inbound: sqlite3.Connection, task: Task) -> None:
    """Keep the address of an occurrence that is being pruned; if the series is over, forget all its addresses."""
    if task.series is None or task.extra:
        return
    if inbound.execute(WRITE["live_of_series"], {"series": task.series}).fetchone() is None:
        inbound.execute(WRITE["forget_names"], {"series": task.series})
    elif task.seq != task.series:
        inbound.execute(WRITE["remember_name"], {"name": _row(task.seq), "series": task.series})


def live_of(inbound: sqlite3.Connection, seq: int) -> int | None:
    """The live occurrence of the series that a pruned task belonged to; None if there is none."""
    row = inbound.execute(WRITE["series_of_name"], {"name": _row(seq)}).fetchone()
    found = inbound.execute(WRITE["live_of_series"], {"series": seq if row is None else row[0]}).fetchone()
    return None if found is None else int(found[0])


def note(inbound: sqlite3.Connection, address: Address) -> str | None:
    """The message about an address that the session no longer has; None if it did not belong to a series."""
    found = live_of(inbound, address.seq)
    if found is None:
        return None
    return f"this occurrence was pruned; its series continues as {Address(address.session, found)}"


def _row(seq: int) -> str:
    return f"pruned/{seq}"
