"""The transcripts of recorded runs of the four CLIs."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transcripts import RECORDINGS, entries, opened, recorded, spoken

from agentq_cli.agents.reader import open_reader
from agentq_cli.agents.transcript_entries import Kind, readable
from agentq_cli.agents.transcript_lines import lines

MODEL = "[claude-opus-4-8[1m], permissions: default]"
METADATA = (
    "[Model metadata for `stub-model` not found. Defaulting to fallback metadata; this can degrade performance and "
    "cause issues.]"
)
SAID = "STUB-OK: the task is done."

SHOWN = {
    "claude/ok-stream-json": [MODEL, SAID, "[done; 150 tokens in, 30 out, $0.0014]"],
    "claude/ok-partial-stream": [MODEL, SAID, "[done; 150 tokens in, 30 out, $0.0014]"],
    "claude/ok-json": [SAID, "[done; 150 tokens in, 30 out, $0.0014]"],
    "claude/ok-text": [SAID],
    "claude/tool-allowed": [
        MODEL,
        "I will run a command.",
        "[Bash] echo made-by-agent > made.txt; sleep 0; ls",
        "  [ok] made.txt",
        SAID,
        "[done; 300 tokens in, 60 out, $0.0028]",
    ],
    "claude/tool-default-denied": [
        MODEL,
        "I will run a command.",
        "[Bash] echo made-by-agent > made.txt; sleep 0; ls",
        "  [failed] Output redirection to '/WORK/proj-claude-tool/made.txt' was blocked. For security, Claude Code may "
        "only write to files in the allowed working directories for this session: '/WORK/proj-claude-tool'.",
        SAID,
        "  [refused: Bash echo made-by-agent > made.txt; sleep 0; ls]",
        "[failed, denied: tool use refused: Bash; 300 tokens in, 60 out, $0.0028]",
    ],
    "claude/sig-SIGTERM-in-tool": [
        MODEL,
        "I will run a command.",
        "[Bash] echo made-by-agent > made.txt; sleep 60; ls",
        "  [failed] Exit code 137",
        SAID,
        "[done; 300 tokens in, 60 out, $0.0028]",
    ],
    "claude/sig-SIGKILL-in-tool": [
        MODEL,
        "I will run a command.",
        "[Bash] echo made-by-agent > made.txt; sleep 60; ls",
        "  [no result]",
    ],
    "claude/usage-oauth-stream": [
        "[claude-sonnet-5, permissions: default]",
        "[five-hour limit: rejected, until 2026-11-22T00:30Z]",
        "[You've hit your session limit · resets 12:30am (UTC)]",
        "[failed, rate_limited; $0.00]",
    ],
    "claude/warn-oauth-stream": [
        "[claude-sonnet-5, permissions: default]",
        SAID,
        "[five-hour limit: allowed warning, 91% used, until 2026-11-22T00:30Z]",
        "[done; 150 tokens in, 30 out, $0.0009 list price]",
    ],
    "claude/flaky-529x2-then-ok-stream": [
        MODEL,
        "[retry 1 of 2 in 0.6 s: 529, overloaded]",
        "[retry 2 of 2 in 1.2 s: 529, overloaded]",
        SAID,
        "[done; 150 tokens in, 30 out, $0.0014]",
    ],
    "codex/tool-bypass": [
        METADATA,
        "[shell] echo made-by-agent > made.txt; sleep 0; ls",
        "  [ok] made.txt",
        SAID,
        "[done; 240 tokens in, 60 out of the whole conversation, cost ?]",
    ],
    "codex/err-400-json": ["[bad request]", "[failed, error; cost ?]"],
    "codex/drop-midstream": [
        "[Reconnecting... 1/1 (stream disconnected before completion: Transport error: network error: error decoding "
        "response body)]",
        "[stream disconnected before completion: Transport error: network error: error decoding response body]",
        "[failed, network; cost ?]",
    ],
    "gemini/tool-yolo": [
        "[gemini-2.5-flash]",
        "[run_shell_command] echo made-by-agent > made.txt; sleep 0; ls",
        "  [ok] made.txt",
        SAID,
        "[done; 240 tokens in, 60 out, cost ?]",
    ],
    "gemini/err-401-stream": [
        "[gemini-2.5-flash]",
        "[failed, auth: API key not valid. Please pass a valid API key.; cost ?]",
    ],
    "gemini/ok-json": [SAID],
    "opencode/tool-auto": [
        "[bash] echo made-by-agent > made.txt; sleep 0; ls",
        "  [ok] made.txt",
        f"{SAID} ",
        "[done; 240 tokens in, 60 out, $0.0016]",
    ],
    "opencode/tool-ask": [
        "[bash] echo made-by-agent > made.txt; sleep 0; ls",
        "  [refused] The user rejected permission to use this specific tool call.",
        "[failed, denied: tool use refused: bash; 120 tokens in, 30 out, $0.0008]",
    ],
    "opencode/err-529-json": ["[failed, overloaded: Overloaded; cost ?]"],
}
"""What a person reads of some recordings, line by line."""


@pytest.mark.parametrize("name", SHOWN)
def test_what_a_person_reads_of_a_run(name: str) -> None:
    assert recorded(name) == SHOWN[name]


@pytest.mark.parametrize("name", RECORDINGS)
def test_no_json_is_shown_and_nothing_that_the_agent_said_is_lost(name: str) -> None:
    found = entries(name.partition("/")[0], [RECORDINGS[name]])
    screen = "\n".join(lines(found))
    assert '{"' not in screen
    assert '":' not in screen
    for said in heard(RECORDINGS[name]):
        assert said.strip() in screen
    for reason in (entry.verdict.error for entry in found if entry.verdict is not None and entry.verdict.error):
        assert readable(reason) in screen


def heard(output: bytes) -> list[str]:
    """Every text of the agent in the events of an output, found without a reader; its lines if it has no events."""
    decoder = json.JSONDecoder(object_hook=Heard)
    try:
        documents = [decoder.decode(output.decode())]
    except ValueError:
        documents = [decoder.decode(line) for line in output.decode().splitlines() if line.startswith("{")]
    return [said for each in documents for said in each.said] if documents else output.decode().splitlines()


class Heard:
    """An object of JSON: what is said in it and below it."""

    def __init__(self, table: dict[str, object]) -> None:
        below = [each for value in table.values() for each in (value if isinstance(value, list) else [value])]
        self.said = [said for each in below if isinstance(each, Heard) for said in each.said]
        user = table.get("role") == "user"
        for key in ("text", "result", "response", *(() if user else ("content",))):
            value = table.get(key)
            if isinstance(value, str) and table.get("type") not in ("text_delta", "tool_result"):
                self.said.append(value)


@pytest.mark.parametrize("name", RECORDINGS)
def test_the_verdict_is_that_of_the_reader_alone(name: str) -> None:
    cli = name.partition("/")[0]
    alone = open_reader(cli)
    assert alone is not None
    alone.feed(RECORDINGS[name])
    alone.close()
    transcript = opened(cli)
    transcript.feed(RECORDINGS[name])
    ends = [entry for entry in transcript.end() if entry.kind is Kind.END]
    assert transcript.reader.verdict() == alone.verdict()
    assert all(entry.verdict == alone.verdict() for entry in ends)


@given(data=st.data())
@settings(max_examples=150)
def test_bytes_cut_anywhere_give_the_same_entries(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(RECORDINGS)))
    output = RECORDINGS[name]
    cuts = data.draw(st.lists(st.integers(0, len(output)), max_size=12).map(sorted))
    edges = [0, *cuts, len(output)]
    chunks = [output[start:end] for start, end in pairwise(edges)]
    cli = name.partition("/")[0]
    assert entries(cli, chunks) == entries(cli, [output])


@pytest.mark.parametrize("name", ["claude/tool-default-denied", "codex/tool-default", "gemini/tool-yolo"])
def test_a_call_is_told_before_its_result_is_there(name: str) -> None:
    transcript = opened(name.partition("/")[0])
    kinds = [[entry.kind for entry in transcript.feed(line + b"\n")] for line in RECORDINGS[name].splitlines()]
    assert [Kind.CALL] in kinds
    assert kinds.index([Kind.RESULT]) > kinds.index([Kind.CALL])


def test_what_was_said_is_text_and_nothing_else_is() -> None:
    found = entries("claude", [RECORDINGS["claude/tool-allowed"]])
    assert spoken(found) == f"I will run a command.\n{SAID}"


def test_what_a_subscription_pays_is_told_apart_from_what_a_key_pays() -> None:
    for name, listed in (("claude/ok-stream-json", False), ("claude/warn-oauth-stream", True)):
        reader = opened("claude").reader
        reader.feed(RECORDINGS[name])
        reader.close()
        verdict = reader.verdict()
        assert verdict.cost_usd is not None
        assert (verdict.list_price, verdict.turns) == (listed, 1), name
