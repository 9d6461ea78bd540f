"""Figures by SQL: they are those that counting by hand gives, and one read after the other blocks nobody for long."""

from __future__ import annotations

import math
import random
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from queue_driver import NOON

from agentq_cli.engines.door import Queue
from agentq_cli.engines.shared import stats
from agentq_cli.model.addresses import Address

INSERT = """
INSERT INTO task_runs (session, seq, attempt, "trigger", agent, argv, cwd, scheduled_for, started_at, duration_ms,
                       status, failure_class, tokens_in, tokens_out, cost_usd, host)
VALUES (?, ?, 1, ?, ?, '[]', '/', ?, ?, ?, ?, ?, ?, ?, ?, 'h')
"""
Run = tuple[Any, ...]
SESSION, SEQ, TRIGGER, AGENT, DUE, STARTED, TOOK, STATUS, CLASS, IN, OUT, COST = range(12)


def some_runs(count: int, seed: int) -> list[Run]:
    chance = random.Random(seed)
    found = []
    for seq in range(1, count + 1):
        status = chance.choice(["success", "success", "error", "crashed", "running", "skipped"])
        due = NOON + chance.randrange(10_000)
        found.append(
            (
                chance.choice("abc"),
                seq,
                chance.choice(["submit", "retry"]),
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


def rank(values: Sequence[int], percent: int) -> int | None:
    """The nearest rank."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)] if ordered else None


def waits(runs: Iterable[Run]) -> list[int]:
    return [0 if run[DUE] is None else max(0, run[STARTED] - run[DUE]) for run in runs]


def check(figures: stats.Figures, runs: Sequence[Run]) -> None:
    ended = [run for run in runs if run[STATUS] != "running"]
    assert figures.runs == len(runs)
    assert figures.statuses == {s: sum(r[STATUS] == s for r in runs) for s in {r[STATUS] for r in runs}}
    assert figures.failures == {c: sum(r[CLASS] == c for r in runs) for c in {r[CLASS] for r in runs if r[CLASS]}}
    assert figures.retries == sum(run[TRIGGER] == "retry" for run in runs)
    assert figures.tokens_in == pytest.approx(sum(run[IN] or 0 for run in runs))
    assert figures.tokens_out == sum(run[OUT] or 0 for run in runs)
    assert figures.cost_usd == pytest.approx(sum(run[COST] or 0 for run in runs))
    for found, values in ((figures.duration, [run[TOOK] for run in ended]), (figures.wait, waits(ended))):
        assert [found.p50, found.p90, found.p99] == [rank(values, percent) for percent in (50, 90, 99)]
        assert found.longest == max(values, default=None)


GROUPS: dict[str, Callable[[Run], stats.FiguresKey]] = {
    "all": lambda run: ("", ""),
    "session": lambda run: (run[SESSION], ""),
    "agent": lambda run: ("", run[AGENT] or ""),
    "both": lambda run: (run[SESSION], run[AGENT] or ""),
}


@pytest.mark.parametrize(("count", "seed"), [(0, 0), (1, 1), (2, 2), (99, 3), (101, 4), (700, 5)])
def test_figures_are_those_of_counting_by_hand(
    queue: Queue, state_dir: Path, monkeypatch: pytest.MonkeyPatch, count: int, seed: int
) -> None:
    monkeypatch.setattr(stats, "RANGE", 64)
    runs = some_runs(count, seed)
    store(state_dir, runs)
    since = NOON + 6000
    for session, begin in ((None, None), ("b", None), (None, since), ("c", since)):
        meant = [r for r in runs if session in (None, r[SESSION]) and (begin is None or r[STARTED] >= begin)]
        with queue.figures.copied_runs(session=session, since=begin) as copy:
            for group, key in GROUPS.items():
                found = copy.figures(group)
                assert set(found) == {key(run) for run in meant}
                for name, figures in found.items():
                    check(figures, [run for run in meant if key(run) == name])


def test_counters_never_go_back_when_runs_are_pruned(queue: Queue, state_dir: Path) -> None:
    from queue_driver import command, submit

    addresses = submit(queue, *[command(session) for session in "aabbcc" for _ in range(10)])
    for address in addresses:
        queue.cancel(address)
    runs = [(address.session, address.seq, *run[2:]) for address, run in zip(addresses, some_runs(60, 7), strict=True)]
    store(state_dir, runs)

    def counted() -> dict[stats.FiguresKey, tuple[object, ...]]:
        with queue.figures.copied_runs() as copy:
            found = queue.figures.run_counters(copy)
        return {
            key: (f.statuses, f.failures, f.retries, f.tokens_out, round(f.cost_usd, 6), f.duration_ms, f.wait_ms)
            for key, f in found.items()
        }

    before = counted()
    assert all("running" not in statuses for statuses, *_ in before.values())
    for address in addresses[::2]:
        queue.prune(Address(*address))
    assert counted() == before
    with queue.figures.copied_runs() as copy:
        assert copy.figures("all")["", ""].runs == 30


def test_a_copy_holds_no_lock(queue: Queue, state_dir: Path) -> None:
    store(state_dir, some_runs(50, 8))
    with queue.figures.copied_runs() as copy:
        copy.figures("session")
        with closing(sqlite3.connect(state_dir / "agentq.db", timeout=0, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            other.execute("ROLLBACK")


@pytest.mark.slow
def test_a_hundred_thousand_runs_take_little_memory(queue: Queue, state_dir: Path) -> None:
    """Bounded by the pages that SQLite keeps and one range of rows: ten times the runs take no more of it."""
    peaks = []
    for more in (10_000, 90_000):
        taken = 0 if not peaks else 10_000
        store(state_dir, [(*run[:1], run[1] + taken, *run[2:]) for run in some_runs(more, 9)])
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
