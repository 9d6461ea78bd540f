"""What a start and a finish cost in statements, commits and opened files, however many wait."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from queue_driver import MANY, NOON, Clock, OpenQueue, claim, command, finish, submit, widths

from agentq_cli.base.errors import AgentqError, Unreadable
from agentq_cli.engines.door import Queue
from agentq_cli.engines.local import connection, rehearsal
from agentq_cli.engines.steps.heads import Heads
from agentq_cli.policy import order


@contextmanager
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[str]]:
    """The statements that are carried out, by their first word, and the files that are opened."""
    found: Counter[str] = Counter()
    execute, opened = connection.NamedConnection.execute, rehearsal.open_file

    def counting(self: connection.NamedConnection, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        found[sql.split()[0]] += 1
        return execute(self, sql, parameters)

    def opening(path: Path, *what: Any, **how: Any) -> connection.NamedConnection:
        found["open"] += 1
        return opened(path, *what, **how)

    with monkeypatch.context() as patched:
        patched.setattr(connection.NamedConnection, "execute", counting)
        patched.setattr(rehearsal, "open_file", opening)
        yield found


def pick(heads: Heads) -> order.Head:
    head = heads.pick(now=NOON, jobs=MANY, ageing_ms=3_600_000, parallel=widths())
    assert head is not None
    return head


def run_next(queue: Queue, heads: Heads) -> None:
    """One task from its pick to its end, as a supervisor takes it there."""
    head = pick(heads)
    heads.doubt(head.session)
    claimed = claim(queue, head)
    assert claimed is not None
    assert finish(queue, claimed.run) is not None


def cost(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """What one more task costs that is run by a process that has run some."""
    queue.keep_connections()
    heads = queue.heads()
    for _ in range(3):
        run_next(queue, heads)
    with counted(monkeypatch) as found:
        run_next(queue, heads)
    return found


def test_a_start_costs_the_same_however_many_wait(
    open_queue: OpenQueue, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = open_queue(clock)
    submit(queue, *[command("a") for _ in range(9)])
    alone = cost(queue, monkeypatch)
    submit(queue, *[command(f"s{n}", priority=-1) for n in range(200)])
    submit(queue, *[command("a", due_at=NOON + 1 + n) for n in range(200)])
    assert cost(queue, monkeypatch) == alone


def test_a_task_costs_three_commits_and_no_opened_file(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    submit(queue, *[command("a") for _ in range(30)])
    queue.keep_connections()
    heads = queue.heads()
    run_next(queue, heads)
    with counted(monkeypatch) as found:
        for _ in range(20):
            run_next(queue, heads)
    # The claim, the row of its result, the finish; the fourth begin and commit is the pick's, which reads.
    assert (found["open"], found["BEGIN"], found["COMMIT"]) == (0, 80, 80)


def test_a_kept_file_that_was_replaced_is_opened_anew(
    queue: Queue, state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue.keep_connections()
    heads = queue.heads()
    submit(queue, command("a"), command("a"))
    run_next(queue, heads)
    inbound = state_dir / "sessions" / "a" / "inbound.db"
    shutil.copy(inbound, inbound.with_name("copy"))
    os.replace(inbound.with_name("copy"), inbound)
    with counted(monkeypatch) as found:
        run_next(queue, heads)
    assert found["open"] == 1
    with closing(sqlite3.connect(inbound)) as database:
        ended = database.execute("SELECT seq, status FROM messages_in ORDER BY seq").fetchall()
    assert ended == [(1, "completed"), (2, "completed")]


@pytest.mark.parametrize("name", ["sessions/a/inbound.db", "agentq.db"])
def test_a_kept_file_that_a_newer_agentq_has_taken_is_left_alone(queue: Queue, state_dir: Path, name: str) -> None:
    queue.keep_connections()
    heads = queue.heads()
    submit(queue, command("a"), command("a"))
    run_next(queue, heads)
    with closing(sqlite3.connect(state_dir / name)) as database:
        database.execute("PRAGMA user_version = 99")
    before = (state_dir / name).read_bytes()
    with pytest.raises(Unreadable, match="newer agentq"):
        run_next(queue, heads)
    assert (state_dir / name).read_bytes() == before


def test_a_kept_outbound_in_which_the_agent_put_code_is_not_written_to(queue: Queue, state_dir: Path) -> None:
    queue.keep_connections()
    heads = queue.heads()
    submit(queue, command("a"), command("a"))
    run_next(queue, heads)
    with closing(sqlite3.connect(state_dir / "sessions" / "a" / "outbound.db")) as database:
        database.execute("CREATE TRIGGER t AFTER INSERT ON messages_out BEGIN SELECT randomblob(1000000000); END")
        database.commit()
    run_next(queue, heads)
    assert [str(run) for run in queue.upkeep.post_results()] == ["a/2.1"]
    with closing(sqlite3.connect(state_dir / "sessions" / "a" / "outbound.db")) as database:
        assert database.execute("SELECT id FROM messages_out").fetchall() == [("a/1.1",)]


def test_released_connections_are_closed(queue: Queue, state_dir: Path) -> None:
    def opened() -> set[str]:
        found = set()
        for name in os.listdir("/proc/self/fd"):
            with suppress(FileNotFoundError):  # the listing's own
                path = Path(os.readlink(f"/proc/self/fd/{name}"))
                found.update({path.name} if path.is_relative_to(state_dir) else ())
        return found

    queue.keep_connections()
    submit(queue, command("a"))
    run_next(queue, queue.heads())
    assert opened() == {"agentq.db", "inbound.db", "outbound.db"}
    queue.rest()
    assert opened() == {"agentq.db"}


def test_kept_heads_see_what_changed_without_an_event(open_queue: OpenQueue, clock: Clock, state_dir: Path) -> None:
    queue = open_queue(clock)
    submit(queue, command("a"), command("b"))
    heads = queue.heads()
    assert pick(heads).session == "a"
    with closing(sqlite3.connect(state_dir / "agentq.db")) as database:
        database.execute("DELETE FROM tasks WHERE session = 'a'")
        database.commit()
    # Picked once more, for nothing said so; the claim finds it out, and its session is looked at again.
    assert pick(heads).session == "a"
    other = open_queue(clock)
    list(other.upkeep.reindex("a", host="here"))
    assert pick(heads).session == "a"
    with closing(sqlite3.connect(state_dir / "agentq.db")) as database:
        database.execute("DELETE FROM tasks WHERE session = 'a'")
        database.commit()
    heads.doubt("a")
    assert pick(heads).session == "b"
    list(other.upkeep.reindex("a", host="here"))
    assert pick(heads).session == "a"


def test_an_agentq_error_leaves_no_half_used_connection(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    queue.keep_connections()
    heads = queue.heads()
    submit(queue, command("a"), command("a"))
    run_next(queue, heads)
    head = pick(heads)

    before = iter([1])

    def broken(_: str) -> int | None:
        for width in before:  # of the candidate; the claim asks again, under the lock
            return width
        raise AgentqError("no width")

    with pytest.raises(AgentqError, match="no width"):
        claim(queue, head, parallel=broken)
    with counted(monkeypatch) as found:
        run_next(queue, heads)
    assert found["open"] == 1
