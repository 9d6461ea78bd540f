"""Figures over tasks and runs: counts, depth, waits, run times, failures, tokens, cost; in bounded memory."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence

from agentq_cli.engines import named_statements
from agentq_cli.policy.figures import Figures, FiguresKey, Ranking, SessionTasks

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from typing import TypeAlias

    from agentq_cli.engines.subdoors import CopiedRuns
    from agentq_cli.engines.transaction import Reading
else:
    from agentq_cli.engines.sqlite_driver import sqlite3

COPY = named_statements(os.path.join(os.path.dirname(__file__), "copy.sql"))
RANGE = 5000
"""How many ids of the audit log are read at once: writers wait for this long."""

PAGE = 500

Grouping: TypeAlias = "Callable[[str, str], FiguresKey]"

GROUPS: dict[str, Grouping] = {
    "all": lambda session, agent: ("", ""),
    "session": lambda session, agent: (session, ""),
    "agent": lambda session, agent: ("", agent),
    "both": lambda session, agent: (session, agent),
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


class Copy:
    """The requested runs, in a temporary file that is removed with it: a context manager."""

    def __init__(self, reading: Reading, where: Mapping[str, object]) -> None:
        # An empty name means a file that SQLite removes itself, and of which it has only a few pages in memory.
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.execute(COPY["copy"])
        ((last,),) = reading.ask("stats.last_run")
        self._database.execute("BEGIN")
        for after in range(0, last, RANGE):
            values = {**where, "after": after, "upto": min(after + RANGE, last)}
            self._database.executemany(COPY["add"], reading.ask("stats.copied", values))
        self._database.execute("COMMIT")

    def figures(self, group: str, *, running: bool = True) -> dict[FiguresKey, Figures]:
        """The figures by the key of `group`: all, session, agent, both."""
        return self.grouped(group, running=running)[0]

    def grouped(self, *groups: str, running: bool = True) -> list[dict[FiguresKey, Figures]]:
        """The figures of several groups; without `running` only those of runs that have ended."""
        keys = [GROUPS[group] for group in groups]
        found: list[dict[FiguresKey, Figures]] = [{} for _ in groups]
        for name, agent, status, failure, count, *sums, priced, listed in self._database.execute(COPY["figures"]):
            if running or status != "running":
                for key, by_key in zip(keys, found, strict=True):
                    figures = by_key.setdefault(key(name, agent), Figures())
                    figures.add(status, failure, count, *sums)
                    figures.price(agent, status, count, priced, listed)
        for value in ("wait_ms", "duration_ms"):
            self._rank(value, keys, found)
        return found

    def _rank(self, value: str, keys: Sequence[Grouping], found: Sequence[dict[FiguresKey, Figures]]) -> None:
        """The percentiles of one value, in one pass over its order however many groups there are."""
        rankings: list[dict[FiguresKey, Ranking]] = [{} for _ in keys]
        pairs: list[tuple[str, str]] = []
        for name, agent, size in self._database.execute(COPY["sizes"].format(value=value)):
            pairs.append((name, agent))
            for key, by_key in zip(keys, rankings, strict=True):
                by_key.setdefault(key(name, agent), Ranking()).size += size
        taken = {
            (name, agent): [by_key[key(name, agent)] for key, by_key in zip(keys, rankings, strict=True)]
            for name, agent in pairs
        }
        for name, agent, each in self._database.execute(COPY["ordered"].format(value=value)):
            for ranking in taken[name, agent]:
                ranking.take(each)
        for by_key, figures in zip(rankings, found, strict=True):
            for name, ranking in by_key.items():
                setattr(figures[name], value.removesuffix("_ms"), ranking.percentiles())

    def close(self) -> None:
        """Remove the file."""
        self._database.close()


@contextlib.contextmanager
def copied(reading: Reading, where: Mapping[str, object]) -> Iterator[Copy]:
    """A copy of the runs that these filters (`read.which`) select."""
    copy = Copy(reading, where)
    try:
        yield copy
    finally:
        copy.close()


def counters(reading: Reading, copy: CopiedRuns, *, session: str | None) -> dict[FiguresKey, Figures]:
    """The figures by session and agent that never decrease: those of the runs that have ended, including pruned
    ones."""
    found = copy.figures("both", running=False)
    for name, agent, status, failure, *rest in reading.ask("stats.pruned", {"session": session}):
        found.setdefault((name, agent), Figures()).add(status, failure, *rest)
    return found
