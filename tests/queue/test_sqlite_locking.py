"""Who waits for whom: a session's file is waited for before anything of the index is locked."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from queue_driver import (
    ANOTHER,
    ROOT,
    Clock,
    OpenQueue,
    claim,
    command,
    edited,
    finish,
    head_of,
    only_worker,
    outcome,
    prompt,
    start,
    submit,
)

from agentq_cli.base.errors import Busy
from agentq_cli.engines.door import Queue
from agentq_cli.engines.local import connection
from agentq_cli.model.actions import Actor
from agentq_cli.model.addresses import Address, RunId


@pytest.fixture
def reader(queue: Queue, state_dir: Path) -> Iterator[sqlite3.Connection]:
    """Two tasks in each of the sessions `a` and `b`, and somebody with an open read on the file of `a`."""
    submit(queue, *[prompt(name) for name in ("a", "a", "b", "b")])
    with closing(sqlite3.connect(state_dir / "sessions" / "a" / "inbound.db", isolation_level=None)) as database:
        database.execute("BEGIN")
        database.execute("SELECT * FROM messages_in").fetchall()
        yield database


def long(verb: Callable[[], object]) -> float:
    """How long a verb takes to be refused as busy, in seconds."""
    began = time.monotonic()
    with pytest.raises(Busy):
        verb()
    return time.monotonic() - began


def waits_for(pid: int, path: Path) -> None:
    """Wait until a process has asked for the exclusive lock of a file that is being read: it holds PENDING then."""
    pending = re.compile(rf"POSIX +ADVISORY +WRITE +{pid} +\S+:{path.stat().st_ino} +{0x40000000} ")
    deadline = time.monotonic() + 20
    while not pending.search(Path("/proc/locks").read_text()):
        assert time.monotonic() < deadline, "the process was never seen to wait"


def test_a_reader_of_one_sessions_file_delays_no_other_session(queue: Queue, reader: sqlite3.Connection) -> None:
    began = time.monotonic()
    run = start(queue, Address("b", 1))
    queue.seen_conversation(run, "demo", "c")
    queue.request_stop(run, reason="x", cancel=False, actor=Actor.USER)
    finish(queue, run)
    queue.pause(Address("b", 2), reason=None)
    queue.edit(Address("b", 2), edited(priority=3))
    queue.cancel(Address("b", 2))
    submit(queue, command("c"))
    queue.pause_agent("demo", reason=None)
    queue.upkeep.note_sweep()
    assert time.monotonic() - began < connection.BUSY_MS / 1000 / 2
    assert [message.id for message in queue.messages("b")] == ["b/1.1"]


def test_a_claim_on_a_file_that_somebody_reads_is_busy_after_a_short_wait(
    queue: Queue, reader: sqlite3.Connection
) -> None:
    head = head_of(queue, Address("a", 1))
    assert 0.05 < long(lambda: claim(queue, head)) < 3
    reader.execute("COMMIT")
    assert claim(queue, head) is not None


def test_background_steps_report_a_busy_session_after_a_short_wait(queue: Queue, reader: sqlite3.Connection) -> None:
    reader.execute("COMMIT")
    run = start(queue, Address("a", 1))
    worker = only_worker(queue)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM messages_in").fetchall()
    done = outcome(queue)
    steps: dict[str, Callable[[], object]] = {
        "finish": lambda: queue.finish(run, done, actor=Actor.SUPERVISOR, background=True),
        "stop": lambda: queue.request_stop(run, reason="r", cancel=False, actor=Actor.SWEEP, background=True),
        "adopt": lambda: queue.adopt(worker, ANOTHER),
        "expire": lambda: queue.expire(Address("a", 2), actor=Actor.SWEEP),
        "seen_conversation": lambda: queue.seen_conversation(run, "demo", "c"),
        "reindex": lambda: queue.upkeep.reindex("a", host="here"),
    }
    for name, step in steps.items():
        assert 0.05 < long(step) < 3, name
    assert queue.task(Address("a", 1)).status == "running"
    reader.execute("COMMIT")
    assert steps["finish"]() is not None


def test_a_command_waits_for_a_session_that_is_given_back(
    open_queue: OpenQueue, clock: Clock, queue: Queue, reader: sqlite3.Connection
) -> None:
    """The holder is another process, which lets go once the command has been seen to wait."""
    program = (
        "import sys, pathlib\n"
        "import queue_driver as d\n"
        "with d.Local(sys.argv[1]).open(d.Clock()) as queue:\n"
        "    print('asking', flush=True)\n"
        "    print(queue.cancel(d.Address('a', 1)).status, flush=True)\n"
    )
    environ = {"PYTHONPATH": os.pathsep.join([str(ROOT), str(Path(__file__).parent), str(Path(__file__).parents[1])])}
    with subprocess.Popen(
        [sys.executable, "-c", program, str(queue.state.path)], env=environ, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "asking\n"
        waits_for(process.pid, Path(queue.state.inbound("a")))
        reader.execute("COMMIT")
        assert process.stdout.read() == "cancelled\n"
    assert queue.task(Address("a", 1)).status == "cancelled"


def test_a_reader_of_the_index_is_waited_for_while_the_session_is_held(queue: Queue, state_dir: Path) -> None:
    (address,) = submit(queue, command("a"))
    head = head_of(queue, address)
    with closing(sqlite3.connect(state_dir / "agentq.db", isolation_level=None)) as database:
        database.execute("BEGIN")
        database.execute("SELECT * FROM tasks").fetchall()
        assert long(lambda: claim(queue, head)) < 3
        database.execute("COMMIT")
    assert claim(queue, head) is not None


def test_reading_goes_on_beside_readers(queue: Queue, reader: sqlite3.Connection) -> None:
    assert len(list(queue.tasks())) == 4
    assert len(list(queue.sessions())) == 2


def test_an_outbound_that_somebody_holds_gets_its_result_later(queue: Queue, state_dir: Path) -> None:
    first, second = submit(queue, command("a"), command("b"))
    runs = [start(queue, first), start(queue, second)]
    with closing(sqlite3.connect(state_dir / "sessions" / "a" / "outbound.db", isolation_level=None)) as agent:
        agent.execute("BEGIN IMMEDIATE")
        agent.execute("INSERT INTO messages_out VALUES ('mine', 'note', '\"x\"', 1)")
        began = time.monotonic()
        for run in runs:
            task = finish(queue, run, result={"n": 1})
            assert task is not None
            assert task.status == "completed"
        assert time.monotonic() - began < 5
        assert list(queue.upkeep.post_results()) == ["a/1.1"]
        agent.execute("COMMIT")
    assert list(queue.upkeep.post_results()) == []
    result, own = queue.messages("a")
    assert (own.id, own.content, result.id, result.content["result"]) == ("mine", "x", "a/1.1", {"n": 1})
    assert list(queue.upkeep.post_results()) == []
    assert len(list(queue.messages("a"))) == 2


def test_one_outbound_that_cannot_be_written_hides_no_other(queue: Queue, state_dir: Path) -> None:
    submit(queue, *[command(name) for name in ("a", "b") for _ in range(110)])
    moved = {name: state_dir / "sessions" / name / "outbound.db" for name in ("a", "b")}
    for path in moved.values():
        path.rename(path.with_name("away"))
    for name in ("a", "b"):
        for seq in range(1, 111):
            finish(queue, start(queue, Address(name, seq)))
    moved["b"].with_name("away").rename(moved["b"])
    assert list(queue.upkeep.post_results()) == [f"a/{seq}.1" for seq in range(1, 111)]
    assert len(list(queue.messages("b"))) == 110


def test_a_result_that_an_agent_wrote_in_its_runs_name_is_put_right(queue: Queue, state_dir: Path) -> None:
    (address,) = submit(queue, command("a"))
    run = start(queue, address)
    with closing(sqlite3.connect(state_dir / "sessions" / "a" / "outbound.db", isolation_level=None)) as agent:
        agent.execute("INSERT INTO messages_out VALUES ('a/1.1', 'system', '{\"status\": \"success\"}', 1)")
    finish(queue, run, exit_code=3)
    assert list(queue.upkeep.post_results()) == []
    (message,) = queue.messages("a")
    assert (message.kind, message.content["run"]) == ("result", "a/1.1")


# A writer that died


def test_what_a_dead_writer_left_is_rolled_back(queue: Queue, state_dir: Path) -> None:
    submit(queue, *[prompt(name, "x" * 3000) for name in ("a", "b") for _ in range(40)])
    path = state_dir / "sessions" / "a" / "inbound.db"
    before = path.read_bytes()
    program = (
        "import os, signal, sqlite3, sys\n"
        "database = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "database.execute('PRAGMA cache_size = 1')\n"
        "database.execute('BEGIN EXCLUSIVE')\n"
        "database.execute(\"UPDATE messages_in SET prompt = 'lost' || prompt, status = 'failed'\")\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    found = subprocess.run([sys.executable, "-c", program, str(path)], check=False)
    assert found.returncode == -signal.SIGKILL
    journal = path.with_name("inbound.db-journal")
    assert journal.stat().st_size
    assert path.read_bytes() != before
    assert queue.upkeep.roll_back_dead_writers() == ["a"]
    assert not journal.exists()
    assert path.read_bytes() == before
    assert queue.upkeep.roll_back_dead_writers() == []
    assert {task.status for task in queue.tasks()} == {"queued"}


def test_a_live_writer_is_left_alone_by_the_roll_back(queue: Queue, reader: sqlite3.Connection) -> None:
    reader.execute("COMMIT")
    reader.execute("BEGIN IMMEDIATE")
    reader.execute("UPDATE messages_in SET priority = 7")
    began = time.monotonic()
    queue.upkeep.roll_back_dead_writers()
    assert time.monotonic() - began < 5
    reader.execute("COMMIT")
    assert queue.task(Address("a", 1)).work.priority == 7


def test_a_run_id_is_no_way_out_of_its_session(queue: Queue) -> None:
    run = RunId("a", 1, 1)
    assert Path(queue.here.run_path(run)).parent.parent.parent == Path(queue.here.path) / "sessions"
