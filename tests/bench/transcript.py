"""How fast a transcript is read, and how much memory that takes: MB/s of streams of 40 MB, beside the verdict alone.

    python3 tests/bench/transcript.py [MB]

`work` is what a run looks like that reads and builds: two thirds of its events are small, two thirds of its bytes are
results of tools. `talk` is text alone in messages of 400 characters, `pieces` the same in pieces of 20. A figure is the
best of three rounds in processor time.
"""

from __future__ import annotations

import json
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

from agentq_cli.agents.reader import open_reader
from agentq_cli.agents.transcript import Transcript

CHUNK = 65536
SENTENCE = "The tests of the parser fail because “quoted” words keep their quotes; I will look at it.\n"
SOURCE = Path(__file__).read_text()
USAGE = {"input_tokens": 120, "cache_creation_input_tokens": 10, "cache_read_input_tokens": 20, "output_tokens": 1}
IDS = {"session_id": "3ff946d5-7c88-42fc-b676-d6762ce63613", "uuid": "7596b8d8-c8ab-4846-9927-796f9d0da875"}
Event = dict[str, object]


def claude_message(kind: str, block: Event) -> Event:
    """A message with one block."""
    message = {"id": "msg_1", "type": "message", "role": kind, "model": "m", "content": [block], "usage": USAGE}
    return {"type": kind, "message": message, "parent_tool_use_id": None, **IDS}


def claude_result(number: int, said: str) -> Event:
    """The result of a tool, which Claude Code prints twice."""
    block = {"type": "tool_result", "tool_use_id": f"toolu_{number}", "content": said, "is_error": False}
    return {**claude_message("user", block), "tool_use_result": {"stdout": said, "stderr": ""}}


def claude_work(number: int) -> list[Event]:
    """A text, the call of a tool, its result."""
    call = {"type": "tool_use", "id": f"toolu_{number}", "name": "Bash", "input": {"command": f"make test-{number}"}}
    text = {"type": "text", "text": SENTENCE * 2}
    return [
        claude_message("assistant", text),
        claude_message("assistant", call),
        claude_result(number, SOURCE[: 500 * (number % 8)]),
    ]


def claude_talk(number: int) -> list[Event]:
    """A text."""
    return [claude_message("assistant", {"type": "text", "text": SENTENCE * 4})]


def claude_pieces(number: int) -> list[Event]:
    """A piece of a text."""
    delta = {"type": "text_delta", "text": "a piece of the text" + "\n" * (number % 5 == 0)}
    event = {"type": "content_block_delta", "index": 0, "delta": delta}
    return [{"type": "stream_event", "event": event, "parent_tool_use_id": None, **IDS}]


def codex_work(number: int) -> list[Event]:
    """The same of Codex."""
    item = {"id": f"item_{number}", "type": "command_execution", "command": "/bin/bash -lc 'make test'"}
    done = {**item, "aggregated_output": SOURCE[: 1000 * (number % 8)], "exit_code": 0, "status": "completed"}
    text = {"id": f"item_{number}t", "type": "agent_message", "text": SENTENCE * 2}
    return [
        {"type": "item.completed", "item": text},
        {"type": "item.started", "item": {**item, "aggregated_output": "", "exit_code": None, "status": "in_progress"}},
        {"type": "item.completed", "item": done},
    ]


def gemini_work(number: int) -> list[Event]:
    """The same of Gemini CLI."""
    at = "2026-11-21T23:38:58.554Z"
    return [
        {"type": "message", "timestamp": at, "role": "assistant", "content": SENTENCE * 2, "delta": True},
        {
            "type": "tool_use",
            "timestamp": at,
            "tool_name": "read_file",
            "tool_id": f"t{number}",
            "parameters": {"path": "a"},
        },
        {
            "type": "tool_result",
            "timestamp": at,
            "tool_id": f"t{number}",
            "status": "success",
            "output": SOURCE[: 1000 * (number % 8)],
        },
    ]


def opencode_work(number: int) -> list[Event]:
    """The same of opencode."""
    said = SOURCE[: 500 * (number % 8)]
    state = {
        "status": "completed",
        "input": {"command": "make"},
        "output": said,
        "metadata": {"output": said, "exit": 0},
    }
    ids = {"id": "prt_2007d3f26001H80vhW1KRCNIPs", "sessionID": "ses_dff82d6b9ffehaT2h50oJOD1cS"}
    return [
        {"type": "text", "sessionID": ids["sessionID"], "part": {**ids, "type": "text", "text": SENTENCE * 2}},
        {"type": "tool_use", "part": {"type": "tool", "tool": "bash", "callID": f"c{number}", "state": state, **ids}},
    ]


def plain(number: int) -> list[Event]:
    """Plain output, no events."""
    return []


STREAMS: dict[str, tuple[str, Callable[[int], list[Event]]]] = {
    "claude work": ("claude", claude_work),
    "claude talk": ("claude", claude_talk),
    "claude pieces": ("claude", claude_pieces),
    "codex work": ("codex", codex_work),
    "gemini work": ("gemini", gemini_work),
    "opencode work": ("opencode", opencode_work),
    "plain output": ("claude", plain),
}


def chunks(events: Callable[[int], list[Event]], size: int) -> Iterator[bytes]:
    """A stream of at least this many bytes, in chunks."""
    number, rest = 0, b""
    while size > 0:
        lines: list[str] = []
        while sum(map(len, lines)) < 8 * CHUNK:
            lines += [json.dumps(event, ensure_ascii=False, separators=(",", ":")) for event in events(number)] or [
                SENTENCE[:-1]
            ] * 1000
            number += 1
        rest += ("\n".join(lines) + "\n").encode()
        size -= 8 * CHUNK
        while len(rest) >= CHUNK:
            yield rest[:CHUNK]
            rest = rest[CHUNK:]
    yield rest


def seconds(feed: Callable[[bytes], object], stream: list[bytes]) -> float:
    """Processor time for a stream."""
    begin = time.process_time()
    for chunk in stream:
        feed(chunk)
    return time.process_time() - begin


def most_kept(cli: str, stream: Iterator[bytes]) -> int:
    """The most bytes that a transcript holds at once, beside the stream itself."""
    reader = open_reader(cli)
    assert reader is not None
    transcript = Transcript(reader)
    tracemalloc.start()
    begin = tracemalloc.get_traced_memory()[0]
    most = 0
    for chunk in stream:
        others = tracemalloc.get_traced_memory()[0] - begin
        tracemalloc.reset_peak()
        transcript.feed(chunk)
        most = max(most, tracemalloc.get_traced_memory()[1] - begin - others)
    tracemalloc.stop()
    return most


def main(megabytes: int) -> None:
    """Print the table."""
    print(f"{'stream':<16}{'verdict MB/s':>14}{'transcript MB/s':>17}{'KiB at most':>13}")
    for name, (cli, events) in STREAMS.items():
        stream = list(chunks(events, 8_000_000))
        size = sum(map(len, stream))
        alone = told = 9e9
        for _ in range(3):
            reader = open_reader(cli)
            again = open_reader(cli)
            assert reader is not None and again is not None
            alone = min(alone, seconds(reader.feed, stream))
            told = min(told, seconds(Transcript(again).feed, stream))
        peak = most_kept(cli, chunks(events, megabytes * 1_000_000))
        print(f"{name:<16}{size / alone / 1e6:>14.1f}{size / told / 1e6:>17.1f}{peak / 1024:>13.0f}", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 40)
