"""What agents say and request in the outbound files of their hosts."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from contextlib import closing

from fleet_machines import Fleet, Machine
from queue_driver import command, finish, start, submit, widths

from agentq_cli.base import clock
from agentq_cli.engines.nouns import Answer
from agentq_cli.host.place import Place
from agentq_cli.model.addresses import Address
from agentq_cli.model.statuses import Status
from agentq_cli.options import requests


def say(here: Place, id: str, kind: str, content: str | bytes, at: object = 5) -> None:
    """What an agent writes in the session `s`."""
    with closing(sqlite3.connect(here.outbound("s"))) as database, database:
        database.execute("INSERT INTO messages_out VALUES (?, ?, ?, ?)", (id, kind, content, at))
    while not clock.settled(os.stat(here.outbound("s")).st_ctime_ns):
        time.sleep(0.001)  # a stamp younger than that is looked at twice


def answers(here: Place) -> list[tuple[object, ...]]:
    """The answers that the agent finds."""
    with closing(sqlite3.connect(here.inbound("s"))) as database:
        return database.execute("SELECT message_id, status, task FROM delivered ORDER BY 1").fetchall()


def carry_out(of: Machine) -> list[Answer]:
    """Carry out what is requested on a machine, as its supervisor does."""
    voice = of.queue.voice
    seen, found = voice.stamp("s"), []
    for message, content in voice.asked("s", 64):
        request = requests.read(content, session="s", zone=lambda named: "UTC", now=of.queue.now)
        how = {"template": lambda *given: None, "reschedule": lambda *given: None, "max_queued": 100}
        answer = voice.apply("s", message, request, **how)  # type: ignore[arg-type]
        found += [] if answer is None else [answer]
    voice.remember("s", seen)
    return found


def test_each_host_reads_its_own_files_and_everybody_what_was_said(fleet: Fleet) -> None:
    a, b = fleet.machine("a"), fleet.machine("b")
    a.join(), b.join()
    first, second, third = submit(a.queue, *(command("s") for _ in range(3)), max_queued=100)
    runs = {
        each.name: start(each.queue, of, supervisor=each.identity, parallel=widths(s=2))
        for each, of in ((a, first), (b, second))
    }
    assert not a.queue.voice.may_ask("t")
    cancel = json.dumps({"action": "cancel_task", "task": str(third)})
    pause = json.dumps({"action": "pause_task", "task": str(third)})
    for each, request in ((a, pause), (b, cancel)):
        say(each.queue.here, "one", "system", request)
        say(each.queue.here, "note", "note", json.dumps(each.name))
    say(a.queue.here, "odd", "odd", b"\0\xff", at="never")
    assert a.queue.voice.may_ask("s")
    assert a.queue.voice.changed() == ["s"]

    assert [(each.message, each.status) for each in carry_out(a)] == [("one", "applied")]
    assert a.queue.task(third).status is Status.PAUSED
    assert answers(a.queue.here) == [("one", "applied", str(third))]
    assert answers(b.queue.here) == []
    assert (carry_out(a), a.queue.voice.may_ask("s")) == ([], False)
    a.queue.voice.record()
    a.queue.voice.remember("s", None)
    assert (a.queue.voice.changed(), b.queue.voice.changed()) == ([], ["s"])
    assert [each.status for each in carry_out(b)] == ["applied"], "of the same id on another host"
    assert a.queue.task(third).status is Status.CANCELLED
    assert [
        (name, reason) for name, reason in fleet.ask("SELECT event, reason FROM agentq.events") if "request" in name
    ] == [
        ("request_applied", "pause_task: paused"),
        ("request_applied", "cancel_task: cancelled"),
    ]

    assert finish(a.queue, runs["a"]) is not None
    for each in (a, b, fleet.machine("c")):
        said = [(message.id, message.kind, message.content) for message in each.queue.messages("s")]
        assert said[0][:2] == (str(runs["a"]), "result")
        assert sorted(said[1:], key=str) == sorted(
            [
                ("note", "note", "a"),
                ("note", "note", "b"),
                ("one", "system", json.loads(pause)),
                ("one", "system", json.loads(cancel)),
                ("odd", "odd", "\ufffd\ufffd"),
            ],
            key=str,
        )


def test_an_answer_that_was_committed_is_written_back_by_the_next_process(fleet: Fleet) -> None:
    a = fleet.machine("a")
    a.join()
    (address,) = submit(a.queue, command("s"))
    start(a.queue, address, supervisor=a.identity)
    say(a.queue.here, "r", "system", "nonsense")
    (answer,) = carry_out(a)
    assert answer.status == "refused"
    with closing(sqlite3.connect(a.queue.here.inbound("s"))) as database, database:
        database.execute("DELETE FROM delivered")
    a.queue._voice = None
    assert carry_out(a) == []
    assert answers(a.queue.here) == [("r", "refused", None)]
    assert a.queue.task(Address("s", address.seq)).status is Status.RUNNING
