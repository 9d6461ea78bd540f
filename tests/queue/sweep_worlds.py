"""What a sweep may find: acts of people, agents and crashes from which worlds are drawn."""

from __future__ import annotations

import json
import os
import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from queue_driver import OWNER, SUPERVISOR, claim_next, command, finish, prompt, submit

from agentq_cli.base.clock import monotonic_ms
from agentq_cli.base.identity import Identity
from agentq_cli.engines.door import Queue
from agentq_cli.host import process
from agentq_cli.host.records import Exit, Start
from agentq_cli.model.addresses import RunId
from agentq_cli.model.work import Condition, Dependency
from agentq_cli.model.workers import Supervisor
from agentq_cli.policy.schedule import Kind, Schedule

HOUR = 3_600_000


def here(queue: Queue, sessions: tuple[str, ...] = (), age_ms: int = 0) -> Supervisor:
    """This process as a supervisor that renewed its row so long ago."""
    return Supervisor(process.current(), 2, sessions, queue.now, monotonic_ms() - age_ms)


def gone(queue: Queue) -> Supervisor:
    return Supervisor(SUPERVISOR, 2, (), queue.now, monotonic_ms())


def supervise(queue: Queue, supervisor: Supervisor) -> None:
    queue.leave(supervisor.identity)
    queue.register(supervisor)


def corrupt(queue: Queue, name: str) -> None:
    path = Path(queue.state.inbound(name))
    if path.exists():
        path.write_bytes(b"no database, " * 99)


def write_outbound(queue: Queue, name: str) -> None:
    if os.path.exists(queue.state.outbound(name)):
        with closing(sqlite3.connect(queue.state.outbound(name), isolation_level=None)) as database:
            # Such a commit leaves no trace in the directory.
            database.execute("PRAGMA journal_mode = MEMORY")
            database.execute("INSERT OR IGNORE INTO messages_out VALUES ('m', 'system', '{}', 0)")


def run_one(queue: Queue, *, end: bool) -> None:
    claimed = claim_next(queue, supervisor=process.current())
    if claimed is not None and end:
        finish(queue, claimed.run)


def leave_batch(queue: Queue) -> None:
    with closing(sqlite3.connect(queue.state.index, isolation_level=None)) as index:
        index.execute("INSERT OR IGNORE INTO batches VALUES ('b', 0, '[\"a\"]', ?, ?, ?)", tuple(OWNER))


def depend(queue: Queue) -> None:
    """A task of one session that waits for another's, which ends now."""
    (first,) = submit(queue, command("a"))
    submit(queue, command("b", after=(Dependency(first, Condition.ANY),)))
    queue.cancel(first)


ACTS: list[tuple[int, Callable[[Queue, random.Random], object]]] = [
    (3, lambda q, r: submit(q, command(r.choice("abc"), due_at=q.now + HOUR))),
    (2, lambda q, r: submit(q, command(r.choice("abc")))),
    (1, lambda q, r: submit(q, command("a", due_at=q.now + HOUR, expires_at=q.now - 1))),
    (
        1,
        lambda q, r: submit(
            q, command("b", due_at=q.now - HOUR, schedule=Schedule(Kind.EVERY, every_ms=HOUR, start=q.now - HOUR))
        ),
    ),
    (3, lambda q, r: supervise(q, here(q, r.choice([(), (), ("a",)]), r.choice([0, 0, 10_000, 60_000])))),
    (1, lambda q, r: supervise(q, gone(q))),
    (2, lambda q, r: run_one(q, end=True)),
    (1, lambda q, r: run_one(q, end=False)),
    (1, lambda q, r: corrupt(q, r.choice("abc"))),
    (1, lambda q, r: write_outbound(q, r.choice("abc"))),
    (1, lambda q, r: leave_batch(q)),
    (1, lambda q, r: depend(q)),
    (1, lambda q, r: q.pause_agent(None, reason=None)),
    (1, lambda q, r: (Path(q.state.path) / "sessions" / "stray").mkdir(exist_ok=True)),
    (1, lambda q, r: os.path.lexists(at := q.state.session("linked")) or os.symlink("/", at)),
]


def claim(queue: Queue, supervisor: Identity = SUPERVISOR) -> RunId | None:
    """A run of a supervisor that is gone, whose directory is there."""
    claimed = claim_next(queue, supervisor=supervisor)
    if claimed is None:
        return None
    queue.here.run(claimed.run).create()
    return claimed.run


def end_run(queue: Queue, code: int) -> None:
    """One that has ended, which nobody has recorded."""
    if (run := claim(queue)) is not None:
        queue.here.run(run).reserve_exit().write(Exit(code, None, None, None, False, queue.now, 5, None, 0, 0))


def lose_keeper(queue: Queue) -> None:
    if (run := claim(queue)) is not None:
        shim = Identity(4_194_303, 1, process.boot_id())
        queue.here.run(run).write_start(Start(shim, queue.now, monotonic_ms(), None))


def spoil_runs(queue: Queue, name: str) -> None:
    """As an agent can: what should be the directory of its session's runs is a file."""
    directory = Path(queue.state.session(name))
    if (directory / "inbound.db").exists() and not (directory / "runs").exists():
        (directory / "runs").write_text("")


def ask(queue: Queue, name: str, content: dict[str, Any]) -> None:
    if os.path.exists(queue.state.outbound(name)):
        with closing(sqlite3.connect(queue.state.outbound(name), isolation_level=None)) as database:
            (number,) = database.execute("SELECT count(*) FROM messages_out").fetchone()
            row = (f"ask-{number}", "system", json.dumps(content), 0)
            database.execute("INSERT OR IGNORE INTO messages_out VALUES (?, ?, ?, ?)", row)


REQUESTS = [
    {"action": "schedule_task", "prompt": "more", "in": "1h"},
    {"action": "cancel_task", "task": 1},
    {"action": "pause_task", "task": 2},
    {"action": "schedule_task", "argv": ["rm"]},
]

CRASHES: list[tuple[int, Callable[[Queue, random.Random], object]]] = [
    (3, lambda q, r: end_run(q, r.choice([0, 0, 1]))),
    (2, lambda q, r: lose_keeper(q)),
    (2, lambda q, r: claim(q)),
    (1, lambda q, r: spoil_runs(q, r.choice("abc"))),
    (2, lambda q, r: submit(q, prompt(r.choice("abc")))),
    (2, lambda q, r: ask(q, r.choice("abc"), r.choice(REQUESTS))),
    (1, lambda q, r: submit(q, command("a", after=(Dependency(submit(q, command("b"))[0], Condition.SUCCESS),)))),
]
