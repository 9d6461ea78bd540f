"""Lines out of any bytes in bounded memory, and readers that no agent can make fail."""

from __future__ import annotations

import json
import tracemalloc
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agentq_cli.agents import reader as readers
from agentq_cli.agents.reader import LONGEST_HEAD, LONGEST_LINE, Head, Lines, Reader, Verdict, open_reader

NAMES = [name for name in readers.READERS if name != "none"]

SUCCESS = {
    "claude": b'{"type": "result", "subtype": "success", "is_error": false, "result": "done"}\r\n',
    "codex": b'{"type": "item.completed", "item": {"type": "agent_message", "text": "done"}}\r\n'
    b'{"type": "turn.completed", "usage": {}}\r\n',
    "events": b'{"event": "end", "ok": true, "result": "done"}\r\n',
    "gemini": b'{"type": "message", "role": "assistant", "content": "done"}\r\n'
    b'{"type": "result", "status": "success", "stats": {}}\r\n',
    "opencode": b'{"type": "text", "part": {"text": "done"}}\r\n'
    b'{"type": "step_finish", "part": {"reason": "stop"}}\r\n',
}
"""The end of a run that went well, by reader."""

USAGE = {
    "claude": b'"total_cost_usd": NaN, "num_turns": -1, '
    b'"modelUsage": {"m": {"inputTokens": 99999999999999999999999, "outputTokens": "x"}}',
    "codex": b'"usage": {"input_tokens": 99999999999999999999999, "output_tokens": "x"}',
    "events": b'"cost_usd": 1e999, "turns": true, "tokens_in": 1e3',
    "gemini": b'"stats": {"input_tokens": 99999999999999999999999, "output_tokens": "x"}',
    "opencode": b'"part": {"reason": "stop", "cost": 1e999, '
    b'"tokens": {"input": 99999999999999999999999, "output": 1.5}}',
}
"""Keys of its final event with numbers that no column holds."""

BEGINNING = {
    "claude": b'{"type": "system", "session_id": "NAME"}\n',
    "codex": b'{"type": "thread.started", "thread_id": "NAME"}\n',
    "events": b'{"event": "start", "conversation": "NAME"}\n',
    "gemini": b'{"type": "init", "session_id": "NAME"}\n',
    "opencode": b'{"type": "step_start", "sessionID": "NAME", "part": {}}\n',
}
"""The event that names the conversation."""


def opened(name: str) -> Reader:
    reader = open_reader(name)
    assert reader is not None
    return reader


def fed(name: str, chunks: list[bytes]) -> Verdict:
    reader = opened(name)
    for chunk in chunks:
        reader.feed(chunk)
    reader.close()
    return reader.verdict()


def test_a_command_has_no_reader() -> None:
    assert open_reader("none") is None


def test_lines_are_cut_wherever_the_chunks_were() -> None:
    lines = Lines()
    assert lines.feed(b"a\nb") == [b"a"]
    assert lines.feed(b"c\n\nd") == [b"bc", b""]
    assert lines.close() == [b"d"]
    assert lines.close() == []


def test_of_a_line_that_is_too_long_only_its_beginning_is_kept() -> None:
    lines = Lines()
    tracemalloc.start()
    for _ in range(64):
        assert lines.feed(b"x" * (1 << 20)) == []
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * LONGEST_LINE
    head, following = lines.feed(b"end\nnext\n")
    assert isinstance(head, Head)
    assert head == b"x" * LONGEST_HEAD
    assert following == b"next"


@pytest.mark.parametrize("step", [LONGEST_LINE + 2, 1 << 20, 1_000_003])
def test_the_longest_line_is_kept_and_one_byte_more_is_not(step: int) -> None:
    data = b"k" * LONGEST_LINE + b"\n" + b"s" * (LONGEST_LINE + 1) + b"\nlast\n"
    lines = Lines()
    found = [line for start in range(0, len(data), step) for line in lines.feed(data[start : start + step])]
    assert [(type(line), len(line)) for line in found] == [(bytes, LONGEST_LINE), (Head, LONGEST_HEAD), (bytes, 4)]


def test_the_hole_of_a_file_that_was_cut_costs_nothing() -> None:
    hole = b"\0" * (LONGEST_LINE + 17)
    final = b'{"event": "end", "ok": true, "result": "still there"}'
    assert fed("events", [b'{"event": "start"', hole, b"rest of a line}\n", final + b"\n"]).result == "still there"
    assert fed("events", [b"line\n", hole, final]).result == "still there", "the first line after the hole"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "noise",
    [
        b"not json\n",
        b"\xff\xfe\n",
        b"{\xc3\x28}\n",
        b"{\n",
        b"\0\0\0\n",
        b'{"a": ' * 100_000 + b"\n",
        b'{"a": ' + b"9" * 10_000 + b"}\n",
        b"[1, 2]\n",
        b'{"type": 5, "event": [], "session_id": {}, "message": 7}\n',
        b'{"type": "user", "message": {"content": [1, {"type": "tool_result"}]}}\n',
        b'{"type": "rate_limit_event", "rate_limit_info": {"status": "rejected", "resetsAt": 1e400}}\n',
        b"\x1b[31mred\x1b[0m\r\n",
        b'{"type": "item.completed", "item": {"type": [], "status": {}, "text": 5}}\n',
        b'{"type": "item.completed", "item": {"type": "file_change", "status": []}}\n',
        b'{"type": "tool_use", "tool_id": {}, "tool_name": []}\n',
        b'{"type": "tool_result", "tool_id": {}, "error": {"type": [], "message": {}}}\n',
        b'{"type": "tool_use", "part": {"tool": [], "state": {"error": 5, "input": 5}}}\n',
        b'{"type": "message", "role": "assistant", "delta": true, "content": {}}\n',
    ],
)
def test_what_is_no_event_is_passed_over(name: str, noise: bytes) -> None:
    verdict = fed(name, [noise, SUCCESS[name], noise])
    assert (verdict.final, verdict.ok, verdict.result) == (True, True, "done")


@pytest.mark.parametrize("name", NAMES)
def test_numbers_and_text_that_no_column_holds_are_left_out(name: str) -> None:
    success, _, _ = SUCCESS[name].replace(b"done", b"half \\ud83d pair").rpartition(b"}")
    wild = success + b", " + USAGE[name] + b"}\n"
    verdict = fed(name, [wild])
    assert (verdict.final, verdict.ok) == (True, True)
    assert verdict.cost_usd is None
    assert not verdict.tokens_in
    assert verdict.result == "half ? pair"


@pytest.mark.parametrize("name", NAMES)
def test_an_id_that_could_be_a_flag_is_no_conversation(name: str) -> None:
    reader = opened(name)
    reader.feed(BEGINNING[name].replace(b"NAME", b"--x"))
    assert reader.conversation is None
    reader.feed(BEGINNING[name].replace(b"NAME", b"abc-1"))
    assert reader.conversation == "abc-1", "as soon as it is seen"
    assert not reader.verdict().final


def test_a_character_cut_in_two_does_not_cost_the_final_event() -> None:
    verdict = fed("events", [b'{"event": "end", "ok": true, "result": "caf\xc3"}\n'])
    assert (verdict.final, verdict.result) == (True, "caf\ufffd")


def test_a_result_text_is_bounded() -> None:
    event = {"event": "end", "ok": True, "result": "x" * (2 << 20)}
    result = fed("events", [json.dumps(event).encode() + b"\n"]).result
    assert result.endswith("x […]") and len(result) < (1 << 20) + 10


MANY = {
    "claude": '{"type": "assistant", "error": "LONG"}\n',
    "codex": '{"type": "item.completed", "item": {"type": "file_change", "status": "declined", "id": "LONG"}}\n',
    "events": '{"event": "text", "text": "LONG"}\n',
    "gemini": '{"type": "tool_use", "tool_name": "LONG", "tool_id": "NUMBER-LONG"}\n',
    "opencode": '{"type": "tool_use", "part": {"tool": "LONG-NUMBER", "state": {"error": "The user rejected '
    'permission to use LONG"}}}\n',
}
"""An event that a reader must remember something of."""


@pytest.mark.parametrize("name", NAMES)
def test_what_is_remembered_of_many_events_is_bounded(name: str) -> None:
    reader = opened(name)
    tracemalloc.start()
    for number in range(100):
        reader.feed(MANY[name].replace("NUMBER", str(number)).replace("LONG", "x" * (1 << 18)).encode())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 << 20


PIECE = {
    "gemini": '{"type": "message", "role": "assistant", "delta": true, "content": "PIECE"}\n',
    "opencode": '{"type": "text", "part": {"text": "PIECE"}}\n',
}
"""An event with a piece of what the agent says, by reader."""


@pytest.mark.parametrize("name", PIECE)
def test_what_is_said_in_pieces_is_held_in_bounded_memory(name: str) -> None:
    reader = opened(name)
    piece = PIECE[name].replace("PIECE", "x" * (1 << 19)).encode()
    tracemalloc.start()
    for _ in range(64):
        reader.feed(piece)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 << 20
    _, final = SUCCESS[name].splitlines()
    reader.feed(final + b"\n")
    assert reader.verdict().result == "x" * (1 << 20) + " […]"


KEYS = """
    type event subtype session_id conversation is_error ok result errors api_error_status terminal_reason usage message
    modelUsage permission_denials num_turns total_cost_usd structured_output class error reset_at rate_limit_info
    thread_id item text status role content delta stats tool_id sessionID part reason tokens
    cache input cost state tool data name statusCode responseBody responseHeaders timestamp api_error api_error_params
    details retryDelay code resets_at resetsAt overageResetsAt
"""
WORDS = """
    system user assistant result rate_limit_event start text end success api_retry rate_limited server_error
    thread.started turn.started turn.completed turn.failed item.completed agent_message command_execution declined
    init tool_use tool_result policy_violation step_start step_finish stop tool-calls APIError invalid
"""
keys = st.sampled_from(KEYS.split())
words = st.sampled_from(WORDS.split())
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys | st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)
events = st.dictionaries(keys, words | values, max_size=8).map(lambda event: json.dumps(event).encode() + b"\n")
streams = st.lists(events | st.binary(max_size=40) | st.sampled_from([b"\n", b"\0", b"\xf0\x9f", b"{"]), max_size=12)


@pytest.mark.parametrize("name", NAMES)
@given(data=streams.map(b"".join), cuts=st.lists(st.integers(0, 1000), max_size=8))
@example(data='{"event": "start", "conversation": "é"}'.encode(), cuts=[36])
def test_any_bytes_cut_anywhere_give_one_verdict(name: str, data: bytes, cuts: list[int]) -> None:
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    chunks = [data[start:end] for start, end in pairwise(edges)]
    whole = fed(name, [data])
    assert fed(name, chunks) == whole
    assert fed(name, [data[index : index + 1] for index in range(len(data))]) == whole
    json.dumps(whole.result, allow_nan=False).encode()
    str(whole.error).encode()
