"""Whatever an agent prints, or leaves as its result: a verdict that can be stored, shown, and read by anybody."""

from __future__ import annotations

import json
import os
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from anything import deep, depths, nested, objects, spelled, values
from hypothesis import example, given
from hypothesis import strategies as st
from sampling import WIDE, some

from agentq_cli.agents import reader as readers
from agentq_cli.agents.reader import DEEPEST, Reader, open_reader
from agentq_cli.agents.verdict import LARGEST_RESULT, outcome, read_result
from agentq_cli.base.json_text import encode
from agentq_cli.host.records import Exit

NAMES = [name for name in readers.READERS if name != "none"]
ENDED = Exit(0, None, None, None, False, 1, 1, None, 1, 1)

counts = st.integers(0, 1 << 70)
words = st.text(max_size=5)
EVENTS = objects(
    {
        **dict.fromkeys(("result", "structured_output", "error", "errors", "message", "usage", "modelUsage"), values),
        **dict.fromkeys(("num_turns", "turns", "tokens_in", "tokens_out", "api_error_status", "cost_usd"), counts),
        **dict.fromkeys(("ok", "is_error", "conversation_lost"), st.booleans()),
        **dict.fromkeys(("session_id", "conversation", "subtype", "class", "terminal_reason"), words),
        "permission_denials": st.lists(st.fixed_dictionaries({"tool_use_id": values, "tool_name": values}), max_size=2),
        "reset_at": st.sampled_from(["2026-01-01T00:00:00Z", "9999-12-31T23:59:59-23:59", "0001-01-01"]),
        "rate_limit_info": st.fixed_dictionaries({"status": st.just("rejected"), "resetsAt": counts}),
    },
    {"type": "result", "subtype": "success", "is_error": False, "result": "x", "event": "end", "ok": True},
    {"type": "result", "subtype": "error", "is_error": True, "event": "end", "ok": False, "class": "rate_limited"},
    {"type": "rate_limit_event"},
    {"type": "user", "message": {"content": [{"type": "tool_result", "tool_use_id": "a"}]}},
)


def opened(name: str) -> Reader:
    reader = open_reader(name)
    assert reader is not None
    return reader


def storable(name: str, lines: list[str], result: Any = None) -> None:
    """Read the lines to the end; what comes out goes into every column and every document."""
    reader = opened(name)
    for line in lines:
        reader.feed(line.encode("utf-8", "replace") + b"\n")
    found = outcome(ENDED, reader, b"", result=result)
    numbers = (found.tokens_in, found.tokens_out, found.reset_at)
    assert all(number is None or 0 <= number < 1 << 63 for number in numbers)
    (found.error or "").encode()
    (found.conversation or "").encode()
    shown = json.loads(json.dumps(found.result))
    deeper(200, lambda: encode({"items": [{"result": shown}]}))


def deeper(levels: int, act: Any) -> Any:
    """Do it with so many more calls on the stack."""
    return act() if levels == 0 else deeper(levels - 1, act)


@pytest.mark.parametrize("name", NAMES)
@given(lines=st.lists(EVENTS | deep | values.map(spelled), min_size=1, max_size=4))
def test_any_events_are_a_verdict_that_can_be_stored_and_shown(name: str, lines: list[str]) -> None:
    storable(name, lines)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("key", ["result", "structured_output", "subtype", "permission_denials", "error", "errors"])
def test_an_event_as_deep_as_the_stack_is_no_trouble(name: str, key: str) -> None:
    """What one call can just read, the next one, a frame deeper, cannot write again."""
    for levels in (DEEPEST - 1, DEEPEST, DEEPEST + 1, 2 * DEEPEST, *some(range(880, 1000), 8, f"{name} {key}")):
        value = nested(levels)
        value = f'[{{"tool_use_id": {value}}}]' if key == "permission_denials" else value
        storable(name, [f'{{"type": "result", "event": "end", "ok": true, "subtype": "success", "{key}": {value}}}'])


@pytest.mark.parametrize("name", NAMES)
def test_megabytes_of_lists_in_one_line_are_read_in_bounded_memory(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line at its longest that is nothing but small lists is the most that a reader ever holds.

    At a part of the real length: what is counted is bytes a byte, and to count each allocation takes its time.
    """
    part = max(1, 32 // WIDE)
    monkeypatch.setattr(readers, "LONGEST_LINE", readers.LONGEST_LINE // part)
    reader = opened(name)
    line = b'{"x": [' + b"[]," * ((readers.LONGEST_LINE - 100) // 3) + b"0]}\n"
    assert len(line) < readers.LONGEST_LINE
    tracemalloc.start()
    for _ in range(2):
        for at in range(0, len(line), 65536):
            reader.feed(line[at : at + 65536])
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < (300 << 20) // part and kept < 1 << 20, "what is no event is not kept"


@given(content=st.binary(max_size=40) | (deep | values.map(spelled)).map(lambda text: text.encode("utf-8", "replace")))
@example(content=b'"\\ud800"')
@example(content=b"NaN")
@example(content=b"9" * 5000)
@example(content=b'{"a": 1, "a": 2}')
def test_any_result_file_is_a_value_or_none(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    file = tmp_path_factory.getbasetemp() / "result"
    file.write_bytes(content)
    storable("events", ["{}"], read_result(file))


@given(levels=depths)
def test_a_result_has_a_deepest_level(tmp_path_factory: pytest.TempPathFactory, levels: int) -> None:
    file = tmp_path_factory.getbasetemp() / "result"
    file.write_text(nested(levels))
    assert (read_result(file) is not None) is (levels <= DEEPEST)


def test_the_largest_result_is_taken_and_one_byte_more_is_not(tmp_path: Path) -> None:
    file = tmp_path / "result"
    file.write_text(json.dumps("x" * (LARGEST_RESULT - 2)))
    assert len(read_result(file)) == LARGEST_RESULT - 2
    file.write_text(json.dumps("x" * (LARGEST_RESULT - 1)))
    assert read_result(file) is None


@pytest.mark.parametrize("what", ["directory", "pipe", "link", "device"])
def test_a_result_that_is_no_file_is_none(tmp_path: Path, what: str) -> None:
    path = tmp_path / "result"
    if what == "directory":
        path.mkdir()
    elif what == "pipe":
        os.mkfifo(path)
    else:
        target = tmp_path / "else"
        target.write_text("1")
        path.symlink_to(target if what == "link" else "/dev/zero")
    assert read_result(path) is None
