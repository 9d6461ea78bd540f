"""A batch over several sessions: staged in each, committed by one row, released in each; what a crash left is settled.

The crash is a step that does not come; processes that are killed at every statement are the crash tests' matter.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from queue_driver import (
    MANY,
    NOON,
    OWNER,
    Clock,
    OpenQueue,
    claim_next,
    command,
    edited,
    prompt,
    started,
    submit,
)

from agentq_cli.base.errors import Busy, NotFound, Unreadable, WrongState
from agentq_cli.engines.door import Queue
from agentq_cli.engines.local import batch as module
from agentq_cli.engines.local import connection, opening
from agentq_cli.engines.local.queries import statement
from agentq_cli.model.addresses import Address
from agentq_cli.model.tasks import NewTask
from agentq_cli.model.work import Condition, Dependency, Launch


class Killed(BaseException):
    """The process ends here: nothing below it in the stack is done any more."""


@pytest.fixture
def killed_at(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`killed_at("release", 2)`: the second call of that step never happens, and nothing after it."""

    def arrange(step: str, call: int) -> None:
        real, calls = getattr(module, step), Counter[str]()

        def stub(*arguments: Any, **options: Any) -> Any:
            calls[step] += 1
            if calls[step] >= call:
                monkeypatch.setattr(module, "drop", lambda *_, **__: None)
                raise Killed
            return real(*arguments, **options)

        monkeypatch.setattr(module, step, stub)

    return arrange


def batch_of_three(queue: Queue) -> list[Address]:
    return submit(queue, *[command(name, key="k") for name in ("a", "b", "c") for _ in range(1)], command("a"))


def settle(queue: Queue) -> None:
    """What sweep does once the owner is dead."""
    for batch, committed, sessions, owner in queue.upkeep.batches():
        assert owner == OWNER
        queue.upkeep.settle_batch(batch, committed=committed, sessions=sessions)


def staged(place: Path, session: str) -> list[str]:
    with closing(sqlite3.connect(place / "sessions" / session / "inbound.db")) as database:
        return [status for (status,) in database.execute("SELECT status FROM messages_in ORDER BY seq")]


@pytest.mark.parametrize("call", [1, 2, 3])
def test_a_batch_that_was_not_committed_is_taken_back(
    queue: Queue, monkeypatch: pytest.MonkeyPatch, killed_at: Callable[..., None], state_dir: Path, call: int
) -> None:
    submit(queue, command("a", "before"))
    killed_at("_stage", call)
    with pytest.raises(Killed):
        batch_of_three(queue)
    monkeypatch.undo()
    assert [task.work.argv for task in queue.tasks(ended=True)] == [("before",)]
    assert started(queue) == ["a/1"]
    assert len(queue.upkeep.batches()) == 1
    settle(queue)
    assert queue.upkeep.batches() == []
    assert staged(state_dir, "a") == ["running"]
    assert Counter(event.event for event in queue.events()) == {"submit": 1, "start": 1}
    found = queue.submit([command("a", key="k")], owner=OWNER, max_queued=MANY)
    assert found[0][1], "its key is free again"


@pytest.mark.parametrize("call", [1, 2, 3])
def test_a_batch_that_was_committed_is_finished_once(
    queue: Queue, monkeypatch: pytest.MonkeyPatch, killed_at: Callable[..., None], call: int
) -> None:
    real = module.session_write
    calls = Counter[bool]()

    def stub(*arguments: Any, **options: Any) -> Any:
        committed = any(row[1] for row in queue.upkeep.batches())
        calls[committed] += 1
        if calls[True] >= call:
            raise Killed
        return real(*arguments, **options)

    monkeypatch.setattr(module, "session_write", stub)
    with pytest.raises(Killed):
        batch_of_three(queue)
    monkeypatch.undo()
    ((_, committed, sessions, owner),) = queue.upkeep.batches()
    assert (committed, sessions, owner) == (True, ["a", "b", "c"], OWNER)
    assert len(list(queue.tasks())) == [0, 2, 3][call - 1]
    ((batch, _, _, _),) = queue.upkeep.batches()
    for _ in range(2):
        queue.upkeep.settle_batch(batch, committed=True, sessions=sessions)
    assert queue.upkeep.batches() == []
    assert sorted(str(task.address) for task in queue.tasks()) == ["a/1", "a/2", "b/1", "c/1"]
    assert Counter((e.session, e.seq, e.event) for e in queue.events()) == Counter(
        [("a", 1, "submit"), ("a", 2, "submit"), ("b", 1, "submit"), ("c", 1, "submit")]
    )
    assert sorted(started(queue)) == ["a/1", "b/1", "c/1"]


def test_what_is_staged_is_seen_by_nobody(
    queue: Queue, killed_at: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    killed_at("_stage", 3)
    with pytest.raises(Killed):
        batch_of_three(queue)
    monkeypatch.undo()
    assert list(queue.tasks(ended=True)) == []
    assert claim_next(queue) is None
    assert queue.unfinished() == set()
    for ask in (queue.task, queue.cancel, queue.retry, queue.prune):
        with pytest.raises(NotFound):
            ask(Address("a", 1))
    for name in ("a", "b"):
        queue.upkeep.reindex(name, host="here")
    assert list(queue.tasks(ended=True)) == []
    assert submit(queue, command("a")) == [Address("a", 3)]


def test_a_key_that_a_batch_holds_is_busy_until_the_batch_is_settled(
    queue: Queue, killed_at: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    killed_at("_stage", 3)
    with pytest.raises(Killed):
        batch_of_three(queue)
    monkeypatch.undo()
    with pytest.raises(Busy, match="'k'"):
        submit(queue, command("a", key="k"))
    (other,) = submit(queue, command("b"))
    with pytest.raises(WrongState, match="'k'"):
        queue.edit(other, edited(key="k"))
    settle(queue)
    assert submit(queue, command("a", key="k"))


def test_a_session_that_cannot_be_read_does_not_hold_up_the_rest_of_a_committed_batch(
    queue: Queue, monkeypatch: pytest.MonkeyPatch, state_dir: Path
) -> None:
    monkeypatch.setattr(module, "release", lambda *_, **__: None)
    batch_of_three(queue)
    monkeypatch.undo()
    bad = state_dir / "sessions" / "a" / "inbound.db"
    content = bad.read_bytes()
    bad.write_bytes(b"damaged, " * 1000)
    with pytest.raises(Unreadable, match=r"a/inbound\.db"):
        settle(queue)
    listed = []
    with pytest.raises(Unreadable, match=r"a/inbound\.db"):
        for task in queue.tasks():
            listed.append(str(task.address))
    assert sorted(listed) == ["b/1", "c/1"]
    assert len(queue.upkeep.batches()) == 1, "kept for the sweep that finds the file in order again"
    bad.write_bytes(content)
    settle(queue)
    assert sorted(str(task.address) for task in queue.tasks()) == ["a/1", "a/2", "b/1", "c/1"]
    assert queue.upkeep.batches() == []


def test_a_batch_that_a_session_refuses_leaves_nothing_for_sweep(queue: Queue, state_dir: Path) -> None:
    submit(queue, command("bad"))
    (state_dir / "sessions" / "bad" / "inbound.db").write_bytes(b"damaged, " * 1000)
    with pytest.raises(Unreadable, match=r"bad/inbound\.db"):
        submit(queue, command("a"), command("bad"), command("c"))
    assert queue.upkeep.batches() == []
    assert staged(state_dir, "a") == []


def test_a_session_that_is_held_after_the_commit_is_left_to_sweep_and_the_batch_counts_as_stored(
    open_queue: OpenQueue, clock: Clock, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = module.session_write

    def stub(state: Any, session: str, **options: Any) -> Any:
        if session == "a" and any(row[1] for row in queue.upkeep.batches()):
            raise Busy("somebody reads it")
        return real(state, session, **options)

    monkeypatch.setattr(module, "session_write", stub)
    assert batch_of_three(queue) == [Address("a", 1), Address("b", 1), Address("c", 1), Address("a", 2)]
    monkeypatch.undo()
    assert sorted(task.session for task in queue.tasks()) == ["b", "c"]
    settle(queue)
    assert sorted(task.session for task in queue.tasks()) == ["a", "a", "b", "c"]


INDEXED = ("tasks", "dependencies", "sessions")


def indexed(place: Path) -> dict[str, list[tuple[Any, ...]]]:
    with closing(sqlite3.connect(place / "agentq.db")) as index:
        return {table: index.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall() for table in INDEXED}


def varied() -> list[NewTask]:
    after = (Dependency(None, Condition.ANY, ref=0),)
    return [
        command("a", due_at=NOON + 1000, priority=-3, labels=("x", 'y "z"')),
        prompt("b", "p", agent="claude", expires_at=NOON + 5, key="k"),
        prompt("b", "p", context="isolated", after=after, on_dep_failure="hold"),
        command("c", after=after),
        command("c"),
    ]


def test_the_index_is_told_at_the_commit_what_the_sessions_files_say(queue: Queue, state_dir: Path) -> None:
    submit(queue, *varied())
    told = indexed(state_dir)
    assert [row[2] for row in told["tasks"]] == ["queued", "queued", "blocked", "blocked", "queued"]
    for name in ("a", "b", "c"):
        queue.upkeep.reindex(name, host="here")
    assert indexed(state_dir) == told
    found = sorted((event.session, event.seq, event.to_status, event.event, event.actor) for event in queue.events())
    assert found == [
        ("a", 1, "scheduled", "submit", "user"),
        ("b", 1, "queued", "submit", "user"),
        ("b", 2, "blocked", "submit", "user"),
        ("c", 1, "blocked", "submit", "user"),
        ("c", 2, "queued", "submit", "user"),
    ]


@pytest.mark.parametrize("act", ["claim", "cancel", "reindex"])
def test_what_is_committed_and_not_released_yet_is_released_by_whoever_comes_first(
    queue: Queue, monkeypatch: pytest.MonkeyPatch, state_dir: Path, act: str
) -> None:
    monkeypatch.setattr(module, "release", lambda *_, **__: None)
    submit(queue, *varied())
    monkeypatch.undo()
    assert staged(state_dir, "c") == ["staged", "staged"]
    if act == "claim":
        assert sorted(started(queue)) == ["b/1", "c/2"]
    elif act == "cancel":
        assert queue.cancel(Address("c", 2)).status == "cancelled"
        queue.cancel(Address("a", 1))
    else:
        before = indexed(state_dir)
        for name in ("a", "b", "c"):
            queue.upkeep.reindex(name, host="here")
        assert indexed(state_dir) == before
    for _ in range(2):
        settle(queue)
    assert queue.upkeep.batches() == []
    left = {str(task.address): task.status for task in queue.tasks(ended=True)}
    assert len(left) == 5
    assert left["c/2"] == {"claim": "running", "cancel": "cancelled", "reindex": "queued"}[act]
    assert left["c/1"] == "blocked" if act != "cancel" else left["c/1"] in ("blocked", "queued")
    assert "staged" not in [*staged(state_dir, "a"), *staged(state_dir, "b"), *staged(state_dir, "c")]
    assert Counter(event.event for event in queue.events())["submit"] == 5


def test_what_an_older_version_committed_is_told_to_the_index_by_sweep(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "release", lambda *_, **__: None)
    monkeypatch.setattr(module, "_publish", lambda *_, **__: None)
    submit(queue, *varied())
    monkeypatch.undo()
    assert list(queue.tasks()) == []
    settle(queue)
    assert len(list(queue.tasks())) == 5
    assert Counter(event.event for event in queue.events()) == {"submit": 5}


def test_the_next_address_is_that_of_the_session_whoever_made_it(state_dir: Path, queue: Queue) -> None:
    """The index has a table of the same name as the one that counts addresses."""
    early = state_dir / "early.db"
    with closing(sqlite3.connect(early, isolation_level=None)) as looked:
        assert looked.execute("SELECT count(*) FROM sqlite_schema").fetchone() == (0,)
        submit(queue, command("a"), command("a"))
        with closing(sqlite3.connect(queue.state.inbound("a"))) as other, closing(sqlite3.connect(early)) as made:
            other.backup(made)
        looked.execute("ATTACH ? AS idx", (str(queue.state.index),))
        looked.execute("BEGIN EXCLUSIVE")
        assert looked.execute(statement("write.next_seq")).fetchone() == (3,)
        looked.execute("COMMIT")


def test_a_batch_syncs_each_session_a_few_times_only(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    """A session that is new is laid with its tasks and written once, to release them; one that is there, twice."""
    commits: list[str] = []
    execute = connection.NamedConnection.execute

    def counting(self: connection.NamedConnection, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        if sql == "COMMIT":
            commits.append(Path(self.path).parent.name if self.path.endswith("/inbound.db") else Path(self.path).name)
        return execute(self, sql, parameters)

    monkeypatch.setattr(connection.NamedConnection, "execute", counting)
    synced: Counter[str] = Counter()
    for name in ("fsync", "fdatasync"):
        monkeypatch.setattr(os, name, lambda descriptor: synced.update([os.readlink(f"/proc/self/fd/{descriptor}")]))
    ten = [command(f"s{number % 10}") for number in range(40)]
    submit(queue, *ten)
    assert Counter(commits) == {"agentq.db": 3} | {f"s{number}": 1 for number in range(10)}
    directory = str(Path(queue.state.path) / "sessions")
    assert (synced[directory], synced[str(queue.state.path)]) == (1, 1)
    for number in range(10):
        # Its directory once, and once each of its two files, which have no name yet.
        assert sum(count for path, count in synced.items() if path.startswith(f"{directory}/s{number}/")) == 2
        assert synced[f"{directory}/s{number}"] == 1
    commits.clear()
    synced.clear()
    submit(queue, *ten)
    assert Counter(commits) == {"agentq.db": 3} | {f"s{number}": 2 for number in range(10)}
    assert not synced, "but those that SQLite does"


def test_a_new_session_that_somebody_else_makes_meanwhile_is_not_laid_over(
    queue: Queue, open_queue: OpenQueue, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = opening.lay

    def slow(path: Path, content: bytes) -> bool:
        monkeypatch.setattr(opening, "lay", real)
        assert submit(open_queue(clock), command("a", "first")) == [Address("a", 1)]
        return real(path, content)

    monkeypatch.setattr(
        opening, "lay", lambda path, content: (slow if path.endswith("/inbound.db") else real)(path, content)
    )
    assert submit(queue, command("a"), command("b")) == [Address("a", 2), Address("b", 1)]
    assert len(list(queue.tasks())) == 3


def test_where_the_file_system_has_no_files_without_a_name_sqlite_makes_them(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(path: Any, flags: int, *more: Any, **named: Any) -> int:
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(errno.EOPNOTSUPP, "not here")
        return opened(path, flags, *more, **named)

    opened = os.open
    monkeypatch.setattr(os, "open", refused)
    assert submit(queue, command("a"), command("b")) == [Address("a", 1), Address("b", 1)]
    assert submit(queue, command("c")) == [Address("c", 1)]
    assert len(list(queue.tasks())) == 3


def test_many_sessions_are_stored_at_once_or_not_at_all(queue: Queue, state_dir: Path) -> None:
    """Of two errors the one is told that comes first in the batch, whichever is found first."""
    names = [f"s{number}" for number in range(20)]
    submit(queue, *[command(names[number], "other", key="k") for number in (6, 7)])
    for _ in range(5):
        with pytest.raises(WrongState, match=r"line 6: key 'k': s6/1 holds it"):
            submit(queue, *[command(name, key="k", line=line) for line, name in enumerate(names)])
    assert sorted(str(task.address) for task in queue.tasks()) == ["s6/1", "s7/1"]
    assert queue.upkeep.batches() == []
    there = [name for name in names if (state_dir / "sessions" / name / "inbound.db").exists()]
    assert [status for name in there for status in staged(state_dir, name)] == ["queued"] * 2
    addresses = submit(queue, *[command(name, key="l", launch=Launch(tz=name)) for name in names])
    assert [queue.task(address).work.launch.tz for address in addresses] == names
    assert len(started(queue, jobs=99)) == 20
    assert queue.upkeep.batches() == []
