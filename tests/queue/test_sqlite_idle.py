"""What a sweep looks at before it opens anything: where that has nothing to do, the whole pass has nothing either."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from queue_driver import OpenQueue, claim_next, command, finish, prompt, submit
from sampling import WIDE, chance
from sweep_worlds import ACTS, HOUR, corrupt, gone, here, run_one, supervise, write_outbound

from agentq_cli.base import clock
from agentq_cli.base.clock import Clock
from agentq_cli.base.errors import AgentqError
from agentq_cli.config.configuration import Config
from agentq_cli.engines.local import idle, seen
from agentq_cli.engines.local.queue import LocalQueue as Queue
from agentq_cli.host import process
from agentq_cli.policy.schedule import Kind, Schedule
from agentq_cli.supervise import wake
from agentq_cli.supervise.sweep import Sweep


@pytest.fixture
def real(open_queue: OpenQueue, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Queue:
    """A queue in real time, in an environment that sets nothing."""
    for name in [name for name in os.environ if name.startswith(("AGENTQ_", "XDG_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    return open_queue(Clock())  # type: ignore[arg-type]


def old_enough(queue: Queue) -> None:
    """Wait until what was written last is no longer as young as the clock's tick: a stamp of it holds from then on."""
    sessions = Path(queue.state.path) / "sessions"
    homes = [path for path in sessions.iterdir() if not path.is_symlink()]
    for path in (sessions, *homes, *(file for home in homes for file in home.glob("*.db"))):
        while not clock.settled(path.lstat().st_ctime_ns):
            time.sleep(0.001)


def as_seen(queue: Queue) -> None:
    """Every file as if it had been looked into just now, so that the quick look has only the index to go by."""
    old_enough(queue)
    sessions = str(Path(queue.state.path) / "sessions")
    with closing(sqlite3.connect(queue.state.index)) as index, index:
        for (name,) in index.execute("SELECT name FROM sessions").fetchall():
            stamps = (seen.inbound(sessions, name), seen.outbound(sessions, name), name)
            index.execute("UPDATE sessions SET seen = ?, outbound_stamp = ? WHERE name = ?", stamps)
        index.execute("INSERT OR REPLACE INTO meta VALUES ('sessions_seen', ?)", (seen.directory(sessions, index),))


def whole_pass(queue: Queue) -> list[str]:
    """What a sweep does and finds wrong."""
    one = Sweep(queue, Config(path="none"), "here", {})
    done = [f"{action.action} {action.session}: {action.detail}" for action in one.run()]
    return done + list(one.failed)


def test_where_the_quick_look_finds_nothing_to_do_the_whole_pass_does_nothing(
    real: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wake, "ensure_supervisor", lambda queue, sessions: 1)
    counts = {True: 0, False: 0}
    seeds = chance("idle").sample(range(1 << 32), 25 * WIDE)
    for seed in seeds:
        place = Path(real.state.path) / f"of-{seed}"
        with Queue.open(str(place), Clock(), create=True) as queue:
            draw = random.Random(seed)
            for act in draw.choices([act for _, act in ACTS], [often for often, _ in ACTS], k=draw.randint(1, 4)):
                with contextlib.suppress(AgentqError):
                    act(queue, draw)
                if draw.random() < 0.4:
                    whole_pass(queue)
            if draw.random() < 0.6:
                as_seen(queue)
            for _ in range(2):
                quick = idle.sweep({}, {"state_dir": str(place)})
                counts[quick] += 1
                old_enough(queue)
                found = whole_pass(queue)
                assert not (quick and found), (seed, found)
                if not found and not queue.workers() and not queue.unfinished():
                    # What was done and remembered is not done again: from now on it is quick.
                    assert idle.sweep({}, {"state_dir": str(place)}), seed
    assert min(counts.values()) > len(seeds) // 10, counts


SERIES = Schedule(Kind.EVERY, every_ms=HOUR, start=HOUR)

STATES: dict[str, tuple[bool, Callable[[Queue], object]]] = {
    "only later": (True, lambda q: submit(q, command(due_at=q.now + HOUR))),
    "due, and a supervisor is there": (True, lambda q: (supervise(q, here(q)), submit(q, command()))),
    "a supervisor's run": (True, lambda q: (supervise(q, here(q)), submit(q, command()), run_one(q, end=False))),
    "due, and nobody is there": (False, lambda q: submit(q, command())),
    "due, and nobody looks after its session": (False, lambda q: (supervise(q, here(q, ("a",))), submit(q, command()))),
    "the series' missed slots": (
        False,
        lambda q: (supervise(q, here(q)), submit(q, command(due_at=q.now - HOUR, schedule=SERIES))),
    ),
    "a run whose supervisor stands still": (
        False,
        lambda q: (supervise(q, here(q, (), 60_000)), submit(q, command()), run_one(q, end=False)),
    ),
    "a run of nobody known": (False, lambda q: (submit(q, command()), run_one(q, end=False))),
    "a supervisor that is gone": (False, lambda q: supervise(q, gone(q))),
    "a newer schema": (False, lambda q: newer(q)),
}


def newer(queue: Queue) -> None:
    with closing(sqlite3.connect(queue.state.index)) as index:
        index.execute("PRAGMA user_version = 999")


@pytest.mark.parametrize("state", STATES)
def test_the_quick_look_knows_what_is_work(real: Queue, state: str) -> None:
    quick, prepare = STATES[state]
    prepare(real)
    as_seen(real)
    assert idle.sweep({}, {"state_dir": real.state.path}) is quick


def test_of_very_many_sessions_each_has_its_turn(real: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seen, "SOME", 3)
    names = [f"s{number}" for number in range(10)]
    submit(real, *(command(name, due_at=real.now + HOUR) for name in names))
    old_enough(real)
    assert whole_pass(real) == []
    looked: list[str] = []
    monkeypatch.setattr(seen, "inbound", lambda sessions, name: looked.append(name) or stamp(sessions, name))
    rounds = []
    for _ in range(8):
        looked.clear()
        assert idle.sweep({}, {"state_dir": real.state.path})
        rounds.append(looked.copy())
    assert [len(each) for each in rounds] == [3, 3, 1, 3] * 2, "a few at a time, and so the next ones"
    assert [name for each in rounds[:4] for name in each] in (names[k:] + names[:k] for k in range(10))


stamp = seen.inbound


def test_what_breaks_among_very_many_is_named_within_one_round(real: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seen, "SOME", 3)
    submit(real, *(command(f"s{number}", due_at=real.now + HOUR) for number in range(10)))
    whole_pass(real)
    corrupt(real, "s8")
    told = [whole_pass(real) for _ in range(4)]
    assert sum("s8" in found for found in told) == 1


def test_of_very_many_those_that_run_and_that_ran_last_have_no_turn_to_wait_for(
    real: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seen, "SOME", 2)
    real.register(here(real))
    submit(real, *(command(f"s{number}", due_at=real.now + HOUR) for number in range(10)))
    submit(real, command("ran"), command("runs"))
    for _ in range(2):
        claimed = claim_next(real, supervisor=process.current())
        assert claimed is not None
        if claimed.task.session == "ran":
            finish(real, claimed.run)
    for _ in range(12):
        assert {"ran", "runs"} <= set(real.upkeep.inspection().sessions)
        whole_pass(real)


def test_a_request_in_an_outbound_db_is_found_by_the_quick_look(real: Queue) -> None:
    submit(real, command("a", due_at=real.now + HOUR))
    old_enough(real)
    whole_pass(real)
    quick = {"state_dir": real.state.path}
    assert idle.sweep({}, quick)
    write_outbound(real, "a")
    assert not idle.sweep({}, quick)
    old_enough(real)
    assert [told.partition(": action")[0] for told in whole_pass(real)] == ["request a: refused"]
    old_enough(real)
    whole_pass(real)
    assert idle.sweep({}, quick)


DIES = """
import os, signal, sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute("PRAGMA cache_size = 1")
database.execute("BEGIN EXCLUSIVE")
database.execute(f"UPDATE {sys.argv[2]} = 'lost' || {sys.argv[2].split()[-1]}")
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize(
    ("kind", "column"), [("inbound", "messages_in SET prompt"), ("outbound", "messages_out SET content")]
)
def test_what_a_dead_writer_left_since_the_last_sweep_is_rolled_back(real: Queue, kind: str, column: str) -> None:
    submit(real, *(prompt("a", "x" * 3000, due_at=real.now + HOUR) for _ in range(40)))
    with closing(sqlite3.connect(real.state.outbound("a"))) as database, database:
        said = [(f"m{number}", "x" * 3000) for number in range(40)]
        database.executemany("INSERT INTO messages_out VALUES (?, 'note', ?, 0)", said)
    old_enough(real)
    whole_pass(real)
    quick = {"state_dir": real.state.path}
    whole_pass(real)
    assert idle.sweep({}, quick)
    path = Path(real.state.session("a"), f"{kind}.db")
    before, times = path.read_bytes(), path.stat()
    died = subprocess.run([sys.executable, "-c", DIES, str(path), column], check=False)
    assert died.returncode == -signal.SIGKILL
    # As if it had died a moment earlier, when only the journal was written.
    path.write_bytes(before)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert path.with_name(f"{kind}.db-journal").stat().st_size
    assert not idle.sweep({}, quick)
    assert whole_pass(real) == []
    assert not path.with_name(f"{kind}.db-journal").exists()


def test_the_quick_look_costs_as_much_with_many_sessions_tasks_and_runs(real: Queue) -> None:
    def steps() -> int:
        counted: list[int] = []
        with closing(sqlite3.connect(real.state.index)) as index:
            index.set_progress_handler(lambda: counted.append(1), 10)
            index.execute(seen.SWEEP["idle"], {"now": real.now, "before": None}).fetchall()
            seen.in_turn(index)
            seen.next_position(index)
        return len(counted)

    def more(first: int, last: int) -> None:
        with closing(sqlite3.connect(real.state.index)) as index, index:
            names = [(f"s{number:05}",) for number in range(first, last)]
            index.executemany("INSERT INTO sessions (name, created_at, seen) VALUES (?, 0, 'so')", names)

    more(0, 300)
    few = steps()
    more(300, 6000)
    submit(real, *(command("one", due_at=real.now + HOUR) for _ in range(2000)))
    with closing(sqlite3.connect(real.state.index)) as index, index:
        index.execute("UPDATE sessions SET seen = 'so'")
    assert 0 < steps() <= few * 1.05
