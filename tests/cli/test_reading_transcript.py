"""`logs` and `submit --follow` of a prompt: read, not dumped. A stand-in for the agent prints Claude's own stream."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from driven import Driven
from terminal import on_terminal

from agentq_cli.agents.profile import Profile
from agentq_cli.agents.transcript import transcript
from agentq_cli.commands import logs, reading
from agentq_cli.host.output import OutputReader
from agentq_cli.host.run_directory import RunDirectory
from agentq_cli.model.addresses import RunId

ID = "6a1f6e9a-0000-4000-8000-000000000001"
ANSWER = "# Done\n\nThe *tests* pass: [red]not markup[/red], <b>not HTML</b>, [a link](https://example.org/x)."
EVENTS = (
    {"type": "system", "subtype": "init", "session_id": ID, "model": "opus", "permissionMode": "default"},
    {"type": "assistant", "message": {"content": [{"type": "text", "text": "I will run the tests."}]}},
    {
        "type": "assistant",
        "message": {
            "content": [{"type": "tool_use", "id": "t1", "name": "Bash", "input": {"command": f"make {'x' * 100}"}}]
        },
    },
    {
        "type": "user",
        "message": {
            "content": [
                {"type": "tool_result", "tool_use_id": "t1", "is_error": True, "content": "Error 2\nmore\nthe last"}
            ]
        },
    },
    {"type": "assistant", "message": {"content": [{"type": "text", "text": ANSWER}]}},
    {
        "type": "result",
        "subtype": "success",
        "is_error": False,
        "result": ANSWER,
        "session_id": ID,
        "num_turns": 2,
        "total_cost_usd": 0.5,
        "usage": {"input_tokens": 1200, "output_tokens": 60},
    },
)
READ = f"""[opus, permissions: default]
I will run the tests.
[Bash] make {"x" * 100}
  [failed] Error 2 … the last
{ANSWER}
[done; 1,200 tokens in, 60 out, $0.50]
"""


@pytest.fixture
def claude(aq: Driven) -> Driven:
    """With a `claude` that complains on stderr and prints the events."""
    stream = "".join(json.dumps(event) + "\n" for event in EVENTS)
    (aq.home / "stream").write_text(stream)
    program = aq.home / "claude"
    program.write_text(f"#!/bin/sh\ncat >/dev/null\necho careful >&2\ncat '{aq.home}/stream'\n")
    program.chmod(0o755)
    path = aq.home / "config.toml"
    path.write_text(f"[agents.claude]\nargv = [{json.dumps(str(program))}]\n")
    aq.agentq.environ["AGENTQ_CONFIG"] = str(path)
    return aq


def ran(aq: Driven) -> Driven:
    aq.submit("--agent", "claude", "Fix the tests")
    aq.drain()
    return aq


def test_the_transcript_of_a_prompt_is_read_and_its_bytes_can_be_had(claude: Driven) -> None:
    stream = (ran(claude).home / "stream").read_text()
    done = claude("logs")
    assert (done.stdout, done.stderr) == (READ, "careful\n")
    assert claude("logs", "1", "--stdout").stdout == READ
    raw = claude("logs", "1.1", "--raw")
    assert (raw.stdout, raw.stderr) == (stream, "careful\n")
    assert claude.json("logs", "1")["stdout"] == stream
    assert claude("logs", "--tail", "2").stdout == "".join(READ.splitlines(keepends=True)[-2:])
    assert claude("logs", "--tail", "1", "--follow").stdout == READ.splitlines(keepends=True)[-1]
    assert claude("logs", "--follow").stdout == READ


def test_raw_gives_bytes_to_a_pipe_and_harmless_text_to_a_terminal(aq: Driven) -> None:
    aq.exec("printf", r"\033[2J\377\n")
    aq.drain()
    assert on_terminal(aq.agentq, "logs", "--raw", columns=80) == "␛[2J\ufffd\n"
    path = aq.home / "raw"
    with path.open("wb") as file:
        assert aq.start("logs", "--raw", stdout=file).wait(30) == 0
    assert path.read_bytes() == b"\x1b[2J\xff\n"


def test_lines_about_tools_fit_the_terminal_and_what_the_agent_says_is_whole(claude: Driven) -> None:
    lines = on_terminal(ran(claude).agentq, "logs", "--stdout", columns=60).splitlines()
    assert lines[2] == f"[Bash] make {'x' * 47}…"
    assert ANSWER.splitlines() == lines[4:7]


def test_submit_follow_reads_it_and_says_how_it_ended(claude: Driven) -> None:
    done = claude("submit", "--follow", "--agent", "claude", "Fix the tests")
    assert done.stdout == f"default/1\n{READ}"
    careful, ending = done.stderr.splitlines()
    assert careful == "careful"
    assert ending.startswith("default/1.1: success, ")
    assert ending.endswith(", $0.50")


def test_an_agent_that_has_no_profile_any_more_shows_what_it_printed(claude: Driven) -> None:
    (claude.home / "config.toml").write_text(f'[agents.mine]\nargv = ["{claude.home}/claude"]\nreader = "claude"\n')
    claude.submit("--agent", "mine", "Fix the tests")
    claude.drain()
    assert claude("logs").stdout == READ
    (claude.home / "config.toml").write_text("")
    assert claude("logs").stdout == Path(claude.home / "stream").read_text()


def test_its_last_lines_are_read_from_the_end_of_the_file(tmp_path: Path) -> None:
    """Of a gigabyte: a hole before the events, of which no more is read than the first window."""
    said = b"".join(
        json.dumps({"type": "assistant", "message": {"content": [{"type": "text", "text": f"word {n}"}]}}).encode()
        + b"\n"
        for n in range(20_000)
    )
    with open(tmp_path / "stdout", "wb") as file:
        file.seek(1 << 30)
        file.write(b"\n" + said)
    passed: list[int] = []

    class Counting(reading.Reading):
        def feed(self, piece: bytes) -> bytes:
            passed.append(len(piece))
            return super().feed(piece)

    class Queue:
        def output(self, run: RunId, stream: str) -> OutputReader:
            return OutputReader(RunDirectory(tmp_path), stream)

    def opened(middle: bool) -> reading.Reading:
        return Counting(transcript(Profile(name="own", argv=("own",), reader="claude"), middle=middle), None)

    run = RunId("default", 1, 1)
    read, stands, last = logs.tail_of(opened, Queue(), run, 3)  # type: ignore[arg-type]
    assert list(last) == [b"word 19997\n", b"word 19998\n", b"word 19999\n"]
    assert sum(passed) == logs.WINDOW
    assert stands == (1 << 30) + 1 + len(said)
    assert read.end() == b""
    passed.clear()
    read, _, last = logs.tail_of(opened, Queue(), run, 10_000)  # type: ignore[arg-type]
    assert list(last) == [f"word {n}\n".encode() for n in range(10_000, 20_000)]
    assert sum(passed) < 8 << 20


def test_the_last_lines_are_those_of_the_whole(claude: Driven) -> None:
    claude.submit("--agent", "claude", "Fix the tests")
    claude.drain()
    whole = claude("logs", "1").stdout.splitlines(keepends=True)
    for lines in range(len(whole) + 2):
        assert claude("logs", "1", "--tail", str(lines)).stdout == "".join(whole[max(0, len(whole) - lines) :])


def test_an_occurrence_that_has_not_run_names_the_newest_that_has(aq: Driven) -> None:
    first, second = ({"AGENTQ_NOW": f"2026-03-01T{hour}:00:00Z"} for hour in (10, 11))
    aq("schedule", "--every", "1h", "--start", "2026-03-01T11:00:00Z", "--exec", "--", "echo", "slot", env=first)
    assert "has not run yet; `agentq show default/1` says why" in aq.refused("logs", "1", code=3, env=first)
    aq.drain(env=second)
    said = aq.refused("logs", "2", code=3, env=second)
    assert said.endswith(
        "has not run yet; the newest of its schedule that has is default/1.1: `agentq logs default/1.1`"
    )
    assert aq("logs", "default/1.1").stdout == "slot\n"
