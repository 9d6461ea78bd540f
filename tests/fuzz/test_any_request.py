"""Whatever an agent writes into its outbound.db: each request is answered once, and nobody else has any trouble."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from anything import deep, nested, objects, spelled, texts, values
from hypothesis import event, example, given
from hypothesis import strategies as st

from agentq_cli.base import clock
from agentq_cli.base.clock import Clock
from agentq_cli.base.errors import Unreadable
from agentq_cli.base.identity import Identity
from agentq_cli.base.json_text import encode
from agentq_cli.config.configuration import Config
from agentq_cli.engines.local.queue import LocalQueue as Queue
from agentq_cli.engines.nouns import Plan
from agentq_cli.model.tasks import NewTask
from agentq_cli.model.work import Work
from agentq_cli.options import requests as policy
from agentq_cli.options.requests import Refusal
from agentq_cli.policy import order
from agentq_cli.policy.schedule import Kind, Schedule
from agentq_cli.show import documents
from agentq_cli.supervise import requests

NOW = 1_774_785_600_000
OWNER = Identity(4_100_001, 11, "boot")
CONFIG = Config(path="/nowhere")

good = st.text(st.characters(codec="utf-8"), min_size=1, max_size=10).map("x".__add__)
KNOWN: dict[str, st.SearchStrategy[Any]] = {
    "action": st.sampled_from(list(policy.ACTIONS)),
    "task": st.integers(1, 4) | st.integers(1, 4).map("docs/{}".format) | st.just("other/1"),
    "prompt": good,
    "reason": good,
    "at": st.sampled_from(["2026-03-29", "9999-12-31", "9999-12-31T23:59:59Z", "1970-01-01"]),
    "in": st.sampled_from(["1ms", "36525d"]),
    "cron": st.sampled_from(["* * * * *", "@yearly", "0 0 29 2 *"]),
    "every": st.sampled_from(["1ms", "1h", "36525d"]),
    "tz": st.sampled_from(["UTC", "Pacific/Apia"]),
    "priority": st.integers(-100, 100),
    "context": st.sampled_from(["isolated", "session"]),
    "label": good | st.lists(good, max_size=3),
}
CONTENTS = objects(
    KNOWN,
    {"action": "schedule_task", "prompt": "x"},
    *({"action": action, "task": 1} for action in policy.ACTIONS if action != "schedule_task"),
)


@pytest.fixture(scope="module")
def queue() -> Iterator[Queue]:
    """A queue with a session that has had a prompt, and another session that has nothing to do with it."""
    memory, umask = Path("/dev/shm"), os.umask(0o022)
    with (
        TemporaryDirectory(prefix="agentq-", dir=memory if os.access(memory, os.W_OK) else None) as place,
        Queue.open(f"{place}/state", Clock(NOW), create=True) as queue,
    ):
        queue.submit(
            [
                NewTask("docs", Work("prompt", "/", prompt="first", agent="demo")),
                NewTask("docs", Work("exec", "/", argv=("true",))),
                NewTask("other", Work("exec", "/", argv=("true",))),
                NewTask("docs", Work("prompt", "/", prompt="tick", agent="demo"), schedule=EVERY_HOUR),
            ],
            owner=OWNER,
            max_queued=1_000_000,
        )
        start_first(queue)
        yield queue
    os.umask(umask)


EVERY_HOUR = Schedule(Kind.EVERY, every_ms=3_600_000, start=NOW)


def start_first(queue: Queue) -> None:
    """Let docs/1 be running, so that some of what is asked for is about a task that runs."""
    head = order.pick(queue.snapshot(("docs",)), now=queue.now, ageing_ms=None, parallel=lambda session: 1)
    assert head is not None
    candidate = queue.candidate(head)
    assert candidate is not None
    claimed = queue.claim(
        candidate,
        Plan(argv=("demo",), conversation=candidate.past.conversation),
        supervisor=OWNER,
        jobs=10,
        parallel=lambda session: 1,
        host="here",
    )
    assert claimed is not None and str(claimed.run) == "docs/1.1"


def write(queue: Queue, *rows: tuple[Any, ...]) -> None:
    """The agent's side: rows of id, kind, content and time, of any type."""
    with closing(sqlite3.connect(queue.state.outbound("docs"))) as database, database:
        database.executemany("INSERT OR REPLACE INTO messages_out VALUES (?, ?, ?, ?)", rows)


def answered(queue: Queue) -> int:
    """How many answers there are."""
    with closing(sqlite3.connect(queue.state.inbound("docs"))) as database:
        return int(database.execute("SELECT count(*) FROM delivered").fetchone()[0])


def apply(queue: Queue) -> list[str]:
    """Carry out what is asked for; what became of each."""
    found = []
    going = True
    while going:
        answers = requests.apply(queue, CONFIG, {"TZ": "UTC"}, "docs")
        while True:
            try:
                found.append(next(answers).status)
            except StopIteration as end:
                going = end.value
                break
    return found


def in_order(queue: Queue) -> None:
    """Every reading command has something to show, and the other session has not been touched."""
    for task in queue.tasks(ended=True):
        json.loads(encode(documents.task(task, now=queue.now, waiting_for=None)))
    for message in islice(queue.messages("docs"), 20):
        json.loads(encode(documents.message(message)))
    for happened in islice(queue.events(), 50):
        json.loads(encode(documents.event(happened)))
        assert happened.session != "other" or happened.event == "submit"


ids = iter(range(1 << 40))


@given(content=CONTENTS | deep | values.map(spelled) | st.text(max_size=20))
@example(content='{"action": []}')
@example(content='{"action": "cancel_task", "task": 1' + "0" * 30 + "}")
@example(content='{"action": "schedule_task", "prompt": "x", "label": "\\ud800"}')
@example(content='{"action": "cancel_task", "task": 1, "\\ud800": 1}')
@example(content='{"action": "schedule_task", "prompt": "x", "at": "9999-12-31T23:59:59-23:59"}')
@example(content='{"action": "schedule_task", "prompt": "x", "every": "36525d", "tz": "UTC"}')
@example(content='{"action": ' + nested(960) + "}")
@example(content='{"action": "pause_task", "task": 1, "reason": "' + "x" * 600_000 + '"}')
def test_any_content_is_answered_once(queue: Queue, content: str) -> None:
    before = answered(queue)
    try:
        write(queue, (f"m{next(ids)}", "system", content, NOW))
    except UnicodeEncodeError:
        return  # SQLite's own text is UTF-8
    statuses = apply(queue)
    event(statuses[0])
    assert len(statuses) == 1 and answered(queue) == before + 1
    assert apply(queue) == []
    in_order(queue)


@given(
    key=st.none() | st.integers(-(1 << 63), (1 << 63) - 1) | st.floats(allow_nan=False) | st.binary(max_size=5) | good,
    content=st.integers(-(1 << 63), (1 << 63) - 1) | st.floats(allow_nan=False) | st.binary(max_size=20) | CONTENTS,
    at=st.integers(-(1 << 63), (1 << 63) - 1) | st.floats(allow_nan=False) | st.binary(max_size=5) | st.just("soon"),
    kind=st.sampled_from(["system", b"system", "result", "", 5]),
)
@example(key=b"\xff", content=b'{"action": "cancel_task", "task": 4}', at=0, kind="system")
def test_any_row_of_any_types_keeps_nobody_from_being_answered(
    queue: Queue, key: Any, content: Any, at: Any, kind: Any
) -> None:
    last = f"m{next(ids)}"
    write(queue, (key, kind, content, at), (last, "system", '{"action": "cancel_task", "task": 999}', NOW))
    assert apply(queue)[-1] == "refused"
    with closing(sqlite3.connect(queue.state.inbound("docs"))) as database:
        assert database.execute("SELECT status FROM delivered WHERE message_id = ?", (last,)).fetchone()
    in_order(queue)


@given(content=CONTENTS | deep | values.map(spelled) | st.binary() | texts)
def test_what_is_refused_says_why_in_bounded_text(content: Any) -> None:
    found = policy.read(content, session="docs", zone=lambda name: name or "UTC", now=NOW)
    if isinstance(found, Refusal):
        assert 0 < len(found.why.encode()) < 4000
    elif found.task is not None:
        assert found.task.session == "docs" and 0 < found.task.seq < 1 << 62


@pytest.mark.parametrize("key", ["a\0b", "\0", "x" * 1001, "\0" + "x" * 5000])
def test_what_cannot_name_an_answer_is_passed_over_and_keeps_nobody_busy(queue: Queue, key: str) -> None:
    before = answered(queue)
    write(queue, (key, "system", '{"action": "cancel_task", "task": 999}', 0))
    assert apply(queue) == [] and answered(queue) == before
    write(queue, (f'm{next(ids)}é𝄞"\\', "system", "{}", 0))
    assert apply(queue) == ["refused"] and apply(queue) == []


@pytest.mark.parametrize("content", ["\0" + "x" * (1 << 20), '{"a": "\0"}'])
def test_a_nul_in_a_content_hides_nothing(queue: Queue, content: str) -> None:
    write(queue, (f"m{next(ids)}", "system", content, 0))
    assert apply(queue) == ["refused"]


def test_text_that_is_no_utf8_is_refused_and_the_next_one_carried_out(queue: Queue) -> None:
    first, second = f"m{next(ids)}", f"m{next(ids)}"
    with closing(sqlite3.connect(queue.state.outbound("docs"))) as database, database:
        statement = "INSERT INTO messages_out VALUES (?, 'system', CAST(? AS TEXT), 0)"
        database.execute(statement, (first, b'{"action": "caf\xe9"}'))
        database.execute(statement, (second, b'{"action": "schedule_task", "prompt": "x", "in": "1h"}'))
    assert apply(queue) == ["refused", "applied"]
    assert any(message.id == first for message in queue.messages("docs"))


def test_a_content_beyond_the_limit_is_refused_and_not_read(queue: Queue) -> None:
    write(queue, (f"m{next(ids)}", "system", '{"action": "' + "x" * (1 << 20), 0))
    assert apply(queue) == ["refused"]


def test_thousands_of_requests_are_answered_some_at_a_time_and_all_in_the_end(queue: Queue) -> None:
    count = 2 * requests.MOST + 1
    write(queue, *((f"m{next(ids)}", "system", "no json", 0) for _ in range(count)))
    assert len(list(requests.apply(queue, CONFIG, {}, "docs"))) == requests.MOST
    assert "docs" in queue.voice.changed(), "what is left is still to be seen as new"
    assert apply(queue) == ["refused"] * (count - requests.MOST)
    # A stamp as young as the clock's tick would be like no other.
    while not clock.settled(os.stat(queue.state.outbound("docs")).st_ctime_ns):
        time.sleep(0.001)
    assert apply(queue) == []
    queue.voice.record()
    assert "docs" not in queue.voice.changed()


FOREIGN = {
    "a view that never ends": """
        DROP TABLE messages_out;
        CREATE VIEW messages_out AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n)
        SELECT 'm' || x AS id, 'user' AS kind, '' AS content, x AS created_at, x AS rowid FROM n""",
    "a trigger": "CREATE TRIGGER t AFTER INSERT ON messages_out BEGIN SELECT hex(randomblob(99999999)); END",
    "an index over an expression": "CREATE INDEX i ON messages_out (hex(zeroblob(99999999)))",
    "a generated column": """
        ALTER TABLE messages_out ADD COLUMN g GENERATED ALWAYS AS (hex(zeroblob(99999999))) VIRTUAL""",
    "another table": "DROP TABLE messages_out; CREATE TABLE Messages_Out (id, kind, content, created_at)",
}


@pytest.mark.parametrize("what", FOREIGN)
def test_code_in_an_agents_file_is_not_run(tmp_path: Path, what: str) -> None:
    """A view, a trigger or an expression of its own could keep whoever reads the file for ever."""
    umask = os.umask(0o022)
    with Queue.open(str(tmp_path / "state"), Clock(NOW), create=True) as queue:
        queue.submit([NewTask("docs", Work("exec", "/", argv=("true",)))], owner=OWNER, max_queued=10)
        with closing(sqlite3.connect(queue.state.outbound("docs"))) as database:
            database.executescript(FOREIGN[what])
        before = Path(queue.state.outbound("docs")).read_bytes()
        with pytest.raises(Unreadable, match=r"outbound\.db"):
            list(requests.apply(queue, CONFIG, {}, "docs"))
        with pytest.raises(Unreadable, match=r"outbound\.db"):
            list(queue.messages("docs"))
        assert Path(queue.state.outbound("docs")).read_bytes() == before
    os.umask(umask)
