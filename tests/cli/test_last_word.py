"""An agent that has said its last word and does not end: that word decides, whoever ends the process and however."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from driven import Driven, alive, until
from sampling import in_gate

from agentq_cli.host import record_files

ID = "11111111-1111-4111-8111-111111111111"
CLAUDE = ({"type": "system", "subtype": "init", "session_id": ID}, {"type": "assistant", "message": {"content": []}})
DONE: dict[str, Any] = {"type": "result", "subtype": "success", "is_error": False, "num_turns": 2, "result": "all done"}
DONE |= {"session_id": ID, "total_cost_usd": 0.5}
LIMIT = DONE | {"is_error": True, "api_error_status": 429, "result": "Too many requests"}
THREAD = {"type": "thread.started", "thread_id": ID}
SAYS: dict[str, tuple[dict[str, Any], ...]] = {
    "claude": (*CLAUDE, DONE),
    "codex": (
        THREAD,
        {"type": "turn.started"},
        {"type": "item.completed", "item": {"type": "agent_message", "text": "all done"}},
        {"type": "turn.completed", "usage": {"input_tokens": 3, "output_tokens": 1}},
    ),
    "gemini": (
        {"type": "init", "session_id": ID},
        {"type": "message", "role": "assistant", "content": "all done"},
        {"type": "result", "status": "success", "stats": {}},
    ),
    "opencode": (
        {"type": "step_start", "sessionID": "ses_1", "part": {}},
        {"type": "text", "sessionID": "ses_1", "part": {"text": "all done"}},
        {"type": "step_finish", "sessionID": "ses_1", "part": {"reason": "stop"}},
    ),
    "events": ({"event": "start", "conversation": ID}, {"event": "end", "ok": True, "result": "all done"}),
}
HANGS = """#!/bin/sh
# Says what it has to say, and does not end; it hears no TERM where the file `deaf` is there.
cat >/dev/null
if [ -e "$HOME/deaf" ]; then trap "" TERM INT; fi
cat "$HOME/says"
echo $$ >>"$HOME/pids"
while :; do sleep 0.1; done
"""


def agent(aq: Driven, reader: str, *says: dict[str, Any], linger: str = "1h", end: str = "\n") -> None:
    """An agent `mine` that says this, with `end` behind its last word."""
    (aq.home / "says").write_text("\n".join(map(json.dumps, says)) + end)
    program = aq.home / "mine"
    program.write_text(HANGS)
    program.chmod(0o755)
    config = aq.home / "config.toml"
    config.write_text(
        f'[agents.mine]\nargv = ["{program}"]\nreader = "{reader}"\nlinger = "{linger}"\n'
        'resume = ["--resume", "{conversation}"]\nreports_cost = true\n'
    )
    aq.agentq.environ["AGENTQ_CONFIG"] = str(config)


def submit(aq: Driven, *given: str) -> str:
    return aq.submit("-s", "s", "-a", "mine", "--backoff", "10ms", "--grace", "200ms", *given, "do it")


def pid(aq: Driven) -> int:
    """The agent's process, once it has said everything."""
    path = aq.home / "pids"
    return int(until(lambda: path.read_text() if path.exists() else "", what="its last word").split()[-1])


def told(aq: Driven) -> tuple[Any, ...]:
    """How its one run ended: nothing was done twice."""
    (run,) = aq.runs().values()
    assert (aq.home / "pids").read_text().count("\n") == 1
    return run["status"], run["failure_class"], run["result"]


@pytest.mark.parametrize("reader", in_gate(SAYS, "claude", "events"))
def test_without_any_limit_it_is_ended_and_what_it_said_holds(aq: Driven, reader: str) -> None:
    agent(aq, reader, *SAYS[reader], linger="300ms")
    address = submit(aq)
    aq.submit("-s", "s", "--exec", "--", "true")
    aq.drain()
    assert aq.statuses() == {address: "completed", "s/2": "completed"}
    assert not alive(pid(aq))
    run = aq.runs()["s/1.1"]
    assert (run["status"], run["failure_class"], run["result"]) == ("success", None, "all done")
    assert run["signal"] == "SIGTERM", "how it ended is told as it was"
    stops = [event for event in aq.items("events", address) if event["event"] == "stop"]
    assert [(stop["reason"], stop["actor"]) for stop in stops] == [("linger", "supervisor")]


@pytest.mark.parametrize("deaf", [False, True], ids=["hears TERM", "is killed"])
@pytest.mark.parametrize("limit", [("--stall-timeout", "2s"), ("--timeout", "3s")])
def test_a_limit_that_it_reaches_then_ends_it_and_is_no_failure(aq: Driven, limit: tuple[str, str], deaf: bool) -> None:
    agent(aq, "claude", *SAYS["claude"])
    if deaf:
        (aq.home / "deaf").touch()
    address = submit(aq, *limit)
    aq.drain()
    assert told(aq) == ("success", None, "all done")
    assert aq.task(address)["status"] == "completed"
    assert aq.runs()["s/1.1"]["cost_usd"] == 0.5


def test_with_sweeps_alone_it_is_ended_too(aq: Driven) -> None:
    agent(aq, "claude", *SAYS["claude"], linger="300ms")
    address = submit(aq)
    supervisor = aq.supervise("--drain")
    lingering = pid(aq)
    aq.kill_hard(supervisor)
    done: list[str] = []

    def ended() -> bool:
        done.extend(item["detail"] for item in aq.items("sweep", "--no-wake") if item["action"] in ("stop", "settle"))
        return aq.task(address)["status"] == "completed"

    until(ended, what="the end by sweeps")
    assert not alive(lingering)
    assert told(aq) == ("success", None, "all done")
    assert [detail.partition(":")[0] for detail in done][-1] == "completed"


def test_who_adopts_it_goes_on_counting(aq: Driven) -> None:
    agent(aq, "claude", *SAYS["claude"], linger="2s")
    address = submit(aq)
    first = aq.supervise("--drain")
    pid(aq)
    lingers = aq.state_dir / "sessions" / "s" / "runs" / "1.1" / "lingers"
    until(lingers.exists, what="the first look after its last word")
    since = json.loads(lingers.read_text())["since"]
    aq.kill_hard(first)
    aq.drain()
    assert json.loads(lingers.read_text())["since"] == since
    assert told(aq) == ("success", None, "all done")
    assert aq.task(address)["status"] == "completed"


@pytest.mark.parametrize("recovery", [("run", "--drain"), ("sweep", "--no-wake")])
@pytest.mark.parametrize("rebooted", [False, True], ids=["killed", "rebooted"])
def test_a_crash_or_a_power_loss_after_its_last_word_takes_nothing_back(
    aq: Driven, recovery: tuple[str, ...], rebooted: bool
) -> None:
    agent(aq, "claude", *SAYS["claude"])
    address = submit(aq)
    supervisor = aq.supervise("--drain")
    lingering = pid(aq)
    until(lambda: aq.runs()["s/1.1"]["conversation"], what="its conversation")
    start = aq.state_dir / "sessions" / "s" / "runs" / "1.1" / "start"
    aq.kill_hard(supervisor)
    keeper = record_files.load(str(start))["pid"]
    for each in (keeper, lingering):
        os.kill(each, signal.SIGKILL)
    until(lambda: not alive(keeper) and not alive(lingering), what="end of keeper and agent")
    if rebooted:
        start.write_text(json.dumps(record_files.load(str(start)) | {"boot_id": "an-earlier-boot"}))
        with closing(sqlite3.connect(aq.state_dir / "agentq.db")) as index, index:
            for table in ("workers", "supervisors"):
                index.execute(f"UPDATE {table} SET boot_id = 'an-earlier-boot'")
    aq(*recovery)
    assert told(aq) == ("success", None, "all done")
    task = aq.task(address)
    assert (task["status"], task["reason"]) == ("completed", None)


def test_the_death_of_its_keeper_alone_takes_nothing_back(aq: Driven) -> None:
    agent(aq, "claude", *SAYS["claude"])
    submit(aq)
    supervisor = aq.supervise("--drain")
    lingering = pid(aq)
    keeper = int(Path(f"/proc/{lingering}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(keeper, signal.SIGKILL)
    aq.ended(supervisor, 0)
    assert told(aq) == ("success", None, "all done")
    assert not alive(lingering)


def test_a_cancel_stays_a_cancel(aq: Driven) -> None:
    agent(aq, "claude", *SAYS["claude"])
    address = submit(aq)
    supervisor = aq.supervise("--drain")
    pid(aq)
    aq("cancel", address)
    aq.ended(supervisor, 1)
    assert told(aq)[:2] == ("cancelled", "cancelled")
    assert aq.task(address)["status"] == "cancelled"


@pytest.mark.parametrize("end", in_gate(["", "\r", "\x1b[0m", "\x1b]0;done\x07"], "", "\x1b]0;done\x07"))
@pytest.mark.parametrize("said", [DONE, LIMIT])
def test_its_last_line_need_not_be_ended(aq: Driven, said: dict[str, Any], end: str) -> None:
    agent(aq, "claude", *CLAUDE, said, linger="300ms", end=end)
    submit(aq)
    aq.drain(code=0 if said is DONE else 75)
    assert told(aq)[0] == ("success" if said is DONE else "rate_limited")


@pytest.mark.parametrize("limit", [("--stall-timeout", "2s"), ("--timeout", "3s"), ()])
def test_a_failure_that_it_reported_keeps_its_class(aq: Driven, limit: tuple[str, ...]) -> None:
    agent(aq, "claude", *CLAUDE, LIMIT, linger="1h" if limit else "300ms")
    address = submit(aq, *limit)
    aq.drain(code=75)
    assert told(aq)[:2] == ("rate_limited", "rate_limited")
    task = aq.task(address)
    assert (task["attempts"], task["waiting_for"]["kind"]) == (0, "limit")


def test_what_it_says_to_our_own_signal_is_no_news(aq: Driven) -> None:
    agent(aq, "claude", *CLAUDE)
    interrupted = DONE | {"subtype": "error_during_execution", "is_error": True}
    program = (aq.home / "mine").read_text()
    answer = f"trap 'echo {json.dumps(json.dumps(interrupted))}; exit 1' TERM"
    (aq.home / "mine").write_text(program.replace("cat >/dev/null", f"cat >/dev/null\n{answer}"))
    submit(aq, "--timeout", "1s")
    aq.drain(code=1)
    assert told(aq)[:2] == ("timeout", "timeout")


def test_another_turn_after_its_last_word_is_work_again(aq: Driven) -> None:
    agent(aq, "claude", *CLAUDE, DONE, *CLAUDE)
    address = submit(aq, "--stall-timeout", "1s", "--retries", "0")
    aq.drain(code=1)
    (run,) = aq.runs().values()
    assert (run["status"], run["failure_class"], run["cost_usd"]) == ("stalled", "stalled", 0.5)
    assert aq.task(address)["status"] == "failed"


def test_an_agent_that_nobody_reads_has_no_last_word(aq: Driven) -> None:
    agent(aq, "none", *SAYS["claude"], linger="10ms")
    submit(aq, "--stall-timeout", "500ms", "--retries", "0")
    aq.drain(code=1)
    assert told(aq)[:2] == ("stalled", "stalled")
