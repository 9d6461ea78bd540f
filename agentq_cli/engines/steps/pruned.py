"""The addresses of a series outlive its occurrences: a pruned one still means the series, as long as anything of it is
left, and the live occurrence, as long as there is one.

They are kept in the session's file, one row of `session_state` for each pruned occurrence of such a series. The first
address needs no row: its N is the series' number.
"""

from __future__ import annotations

from agentq_cli.model.addresses import Address

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.engines.transaction import Reading, Transaction
    from agentq_cli.model.tasks import Task


def remember(write: Transaction, task: Task) -> None:
    """Keep the address of an occurrence that is being pruned; with the last one, forget all addresses of its series."""
    if task.series is None:
        return
    if write.ask("write.others_of_series", {"series": task.series, "seq": task.seq}) == []:
        write.tell("write.forget_names", {"series": task.series})
    elif task.extra:
        return
    elif task.seq != task.series:
        write.tell("write.remember_name", {"name": _row(task.seq), "series": task.series})


def live_of(reading: Reading, seq: int) -> int | None:
    """The live occurrence of the series that a pruned task belonged to; None if there is none."""
    row = reading.ask("write.series_of_name", {"name": _row(seq)})
    found = reading.ask("write.live_of_series", {"series": row[0][0] if row else seq})
    return int(found[0][0]) if found else None


def series_of(reading: Reading, seq: int) -> int | None:
    """The series that a task belongs to, pruned or not; None if it belongs to none of which anything is left."""
    row = reading.ask("write.series_of_task", {"seq": seq}) or reading.ask("write.series_of_name", {"name": _row(seq)})
    series = row[0][0] if row else seq
    found = None if series is None else reading.ask("write.others_of_series", {"series": series, "seq": 0})
    return int(series) if found else None


def note(reading: Reading, address: Address) -> str | None:
    """The message about an address that the session no longer has; None if it did not belong to a series."""
    found = live_of(reading, address.seq)
    if found is None:
        return None
    return f"this occurrence was pruned; its series continues as {Address(address.session, found)}"


def _row(seq: int) -> str:
    return f"pruned/{seq}"
