"""Torn and arbitrary records of a run: read as far as they are whole, and an outcome in any case."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from anything import deep, nested, objects, spelled, values
from hypothesis import example, given
from hypothesis import strategies as st

from agentq_cli.agents import verdict
from agentq_cli.agents.reader import open_reader
from agentq_cli.host import keeper, process
from agentq_cli.host.output import OutputReader
from agentq_cli.host.records import Cut, Exit, Start, Stop, Void
from agentq_cli.host.run_directory import RunDirectory

counts = st.integers(0, 1 << 40)
STARTED = {"pid": 4_000_000, "start_time": 1, "boot_id": "b", "started_at": 1, "monotonic_ms": 1, "locked": True}
ENDED: dict[str, Any] = {
    "exit_code": 0,
    "signal": None,
    "stopped": None,
    "error": None,
    "spawn_error": False,
    "finished_at": 1,
    "duration_ms": 1,
    "peak_rss_bytes": None,
    "stdout_bytes": 1,
    "stderr_bytes": 1,
}
STARTS = objects(dict.fromkeys((*STARTED, "void", "by"), counts), STARTED, {"void": True, "by": 1})
EXITS = objects(
    {
        **dict.fromkeys(ENDED, counts | st.none()),
        "exit_code": st.none() | st.integers(0, 255),
        "signal": st.none() | st.integers(0, 64),
        "stopped": st.none() | st.sampled_from(["timeout", "cancelled", "?"]),
        "script_outcome": st.none() | st.sampled_from(["run", "skip", "error", "?"]),
        "error": st.none() | st.text(max_size=5),
        "spawn_error": st.booleans(),
    },
    ENDED,
)
OTHERS = objects(
    dict.fromkeys(("reason", "at", "begin", "end", "punched", "pid", "start_time"), counts | st.booleans() | st.text()),
    {"reason": "cancelled", "at": 1},
    {"begin": 0, "end": 4096, "punched": True},
    {"pid": 4_000_000, "start_time": 1},
)
anything = deep | values.map(spelled)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    place = tmp_path_factory.mktemp("session")
    directory = RunDirectory(place / "runs" / "1.1")
    directory.create()
    Path(directory.file("stdout")).write_bytes(bytes(range(256)) * 64)
    return directory


def put(directory: RunDirectory, name: str, content: str, torn: int | None = None) -> None:
    """A record as it may lie there, cut off after `torn` bytes."""
    Path(directory.file(name)).write_bytes(content.encode("utf-8", "surrogatepass")[:torn])


@given(content=STARTS | anything, torn=st.none() | st.integers(0, 60))
@example(content='{"void": true, "by": []}', torn=None)
@example(content='{"void": true, "by": Infinity}', torn=None)
@example(content=spelled(STARTED | {"pid": float("inf")}), torn=None)
@example(content=spelled(STARTED | {"pid": 10**20, "boot_id": process.boot_id()}), torn=None)
@example(content=nested(100_000), torn=None)
def test_any_start_is_somebody_or_nobody(directory: RunDirectory, content: str, torn: int | None) -> None:
    put(directory, "start", content, torn)
    start = directory.start()
    assert isinstance(start, Start | Void)
    if isinstance(start, Start):
        process.alive(start.identity)
        assert keeper.keeps(directory, start) in (True, False)
    put(directory, "agent", content)
    agent = directory.agent()
    assert agent is None or process.alive(agent) in (True, False)
    Path(directory.file("agent")).unlink()


@given(
    content=EXITS | anything, torn=st.none() | st.integers(0, 200), name=st.sampled_from(["none", "claude", "events"])
)
@example(content=spelled(ENDED | {"signal": "x"}), torn=None, name="none")
@example(content=spelled(ENDED | {"finished_at": 10**30}), torn=None, name="none")
@example(content=spelled(ENDED | {"error": "\ud800"}), torn=None, name="none")
@example(content=spelled(ENDED | {"stopped": []}), torn=None, name="none")
def test_any_exit_is_an_outcome_that_can_be_stored_or_none(
    directory: RunDirectory, content: str, torn: int | None, name: str
) -> None:
    put(directory, "exit", content, torn)
    found = directory.exit()
    if found is None:
        return
    outcome = verdict.outcome(found, open_reader(name), b"\xff")
    numbers = (outcome.finished_at, outcome.duration_ms, outcome.exit_code, outcome.signal, outcome.peak_rss_bytes)
    numbers += (outcome.stdout_bytes, outcome.stderr_bytes)
    assert all(number is None or (type(number) is int and 0 <= number < 1 << 63) for number in numbers)
    (outcome.error or "").encode()
    (outcome.script_outcome or "").encode()


@given(content=OTHERS | anything, torn=st.none() | st.integers(0, 60))
@example(content='{"begin": "a", "end": [], "punched": 1}', torn=None)
@example(content='{"begin": -5, "end": -1, "punched": true}', torn=None)
@example(content='{"begin": 10, "end": 5, "punched": false}', torn=None)
@example(content='{"reason": "x", "at": Infinity}', torn=None)
def test_any_stop_and_any_cut(directory: RunDirectory, content: str, torn: int | None) -> None:
    put(directory, "stop", content, torn)
    stop = directory.stop()
    assert isinstance(stop, Stop) and isinstance(stop.at, int)
    stop.reason.encode()
    put(directory, "stdout.cut", content, torn)
    cut = directory.cut("stdout")
    assert cut is None or 0 <= cut.begin <= cut.end
    with OutputReader(directory, "stdout") as reader:
        pieces = 0
        while reader.read():
            pieces += 1
            assert pieces < 10, "it goes forward"


PLACED = {
    "a directory": lambda path: path.mkdir(),
    "a link to itself": lambda path: path.symlink_to(path.name),
    "a link to a good one": lambda path: path.symlink_to("good"),
    "a pipe that nobody writes": lambda path: os.mkfifo(path),
}


@pytest.mark.parametrize("what", PLACED)
@pytest.mark.parametrize("name", ["start", "exit", "stop", "agent", "stdout.cut", "stdout"])
def test_what_is_no_file_is_an_unreadable_record_and_blocks_nobody(tmp_path: Path, name: str, what: str) -> None:
    """The agent can reach its run's directory."""
    directory = RunDirectory(tmp_path / "runs" / "1.1")
    directory.create()
    good = {"start": STARTED, "exit": ENDED, "stop": {"reason": "x", "at": 1}, "stdout": "not agentq's"}
    Path(directory.file("good")).write_text(json.dumps(good.get(name, {"begin": 0, "end": 1, "punched": True})))
    PLACED[what](Path(directory.file(name)))
    assert directory.exit() is None
    start = directory.start()
    assert start is None or (isinstance(start, Start) and not process.alive(start.identity))
    assert (name == "start") is (start is not None), "a start that is there and unreadable keeps the run taken"
    assert directory.stop() == (Stop("unknown", 0) if name == "stop" else None)
    assert directory.agent() is None
    assert directory.cut("stdout") is None
    with OutputReader(directory, "stdout") as reader:
        assert (reader.read(), reader.size()) == (b"", 0)


def test_a_record_of_a_newer_agentq_is_read_without_its_new_keys(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path / "runs" / "1.1")
    directory.create()
    put(directory, "exit", spelled(ENDED | {"new": [1]}))
    put(directory, "stdout.cut", '{"begin": 1, "end": 2, "punched": true, "new": 1}')
    assert directory.exit() == Exit(**ENDED)
    assert directory.cut("stdout") == Cut(1, 2, True)
