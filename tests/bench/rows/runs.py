"""The last 20 runs, and the figures of all, of few and of many."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from bench import Bench, Case
from figures import Line, Target, line
from machine import Call
from queues.daemons import Kyoo
from queues.own import Agentq

from rows.sweep import Rows, index, multiply

FEW, MANY = 100, 100_000
ABOUT = (
    f"`runs --limit 20` over {FEW:,} and {MANY:,} runs, to Python with the query; `stats` over them, to `pass`; "
    "the runs are copies by SQL of one that was run; kyoo: `ls --limit 20` over as many jobs"
)
QUERY = "SELECT * FROM task_runs ORDER BY id DESC LIMIT 20"


def measure(bench: Bench) -> list[Line]:
    """Wall time over many runs: to the query, and to the same over few in the same round."""
    cases: dict[str, Case] = {}

    def add(label: str, call: Call, every: int = 1) -> None:
        bench.machine.run(call)
        cases[label] = Case(lambda: bench.machine.run(call).wall * 1000, every)

    for count in (FEW, MANY):
        for name in bench.own:
            with bench.guarded("runs", name):
                queue = bench.queue(bench.kinds[name])
                assert isinstance(queue, Agentq)
                bench.say(f"runs: {count:,} runs for {name}")
                runs(queue, count)
                add(f"{name} {count}", queue.call("runs", "--limit", "20"))
                add(f"{name} stats {count}", queue.call("stats"))
                add(f"query {count}", bench.script("query.py", str(queue.state / "agentq.db"), QUERY))
        if "kyoo" in bench.kinds:
            with bench.guarded("runs", "kyoo"):
                kyoo = bench.queue(bench.kinds["kyoo"])
                assert isinstance(kyoo, Kyoo)
                ended(kyoo, count)
                add(f"kyoo {count}", kyoo.call("ls", "--limit", "20"), every=3)
    add("pass", Call((str(bench.bare), "-c", "pass")))
    found = bench.interleave("runs", cases, bench.rounds(15, 5))
    lines: list[Line] = []
    for name in (*bench.own, "kyoo", "query"):
        few, many = found.get(f"{name} {FEW}", {}), found.get(f"{name} {MANY}", {})
        mine = name == "agentq"
        if not (few and many):
            continue
        base = found.get(f"query {MANY}", {})
        target = Target(2.5) if mine else None
        if name != "query":
            lines.append(line("runs", f"{MANY:,} runs", name, "ms", many, base=base, of="query", target=target))
        target = Target(1.1) if mine else None
        what = f"{FEW:,} → {MANY:,}"
        lines.append(line("runs", what, name, "ms", many, base=few, of=f"{FEW:,} runs", target=target))
    for name in bench.own:
        if (few := found.get(f"{name} stats {FEW}")) and (many := found.get(f"{name} stats {MANY}")):
            # 300 ms, where `pass` took 12.
            target = Target(25) if name == "agentq" else None
            base = found["pass"]
            lines.append(line("runs", f"stats, {MANY:,} runs", name, "ms", many, base=base, of="pass", target=target))
            what = f"stats, {FEW:,} → {MANY:,}"
            lines.append(line("runs", what, name, "ms", many, base=few, of=f"{FEW:,} runs"))
    return lines


def runs(queue: Agentq, count: int) -> None:
    """A queue that has run so many tasks: one by itself, the rest copied."""
    queue.fill([("true",)])
    queue.work_off(1, 1)
    rows: Rows = [(number,) for number in range(2, count + 1)]
    with closing(sqlite3.connect(queue.state / "sessions/default/inbound.db", isolation_level=None)) as base:
        base.execute("BEGIN IMMEDIATE")
        multiply(base, "messages_in", "seq = 1", {"seq": "?1"}, rows)
        base.execute("COMMIT")
    with index(queue) as base:
        multiply(base, "tasks", "session = 'default' AND seq = 1", {"seq": "?1"}, rows)
        multiply(base, "task_runs", "session = 'default' AND seq = 1", {"seq": "?1", "id": "?1"}, rows)


def ended(kyoo: Kyoo, count: int) -> None:
    """A kyoo that has run so many jobs."""
    kyoo.fill([("true",)] * count)
    with closing(sqlite3.connect(Path(kyoo.directory) / "kyoo.db")) as base:
        times = "started_at = created_at, finished_at = created_at"
        base.execute(f"UPDATE jobs SET status = 'succeeded', exit_code = 0, {times}")
        base.commit()
    kyoo.hold()
