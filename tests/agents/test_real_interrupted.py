"""The real agent CLIs, killed in the middle of a tool: the supervisor alone, and everything."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from model_api import ANSWER, ModelApi
from real_cli import Cli, commands_with, document, free, submit, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

FIRST = "--first: remember the word aubergine."
SECOND = "The second prompt: which word was it?"


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


def record(agentq: Any, run: str, name: str) -> Any:
    """A record of a run of the session `talk`."""
    return json.loads((agentq.state_dir / "sessions/talk/runs" / run / name).read_text())


def kill_everything(agentq: Any, tool: Tool, run: str) -> None:
    """SIGKILL the keeper first, then whatever it kept."""
    os.kill(record(agentq, run, "start")["pid"], signal.SIGKILL)
    kept = {record(agentq, run, "agent")["pid"], *tool.processes()}
    for pid in kept:
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
    (run,) = document(agentq, "runs")["items"]
    assert (run["status"], run["exit_code"], run["adopted"]) == ("success", 0, True), run
    assert run["result"] == ANSWER
    assert any("done-by-the-tool" in request.text for request in api.requests)
    assert document(agentq, "show", "talk/1")["status"] == "completed"
    assert agentq.left_over() == []
