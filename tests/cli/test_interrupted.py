"""A run that was interrupted in a conversation: the next one of its task goes on there, with a word about it."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from driven import Driven, alive, until

from agentq_cli.host import record_files

AGENT = """#!/bin/sh
# Names its conversation, keeps what it was told, and waits in its first run.
case "$*" in *--resume*) id="$2"; shift 2;; *) id="c-$AGENTQ_TASK"; id=$(echo "$id" | tr / .);; esac
if [ -e "$HOME/forget" ] && [ "$AGENTQ_ATTEMPT" = 2 ]; then
  echo '{"event": "end", "ok": false, "class": "error", "error": "no such conversation", "conversation_lost": true}'
  exit 1
fi
echo "{\\"event\\": \\"start\\", \\"conversation\\": \\"$id\\"}"
if [ $# -gt 0 ]; then printf %s "$1" >"$HOME/told.$AGENTQ_ATTEMPT"; else cat >"$HOME/told.$AGENTQ_ATTEMPT"; fi
echo $$ >"$HOME/began.new" && mv "$HOME/began.new" "$HOME/began.$AGENTQ_ATTEMPT"
if [ "$AGENTQ_ATTEMPT" = 1 ]; then sleep 600; fi
echo '{"event": "end", "ok": true, "result": "done"}'
"""
NUDGE = (
    "You began this task in this conversation and were interrupted (crashed). See what is done, and go on from there."
)


def agent(aq: Driven, prompt: str) -> None:
    """An agent `mine` that takes its prompt in this way."""
    program = aq.home / "mine"
    program.write_text(AGENT)
    program.chmod(0o755)
    config = aq.home / "config.toml"
    config.write_text(
        f'[agents.mine]\nargv = ["{program}"]\nprompt = "{prompt}"\n'
        'resume = ["--resume", "{conversation}"]\nreader = "events"\n'
        '[sessions.s]\nconversation_ttl = "1ms"\n'
    )
    aq.agentq.environ["AGENTQ_CONFIG"] = str(config)


def kill_whole_run(aq: Driven, address: str) -> None:
    """SIGKILL to the keeper and to the agent, as when the machine loses its memory; and to the supervisor."""
    supervisor = aq.supervise()
    agent = int(until(lambda: (aq.home / "began.1").read_text() if (aq.home / "began.1").exists() else ""))
    until(lambda: aq.runs()[f"{address}.1"]["conversation"], what="its conversation")
    start = record_files.load(str(Path(aq.runs()[f"{address}.1"]["stdout_path"]).parent / "start"))
    aq.kill_hard(supervisor)
    for pid in (start["pid"], agent):
        os.kill(pid, signal.SIGKILL)
    until(lambda: not alive(start["pid"]) and not alive(agent), what="end of keeper and agent")


@pytest.mark.parametrize("prompt", ["stdin", "argv"])
@pytest.mark.parametrize("session", ["default", "s"])
def test_a_retry_goes_on_in_the_conversation_and_is_told_so(aq: Driven, session: str, prompt: str) -> None:
    agent(aq, prompt)
    address = aq.submit("-s", session, "-a", "mine", "--backoff", "1ms", "the work")
    kill_whole_run(aq, address)
    aq.drain()
    runs = aq.runs()
    first, second = runs[f"{address}.1"], runs[f"{address}.2"]
    assert (first["status"], second["status"], second["trigger"]) == ("crashed", "success", "retry")
    assert second["conversation"] == first["conversation"] == f"c-{session}.1"
    assert second["argv"][1:3] == ["--resume", first["conversation"]]
    assert (aq.home / "told.1").read_text() == "the work"
    assert (aq.home / "told.2").read_text() == f"{NUDGE}\n\nthe work"
    assert aq.task(address)["status"] == "completed"

    # What was interrupted is not idle. Brought to its end, it is begun anew.
    (aq.home / "began.1").unlink()
    aq("retry", address)
    aq.drain()
    again = aq.runs()[f"{address}.3"]
    assert "--resume" not in again["argv"]
    assert (aq.home / "told.3").read_text() == "the work"


def test_where_the_conversation_is_not_known_it_is_begun_anew_once(aq: Driven) -> None:
    agent(aq, "stdin")
    (aq.home / "forget").touch()
    address = aq.submit("-a", "mine", "--backoff", "1ms", "--retries", "1", "the work")
    kill_whole_run(aq, address)
    aq.drain()
    runs = aq.runs()
    assert [runs[f"{address}.{k}"]["status"] for k in (1, 2, 3)] == ["crashed", "error", "success"]
    assert runs[f"{address}.2"]["argv"][1:2] == ["--resume"]
    assert runs[f"{address}.2"]["conversation"] is None
    assert len(runs[f"{address}.3"]["argv"]) == 1
    assert (aq.home / "told.3").read_text() == "the work"
    task = aq.task(address)
    assert (task["status"], task["attempts"]) == ("completed", 2), "what was not there used no attempt"


def test_an_agent_that_cannot_go_on_begins_anew(aq: Driven) -> None:
    agent(aq, "stdin")
    config = aq.home / "config.toml"
    config.write_text(
        "".join(line for line in config.read_text().splitlines(keepends=True) if not line.startswith("resume"))
    )
    address = aq.submit("-a", "mine", "--backoff", "1ms", "the work")
    kill_whole_run(aq, address)
    aq.drain()
    assert len(aq.runs()[f"{address}.2"]["argv"]) == 1
    assert (aq.home / "told.2").read_text() == "the work"
