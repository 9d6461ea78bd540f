"""Transcripts of what no recording has: any bytes, other events, long and broken output."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_reader import NAMES, PIECE, SUCCESS, streams
from transcripts import entries, opened, shown, spoken, told

from agentq_cli.agents.profile import Profile
from agentq_cli.agents.reader import LONGEST_LINE
from agentq_cli.agents.transcript import Transcript, transcript
from agentq_cli.agents.transcript_entries import Kind
from agentq_cli.agents.transcript_lines import lines
from agentq_cli.host.output import mark

ID = "11111111-2222-4333-8444-555555555555"
Event = dict[str, Any]


def claude(role: str, *blocks: Event, parent: str | None = None, **more: Any) -> Event:
    """A message of Claude Code."""
    message = {"role": role, "model": "claude-opus", "content": list(blocks)}
    return {"type": role, "message": message, "parent_tool_use_id": parent, "session_id": ID, **more}


def text(said: str) -> Event:
    """A block of text."""
    return {"type": "text", "text": said}


def use(identifier: str, name: str, **given: Any) -> Event:
    """A block that calls a tool."""
    return {"type": "tool_use", "id": identifier, "name": name, "input": given}


def answer(identifier: str, content: Any, *, failed: bool = False) -> Event:
    """A block with a result."""
    return {"type": "tool_result", "tool_use_id": identifier, "content": content, "is_error": failed}


def delta(said: str, parent: str | None = None) -> Event:
    """A piece of a message."""
    event = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": said}}
    return {"type": "stream_event", "event": event, "session_id": ID, "parent_tool_use_id": parent}


def final(result: str | None = "done", **more: Any) -> Event:
    """The final event of Claude Code."""
    return {"type": "result", "subtype": "success", "is_error": False, "num_turns": 1, "result": result, **more}


END = "[done; cost ?]"


def test_a_command_and_an_agent_without_a_reader_have_no_transcript() -> None:
    assert transcript(None) is None
    assert transcript(Profile(name="own", argv=("own",))) is None
    assert isinstance(transcript(Profile(name="own", argv=("own",), reader="claude")), Transcript)


@pytest.mark.parametrize("name", NAMES)
@given(data=streams.map(b"".join), cuts=st.lists(st.integers(0, 1000), max_size=8))
def test_any_bytes_cut_anywhere_give_the_same_entries(name: str, data: bytes, cuts: list[int]) -> None:
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    whole = entries(name, [data])
    assert entries(name, [data[start:end] for start, end in pairwise(edges)]) == whole
    assert entries(name, [data[index : index + 1] for index in range(len(data))]) == whole
    "\n".join(lines(whole, 40)).encode()


NASTY = "a\x1b[31m\x1b]0;title\x07\x1b[2J\x9b1mb\x08\x00c\u202e\u2066\u200f\u2028d\ud83de\rf\x7f\x85"
SAYING: dict[str, tuple[Event, ...]] = {
    "claude": (
        {"type": "system", "subtype": "init", "model": NASTY, "permissionMode": NASTY},
        {"type": "system", "subtype": "task_started", "description": NASTY},
        {"type": "system", "subtype": "api_retry", "attempt": 1, "error_status": 529, "retry_delay_ms": 5.5},
        {"type": "rate_limit_event", "rate_limit_info": {"status": NASTY, "resetsAt": 1795307441, "utilization": 0.9}},
        claude("assistant", text(NASTY), use("t", NASTY, command=NASTY), {"type": "thinking", "thinking": NASTY}),
        claude("user", answer("t", NASTY), text(NASTY)),
        delta(NASTY),
        {"type": NASTY, "text": NASTY},
        final(NASTY + NASTY, permission_denials=[{"tool_name": NASTY, "tool_input": {NASTY: NASTY}}]),
        final(NASTY, is_error=True, errors=[NASTY]),
    ),
    "codex": (
        {"type": "error", "message": NASTY},
        {"type": "item.completed", "item": {"id": "1", "type": "agent_message", "text": NASTY}},
        {"type": "item.completed", "item": {"id": "2", "type": "command_execution", "command": NASTY}},
        {"type": "item.completed", "item": {"id": "3", "type": "file_change", "changes": [{"path": NASTY}]}},
        {"type": "item.completed", "item": {"id": "4", "type": "mcp_tool_call", "server": NASTY, "arguments": [NASTY]}},
        {"type": "item.completed", "item": {"id": "5", "type": "todo_list", "items": [{"text": NASTY}]}},
        {"type": "item.completed", "item": {"id": "6", "type": "web_search", "query": NASTY}},
        {"type": "turn.failed", "error": {"message": NASTY + NASTY}},
    ),
    "events": ({"event": "text", "text": NASTY}, {"event": "end", "ok": True, "result": {NASTY: NASTY}}),
    "gemini": (
        {"type": "message", "role": "assistant", "delta": True, "content": NASTY},
        {"type": "tool_use", "tool_name": NASTY, "tool_id": "t", "parameters": {"path": NASTY}},
        {"type": "tool_result", "tool_id": "t", "status": "error", "error": {"message": NASTY}},
        {"type": "result", "status": "error", "error": {"message": NASTY}},
    ),
    "opencode": (
        {"type": "text", "part": {"text": NASTY}},
        {"type": "tool_use", "part": {"tool": NASTY, "callID": "c", "state": {"input": NASTY, "output": NASTY}}},
        {"type": "error", "error": {"name": NASTY, "data": {"message": NASTY}}},
    ),
}
FORBIDDEN = {chr(code) for code in (*range(0x20), *range(0x7F, 0xA0), 0x61C, 0x200E, 0x200F, *range(0x2028, 0x202F))}
FORBIDDEN |= {chr(code) for code in (*range(0x2066, 0x206A), *range(0xD800, 0xE000))} - {"\t"}


@pytest.mark.parametrize("name", NAMES)
def test_nothing_that_a_terminal_would_interpret_is_shown(name: str) -> None:
    found = told(name, *SAYING[name])
    found += shown(name, *(f"words {NASTY}\n".encode("utf-8", "surrogatepass") for _ in range(2)))
    assert FORBIDDEN.isdisjoint("".join(found))
    assert any("d?e" in line for line in found), "the rest is there"


ODD = (None, True, 5, 1e999, "x", "\ud800", "\x1b", [], {}, [5, None], [{}], {"a": 5}, {"type": []}, [{"text": [5]}])


def changed(value: Any) -> Iterator[Any]:
    """The value with one thing in it that is odd, in every way."""
    yield from ODD
    if isinstance(value, dict):
        for key, inner in value.items():
            yield {each: value[each] for each in value if each != key}
            yield from ({**value, key: each} for each in changed(inner))
    if isinstance(value, list):
        for number, inner in enumerate(value):
            yield from ([*value[:number], each, *value[number + 1 :]] for each in changed(inner))


@pytest.mark.parametrize("name", NAMES)
def test_values_of_any_type_are_told(name: str) -> None:
    for said in SAYING[name]:
        assert all(type(line) is str for event in changed(said) for line in told(name, event))


def test_other_characters_are_kept() -> None:
    said = "naïve 日本語 👩‍💻 \u00a0 ﷽ \ttab"
    assert told("claude", claude("assistant", text(said))) == [said]


@pytest.mark.parametrize("name", NAMES)
def test_what_is_said_last_is_shown_once_and_the_end_after_it(name: str) -> None:
    found = shown(name, SUCCESS[name])
    assert found[:-1] == ["done"]
    assert found[-1].startswith("[done; ")


def test_a_result_that_was_not_said_yet_is_shown() -> None:
    assert told("claude", claude("assistant", text("one")), final("two")) == ["one", "two", END]
    assert told("claude", claude("assistant", text("one\n\ntwo ")), final("two")) == ["one", "", "two ", END]


def test_a_structured_answer_is_shown_as_the_json_that_it_is() -> None:
    assert told("claude", final("words", structured_output={"a": [1]}))[:-1] == ['{"a": [1]}']
    assert told("events", {"event": "end", "ok": True, "result": [1, "é"]})[:-1] == ['[1, "é"]']


def test_an_unknown_event_is_shown_shortly() -> None:
    assert told("claude", {"type": "novel", "subtype": "x", "data": {"a": 1}}) == ["[novel x]"]
    assert told("claude", {"type": "novel", "message": "hello\nworld"}) == ["[novel: hello world]"]
    assert told("claude", {"type": "system", "subtype": "novel", "text": "x" * 999})[0].startswith("[system novel: xxx")
    assert told("claude", claude("assistant", {"type": "novel_block"})) == ["[novel_block]"]
    assert told("codex", {"type": "item.completed", "item": {"type": "novel", "text": "hi"}}) == [
        "[item.completed: hi]"
    ]
    assert told("gemini", {"type": "novel"}) == ["[novel]"]
    assert told("opencode", {"type": "novel", "part": {"text": "hi"}}) == ["[novel: hi]"]
    assert told("events", {"event": "novel", "text": "hi"}) == ["[novel: hi]"]


@pytest.mark.parametrize("name", NAMES)
def test_an_event_that_nests_too_deeply_is_named(name: str) -> None:
    key = "event" if name == "events" else "type"
    nested = f'{{"{key}": "error", "error": {"[" * 300}{"]" * 300}, "message": {"[" * 300}{"]" * 300}}}'
    assert shown(name, nested.encode()) == ["[error: incomplete]"]


def test_an_object_that_is_no_event_is_what_the_agent_printed() -> None:
    assert shown("claude", b'{"answer": 42}\n') == ['{"answer": 42}']


def test_lines_that_are_no_events_are_shown_as_they_are() -> None:
    page = b"<html>\r\n  <h1>502 Bad Gateway</h1>\n\n</html>\n"
    assert shown("claude", page) == ["<html>", "  <h1>502 Bad Gateway</h1>", "", "</html>"]
    assert shown("codex", b"\x1b[33mwarning\x1b[0m: x\n") == ["warning: x"]


def test_an_event_among_words_is_read() -> None:
    line = b"npm notice " + json.dumps(final("it is done")).encode()
    assert shown("claude", line + b"\n")[-1] == END
    event = json.dumps(claude("assistant", text("hello"))).encode()
    assert shown("claude", b"my log entry: " + event + b"\n") == ["my log entry: ", "hello"]
    assert shown("claude", b'it printed "' + event + b'"\n')[0].startswith('it printed "{'), "quoted, so it is text"


def test_pieces_are_shown_line_by_line_and_not_again_when_the_whole_comes() -> None:
    transcript = opened("claude")
    seen: list[list[str]] = []
    for event in (delta("one\ntw"), delta("o\n\nthr"), delta("ee"), claude("assistant", text("one\ntwo\n\nthree"))):
        seen.append([entry.text for entry in transcript.feed(json.dumps(event).encode() + b"\n")])
    assert seen == [["one"], ["two\n"], [], ["three"]]
    assert told("claude", delta("half an ans")) == ["half an ans"], "interrupted"
    assert told("claude", delta("half"), claude("assistant", text("another"))) == ["half", "another"]
    news = {"type": "novel"}
    assert told("claude", delta("one "), news, delta("two"), claude("assistant", text("one two"))) == [
        *("one ", "[novel]", "two"),
    ]


def test_pieces_of_a_subagent_are_not_mixed_in() -> None:
    assert told("claude", delta("main"), delta("inner", parent="t1"), delta(" text")) == ["main text"]


def test_a_subagent_is_shown_indented_and_shortly() -> None:
    found = told(
        "claude",
        claude("assistant", use("t1", "Task", description="look", prompt="long prompt")),
        claude("user", text("long prompt"), parent="t1"),
        claude("assistant", text("I look.\nMore."), use("t2", "Grep", pattern="x", path="src"), parent="t1"),
        claude("user", answer("t2", "a.py\nb.py\n\n"), parent="t1"),
        claude("user", answer("t1", [text("found it")])),
    )
    assert found == [
        "[Task] look",
        "    [says: I look. More.]",
        "    [Grep] x",
        "      [ok] a.py (+1 line)",
        "  [ok: Task look] found it",
    ]


def test_results_in_another_order_name_their_calls() -> None:
    found = told(
        "claude",
        claude("assistant", use("t1", "Read", file_path="/a.py")),
        claude("assistant", use("t2", "Bash", command="make\ttest")),
        claude("user", answer("t2", "Traceback\n  x\nValueError: y", failed=True)),
        claude("user", answer("t1", "")),
        claude("user", answer("t0", "of a call before the beginning")),
    )
    assert found == [
        "[Read] /a.py",
        "[Bash] make test",
        "  [failed] Traceback … ValueError: y",
        "  [ok: Read /a.py]",
        "  [ok] of a call before the beginning",
    ]


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"command": "ls", "description": "list"}, "[T] ls"),
        ({"file_path": "/a", "old_string": "x", "new_string": "y"}, "[T] /a"),
        ({"todos": [1, 2], "merge": True}, "[T] todos: 2 items, merge: True"),
        ({"paths": ["a", "b"]}, "[T] a b"),
        ({"options": {"a": 1}}, "[T] options: …"),
        ({}, "[T]"),
        ({"command": "x" * 500}, "[T] " + "x" * 199 + "…"),
    ],
)
def test_of_a_call_the_argument_that_matters_is_shown(given: Event, line: str) -> None:
    assert told("claude", claude("assistant", use("t", "T", **given)))[0] == line


def test_thoughts_are_shown_by_their_beginning() -> None:
    thinking = {"type": "thinking", "thinking": "Let me see.\nFirst", "signature": "x"}
    assert told("claude", claude("assistant", thinking)) == ["[thinks: Let me see. First]"]
    assert told("claude", claude("assistant", {"type": "redacted_thinking", "data": "x"})) == []


def test_tools_of_codex_are_shown_by_what_they_do() -> None:
    def items(**item: Any) -> list[str]:
        return told("codex", {"type": "item.completed", "item": {"id": "1", **item}})

    shell = {"type": "command_execution", "command": "bash -lc \"make 'x'\"", "status": "failed", "exit_code": 2}
    assert items(**shell, aggregated_output="a\nb\n") == ["[shell] make 'x'", "  [failed] exit code 2 … b"]
    declined = {"type": "command_execution", "command": "rm -r x", "status": "declined", "aggregated_output": "no"}
    assert items(**declined) == ["[shell] rm -r x", "  [refused] no"]
    changes = [{"path": "a.py", "kind": "add"}, {"path": "b.py", "kind": "update"}]
    assert items(type="file_change", changes=changes, status="completed") == ["[edit] add a.py, update b.py", "  [ok]"]
    mcp = {"type": "mcp_tool_call", "server": "s", "tool": "t", "arguments": {"q": 1}, "status": "completed"}
    assert items(**mcp, result={"content": [text("yes")]}) == ["[s.t] q: 1", "  [ok] yes"]
    assert items(**{**mcp, "status": "failed"}, error={"message": "no"}) == ["[s.t] q: 1", "  [failed] no"]
    assert items(type="web_search", query="cats") == ["[web_search] cats", "  [ok]"]
    assert items(type="todo_list", items=[{"completed": True}, {"completed": False}]) == ["[to do: 1 of 2 done]"]
    assert items(type="reasoning", text="**Plan**") == ["[thinks: **Plan**]"]


def test_refusals_of_gemini_and_opencode_are_shown() -> None:
    calls = {"type": "tool_use", "tool_name": "write_file", "tool_id": "1", "parameters": {"file_path": "a"}}
    refused = {"type": "policy_violation", "message": "Denied by policy"}
    result = {"type": "tool_result", "tool_id": "1", "status": "error", "error": refused}
    assert told("gemini", calls, result) == ["[write_file] a", "  [refused] Denied by policy"]
    state = {"status": "completed", "input": {"command": "false"}, "output": "x", "metadata": {"exit": 1}}
    failed = {"type": "tool_use", "part": {"tool": "bash", "callID": "1", "state": state}}
    assert told("opencode", failed) == ["[bash] false", "  [failed] exit code 1 x"]


def test_an_answer_of_the_api_is_shown_by_its_message() -> None:
    said = 'API Error: 400 {"type": "error", "error": {"type": "invalid_request_error", "message": "too big"}}'
    made = claude("assistant", text(said), error="invalid_request")
    assert told("claude", made, final(said, is_error=True)) == ["[API Error: 400: too big]", "[failed, error; cost ?]"]


def test_bytes_that_were_cut_leave_no_broken_events() -> None:
    event = json.dumps(claude("assistant", text("hello, world"))).encode() + b"\n"
    for begin in range(0, len(event), 7):
        found = shown("claude", event + event[:begin] + mark(99) + event[begin + 20 :] + event)
        assert '"' not in "".join(found), begin
        assert found[0] == found[-1] == "hello, world"
        assert "[agentq: 99 bytes cut here]" in found
    assert shown("claude", event[50:] + event, middle=True) == ["hello, world"]
    assert shown("claude", b"a line\n" + event, middle=True) == ["a line", "hello, world"]


def test_an_event_that_is_incomplete_or_too_long_is_named() -> None:
    event = json.dumps(claude("assistant", text("hello"))).encode()
    assert shown("claude", event[:80]) == ["[assistant: incomplete]"]
    assert shown("claude", b"x" * (LONGEST_LINE + 1)) == ["[line: of more than 4 MiB]"]
    assert shown("claude", event + b"\n" + event[:5]) == ["hello", "[event: incomplete]"]
    assert shown("claude", event[:5]) == ['{"typ'], "no event came before, so it may be a text"
    long = json.dumps(claude("user", answer("t", "x" * LONGEST_LINE))).encode()
    assert shown("claude", long + b"\n" + event + b"\n") == ["[user: of more than 4 MiB]", "hello"]
    ended = json.dumps(final("the answer", more="x" * LONGEST_LINE)).encode()
    assert shown("claude", ended + b"\n") == ["[result success: of more than 4 MiB]", "the answer", END]


def test_a_document_on_several_lines_is_read_or_shown_as_it_is() -> None:
    document = json.dumps({"session_id": ID, "response": "hello", "stats": {"a": {}}}, indent=2).encode()
    assert shown("gemini", document + b"\n") == ["hello"]
    failed = json.dumps({"session_id": ID, "error": {"type": "Error", "message": "no"}}, indent=2).encode()
    assert shown("gemini", failed) == ["[no]"]
    assert shown("claude", document) == document.decode().splitlines()
    assert shown("claude", b"{\n  a\nb\n}\n") == ["{", "  a", "b", "}"]
    assert shown("gemini", b"{\n" + json.dumps({"type": "init", "model": "m"}).encode() + b"\n") == ["{", "[m]"]
    assert len(shown("gemini", b"{\n" + b"  x\n" * 40_000)) == 40_001, "not held back for ever"


def test_news_of_a_background_task_come_between_two_ends() -> None:
    found = told(
        "claude",
        claude("assistant", text("I wait.")),
        final("I wait."),
        {"type": "system", "subtype": "task_notification", "status": "completed", "summary": "build"},
        {"type": "system", "subtype": "init", "model": "m", "permissionMode": "plan"},
        claude("assistant", text("It is built.")),
        final("It is built."),
    )
    assert found == [
        *("I wait.", END, "[background task completed: build]", "[m, permissions: plan]", "It is built.", END),
    ]


def test_a_line_is_cut_to_the_width_but_never_what_the_agent_says() -> None:
    found = entries(
        "claude", [json.dumps(claude("assistant", text("w" * 50), use("1", "Bash", command="日本" * 9))).encode()]
    )
    assert list(lines(found, 20)) == ["w" * 50, "[Bash] 日本日本日本…", "  [no result]"]


def megabytes(name: str) -> Iterator[bytes]:
    """40 MB of what a transcript has to remember something of."""
    filler = "x\\n" * (1 << 17)
    calls = b"".join(
        json.dumps(event).encode() + b"\n"
        for number in range(2000)
        for event in {
            "claude": [claude("assistant", use(f"{number}" * 50, "T" * 500, command="c" * 500))],
            "gemini": [{"type": "tool_use", "tool_id": f"{number}" * 50, "tool_name": "T" * 500, "parameters": {}}],
        }[name]
    )
    yield calls
    piece = PIECE.get(name, json.dumps(claude("user", answer("t", "PIECE"))) + "\n")
    for _ in range(70):
        yield piece.replace("PIECE", filler).encode()
        yield piece.replace("PIECE", "y" * (1 << 18)).encode()


@pytest.mark.parametrize("name", ["claude", "gemini"])
def test_a_stream_of_40_mb_is_read_in_bounded_memory(name: str) -> None:
    transcript = opened(name)
    size = 0
    tracemalloc.start()
    for chunk in megabytes(name):
        for start in range(0, len(chunk), 1 << 16):
            transcript.feed(chunk[start : start + (1 << 16)])
        size += len(chunk)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size > 40_000_000
    assert peak < 12 << 20


def test_a_long_text_is_whole() -> None:
    said = "\n".join(f"line {number} “quoted”" for number in range(20_000))
    pieces = [delta(said[start : start + 37]) for start in range(0, len(said), 37)]
    stream = "".join(json.dumps(event) + "\n" for event in (*pieces, claude("assistant", text(said)), final(said)))
    found = entries("claude", [stream.encode()])
    assert spoken(found) == said
    assert [entry.kind for entry in found][-1] is Kind.END
