"""The real agent CLIs, killed in the middle of a tool: the supervisor alone, and everything."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from model_api import ANSWER, ModelApi
from real_cli import Cli, commands_with, document, free, submit, until

from agentq_cli.host.run_directory import RunDirectory

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

FIRST = "--first: remember the word aubergine."
NUDGE = "You began this task in this conversation and were interrupted (crashed)."


class Tool:
    """A command that the agent is asked to run: it waits for a file."""

    def __init__(self, directory: Path, api: ModelApi) -> None:
        self.began = directory / "began"
        self.go = directory / "go"
        self.ended = directory / "ended"
        # Nothing else on this machine sleeps for so long.
        self.nap = f"0.05{time.time_ns()}"
        waiting = f"while [ ! -e {self.go} ]; do sleep {self.nap}; done"
        api.command = f"touch {self.began}; {waiting}; touch {self.ended}; echo done-by-the-tool"

    def processes(self) -> list[int]:
        """Its processes: its shell, and what that waits by."""
        return commands_with(self.nap)


@pytest.fixture
def tool(agentq: Any, api: ModelApi) -> Tool:
    """The tool that mode `tool` asks for."""
    return Tool(agentq.home, api)


def runs(agentq: Any) -> list[Any]:
    """All runs, oldest first."""
    return list(reversed(document(agentq, "runs")["items"]))


def kill_everything(agentq: Any, tool: Tool | None, session: str) -> None:
    """SIGKILL to the first run's keeper, then to whatever it kept; the supervisor lives."""
    directory = RunDirectory(agentq.state_dir / "sessions" / session / "runs/1.1")
    for pid in (directory.start().identity.pid, directory.pid()):
        os.kill(pid, signal.SIGKILL)
    for pid in tool.processes() if tool else ():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def test_a_killed_supervisor_ends_no_agent(agentq: Any, cli: Cli, api: ModelApi, tool: Tool) -> None:
    environ = dict(cli.prepare(agentq.home, api.url("tool")))
    submit(agentq, cli, FIRST, *free(cli), env=environ)
    first = agentq.start("run", "--drain", env=environ)
    until(tool.began.exists)
    first.kill()
    first.wait()
    working = tool.processes()
    assert working, "the tool did not live on"

    second = agentq.start("run", "--drain", env=environ)
    until(lambda: [each["state"] for each in document(agentq, "workers")["items"]] == ["adopted"])
    assert set(working) & set(tool.processes()), "it is not the same tool"
    assert not tool.ended.exists()
    tool.go.touch()
    assert second.wait(120) == 0

    assert tool.ended.exists()
    (run,) = runs(agentq)
    assert (run["status"], run["exit_code"], run["adopted"]) == ("success", 0, True), run
    assert run["result"] == ANSWER
    assert any("done-by-the-tool" in request.text for request in api.requests)
    assert document(agentq, "show", "talk/1")["status"] == "completed"
    assert agentq.left_over() == []


STUBBORN = "trap '' INT TERM HUP; "


def test_a_time_out_ends_a_tool_that_listens_to_nothing(agentq: Any, cli: Cli, api: ModelApi, tool: Tool) -> None:
    """Cases 28 and 30."""
    api.command = STUBBORN + api.command
    environ = dict(cli.prepare(agentq.home, api.url("tool")))
    # The slowest of them is a long time on its way on a busy machine; Codex ends a tool by itself after ten seconds.
    seconds = 8 if cli.name == "codex" else 60
    submit(agentq, cli, FIRST, *free(cli), "--timeout", f"{seconds}s", "--grace", "2s", env=environ)
    supervisor = agentq.start("run", "--drain", env=environ)
    until(tool.began.exists, seconds)
    assert supervisor.wait(120) == 1
    assert tool.processes() == [] and agentq.left_over() == []
    (run,) = runs(agentq)
    assert (run["status"], run["failure_class"]) == ("timeout", "timeout")
    assert seconds * 1000 <= run["duration_ms"] < (seconds + 30) * 1000


def test_a_cancel_ends_an_agent_that_was_stopped(agentq: Any, cli: Cli, api: ModelApi, tool: Tool) -> None:
    """Case 28."""
    api.command = STUBBORN + api.command
    environ = dict(cli.prepare(agentq.home, api.url("tool")))
    submit(agentq, cli, FIRST, *free(cli), "--grace", "2s", env=environ)
    supervisor = agentq.start("run", "--drain", env=environ)
    until(tool.began.exists)
    agent = RunDirectory(agentq.state_dir / "sessions/talk/runs/1.1").pid()
    os.kill(agent, signal.SIGSTOP)
    assert agentq("cancel", "talk/1", "--wait", timeout=90).returncode == 0
    supervisor.wait(60)
    assert tool.processes() == [] and agentq.left_over() == []
    assert [run["status"] for run in runs(agentq)] == ["cancelled"]


@pytest.mark.parametrize("session", ["default", "talk"])
def test_what_was_killed_in_the_middle_of_a_tool_goes_on_in_its_conversation(
    agentq: Any, cli: Cli, api: ModelApi, tool: Tool, session: str
) -> None:
    environ = dict(cli.prepare(agentq.home, api.url("tool")))
    submit(agentq, cli, FIRST, *free(cli), "--backoff", "1s", env=environ, session=session)
    supervisor = agentq.start("run", "--drain", env=environ)
    until(tool.began.exists)
    until(lambda: bool(tool.processes()))
    until(lambda: runs(agentq)[0]["conversation"] is not None)
    api.now = "ok"
    asked = len(api.requests)
    kill_everything(agentq, tool, session)
    assert supervisor.wait(120) == 0

    crashed, again = runs(agentq)
    assert (crashed["status"], crashed["failure_class"]) == ("crashed", "crashed"), crashed
    assert (again["status"], again["result"], again["trigger"]) == ("success", ANSWER, "retry"), again
    assert again["conversation"] == crashed["conversation"]
    last = [request.text for request in api.requests[asked:] if FIRST in request.text][-1]
    assert NUDGE in last and last.index(FIRST) < last.index(NUDGE), "the earlier turn, then the word about it"
    assert last.count(FIRST) == 2, "the prompt, and the prompt again"
    assert (tool.processes(), agentq.left_over()) == ([], [])
    task = document(agentq, "show", f"{session}/1")
    assert (task["status"], task["attempts"]) == ("completed", 2)


def test_what_was_killed_before_the_first_answer_is_completed_too(agentq: Any, cli: Cli, api: ModelApi) -> None:
    """By then one has kept the conversation, another not: that one begins anew, which uses no attempt."""
    environ = dict(cli.prepare(agentq.home, api.url("hang")))
    submit(agentq, cli, FIRST, "--backoff", "1s", env=environ)
    supervisor = agentq.start("run", "--drain", env=environ)
    until(lambda: bool(api.conversations()))
    api.now = "ok"
    kill_everything(agentq, None, "talk")
    assert supervisor.wait(120) == 0

    crashed, *lost, last = runs(agentq)
    assert crashed["status"] == "crashed"
    assert len(lost) <= 1 and not any(run["conversation"] for run in lost), lost
    assert (last["status"], last["result"]) == ("success", ANSWER)
    asked = [request.text for request in api.requests if FIRST in request.text][-1]
    assert (NUDGE in asked) is (last["conversation"] == crashed["conversation"])
    task = document(agentq, "show", "talk/1")
    assert (task["status"], task["attempts"]) == ("completed", 2)
    assert agentq.left_over() == []


def test_a_task_is_ended_by_what_it_may_cost(agentq: Any, cli: Cli, api: ModelApi, tool: Tool) -> None:
    if cli.cost is None:
        refused = agentq("submit", "--agent", cli.name, "--max-cost", "1", FIRST[2:])
        assert refused.returncode == 2 and f"agent '{cli.name}' reports no cost" in refused.stderr
        assert not agentq.state_dir.exists()
        return
    environ = dict(cli.prepare(agentq.home, api.url("tool")))
    submit(agentq, cli, FIRST, *free(cli), "--max-cost", "0.0008", "--retries", "3", env=environ)
    supervisor = agentq.start("run", "--drain", env=environ)
    if cli.name == "opencode":
        # It has no cap of its own and tells what a step cost once its tools have ended; it is then in the next step.
        until(tool.began.exists)
        api.now = "hang"
        tool.go.touch()
    assert supervisor.wait(120) == 1
    (run,) = runs(agentq)
    assert (run["status"], run["failure_class"], run["result"]) == ("error", "budget", None), run
    assert run["cost_usd"] == pytest.approx(cli.cost)
    assert ("--max-budget-usd" in run["argv"]) is (cli.name == "claude")
    assert document(agentq, "show", "talk/1")["status"] == "failed"
    stops = [event["reason"] for event in document(agentq, "events", "talk/1")["items"] if event["event"] == "stop"]
    assert stops == ([] if cli.name == "claude" else ["budget"]), "it keeps to its cap itself"
    assert agentq.left_over() == []
