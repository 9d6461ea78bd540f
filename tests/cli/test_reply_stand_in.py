"""`agentq reply` with a stand-in for an agent: a process that keeps its conversations and notes how it was called."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from driven import Driven

STAND_IN = """
import json, os, pathlib, sys
home, words = pathlib.Path(os.environ["HOME"]), sys.argv[1:]
way, conversation = words[:2]
prompt = sys.stdin.read()
kept = home / f"conversation.{conversation}"
if way == "--resume" and not kept.exists():
    print("No conversation found with session ID: " + conversation, file=sys.stderr)
    sys.exit(1)
before = kept.read_text().split("\\0")[1:] if kept.exists() else []
kept.write_text("".join("\\0" + each for each in [*before, prompt]))
call = {"way": way, "id": conversation, "words": words[2:], "prompt": prompt, "before": before}
call |= {"cwd": os.getcwd(), "run": os.environ["AGENTQ_RUN"], "a": os.environ.get("A")}
with open(home / "calls", "a") as file:
    print(json.dumps(call), file=file)
if prompt == "hang":
    import time
    time.sleep(600)
print(json.dumps({"type": "system", "subtype": "init", "session_id": conversation}))
result = {"type": "result", "subtype": "success", "is_error": False, "num_turns": 1, "session_id": conversation}
print(json.dumps(result | {"result": prompt.upper(), "total_cost_usd": 0.1}))
"""


@pytest.fixture
def calls(aq: Driven) -> Any:
    """How the stand-in was called, call by call; its agent is called `mine`."""
    import sys

    (aq.home / "mine").write_text(f"#!{sys.executable}\n{STAND_IN}")
    (aq.home / "mine").chmod(0o755)
    config = aq.home / "config.toml"
    config.write_text(
        f'[agents.mine]\nargv = ["{aq.home}/mine"]\nprompt = "stdin"\nreader = "claude"\nreports_cost = true\n'
        'fresh = ["--session-id", "{conversation}"]\nresume = ["--resume", "{conversation}"]\n'
        'max_cost = ["--at-most", "{usd}"]\n'
    )
    aq.agentq.environ["AGENTQ_CONFIG"] = str(config)
    return lambda: [json.loads(line) for line in (aq.home / "calls").read_text().splitlines()]


@pytest.mark.parametrize("session", ["default", "docs"])
def test_the_text_is_the_prompt_in_the_same_conversation_as_the_next_attempt(
    aq: Driven, calls: Any, session: str
) -> None:
    place = aq.home / "place"
    place.mkdir()
    given = ("-s", session, "-a", "mine", "-C", str(place), "-e", "A=1", "--agent-arg", "-x")
    task = aq.submit(*given, "--max-cost", "1", "first")
    other = aq.submit("-s", session, "-a", "mine", "--context", "isolated", "other")
    aq.drain("-j", "1")
    said = "  -- also *the* docs\n\twith $HOME and 'é'"
    aq("reply", task, said)
    aq.drain()
    aq("reply", task, "-", input="from stdin\nin two lines\n")
    aq.drain()
    first, apart, second, third = calls()
    assert (first["way"], second["way"], third["way"]) == ("--session-id", "--resume", "--resume")
    assert first["id"] == second["id"] == third["id"] != apart["id"]
    assert [call["prompt"] for call in (first, second, third)] == ["first", said, "from stdin\nin two lines"]
    assert third["before"] == ["first", said]
    assert [call["run"] for call in (first, second, third)] == [f"{task}.{n}" for n in (1, 2, 3)]
    assert {(call["cwd"], call["a"]) for call in (first, second, third)} == {(str(place), "1")}
    # What is left of the cost cap, and the task's own words, each time.
    left = [call["words"][call["words"].index("--at-most") + 1] for call in (first, second, third)]
    assert [round(float(each), 6) for each in left] == [1, 0.9, 0.8]
    assert all("-x" in call["words"] for call in (first, second, third))
    runs = aq.runs()
    assert [runs[f"{task}.{n}"]["trigger"] for n in (1, 2, 3)] == ["submit", "reply", "reply"]
    assert {runs[f"{task}.{n}"]["conversation"] for n in (1, 2, 3)} == {first["id"]}
    assert runs[f"{task}.2"]["result"] == said.upper()
    assert aq.task(task)["status"] == "completed"
    assert aq.task(other)["last_run"] == f"{other}.1"


def test_the_limits_hold_as_before_and_a_failed_reply_can_be_replied_to(aq: Driven, calls: Any) -> None:
    aq.submit("-a", "mine", "--timeout", "3s", "--max-cost", "0.15", "first")
    aq.drain()
    aq("reply", "1", "hang")
    aq.drain(code=1)
    assert aq.runs()["default/1.2"]["status"] == "timeout"
    aq("reply", "1", "now quickly")
    aq.drain()
    first, hung, quick = calls()
    assert first["id"] == hung["id"] == quick["id"]
    assert quick["before"] == ["first", "hang"]
    assert quick["prompt"] == "now quickly", "and nothing about the interruption"
    assert "allow more with --max-cost" in aq.refused("reply", "1", "once more", code=4)
    assert len(calls()) == 3


def test_a_conversation_that_is_gone_is_not_begun_anew(aq: Driven, calls: Any) -> None:
    aq.submit("-a", "mine", "first")
    aq.drain()
    for kept in Path(aq.home).glob("conversation.*"):
        kept.unlink()
    aq("reply", "1", "more")
    aq.drain(code=1)
    assert aq.task("1")["status"] == "failed"
    assert len(calls()) == 1, "nothing else was said to anybody"


def test_a_reply_can_be_changed_before_it_starts_and_a_retry_says_it_again(aq: Driven, calls: Any) -> None:
    aq.submit("-a", "mine", "first")
    aq.drain()
    aq("reply", "1", "more")
    aq("edit", "1", "--prompt", "less")
    aq.drain()
    aq("retry", "1")
    aq.drain()
    first, second, third = calls()
    assert (second["prompt"], second["before"]) == ("less", ["first"])
    assert (third["way"], third["id"], third["prompt"]) == ("--resume", first["id"], "less")
