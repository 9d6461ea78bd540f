"""One sweep that finds nothing to do, over few sessions and over many."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager

from bench import Bench, Case
from figures import Line, Target, line
from queues.own import Agentq

FEW, MANY = 10, 10_000
ABOUT = (
    f"one sweep with nothing due, {FEW:,} and {MANY:,} sessions of one task each, to Python with one indexed query; "
    "the sessions are copies of one that was submitted, their rows SQL"
)
QUERY = "SELECT session, seq FROM tasks WHERE status = 'queued' AND due_at <= :now ORDER BY due_at LIMIT 1"


def measure(bench: Bench) -> list[Line]:
    """Wall time of a sweep over many sessions: to the query, and to a sweep over few in the same round."""
    many = bench.rounds(MANY, 2_000)
    cases: dict[str, Case] = {}
    for name in bench.own:
        for count in (FEW, many):
            with bench.guarded("sweep", name):
                queue = bench.queue(bench.kinds[name])
                assert isinstance(queue, Agentq)
                bench.say(f"sweep: {count:,} sessions for {name}")
                sessions(queue, count)
                call, query = queue.call("sweep"), bench.script("query.py", str(queue.state / "agentq.db"), QUERY)
                # The first one has not looked at any of them before.
                bench.machine.run(call)
                cases[f"{name} {count}"] = Case(lambda call=call: bench.machine.run(call).wall * 1000)
                cases[f"query {count}"] = Case(lambda query=query: bench.machine.run(query).wall * 1000)
    found = bench.interleave("sweep", cases, bench.rounds(15, 5))
    lines: list[Line] = []
    for name in (*bench.own, "query"):
        few, lot = found.get(f"{name} {FEW}", {}), found.get(f"{name} {many}", {})
        mine = name == "agentq"
        if not (few and lot):
            continue
        base = found.get(f"query {many}", {})
        target = Target(2.5) if mine else None
        if name != "query":
            lines.append(line("sweep", f"{many:,} sessions", name, "ms", lot, base=base, of="query", target=target))
        target = Target(1.1) if mine else None
        what = f"{FEW:,} → {many:,}"
        lines.append(line("sweep", what, name, "ms", lot, base=few, of=f"{FEW:,} sessions", target=target))
    return lines


@contextmanager
def index(queue: Agentq) -> Iterator[sqlite3.Connection]:
    """The index of a state directory, changed in one commit."""
    with closing(sqlite3.connect(queue.state / "agentq.db", isolation_level=None)) as base:
        base.execute("BEGIN IMMEDIATE")
        yield base
        base.execute("COMMIT")


Rows = list[tuple[object, ...]]


def multiply(base: sqlite3.Connection, table: str, template: str, values: dict[str, str], rows: Rows) -> None:
    """Insert copies of the row that `template` selects; `values` says what is in the columns that differ."""
    columns = [name for _, name, *_ in base.execute(f"PRAGMA table_info({table})")]
    chosen = ", ".join(values.get(name, f'"{name}"') for name in columns)
    named = ", ".join(f'"{name}"' for name in columns)
    base.executemany(f"INSERT INTO {table} ({named}) SELECT {chosen} FROM {table} WHERE {template}", rows)


def sessions(queue: Agentq, count: int) -> None:
    """So many sessions, each with one task that is due in a year."""
    queue.machine.run(queue.store([{"exec": ["true"], "session": "s0", "in": "365d"}]))
    first = queue.state / "sessions/s0"
    names = [f"s{number}" for number in range(1, count)]
    for name in names:
        shutil.copytree(first, queue.state / "sessions" / name)
    with index(queue) as base:
        rows: Rows = [(name,) for name in names]
        multiply(base, "sessions", "name = 's0'", {"name": "?1"}, rows)
        for table in ("tasks", "events"):
            multiply(base, table, "session = 's0'", {"session": "?1", "id": "NULL"}, rows)
    listed = json.loads(queue.machine.output(queue.call("list", "-s", names[-1], "--json")))["items"]
    assert len(listed) == 1, listed
