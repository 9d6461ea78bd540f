"""What a reader knows while its agent runs: whether it has said its last word, has said anything, and has worked."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agentq_cli.agents.reader import Reader, open_reader

Event = dict[str, Any]

TURNS: dict[str, tuple[list[Event], list[Event], Event]] = {
    "claude": (
        [{"type": "system", "subtype": "init", "session_id": "c"}],
        [{"type": "assistant", "message": {"model": "m", "content": []}}],
        {"type": "result", "subtype": "success", "is_error": False, "num_turns": 1, "total_cost_usd": 0.5},
    ),
    "codex": (
        [{"type": "thread.started", "thread_id": "c"}, {"type": "turn.started"}],
        [{"type": "item.started", "item": {"type": "command_execution"}}],
        {"type": "turn.completed", "usage": {"input_tokens": 1}},
    ),
    "gemini": (
        [{"type": "init", "session_id": "c"}, {"type": "message", "role": "user", "content": "do it"}],
        [{"type": "message", "role": "assistant", "content": "done"}],
        {"type": "result", "status": "success", "stats": {}},
    ),
    "opencode": (
        [{"type": "step_start", "sessionID": "c", "part": {}}],
        [{"type": "text", "part": {"text": "done"}}],
        {"type": "step_finish", "part": {"reason": "stop", "cost": 0.5}},
    ),
    "events": (
        [{"event": "start", "conversation": "c"}],
        [{"event": "text", "text": "done"}],
        {"event": "end", "ok": True},
    ),
}
"""Of each reader: how a turn begins, what is work, and its end."""


def feed(reader: Reader, *events: Event) -> Reader:
    reader.feed("".join(json.dumps(event) + "\n" for event in events).encode())
    return reader


def opened(name: str) -> Reader:
    reader = open_reader(name)
    assert reader is not None
    return reader


@pytest.mark.parametrize("name", TURNS)
def test_the_last_word_is_the_end_of_the_last_turn(name: str) -> None:
    begins, work, end = TURNS[name]
    reader = opened(name)
    assert (reader.silent, reader.worked, reader.finished) == (True, False, False)
    feed(reader, *begins)
    assert (reader.silent, reader.worked, reader.finished) == (False, False, False)
    feed(reader, *work)
    assert (reader.worked, reader.finished) == (True, False)
    feed(reader, end)
    assert reader.finished and reader.verdict().ok
    feed(reader, {"type": "what a newer one says", "event": "too"}, {"type": "system", "subtype": "status"})
    assert reader.finished and reader.verdict().ok, "that is no turn"
    feed(reader, *begins)
    assert not reader.finished and not reader.verdict().final
    feed(reader, *work, end)
    assert reader.finished and reader.verdict().ok
    reader.close()
    assert reader.finished


@pytest.mark.parametrize("name", TURNS)
def test_what_was_paid_before_another_turn_is_not_forgotten(name: str) -> None:
    begins, work, end = TURNS[name]
    reader = feed(opened(name), *begins, *work, end, *begins)
    assert reader.verdict().cost_usd == (0.5 if name in ("claude", "opencode") else None)


def test_what_a_helper_of_claude_says_after_the_last_word_is_no_turn() -> None:
    begins, work, end = TURNS["claude"]
    reader = feed(opened("claude"), *begins, *work, end, work[0] | {"parent_tool_use_id": "t1"})
    assert reader.finished


def test_a_refused_tool_of_opencode_is_its_last_word_only_where_it_ended_with_that() -> None:
    refused = {"state": {"error": "The user rejected permission to use this"}, "tool": "bash"}
    events = [
        {"type": "step_start", "part": {}},
        {"type": "tool_use", "part": refused},
        {"type": "step_finish", "part": {"reason": "tool-calls"}},
    ]
    reader = feed(opened("opencode"), *events)
    assert not reader.finished, "it may ask the model again"
    reader.close()
    assert reader.verdict().final
    assert reader.verdict().failure_class == "denied"


@pytest.mark.parametrize(
    ("name", "events"),
    [
        ("claude", [{"type": "assistant", "error": "invalid_request", "message": {"model": "<synthetic>"}}]),
        ("claude", [{"type": "system", "subtype": "api_retry"}]),
        ("codex", [{"type": "item.completed", "item": {"type": "error", "message": "metadata not found"}}]),
        ("codex", [{"type": "error", "message": "Reconnecting... 1/5"}]),
        ("gemini", [{"type": "message", "role": "user", "content": "do it"}]),
        ("opencode", [{"type": "error", "error": {"name": "ContextOverflowError"}}]),
    ],
)
def test_what_the_program_says_of_itself_is_no_work(name: str, events: list[Event]) -> None:
    reader = feed(opened(name), *TURNS[name][0], *events)
    assert (reader.silent, reader.worked) == (False, False)
