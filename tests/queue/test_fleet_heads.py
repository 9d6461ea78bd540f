"""How the fleet finds what may start: one statement, which visits one row a group."""

from __future__ import annotations

import pytest
from queue_driver import NOON, Clock, Engine, command, submit

from agentq_cli.engines.fleet.queue import FleetQueue

WAITING = """
INSERT INTO agentq.sessions (name, created_at) SELECT 's' || i, 1 FROM generate_series(1, 2000) i;
INSERT INTO agentq.tasks (session, seq, kind, status, cwd, priority, labels, context, created_at, due_at, launch)
SELECT 's' || i, n, 'exec', 'queued', '/', 0, '[]', 'session', 1, 1, '{}'
FROM generate_series(1, 2000) i, generate_series(1, 2) n
"""


@pytest.mark.parametrize("name", ["dispatch.heads", "dispatch.heads_of"])
def test_heads_are_found_along_their_index_also_before_there_are_statistics(engine: Engine, name: str) -> None:
    with engine.open(Clock()) as queue:
        assert isinstance(queue, FleetQueue)
        database = queue.database
        database.send(database.in_schema(WAITING))
        values = {**queue.own, "now": NOON, "sessions": "s1,s7"}
        with database.snapshot():
            plan = [line for (line,) in database.send(b"EXPLAIN " + database.written(name, values))]
            found = queue.reading.heads(NOON)
            some = queue.reading.heads(NOON, ["s1", "s7"])
    assert [step.split("->")[1].split("(")[0].strip() for step in plan if " on tasks" in step] == [
        "Index Scan using tasks_ready on tasks t",
        "Index Scan using tasks_ready on tasks t_1",
    ]
    assert sum("Sort Key" in line for line in plan) == 1, "the result alone is sorted"
    assert len(found) == 2000 and some == [row for row in found if row[0] in ("s1", "s7")]


def test_the_marks_of_two_users_do_not_hide_what_the_other_has_stored(engine: Engine) -> None:
    with engine.open(Clock()) as queue, engine.open(Clock()) as other:
        heads = queue.heads()
        for n in range(3):
            submit(other, command(f"s{n}"))
            head = heads.pick(now=NOON, jobs=9, ageing_ms=None, parallel=lambda session: 1, without=[f"s{n - 1}"])
            assert head is not None
            assert len(queue.snapshot().heads) == n + 1
