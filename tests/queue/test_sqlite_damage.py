"""A corrupt, truncated or newer file: refused, left byte for byte, and no other session suffers."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from queue_driver import (
    ANOTHER,
    Clock,
    OpenQueue,
    claim_next,
    command,
    edited,
    ended,
    finish,
    head_of,
    prompt,
    start,
    submit,
)
from queue_driver import claim as try_to_claim

from agentq_cli.base.errors import Unreadable
from agentq_cli.engines.door import Queue
from agentq_cli.model.actions import Actor
from agentq_cli.model.addresses import Address, RunId


def header(path: Path) -> None:
    path.write_bytes(b"this is no database, " * 500)


def pages(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:4096] + b"\xa5" * (len(content) - 4096))


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: 4096 * 2])


def cut_in_a_page(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:1000])


def newer(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA user_version = 999")


def other_program(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE bookmarks (url)")


def emptied(path: Path) -> None:
    path.write_bytes(b"")


DAMAGE: list[Callable[[Path], None]] = [header, pages, truncated, cut_in_a_page, newer, other_program, emptied]


@pytest.fixture
def bad(queue: Queue, state_dir: Path) -> Path:
    """Sessions `bad` and `good`, each with a running, an ended and ten waiting tasks; the inbound.db of `bad`."""
    for name in ("bad", "good"):
        submit(queue, *[prompt(name, "x" * 500, context="isolated") for _ in range(12)])
        ended(queue, Address(name, 1))
        start(queue, Address(name, 2))
    return state_dir / "sessions" / "bad" / "inbound.db"


VERBS: dict[str, Callable[[Queue], object]] = {
    "task": lambda q: q.task(Address("bad", 1)),
    "list": lambda q: list(q.tasks(session="bad")),
    "submit": lambda q: submit(q, command("bad")),
    "cancel": lambda q: q.cancel(Address("bad", 3)),
    "pause": lambda q: q.pause(Address("bad", 3), reason=None),
    "resume": lambda q: q.resume(Address("bad", 3)),
    "edit": lambda q: q.edit(Address("bad", 3), edited(priority=1)),
    "retry": lambda q: q.retry(Address("bad", 1)),
    "prune": lambda q: q.prune(Address("bad", 1)),
    "expire": lambda q: q.expire(Address("bad", 3), actor=Actor.SWEEP),
    "pause_session": lambda q: q.pause_session("bad", reason=None, paused=True),
    "finish": lambda q: finish(q, RunId("bad", 2, 1)),
    "undo_claim": lambda q: q.undo_claim(RunId("bad", 2, 1), actor=Actor.SWEEP, reason="x"),
    "adopt": lambda q: q.adopt(q.worker(Address("bad", 2)), ANOTHER),  # type: ignore[arg-type]
    "request_stop": lambda q: q.request_stop(RunId("bad", 2, 1), reason="x", cancel=True, actor=Actor.USER),
    "seen_conversation": lambda q: q.seen_conversation(RunId("bad", 2, 1), "demo", "c"),
    "runs": lambda q: list(q.runs(address=Address("bad", 1))),
    "reindex": lambda q: q.upkeep.reindex("bad", host="here"),
    "batch": lambda q: submit(q, command("good"), command("bad"), command("third")),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_every_verb_refuses_a_damaged_session_and_leaves_its_file_byte_for_byte(
    queue: Queue, bad: Path, state_dir: Path, damage: Callable[[Path], None]
) -> None:
    damage(bad)
    before = bad.read_bytes()
    events = queue.last_event()
    for name, verb in VERBS.items():
        if (name, damage) == ("adopt", pages):
            continue  # it asks nothing of the pages that are damaged
        with pytest.raises(Unreadable, match=r"bad/inbound\.db"):
            verb(queue)
            raise AssertionError(f"{name} went through")
        assert bad.read_bytes() == before, name
        assert sorted(path.name for path in bad.parent.iterdir()) == ["inbound.db", "outbound.db"], name
    assert queue.last_event() == events
    assert queue.upkeep.batches() == [], "a batch that could not be stored was taken back"
    assert len(list(queue.tasks(session="good", ended=True))) == 12
    assert queue.worker(Address("bad", 2)) is not None


@pytest.mark.parametrize("damage", DAMAGE)
def test_the_other_sessions_go_on(queue: Queue, bad: Path, damage: Callable[[Path], None]) -> None:
    for name in ("bad", "good"):
        finish(queue, RunId(name, 2, 1))
    damage(bad)
    good = Address("good", 3)
    with pytest.raises(Unreadable, match=r"bad/inbound\.db"):
        try_to_claim(queue, replace(head_of(queue, good), session="bad"))
    claimed = try_to_claim(queue, head_of(queue, good))
    assert claimed is not None
    assert submit(queue, command("good")) == [Address("good", 13)]
    assert queue.cancel(Address("good", 13)).status == "cancelled"
    queue.upkeep.reindex("good", host="here")
    assert queue.upkeep.roll_back_dead_writers() == []


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_listing_yields_the_others_and_then_says_what_is_wrong(
    queue: Queue, bad: Path, damage: Callable[[Path], None]
) -> None:
    damage(bad)
    for listing, expected in ((queue.tasks(ended=True), 12), (queue.tasks(), 11)):
        seen = []
        with pytest.raises(Unreadable, match=r"bad/inbound\.db"):
            for task in listing:
                seen.append(task.session)
        assert seen == ["good"] * expected
    sessions = []
    with pytest.raises(Unreadable, match=r"bad/inbound\.db"):
        for session in queue.sessions():
            sessions.append((session.name, dict(session.counts)))
    assert [name for name, _ in sessions] == ["bad", "good"]
    assert sessions[-1] == ("good", {"completed": 1, "running": 1, "queued": 10})


def test_a_bad_sessions_slot_can_be_given_up(queue: Queue, bad: Path) -> None:
    header(bad)
    queue.upkeep.give_up(RunId("bad", 2, 1))
    assert [worker.session for worker in queue.workers()] == ["good"]


def test_a_session_put_back_in_order_goes_on_where_it_was(queue: Queue, bad: Path) -> None:
    content = bad.read_bytes()
    header(bad)
    with pytest.raises(Unreadable):
        queue.task(Address("bad", 3))
    bad.write_bytes(content)
    assert queue.task(Address("bad", 3)).status == "queued"
    assert finish(queue, RunId("bad", 2, 1)) is not None


# The index


@pytest.mark.parametrize("damage", [header, pages, truncated, cut_in_a_page, newer, other_program])
def test_a_damaged_index_is_refused_and_every_file_left_byte_for_byte(
    open_queue: OpenQueue, clock: Clock, bad: Path, queue: Queue, state_dir: Path, damage: Callable[[Path], None]
) -> None:
    queue.close()
    damage(state_dir / "agentq.db")
    before = {path: path.read_bytes() for path in state_dir.rglob("*") if path.is_file()}

    def use(create: bool, verb: Callable[[Queue], object]) -> None:
        with open_queue(clock, create=create) as opened:
            verb(opened)

    for verb in (
        lambda q: submit(q, command("good")),
        lambda q: submit(q, command("good"), command("third")),
        lambda q: q.cancel(Address("good", 3)),
        lambda q: finish(q, RunId("good", 2, 1)),
        lambda q: list(q.tasks(ended=True)),
        lambda q: list(q.runs()),
        lambda q: list(q.events()),
        lambda q: q.snapshot(),
    ):
        for create in (True, False):
            with pytest.raises(Unreadable, match=r"\.db"):
                use(create, verb)
    for path in list(before):
        if "third" in str(path):
            del before[path]
    assert {path: path.read_bytes() for path in before} == before
    assert not list(state_dir.rglob("*-journal"))


# The agent's side


@pytest.mark.parametrize("damage", [*DAMAGE[:-1], Path.unlink])
def test_a_damaged_outbound_is_that_listings_trouble_only(
    queue: Queue, bad: Path, damage: Callable[[Path], None]
) -> None:
    outbound = bad.with_name("outbound.db")
    damage(outbound)
    before = outbound.read_bytes() if outbound.exists() else None
    task = finish(queue, RunId("bad", 2, 1), result="kept")
    assert task is not None
    assert task.status == "completed"
    assert queue.run(RunId("bad", 2, 1)).result == "kept"
    assert list(queue.upkeep.post_results()) == ["bad/2.1"]
    assert (outbound.read_bytes() if outbound.exists() else None) == before
    claimed = claim_next(queue)
    assert claimed is not None
    assert claimed.task.address == Address("bad", 3)
    finish(queue, RunId("good", 2, 1))
    assert [message.id for message in queue.messages("good")] == ["good/2.1", "good/1.1"]


def test_an_outbound_that_comes_back_gets_the_results_that_it_missed(queue: Queue, bad: Path) -> None:
    outbound, away = bad.with_name("outbound.db"), bad.with_name("moved")
    outbound.rename(away)
    finish(queue, RunId("bad", 2, 1), result="kept")
    for seq in (3, 4):
        ended(queue, Address("bad", seq))
    assert list(queue.upkeep.post_results()) == ["bad/2.1", "bad/3.1", "bad/4.1"]
    away.rename(outbound)
    assert list(queue.upkeep.post_results()) == []
    assert [message.id for message in queue.messages("bad")] == ["bad/4.1", "bad/3.1", "bad/2.1", "bad/1.1"]
    assert next(m for m in queue.messages("bad") if m.id == "bad/2.1").content["result"] == "kept"


def test_a_session_whose_file_is_gone_is_not_begun_anew(queue: Queue, bad: Path) -> None:
    bad.unlink()
    for verb in (lambda: submit(queue, command("bad")), lambda: queue.task(Address("bad", 3))):
        with pytest.raises(Unreadable, match=r"bad/inbound\.db.*missing"):
            verb()
    assert not bad.exists()
