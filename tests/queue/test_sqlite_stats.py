"""Figures by SQL: read range by range of the audit log, each run is counted once, and nobody waits for long."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from queue_driver import NOON, Clock, OpenQueue

from agentq_cli.engines.door import Queue
from agentq_cli.engines.local import schema
from agentq_cli.engines.local.asking import Asking

INSERT = """
INSERT INTO task_runs (id, session, seq, attempt, "trigger", agent, argv, cwd, scheduled_for, started_at, duration_ms,
                       status, failure_class, tokens_in, tokens_out, cost_usd, host)
VALUES (?, ?, ?, 1, 'submit', ?, '[]', '/', ?, ?, ?, ?, ?, ?, ?, ?, 'h')
"""
Run = tuple[Any, ...]
ID, DUE, STARTED, STATUS = 0, 4, 5, 7


def some_runs(count: int, seed: int, *, first: int = 1, apart: int = 1) -> list[Run]:
    """Runs whose ids are so far apart."""
    chance = random.Random(seed)
    found = []
    for seq in range(first, first + count):
        status = chance.choice(["success", "success", "error", "crashed", "running", "skipped"])
        due = NOON + chance.randrange(10_000)
        found.append(
            (
                seq * apart,
                chance.choice("abc"),
                seq,
                chance.choice(["claude", "demo", None]),
                chance.choice([due, None]),
                due + chance.randrange(-100, 5_000),
                None if status == "running" else chance.randrange(60_000),
                status,
                status if status in ("error", "crashed") else None,
                chance.choice([None, chance.randrange(1000), 2**62]),
                chance.choice([None, chance.randrange(1000)]),
                chance.choice([None, chance.random()]),
            )
        )
    return found


def store(state_dir: Path, runs: Iterable[Run]) -> None:
    with closing(sqlite3.connect(state_dir / "agentq.db")) as index, index:
        index.executemany(INSERT, runs)


def test_runs_that_end_while_others_are_read_are_counted_once_and_wait_for_nobody(
    queue: Queue, state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = some_runs(200, 1, apart=200)
    store(state_dir, runs)
    asked: list[str] = []
    ask = Asking.ask

    def asking(self: Asking, name: str, *values: Any) -> list[Any]:
        asked.append(name)
        if len(asked) == 3:  # one range has been read
            with closing(sqlite3.connect(state_dir / "agentq.db", timeout=0)) as other, other:
                other.execute("UPDATE task_runs SET status = 'cancelled', duration_ms = 9 WHERE status = 'running'")
        return ask(self, name, *values)

    monkeypatch.setattr(Asking, "ask", asking)
    together, each = queue.figures.of_runs("all", "both")
    assert asked == ["stats.last_range", *["stats.of_range"] * 5]
    assert together["", ""].runs == sum(figures.runs for figures in each.values()) == len(runs)
    first = Counter(run[STATUS] for run in runs if run[ID] < 8192)
    later = Counter("cancelled" if run[STATUS] == "running" else run[STATUS] for run in runs if run[ID] >= 8192)
    assert together["", ""].statuses == first + later
    ended = [run for run in runs if run[STATUS] != "running" or run[ID] >= 8192]
    assert together["", ""].wait_ms == sum(max(0, run[STARTED] - (run[DUE] or run[STARTED])) for run in ended)


def test_an_index_from_before_the_figures_has_them_after_the_step(
    queue: Queue, open_queue: OpenQueue, clock: Clock, state_dir: Path
) -> None:
    store(state_dir, some_runs(100, 2, apart=200))
    before = queue.figures.of_runs("both")
    with closing(sqlite3.connect(state_dir / "agentq.db")) as index:
        index.execute("DROP INDEX task_runs_figures")
        index.executescript(Path(schema.DIRECTORY, "index", "012_figures.sql").read_text())
    with open_queue(clock) as again:
        assert again.figures.of_runs("both") == before
    with closing(sqlite3.connect(state_dir / "agentq.db")) as index:
        assert index.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.mark.slow
def test_a_hundred_thousand_runs_take_little_memory(queue: Queue, state_dir: Path) -> None:
    """Little more than the numbers of which the percentiles are."""
    peaks = []
    for more in (10_000, 90_000):
        store(state_dir, some_runs(more, 9, first=10_001 if peaks else 1))
        program = (
            "import sys; sys.argv = ['agentq', 'stats', '--json'];"
            "from agentq_cli.__main__ import main; main();"
            "status = open('/proc/self/status').read(); sys.stderr.write(status.split('VmHWM:')[1].split()[0])"
        )
        done = subprocess.run(
            [sys.executable, "-c", program],
            env={"AGENTQ_STATE_DIR": str(state_dir), "HOME": str(state_dir), "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            check=True,
            text=True,
        )
        peaks.append(int(done.stderr))
    assert peaks[1] - peaks[0] < 12 * 1024, "KiB"
