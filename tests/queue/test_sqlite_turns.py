"""What a supervisor's turns do in outbound.db, and what it knows of the requests there without reading them again."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from queue_driver import NOON, SUPERVISOR, command, ended, pick, start, submit, turn, widths

from agentq_cli.engines.door import Queue
from agentq_cli.model.statuses import RunStatus
from agentq_cli.model.workers import Supervisor


@pytest.fixture
def supervised(queue: Queue) -> Queue:
    """The queue of a supervisor, which keeps its connections."""
    queue.join(Supervisor(SUPERVISOR, 2, (), NOON, 0))
    return queue


def test_a_request_is_noticed_however_soon_after_a_turn_it_is_written(supervised: Queue, state_dir: Path) -> None:
    """Within one tick of the file system's clock the time of the file tells nothing."""
    for session in "abcd":
        first, second = submit(supervised, command(session), command(session))
        ended(supervised, first)
        with closing(sqlite3.connect(state_dir / "sessions" / session / "outbound.db", isolation_level=None)) as agent:
            assert not supervised.voice.may_ask(session)
            agent.execute("INSERT INTO messages_out VALUES ('said', 'note', '{}', 1)")
            assert supervised.voice.may_ask(session)
            ended(supervised, second)
            assert not supervised.voice.may_ask(session), "what it said is no request"
            agent.execute("INSERT INTO messages_out VALUES ('asked', 'system', '{}', 1)")
            assert supervised.voice.may_ask(session)
        assert list(supervised.voice.asked(session, 9)) == [("asked", "{}")]


def test_a_turn_after_one_that_came_to_nothing_finds_its_results_posted(supervised: Queue) -> None:
    first, second = submit(supervised, command("default"), command("default"))
    ends = {start(supervised, each): RunStatus.SUCCESS for each in (first, second)}
    turn(supervised, "default", ends, undone=True)
    assert len(supervised.workers()) == 2
    turn(supervised, "default", ends)
    assert [supervised.why_unposted(run) for run in ends] == [None, None]
    assert {message.id for message in supervised.messages("default")} == set(map(str, ends))
    assert list(supervised.upkeep.end()) == []


def test_what_a_turn_saw_that_came_to_nothing_is_not_remembered(supervised: Queue) -> None:
    """Its events were undone, and another process's event has the id of one of them."""
    (first,) = submit(supervised, command("a"))
    assert pick(supervised, parallel=widths()) is not None
    turn(supervised, "a", {start(supervised, first): RunStatus.SUCCESS}, undone=True)
    submit(supervised, command("b"))
    head = pick(supervised, parallel=widths())
    assert head is not None
    assert head.session == "b"
