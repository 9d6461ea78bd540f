"""Figures over tasks and runs: counts, depth, waits, run times, failures, tokens, cost.

The engine adds up. For the percentiles it hands over every wait and every run time, as text, of which one value at a
time is taken apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from agentq_cli.base.json_text import loads
from agentq_cli.policy.figures import Figures, FiguresKey, SessionTasks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    from agentq_cli.engines.transaction import Reading, Row

    Grouping: TypeAlias = Callable[[FiguresKey], FiguresKey]

    Times: TypeAlias = dict[str, dict[FiguresKey, list[str]]]
    """Milliseconds between commas, by what they are, by session and agent."""

PAGE = 500

GROUPS: dict[str, Grouping] = {
    "all": lambda key: ("", ""),
    "session": lambda key: (key[0], ""),
    "agent": lambda key: ("", key[1]),
    "both": lambda key: key,
}


def sessions(reading: Reading, *, session: str | None, now: int) -> Iterator[SessionTasks]:
    """Every session, or one, by name."""
    after = ""
    while found := reading.ask("read.sessions", {"after": after, "limit": PAGE}):
        after = found[-1][0]
        for name, *_ in found:
            if session in (None, name):
                values = {"session": name, "now": now}
                counts: dict[str, int] = dict(reading.ask("read.session_counts", values))
                ((due, oldest),) = reading.ask("stats.due", values)
                yield SessionTasks(name, counts, due, oldest)


def of_runs(
    reading: Reading, where: Mapping[str, object], *groups: str, running: bool = True
) -> list[dict[FiguresKey, Figures]]:
    """The figures of the runs that these filters (`read.which`) select, by the key of each group: all, session, agent,
    both. Without `running` only those of runs that have ended."""
    sums: dict[tuple[str, str, str, str], list[float]] = {}
    times: Times = {"wait": {}, "duration": {}}
    for name, agent, status, failure, *values, waited, lasted in _ranges(reading, where):
        if status == "running" and not running:
            continue
        key = (name, agent, status, failure)
        before = sums.get(key)
        sums[key] = values if before is None else [one + more for one, more in zip(before, values, strict=True)]
        for value, text in (("wait", waited), ("duration", lasted)):
            if text is not None and status != "running":
                times[value].setdefault((name, agent), []).append(text)
    found: list[dict[FiguresKey, Figures]] = [{} for _ in groups]
    for group, by_key in zip(groups, found, strict=True):
        for (name, agent, status, failure), (count, *values, priced, listed) in sums.items():
            own = GROUPS[group]((name, agent))
            figures = by_key.get(own)
            if figures is None:
                figures = by_key[own] = Figures()
            figures.add(status, failure, round(count), *values)
            figures.price(agent, status, round(count), round(priced), round(listed))
    for value, texts in times.items():
        _rank(value, texts, groups, found)
    return found


def _ranges(reading: Reading, where: Mapping[str, object]) -> Iterator[Row]:
    ((last,),) = reading.ask("stats.last_range")
    for number in range(last + 1):
        yield from reading.ask("stats.of_range", {**where, "range": number})


def _rank(
    value: str, texts: Mapping[FiguresKey, list[str]], groups: Sequence[str], found: Sequence[dict[FiguresKey, Figures]]
) -> None:
    """Note sum and percentiles of one value."""
    both = {key: sorted(loads(f"[{','.join(each)}]")) for key, each in texts.items()}
    grouped = both
    for group, by_key in zip(groups, found, strict=True):
        # All of them are all of any group: the fewer lists there are to merge, the sooner.
        grouped = _ordered(grouped if group == "all" else both, GROUPS[group])
        for key, ordered in grouped.items():
            by_key[key].take(value, ordered)


def _ordered(times: Mapping[FiguresKey, list[int]], grouping: Grouping) -> dict[FiguresKey, list[int]]:
    found: dict[FiguresKey, list[int]] = {}
    for key, each in times.items():
        found.setdefault(grouping(key), []).extend(each)
    for each in found.values():
        each.sort()
    return found


def counters(reading: Reading, where: Mapping[str, object], *, session: str | None) -> dict[FiguresKey, Figures]:
    """The figures by session and agent that never decrease: those of the runs that have ended, including pruned
    ones."""
    (found,) = of_runs(reading, where, "both", running=False)
    for name, agent, status, failure, count, *sums, duration, wait in reading.ask("stats.pruned", {"session": session}):
        figures = found.setdefault((name, agent), Figures())
        figures.add(status, failure, count, *sums)
        figures.duration_ms += duration
        figures.wait_ms += wait
    return found
