"""The addresses of a series outlive its occurrences: a pruned one still means the live one, as long as there is one.

They are kept in the session's file, one row of `session_state` for each pruned occurrence of a live series. The first
address needs no row: its N is the series' number.
"""

from __future__ import annotations

from agentq_cli.model.addresses import Address

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.engines.transaction import Reading, Transaction
    from agentq_cli.model.tasks import Task


def remember(write: Transaction, task: Task) -> None:
    """Keep the address of an occurrence that is being pruned; if the series is over, forget all its addresses."""
    if task.series is None or task.extra:
        return
    if not write.ask("write.live_of_series", {"series": task.series}):
        write.tell("write.forget_names", {"series": task.series})
    elif task.seq != task.series:
        write.tell("write.remember_name", {"name": _row(task.seq), "series": task.series})


def live_of(reading: Reading, seq: int) -> int | None:
    """The live occurrence of the series that a pruned task belonged to; None if there is none."""
    row = reading.ask("write.series_of_name", {"name": _row(seq)})
    found = reading.ask("write.live_of_series", {"series": row[0][0] if row else seq})
    return int(found[0][0]) if found else None


def note(reading: Reading, address: Address) -> str | None:
    """The message about an address that the session no longer has; None if it did not belong to a series."""
    found = live_of(reading, address.seq)
    if found is None:
        return None
    return f"this occurrence was pruned; its series continues as {Address(address.session, found)}"


def _row(seq: int) -> str:
    return f"pruned/{seq}"
