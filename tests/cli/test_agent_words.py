"""What agent CLIs really print at their limits and onto the line of an event, through whole runs of the queue."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import pytest
from driven import Driven

ID = "11111111-1111-4111-8111-111111111111"

AGENT = """#!/bin/sh
cat > "$HOME/prompt"; echo x >> "$HOME/starts"
n=$(wc -l < "$HOME/starts")
if [ "$n" -le {times} ]; then cat "$HOME/first"; exit 1; fi
cat "$HOME/then"
"""


def agent(aq: Driven, reader: str, first: bytes, then: bytes = b"", times: int = 1000) -> dict[str, str]:
    """A config with an agent that prints `first` so many times and fails, and from then on `then`."""
    script: Path = aq.home / "agent"
    script.write_text(AGENT.format(times=times))
    script.chmod(0o755)
    (aq.home / "first").write_bytes(first)
    (aq.home / "then").write_bytes(then)
    config = aq.home / "config.toml"
    config.write_text(
        f'[agents.f]\nargv = ["{script}"]\nreader = "{reader}"\nresume = ["--resume", "{{conversation}}"]\n'
    )
    return {"AGENTQ_CONFIG": str(config)}


def starts(aq: Driven) -> int:
    return len((aq.home / "starts").read_text().splitlines())


def lines(*events: object) -> bytes:
    return "".join(json.dumps(event) + "\n" for event in events).encode()


def codex(said: str) -> bytes:
    failed = {"type": "turn.failed", "error": {"message": said}}
    return lines({"type": "turn.started"}, {"type": "error", "message": said}, failed)


CODEX_DONE = lines({"type": "turn.started"}, {"type": "turn.completed", "usage": {}})


@pytest.mark.parametrize(
    "said",
    [
        "Your workspace is out of credits. Ask your workspace owner to refill in order to continue.",
        "You hit your spend cap set in your workspace. Increase your spend cap to continue.",
    ],
)
def test_an_empty_workspace_holds_the_agent_and_not_one_task_fails_after_the_other(aq: Driven, said: str) -> None:
    env = agent(aq, "codex", codex(said), CODEX_DONE, times=1)
    for number in range(4):
        aq.submit("--agent", "f", "-s", f"s{number}", "work", env=env)
    aq.drain("-j", "1", code=1, env=env)
    assert sorted(aq.statuses().values()) == ["failed", "queued", "queued", "queued"]
    (run,) = aq.runs().values()
    assert (run["failure_class"], run["error"], starts(aq)) == ("billing", said, 1)
    assert "resume --agent f" in aq("health", code=2, env=env).stdout
    aq("resume", "--agent", "f", env=env)
    aq.drain(env=env)
    assert sorted(aq.statuses().values()) == ["completed", "completed", "completed", "failed"]


def test_a_limit_that_ends_at_a_time_in_another_zone_holds_until_then(aq: Driven) -> None:
    said = "You've hit your session limit · resets 4pm (America/Los_Angeles)"
    final = {"type": "result", "subtype": "success", "is_error": True, "result": said, "session_id": ID}
    env = agent(aq, "claude", lines(final)) | {"AGENTQ_NOW": "2026-11-21T22:26:40Z"}
    address = aq.submit("--agent", "f", "work", env=env)
    aq.drain(code=75, env=env)
    waits = aq.json("show", address, env=env)["waiting_for"]
    assert waits["kind"] == "limit"
    ends = datetime.fromisoformat(waits["until"])
    assert ends == datetime.fromisoformat("2026-11-22T00:01:00Z"), "the end of that minute"


def test_a_proxys_page_is_tried_again_and_is_no_refused_key(aq: Driven) -> None:
    said = "unexpected status 403 Forbidden: <!DOCTYPE html><html><title>proxy.corp.test</title></html>, url: https://x"
    env = agent(aq, "codex", codex(said), CODEX_DONE, times=1)
    aq.submit("--agent", "f", "--backoff", "10ms", "work", env=env)
    aq.drain(env=env)
    assert [run["failure_class"] for run in aq.runs().values()] == [None, "network"]


BEFORE = {
    "a title and the cursor": b"\x1b]0;work: ready\x07\x1b[?25h",
    "a byte order mark": b"\xef\xbb\xbf",
    "a prompt": b"\x1b[?2004huser@host:~$ ",
    "a progress bar": b"45%\r100%\r",
}


@pytest.mark.parametrize("before", BEFORE.values(), ids=BEFORE)
def test_a_final_event_behind_a_terminals_leavings_is_paid_for_once(aq: Driven, before: bytes) -> None:
    final = {"type": "result", "subtype": "success", "is_error": False, "num_turns": 1, "result": "ok"}
    env = agent(aq, "claude", b"", before + lines(final), times=0)
    for prompt in ("one", "two"):
        aq.submit("--agent", "f", "--backoff", "10ms", prompt, env=env)
    aq.drain(env=env)
    assert (set(aq.statuses().values()), starts(aq)) == ({"completed"}, 2)
    assert {run["result"] for run in aq.runs().values()} == {"ok"}


def test_words_that_quote_a_final_event_are_no_verdict(aq: Driven) -> None:
    final = lines({"type": "result", "subtype": "success", "is_error": False, "num_turns": 1, "result": "ok"}).strip()
    said = lines({"type": "assistant", "message": {"content": [{"type": "text", "text": final.decode()}]}})
    then = said + b"I would print `" + final + b"`\n" + b"\x1b]0;" + final + b"\x07\n"
    env = agent(aq, "claude", b"", then, times=0)
    aq.submit("--agent", "f", "--retries", "0", "work", env=env)
    aq.drain(code=1, env=env)
    assert [run["failure_class"] for run in aq.runs().values()] == ["no_verdict"]
