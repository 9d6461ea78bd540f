"""The real Claude Code against a model API on loopback, through agentq's own commands. No key, no network, no cost.

Slow tier: skipped where the program is not installed (`npm install --prefix DIR @anthropic-ai/claude-code`, then
`DIR/node_modules/.bin` on PATH).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from model_api import ANSWER, ModelApi

from agentq_cli.agents import profile as profiles
from agentq_cli.agents.reader import open_reader
from agentq_cli.agents.verdict import outcome
from agentq_cli.config import load
from agentq_cli.model import FailureClass, Outcome, RunStatus
from agentq_cli.supervise.records import Exit

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(shutil.which("claude") is None, reason="the Claude Code CLI (claude) is not on PATH"),
]

FIRST = "The first prompt: remember the word aubergine."
SECOND = "The second prompt: which word was it?"


@pytest.fixture
def api() -> Iterator[ModelApi]:
    """A model API of the test's own."""
    with ModelApi() as server:
        yield server


def environment(api: ModelApi, mode: str) -> dict[str, str]:
    """What makes the program talk to the API on loopback, and to nobody else."""
    return {
        "ANTHROPIC_API_KEY": "FAKE-KEY",
        "ANTHROPIC_BASE_URL": api.url(mode),
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "CLAUDE_CODE_MAX_RETRIES": "1",
        "DISABLE_AUTOUPDATER": "1",
        "DISABLE_ERROR_REPORTING": "1",
        "DISABLE_TELEMETRY": "1",
    }


def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Wait for something that another process does."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def document(agentq: Any, *arguments: str) -> Any:
    """The JSON that a command prints."""
    done = agentq(*arguments, "--json")
    assert done.returncode == 0, done.stderr + done.stdout
    return json.loads(done.stdout)


def test_the_second_task_of_a_session_continues_the_conversation_of_the_first(agentq: Any, api: ModelApi) -> None:
    environ = environment(api, "ok")
    for prompt in (FIRST, SECOND):
        done = agentq("submit", "--session", "talk", "--agent", "claude", prompt, env=environ)
        assert done.returncode == 0, done.stderr
    drained = agentq("run", "--drain", env=environ, timeout=240)
    assert drained.returncode == 0, drained.stderr + drained.stdout

    for number in (1, 2):
        assert document(agentq, "show", f"talk/{number}")["status"] == "completed"
    second, first = document(agentq, "runs", "--session", "talk")["items"]
    assert (first["id"], second["id"]) == ("talk/1.1", "talk/2.1")
    for run in (first, second):
        assert (run["status"], run["exit_code"], run["result"]) == ("success", 0, ANSWER)
        assert (run["tokens_in"], run["tokens_out"]) == (150, 30)
        assert run["cost_usd"] > 0
    assert first["conversation"] == second["conversation"] == document(agentq, "sessions")["items"][0]["conversation"]
    assert "--session-id" in first["argv"] and "--resume" in second["argv"]

    begun, continued = api.conversations()
    assert FIRST in begun.text and SECOND not in begun.text
    assert FIRST in continued.text and ANSWER in continued.text and SECOND in continued.text


def test_isolated_tasks_know_nothing_of_one_another(agentq: Any, api: ModelApi) -> None:
    environ = environment(api, "ok")
    for prompt in (FIRST, SECOND):
        assert agentq("submit", "--agent", "claude", prompt, env=environ).returncode == 0
    assert agentq("run", "--drain", "-j", "1", env=environ, timeout=240).returncode == 0
    assert len({run["conversation"] for run in document(agentq, "runs")["items"]}) == 2
    assert not any(FIRST in request.text and SECOND in request.text for request in api.conversations())


def test_a_cancel_during_a_model_call_ends_it_as_cancelled(agentq: Any, api: ModelApi) -> None:
    environ = environment(api, "hang")
    assert agentq("submit", "--session", "talk", "--agent", "claude", FIRST, env=environ).returncode == 0
    supervisor = agentq.start("run", "--drain", env=environ)
    until(lambda: bool(api.requests))
    assert agentq("cancel", "talk/1", "--wait").returncode == 0
    supervisor.wait(60)
    (run,) = document(agentq, "runs", "--session", "talk")["items"]
    assert (run["status"], run["failure_class"]) == ("cancelled", "cancelled")
    assert document(agentq, "show", "talk/1")["status"] == "cancelled"


class Claude:
    """The program itself, started as the profile says and read as the profile says."""

    def __init__(self, tmp_path: Path, api: ModelApi) -> None:
        self.directory = tmp_path
        self.api = api
        self.profile = profiles.profile(load({"XDG_CONFIG_HOME": str(tmp_path)}), "claude")

    def run(self, mode: str, *agent_args: str, resume: str | None = None, **environ: str) -> Outcome:
        """The outcome of one run."""
        argv, stdin = profiles.command(
            self.profile,
            prompt=FIRST,
            conversation=resume or str(uuid.uuid4()),
            resume=resume is not None,
            agent_args=agent_args,
        )
        values = {"PATH": os.environ["PATH"], "HOME": str(self.directory), **environment(self.api, mode), **environ}
        done = subprocess.run(
            argv,
            input=(stdin or "").encode(),
            capture_output=True,
            env={name: value for name, value in values.items() if value},
            cwd=self.directory,
            timeout=120,
            check=False,
        )
        reader = open_reader(self.profile.reader)
        assert reader is not None
        reader.feed(done.stdout)
        return outcome(Exit(done.returncode, None, None, None, False, 1, 1, None, 0, 0), reader, done.stderr)


@pytest.fixture
def claude(tmp_path: Path, api: ModelApi) -> Claude:
    """The program with a home of its own."""
    return Claude(tmp_path, api)


@pytest.mark.parametrize(
    ("mode", "failure"),
    [
        ("401", FailureClass.AUTH),
        ("403", FailureClass.AUTH),
        ("billing", FailureClass.BILLING),
        ("context", FailureClass.CONTEXT),
        ("404", FailureClass.CONFIG),
        ("429", FailureClass.RATE_LIMITED),
        ("500", FailureClass.OVERLOADED),
        ("529", FailureClass.OVERLOADED),
        ("400", FailureClass.ERROR),
    ],
)
def test_a_fault_of_the_api_has_its_class(claude: Claude, mode: str, failure: FailureClass) -> None:
    found = claude.run(mode)
    assert found.failure_class is failure, found
    assert found.error and found.conversation


def test_a_subscriptions_limit_has_its_reset_time(claude: Claude) -> None:
    found = claude.run("usage", ANTHROPIC_API_KEY="", CLAUDE_CODE_OAUTH_TOKEN="FAKE-TOKEN")
    assert (found.status, found.reset_at) == (RunStatus.RATE_LIMITED, claude.api.reset_at * 1000)


def test_no_server_is_a_network_failure(claude: Claude) -> None:
    assert claude.run("ok", ANTHROPIC_BASE_URL="http://127.0.0.1:9").failure_class is FailureClass.NETWORK


def test_without_a_key_it_is_an_auth_failure(claude: Claude) -> None:
    assert claude.run("ok", ANTHROPIC_API_KEY="").failure_class is FailureClass.AUTH


def test_a_bad_flag_is_a_config_failure(claude: Claude) -> None:
    found = claude.run("ok", "--no-such-flag")
    assert found.failure_class is FailureClass.CONFIG
    assert "--no-such-flag" in str(found.error)


def test_an_unknown_conversation_is_lost(claude: Claude) -> None:
    found = claude.run("ok", resume="aaaaaaaa-2222-4333-8444-555555555555")
    assert (found.conversation, found.conversation_lost) == (None, True)


def test_a_refused_tool_is_a_denial_and_an_allowed_one_is_not(claude: Claude) -> None:
    refused = claude.run("tool", "--permission-mode", "dontAsk")
    assert (refused.failure_class, refused.error) == (FailureClass.DENIED, "tool use refused: Bash")
    assert not (claude.directory / "made.txt").exists()
    assert claude.run("tool", "--allowedTools", "Bash").status is RunStatus.SUCCESS
    assert (claude.directory / "made.txt").exists()


def test_a_limit_of_turns_is_a_context_failure(claude: Claude) -> None:
    assert claude.run("tool", "--allowedTools", "Bash", "--max-turns", "1").failure_class is FailureClass.CONTEXT
